"""What others do to our datasets survives, and what is ours follows the documents."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.documents import Attachment, OrigDatablock, scientific_metadata
from scicat_watch.model import Status
from tests.catalogue.bundles import METADATA, POLICY, bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import Fault, SpoilingProxy

numbers = itertools.count(1)
CURATED: dict[str, Any] = {
    "description": "by a curator",
    "keywords": ["scan", "published"],
    "accessGroups": ["bl07", "p99staff", "friends"],
    "sampleId": "S-17",
    "techniques": [{"pid": "http://purl.org/pan-science/PaNET/PaNET01168", "name": "XAS"}],
}
ADDED = {"remark": "the beam was lost at noon", "mono": dict(METADATA["mono"]) | {"crystal": "Si 111"}}


@pytest.fixture
def pid() -> str:
    return f"others/scan_{next(numbers):05d}"


@pytest.fixture
def keeper(site: Site) -> ScicatV3:
    """Somebody else who may change our datasets, and delete."""
    return site.api("keeper")


def curate(curator: ScicatV3, pid: str, **fields: Any) -> None:
    stored = curator.dataset(pid)
    assert stored is not None
    curator.update_dataset(pid, curator.shaped(fields), stored)


def stored(curator: ScicatV3, pid: str) -> Mapping[str, Any]:
    found = curator.dataset(pid)
    assert found is not None
    return found


def curated(dataset: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: dataset[name] for name in CURATED if name != "sampleId"}
    found["sampleId"] = dataset.get("sampleId") or dataset["sampleIds"][0]
    found["techniques"] = [{"pid": one["pid"], "name": one["name"]} for one in found["techniques"]]
    return found


def test_after_an_update_of_the_file_list_alone_it_is_still_known_what_we_wrote_of_the_rest(
    site: Site, keeper: ScicatV3, pid: str
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    late = bundle(pid, (OrigDatablock(files(3)),), description="not yet")
    assert publisher.publish(late, replace(POLICY, parts="files")).datablock is Status.UPDATED
    assert stored(keeper, pid)["description"] == "theta scan"
    published = publisher.publish(late, POLICY)
    assert (published.status, published.left) == (Status.UPDATED, ())
    assert stored(keeper, pid)["description"] == "not yet"


def test_what_curators_changed_and_added_stays_and_our_changes_come_through(
    site: Site, keeper: ScicatV3, pid: str
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, **CURATED, scientificMetadata=dict(METADATA) | ADDED)
    assert publisher.publish(bundle(pid), POLICY).status is Status.UNCHANGED
    metadata = dict(METADATA) | {"energy": {"value": 8.0, "unit": "keV"}, "flag": False}
    published = publisher.publish(bundle(pid, scientificMetadata=metadata, owner="Another"), POLICY)
    assert (published.status, published.left) == (Status.UPDATED, ())
    now = stored(keeper, pid)
    assert curated(now) == CURATED
    assert now["owner"] == "Another"
    kept = now["scientificMetadata"]
    assert (kept["energy"]["value"], kept["flag"], kept["remark"]) == (8.0, False, ADDED["remark"])
    assert kept["mono"]["crystal"] == "Si 111"
    assert kept["mono"]["theta"]["value"] == 0.25
    assert publisher.publish(bundle(pid, scientificMetadata=metadata, owner="Another"), POLICY).status is (
        Status.UNCHANGED
    )


def test_a_member_that_we_no_longer_have_is_removed_unless_somebody_changed_it(
    site: Site, keeper: ScicatV3, pid: str
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, scientificMetadata=dict(METADATA) | {"flag": "corrected"})
    fewer = {name: value for name, value in METADATA.items() if name not in ("flag", "user")}
    published = publisher.publish(bundle(pid, scientificMetadata=fewer), POLICY)
    metadata = stored(keeper, pid)["scientificMetadata"]
    assert "user" not in metadata
    assert metadata["flag"] == "corrected"
    assert [text.split()[0] for text in published.left] == ["scientificMetadata.flag"]


def test_what_both_changed_is_left_and_reported_each_time(site: Site, keeper: ScicatV3, pid: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, description="theirs", scientificMetadata=dict(METADATA) | {"user": "theirs"})
    ours = bundle(pid, description="ours", scientificMetadata=dict(METADATA) | {"user": "ours"}, owner="Another")
    for status in (Status.UPDATED, Status.UNCHANGED):
        published = publisher.publish(ours, POLICY)
        assert published.status is status
        assert {text.split()[0] for text in published.left} == {"description", "scientificMetadata.user"}
        assert all("changed in the catalogue and in the files" in text for text in published.left)
    now = stored(keeper, pid)
    assert (now["description"], now["scientificMetadata"]["user"], now["owner"]) == ("theirs", "theirs", "Another")
    curate(keeper, pid, description="ours")
    assert [text.split()[0] for text in publisher.publish(ours, POLICY).left] == ["scientificMetadata.user"]
    assert publisher.publish(bundle(pid, description="third"), POLICY).status is Status.UPDATED
    assert stored(keeper, pid)["description"] == "third"


def test_without_memory_only_owned_fields_are_written(site: Site, keeper: ScicatV3, pid: str) -> None:
    site.publisher().publish(bundle(pid), POLICY)
    curate(keeper, pid, **CURATED, scientificMetadata=dict(METADATA) | ADDED)
    metadata = dict(METADATA) | {"energy": {"value": 8.0, "unit": "keV"}}
    later = bundle(pid, scientificMetadata=metadata, endTime="2026-05-04T11:00:00Z", owner="Another")
    published = site.publisher().publish(later, POLICY)
    now = stored(keeper, pid)
    assert curated(now) == CURATED
    assert (now["endTime"], now["owner"]) == ("2026-05-04T11:00:00.000Z", "Ada Example")
    assert (now["scientificMetadata"]["energy"]["value"], now["scientificMetadata"]["remark"]) == (
        8.0,
        ADDED["remark"],
    )
    assert {text.split()[0] for text in published.left} == {
        "owner",
        "description",
        "keywords",
        "accessGroups",
        "techniques",
    }
    assert all("may have been" in text for text in published.left)


@pytest.mark.parametrize("remembered", [True, False])
def test_the_policy_ours_writes_all_and_never_writes_nothing(
    site: Site, keeper: ScicatV3, pid: str, remembered: bool
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    publisher = publisher if remembered else site.publisher()
    curate(keeper, pid, description="theirs", scientificMetadata=dict(METADATA) | ADDED)
    changed = bundle(pid, (OrigDatablock(files(3)),), b"PNG2", endTime="2026-05-04T11:00:00Z")
    before = stored(keeper, pid)
    never = publisher.publish(changed, UpdatePolicy(fields="never"))
    assert (never.status, never.datablock, never.attachment) == (Status.UNCHANGED,) * 3
    assert stored(keeper, pid) == before
    assert publisher.publish(changed, UpdatePolicy(fields="ours")).status is Status.UPDATED
    now = stored(keeper, pid)
    assert (now["description"], now["endTime"], now["numberOfFiles"]) == ("theta scan", "2026-05-04T11:00:00.000Z", 3)
    assert "remark" not in now["scientificMetadata"]


def test_a_change_between_reading_and_writing_is_not_overwritten(
    site: Site, keeper: ScicatV3, spoiled: Callable[..., SpoilingProxy], pid: str
) -> None:
    class Slow(ScicatV3):
        """Between its reading and its first writing somebody else changes the dataset."""

        meddled = False

        def update_dataset(self, pid: str, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
            if not self.meddled:
                self.meddled = True
                curate(keeper, pid, description="in between", scientificMetadata=dict(METADATA) | ADDED)
            super().update_dataset(pid, fields, stored)

    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    slow = ScicatPublisher(site.api(kind=Slow), publisher._stopping, publisher._clock, publisher._memory)
    metadata = dict(METADATA) | {"energy": {"value": 8.0, "unit": "keV"}}
    assert slow.publish(bundle(pid, scientificMetadata=metadata), POLICY).status is Status.UPDATED
    now = stored(keeper, pid)
    assert now["description"] == "in between"
    assert now["scientificMetadata"]["remark"] == ADDED["remark"]
    assert now["scientificMetadata"]["energy"]["value"] == 8.0


def test_a_file_list_that_changed_since_it_was_read_is_compared_again(
    site: Site, keeper: ScicatV3, spoiled: Callable[..., SpoilingProxy], pid: str
) -> None:
    class Slow(ScicatV3):
        """Between its reading and its first writing somebody else puts the same file list there."""

        meddled = False

        def replace_datablock(self, pid: str, block_id: str, block: OrigDatablock, stored: Mapping[str, Any]) -> None:
            if not self.meddled:
                self.meddled = True
                keeper.replace_datablock(pid, block_id, block, {})
            super().replace_datablock(pid, block_id, block, stored)

    publisher, proxy = site.publisher(), spoiled()
    publisher.publish(bundle(pid), POLICY)
    slow = ScicatPublisher(
        site.api(base=proxy.base, kind=Slow), publisher._stopping, publisher._clock, publisher._memory
    )
    proxy.requests.clear()
    assert slow.publish(bundle(pid, (OrigDatablock(files(3)),)), POLICY).datablock is Status.UPDATED
    assert len([one for one in proxy.requests if one.method == "PATCH"]) == 1, "the second comparison found it done"
    [block] = keeper.datablocks(pid)
    assert (len(block["dataFileList"]), block["updatedBy"]) == (3, "keeper")
    assert stored(keeper, pid)["numberOfFiles"] == 3


def test_totals_are_put_right_also_where_the_dataset_changes_meanwhile(site: Site, keeper: ScicatV3, pid: str) -> None:
    class Slow(ScicatV3):
        """Between its reading and its writing of totals somebody else changes the dataset."""

        meddled = False

        def update_dataset(self, pid: str, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
            if "size" in fields and not self.meddled:
                self.meddled = True
                curate(keeper, pid, description="in between")
            super().update_dataset(pid, fields, stored)

    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, size=0, numberOfFiles=0)
    slow = ScicatPublisher(site.api(kind=Slow), publisher._stopping, publisher._clock, publisher._memory)
    published = slow.publish(bundle(pid, owner="Another"), POLICY)
    assert (published.status, dict(published.refused)) == (Status.UPDATED, {})
    now = stored(keeper, pid)
    assert (now["numberOfFiles"], now["description"], now["owner"]) == (2, "in between", "Another")


def test_a_folder_that_somebody_else_corrected_is_not_taken_for_another_dataset(
    site: Site, keeper: ScicatV3, pid: str
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, sourceFolder="/archive/bt-7")
    assert publisher.publish(bundle(pid, owner="Another"), POLICY).status is Status.UPDATED
    assert stored(keeper, pid)["sourceFolder"] == "/archive/bt-7"


def test_a_file_list_that_a_person_added_by_our_account_stays(
    site: Site, keeper: ScicatV3, spoiled: Callable[..., SpoilingProxy], pid: str
) -> None:
    """Our own ids are remembered, also of the one that was answered 500 and is there."""
    for faults in ((), (*[Fault.NONE] * 3, Fault.BROKEN)):
        one = f"{pid}-{len(faults)}-{faults[-1:]}"
        publisher = site.publisher("keeper", spoiled(*faults).base)
        publisher.publish(bundle(one, thumbnail=b""), POLICY)
        (ours,) = [str(block["_id"]) for block in keeper.datablocks(one)]
        theirs = keeper.add_datablock(one, OrigDatablock(files(1, first=90)))
        for count in (3, 1):
            changed = bundle(one, (OrigDatablock(files(count)),), thumbnail=b"")
            assert publisher.publish(changed, POLICY).datablock is Status.UPDATED
            assert {str(block["_id"]): len(block["dataFileList"]) for block in keeper.datablocks(one)} == {
                ours: count, theirs: 1,
            }  # fmt: skip
        assert publisher.publish(changed, POLICY).status is Status.UNCHANGED


def test_another_program_s_file_list_stays_whatever_becomes_of_ours(site: Site, keeper: ScicatV3, pid: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    theirs = keeper.add_datablock(pid, OrigDatablock(files(1, first=90)))
    for count in (3, 1):
        ours = OrigDatablock(files(count))
        assert publisher.publish(bundle(pid, (ours,)), POLICY).datablock is Status.UPDATED
        assert theirs in {str(block["_id"]) for block in keeper.datablocks(pid)}
        assert len(keeper.datablocks(pid)) == 2
        now = stored(keeper, pid)
        assert (now["numberOfFiles"], now["size"]) == (count + 1, ours.size + 190)
    assert site.publisher().publish(bundle(pid, (OrigDatablock(files(1)),)), POLICY).status is Status.UNCHANGED


@pytest.mark.parametrize("caption", ["", "drawn by Ada", "the scan"])
def test_another_program_s_picture_stays(site: Site, keeper: ScicatV3, pid: str, caption: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    keeper.add_attachment(pid, Attachment(b"ADA", caption), "bt-7")
    site.api().add_attachment(pid, Attachment(b"OWN", ""), "bt-7")  # By our account, but by another program.
    published = publisher.publish(bundle(pid, thumbnail=b"PNG2"), POLICY)
    pictures = {one["thumbnail"] for one in keeper.attachments(pid)}
    assert {Attachment(png).thumbnail for png in (b"ADA", b"OWN", b"PNG2")} <= pictures
    if len(pictures) > 3:  # Single ones cannot be removed by every account.
        assert any("outdated thumbnail" in text for text in published.left)
    writes = len(keeper.attachments(pid))
    assert publisher.publish(bundle(pid, thumbnail=b"PNG2"), POLICY).attachment is Status.UNCHANGED
    assert len(keeper.attachments(pid)) == writes


@pytest.mark.parametrize("remembered", [True, False])
def test_a_file_list_of_ours_that_is_too_many_is_undone_without_the_right_to_delete(
    site: Site, keeper: ScicatV3, pid: str, remembered: bool
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    site.api().add_datablock(pid, OrigDatablock(files(2)))  # As after a lost answer.
    assert stored(keeper, pid)["numberOfFiles"] == 4
    publisher = publisher if remembered else site.publisher()
    assert publisher.publish(bundle(pid), POLICY).datablock is Status.UPDATED
    now = stored(keeper, pid)
    assert (now["numberOfFiles"], now["size"]) == (2, OrigDatablock(files(2)).size)
    paths = sorted(file["path"] for block in keeper.datablocks(pid) for file in block["dataFileList"])
    assert paths == sorted(file.path for file in files(2))
    assert publisher.publish(bundle(pid), POLICY).status is Status.UNCHANGED
    assert publisher.publish(bundle(pid, (OrigDatablock(files(3)),)), POLICY).datablock is Status.UPDATED
    assert stored(keeper, pid)["numberOfFiles"] == 3


def test_one_file_cannot_be_spread_and_the_file_list_too_many_is_reported(site: Site, pid: str) -> None:
    publisher, alone = site.publisher(), bundle(pid, (OrigDatablock(files(1)),))
    publisher.publish(alone, POLICY)
    site.api().add_datablock(pid, OrigDatablock(files(1)))
    assert publisher.publish(alone, POLICY).refused["datablock"].status == 403
    assert len(site.api("keeper").datablocks(pid)) == 2


@pytest.mark.parametrize("spoilt", [{"size": 0, "numberOfFiles": 0}, {"numberOfFiles": 7}])
def test_totals_that_somebody_spoilt_are_put_right(
    site: Site, keeper: ScicatV3, pid: str, spoilt: dict[str, int]
) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    curate(keeper, pid, **spoilt)
    assert publisher.publish(bundle(pid), POLICY).status is Status.UPDATED
    now = stored(keeper, pid)
    assert (now["numberOfFiles"], now["size"]) == (2, OrigDatablock(files(2)).size)
    assert publisher.publish(bundle(pid), POLICY).status is Status.UNCHANGED


def test_the_totals_of_a_dataset_made_again_over_its_old_file_lists_are_right(
    site: Site, keeper: ScicatV3, pid: str
) -> None:
    site.publisher().publish(bundle(pid), POLICY)
    keeper._http.request("DELETE", "datasets", pid)
    published = site.publisher().publish(bundle(pid), POLICY)
    assert published.status is Status.CREATED
    now = stored(keeper, pid)
    assert (now["numberOfFiles"], now["size"]) == (2, OrigDatablock(files(2)).size)
    assert len(keeper.datablocks(pid)) == 1


def test_further_samples_that_a_curator_names_stay(site: Site, pid: str) -> None:
    site.version = "v4"
    keeper, publisher = site.api("keeper"), site.publisher()
    first = bundle(pid, sampleId="S-1")
    publisher.publish(first, POLICY)
    curate(keeper, pid, sampleIds=["S-1", "S-2"])
    assert publisher.publish(first, POLICY).status is Status.UNCHANGED
    changed = publisher.publish(bundle(pid, sampleId="S-3"), POLICY)
    assert [text.split()[0] for text in changed.left] == ["sampleIds"]
    assert stored(keeper, pid)["sampleIds"] == ["S-1", "S-2"]


def test_names_that_look_encoded_are_ours_or_theirs_and_never_mixed_up(site: Site, keeper: ScicatV3, pid: str) -> None:
    names = {"a.b": 1, "a%2Eb": 2, "100%": 3, "50%.x": 4, "deep": {"c.d": 5, "c%2Ed": 6}}
    publisher = site.publisher()
    publisher.publish(bundle(pid, scientificMetadata=scientific_metadata(names)), POLICY)
    assert stored(keeper, pid)["scientificMetadata"] == names
    theirs = {"e%2Ef": 7, "e.f": 8, "theirs": {"g%24h": 9, "g$h": 10}}
    curate(keeper, pid, scientificMetadata=scientific_metadata(names | theirs))
    assert stored(keeper, pid)["scientificMetadata"] == names | theirs
    assert publisher.publish(bundle(pid, scientificMetadata=scientific_metadata(names)), POLICY).status is (
        Status.UNCHANGED
    )
    ours = names | {"a%2Eb": 20, "deep": {"c.d": 50, "c%2Ed": 6}}
    changed = bundle(pid, scientificMetadata=scientific_metadata(ours))
    published = publisher.publish(changed, POLICY)
    assert (published.status, published.left) == (Status.UPDATED, ())
    assert stored(keeper, pid)["scientificMetadata"] == ours | theirs
    assert publisher.publish(changed, POLICY).status is Status.UNCHANGED
