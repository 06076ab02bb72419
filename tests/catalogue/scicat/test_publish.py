from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from scicat_watch.catalogue.difference import State
from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions, LoginOptions
from scicat_watch.catalogue.publisher import Published
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.clock import SystemClock
from scicat_watch.documents import Attachment, Bundle, Dataset, OrigDatablock, scientific_metadata
from scicat_watch.errors import Refused, Unavailable
from scicat_watch.model import Secret, Status
from tests.catalogue.bundles import POLICY, bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import SpoilingProxy
from tests.catalogue.scicat.stored import complete, state
from tests.flows.program import free_port
from tests.recorded import DESY

Spoiled = Callable[..., SpoilingProxy]
numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"7/sub dir/scan_{next(numbers):05d}"


def test_a_scan_is_created_and_a_second_time_nothing_is_written(site: Site, spoiled: Spoiled, pid: str) -> None:
    proxy = spoiled()
    publisher = site.publisher(base=proxy.base)
    first = publisher.publish(bundle(pid), POLICY)
    assert first == Published(pid, Status.CREATED, Status.CREATED, Status.CREATED)
    assert state(site, pid) == complete(bundle(pid))
    assert proxy.writes == 3
    assert publisher.publish(bundle(pid), POLICY) == Published(
        pid, Status.UNCHANGED, Status.UNCHANGED, Status.UNCHANGED
    )
    assert proxy.writes == 3


def attaching(site: Site) -> str:
    """An account that may add thumbnails by the version of the API that is used."""
    return "ingestor" if site.version == "v3" else "admin"


def asked(proxy: SpoilingProxy) -> list[str]:
    """The methods of the requests that came so far, without logins."""
    methods = [request.method for request in proxy.requests if not request.path.endswith("/auth/login")]
    proxy.requests.clear()
    return methods


def test_a_new_scan_costs_three_writes_and_one_question_and_an_unchanged_one_a_question(
    site: Site, spoiled: Spoiled, pid: str
) -> None:
    proxy = spoiled()
    publisher = site.publisher(attaching(site), proxy.base)
    publisher.publish(bundle(pid), POLICY)
    assert asked(proxy) == ["POST", "GET", "POST", "POST"]
    publisher.publish(bundle(pid), POLICY)
    assert asked(proxy) == ["GET"]
    assert publisher.difference(bundle(pid), POLICY).state is State.EQUAL
    assert asked(proxy) == ["GET"]


def test_a_dataset_that_another_process_wrote_is_found_by_its_id(site: Site, spoiled: Spoiled, pid: str) -> None:
    site.publisher().publish(bundle(pid), POLICY)
    proxy = spoiled()
    assert site.publisher(base=proxy.base).publish(bundle(pid), POLICY).status is Status.UNCHANGED
    assert asked(proxy) == ["POST", "GET"]
    assert state(site, pid) == complete(bundle(pid))


def test_who_does_not_want_to_verify_asks_nothing(site: Site, spoiled: Spoiled, pid: str) -> None:
    proxy = spoiled()
    publisher, unverified = site.publisher(attaching(site), proxy.base), replace(POLICY, verify=False)
    assert publisher.publish(bundle(pid), unverified).status is Status.CREATED
    assert asked(proxy) == ["POST", "POST", "POST"]
    assert state(site, pid) == complete(bundle(pid))
    assert publisher.publish(bundle(pid), unverified) == Published(
        pid, Status.UNCHANGED, Status.UNCHANGED, Status.UNCHANGED
    )
    assert asked(proxy) == []
    changed = bundle(pid, description="another")
    assert publisher.publish(changed, unverified).status is Status.UPDATED
    assert asked(proxy) == ["GET", "PATCH"]
    assert publisher.publish(changed, unverified).status is Status.UNCHANGED
    assert asked(proxy) == []


def test_only_what_changed_is_written(site: Site, spoiled: Spoiled, pid: str) -> None:
    proxy = spoiled()
    publisher = site.publisher(base=proxy.base)
    publisher.publish(bundle(pid), POLICY)
    changed = bundle(pid, (OrigDatablock(files(3)),), b"PNG2", description="another", keywords=["scan", "m1"])
    assert publisher.publish(changed, POLICY) == Published(pid, Status.UPDATED, Status.UPDATED, Status.UPDATED)
    assert state(site, pid) == complete(changed)
    (written,) = [json.loads(r.body) for r in proxy.requests if r.method == "PATCH" and "datasets" in r.path]
    kept = {} if site.version == "v3" else {"size": 201, "packedSize": 0, "numberOfFiles": 2}
    assert written == {"description": "another", "keywords": ["scan", "m1"]} | kept
    writes = proxy.writes
    assert publisher.publish(changed, POLICY).status is Status.UNCHANGED
    assert proxy.writes == writes


def test_without_files_and_thumbnail_there_is_just_the_dataset(site: Site, pid: str) -> None:
    bare = bundle(pid, (OrigDatablock(()),), b"")
    assert site.publisher().publish(bare, POLICY) == Published(pid, Status.CREATED)
    assert state(site, pid) == (0, 0, [], [])


def test_derived_datasets_come_back_as_they_were_written(site: Site, spoiled: Spoiled, pid: str) -> None:
    proxy = spoiled()
    publisher = site.publisher(base=proxy.base)
    kept = {
        name: value
        for name, value in bundle(pid).dataset.fields.items()
        if name not in ("principalInvestigator", "creationLocation", "endTime", "instrumentId")
    }
    derived = {"type": "derived", "investigator": "pi@example.org", "inputDatasets": ["7/a"], "usedSoftware": ["x"]}
    made = replace(bundle(pid), dataset=Dataset(kept | derived))
    assert publisher.publish(made, POLICY).status is Status.CREATED
    writes = proxy.writes
    assert publisher.publish(made, POLICY).status is Status.UNCHANGED
    assert proxy.writes == writes


def test_two_scans_that_share_a_pid_do_not_overwrite_each_other(site: Site, spoiled: Spoiled, pid: str) -> None:
    site.publisher().publish(bundle(pid), POLICY)
    proxy = spoiled()
    with pytest.raises(Refused, match=r"/data/bt-7/raw.*/data/elsewhere"):
        site.publisher(base=proxy.base).publish(bundle(pid, sourceFolder="/data/elsewhere", description="x"), POLICY)
    assert proxy.writes == 0


def test_the_prefix_of_the_site_comes_before_every_id(site: Site, pid: str) -> None:
    publisher = site.publisher(prefix="20.500.9/")
    assert publisher.publish(bundle(pid), POLICY).pid == f"20.500.9/{pid}"
    assert publisher.publish(bundle(pid), POLICY) == Published(
        f"20.500.9/{pid}", Status.UNCHANGED, Status.UNCHANGED, Status.UNCHANGED
    )
    assert state(site, f"20.500.9/{pid}") == complete(bundle(pid))


def test_a_refused_dataset_says_which_field_is_wrong(site: Site, pid: str) -> None:
    with pytest.raises(Refused, match=r"contactEmail|an email"):
        site.publisher().publish(bundle(pid, contactEmail="nobody@localhost"), POLICY)
    with pytest.raises(Refused, match="pid"):
        site.publisher().publish(bundle(""), POLICY)


def test_a_refused_file_list_does_not_keep_the_thumbnail_away(site: Site, pid: str) -> None:
    no_size = OrigDatablock((replace(files()[0], size=None),))
    published = site.publisher().publish(bundle(pid, (no_size,)), POLICY)
    assert (published.status, published.datablock, published.attachment) == (
        Status.CREATED,
        Status.FAILED,
        Status.CREATED,
    )
    assert "size" in str(published.refused["datablock"])
    again = site.publisher().publish(bundle(pid), POLICY)
    assert (again.status, again.datablock, again.attachment) == (Status.UPDATED, Status.CREATED, Status.UNCHANGED)
    assert state(site, pid) == complete(bundle(pid))


def test_leftovers_of_a_removed_dataset_do_not_double_the_file_list(site: Site, pid: str) -> None:
    site.publisher("keeper").publish(bundle(pid), POLICY)
    site.api("keeper")._http.request("DELETE", "datasets", pid)
    site.publisher("keeper").publish(bundle(pid, (OrigDatablock(files(3)),)), POLICY)
    number, _, paths, thumbnails = state(site, pid)
    assert (number, len(paths), len(paths[0]), len(thumbnails)) == (3, 1, 3, 1)


def test_a_scan_of_very_many_files_gets_several_file_lists(site: Site, spoiled: Spoiled, pid: str) -> None:
    proxy = spoiled()
    publisher = site.publisher(base=proxy.base)
    assert publisher.publish(bundle(pid, (OrigDatablock(files(12_000)),)), POLICY).datablock is Status.CREATED
    assert [len(paths) for paths in state(site, pid)[2]] == [10_000, 2_000]
    grown = bundle(pid, (OrigDatablock(files(12_001)),))
    assert publisher.publish(grown, POLICY).datablock is Status.UPDATED
    number, size, paths, _ = state(site, pid)
    assert (number, size) == (12_001, grown.datablocks[0].size)
    assert [len(each) for each in paths] == [10_000, 2_001]
    writes = proxy.writes
    assert publisher.publish(grown, POLICY).status is Status.UNCHANGED
    assert proxy.writes == writes


def test_all_file_lists_and_thumbnails_are_found_beyond_the_first_page(site: Site, pid: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid, (), b""), POLICY)
    blocks = tuple(OrigDatablock(files(1, first=n)) for n in range(103))
    thumbnails = tuple(Attachment(b"%d" % n, f"thumbnail {n}") for n in range(12))
    many = replace(bundle(pid, blocks), attachments=thumbnails)
    publisher.publish(many, POLICY)
    assert len(site.api().datablocks(pid)) == 103
    assert len(site.api().attachments(pid)) == 12
    assert publisher.publish(many, POLICY).status is Status.UNCHANGED


def test_somebody_else_s_thumbnail_stays(site: Site, pid: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    site.api().add_attachment(pid, Attachment(b"ADA", "drawn by Ada"), "bt-7")
    publisher.publish(bundle(pid, thumbnail=b"PNG2"), POLICY)
    assert ("drawn by Ada", Attachment(b"ADA").thumbnail) in state(site, pid)[3]
    assert publisher.publish(bundle(pid, thumbnail=b"PNG2"), POLICY).status is Status.UNCHANGED


def test_a_dataset_that_somebody_created_meanwhile_is_met(site: Site, spoiled: Spoiled, pid: str) -> None:
    class Late(ScicatV3):
        """Sees the dataset only after it tried to create it."""

        asked = False

        def dataset(self, pid: str) -> Any:
            stored = super().dataset(pid) if self.asked else None
            self.asked = True
            return stored

    site.publisher().publish(bundle(pid), POLICY)
    late = ScicatPublisher(site.api(kind=Late), threading.Event(), SystemClock())
    assert late.publish(bundle(pid, dataFormat="mine"), POLICY).status is Status.UPDATED


def test_what_was_surely_not_sent_is_tried_by_whoever_waits_for_the_catalogue(site: Site, pid: str) -> None:
    class Counting(ScicatV3):
        tried = 0

        def create_dataset(self, dataset: Dataset) -> str:
            self.tried += 1
            return super().create_dataset(dataset)

    token = LoginOptions(token=Secret("T"))
    with closing(HttpClient(HttpOptions(f"http://127.0.0.1:{free_port()}/api/v3"), token)) as nowhere:
        api = Counting(nowhere)
        with pytest.raises(Unavailable) as unavailable:
            ScicatPublisher(api, threading.Event(), SystemClock()).publish(bundle(pid), POLICY)
    assert not unavailable.value.sent
    assert api.tried == 1, "there is nothing to be read at once"


def test_names_that_backends_choke_on_come_back_and_are_recognised(site: Site, pid: str) -> None:
    publisher = site.publisher()
    tree = {"constructor": {"value": 1, "unit": "mm"}, "a.b": {"$c": 2, "valueOf": 3}, "__proto__": 4}
    made = bundle(pid, (), b"", scientificMetadata=scientific_metadata(tree))
    publisher.publish(made, POLICY)
    stored = publisher.look_up(f"datasets/{pid.replace('/', '%2F').replace(' ', '%20')}")["scientificMetadata"]
    assert stored.keys() == {"constructor_", "a.b", "__proto___"}
    assert stored["a.b"] == {"$c": 2, "valueOf_": 3}
    assert publisher.publish(made, POLICY).status is Status.UNCHANGED


def test_the_catalogue_is_asked_for_variables(site: Site, pid: str) -> None:
    publisher = site.publisher()
    publisher.publish(bundle(pid), POLICY)
    assert publisher.look_up("datasets/" + pid.replace("/", "%2F").replace(" ", "%20"))["pid"] == pid
    with pytest.raises(Refused, match="absent"):
        publisher.look_up(f"{site.base}/proposals/absent")
    publisher.ping()


def test_documents_of_a_real_beamline_are_created_and_recognised(site: Site) -> None:
    flows = DESY / "expected/flows/plain.json"
    requests = [request for step in json.loads(flows.read_text())["steps"] for request in step["requests"]]
    datasets = [request["body"] for request in requests if request["path"] == "/Datasets"]
    publisher = site.publisher()
    ours = {"ownerGroup": "bt-7", "contactEmail": "pat@lab.example"}
    for body in datasets:
        made = Bundle(Dataset(body | ours | {"pid": f"{site.version}/{body['pid']}"}))
        assert publisher.publish(made, POLICY).status is Status.CREATED
        assert publisher.publish(made, POLICY).status is Status.UNCHANGED
    assert len(datasets) > 3


def test_a_refusal_for_lack_of_a_right_names_the_account_and_the_right(site: Site, pid: str) -> None:
    with pytest.raises(Refused, match=r"'plain', in bt-7, .*CREATE_DATASET_WITH_PID_GROUPS"):
        site.publisher("plain").publish(bundle(pid), POLICY)
    keeper = site.publisher("keeper")
    keeper.publish(bundle(pid), POLICY)
    with pytest.raises(Refused, match=r"'bl07', in bl07, .*must be in its ownerGroup, 'bt-7'"):
        site.publisher("bl07").publish(bundle(pid, endTime="2030-01-01T00:00:00Z"), POLICY)
    with pytest.raises(Refused, match=r"ownerGroup or accessGroups.*'stranger', in others"):
        site.publisher("stranger").difference(bundle(pid), POLICY)
