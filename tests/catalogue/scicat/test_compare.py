from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scicat_watch.catalogue.difference import AttachmentPlan, BlockPlan
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.compare import plan_attachments, plan_blocks, spread, totals
from scicat_watch.catalogue.scicat.merge import merge
from scicat_watch.catalogue.scicat.parts import split
from scicat_watch.documents import Attachment, DataFile, OrigDatablock
from tests.catalogue.bundles import files

RAW = {"type": "raw"}
OURS_ALL = UpdatePolicy(fields="ours")


def every(part: object) -> bool:
    """All parts are ours."""
    return True


def dataset_changes(stored: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What is written of a dataset that is all ours."""
    return dict(merge(stored, wanted, OURS_ALL, None).patch)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ({"creationTime": "2026-05-04T08:07:30.123Z"}, {"creationTime": "2026-05-04T10:07:30.123987+0200"}),
        ({"proposalId": None, "proposalIds": [None]}, {"proposalId": ""}),
        ({"principalInvestigator": "a", "principalInvestigators": ["a"]}, {"investigator": "a"}),
        ({"principalInvestigators": ["a", "b"]}, {"principalInvestigator": "a"}),
        ({"sourceFolder": "/data"}, {"sourceFolder": "/data/"}),
        ({}, {"keywords": []}),
        ({"keywords": [None]}, {"keywords": None}),
        ({"accessGroups": ["x"]}, {"accessGroups": "x"}),
        ({"pid": "prefix/x"}, {"pid": "x", "type": "derived"}),
        ({"size": 5, "isPublished": True, "classification": "IN"}, {"size": 0, "isPublished": False, "version": "2"}),
        ({"techniques": [{"_id": "1", "pid": "p", "name": "n"}]}, {"techniques": [{"pid": "p", "name": "n"}]}),
        (
            {"scientificMetadata": {"e": {"value": 1, "unit": "mm", "valueSI": 0.001, "unitSI": "m"}}},
            {"scientificMetadata": {"e": {"unit": "mm", "value": 1.0}}},
        ),
        ({"scientificMetadata": {"a.b": 1, "100%": 2}}, {"scientificMetadata": {"a%2Eb": 1, "100%25": 2, "x": {}}}),
        ({"scientificMetadata": {"n": 1152921504606847000}}, {"scientificMetadata": {"n": 2**60}}),
    ],
)
def test_what_a_backend_makes_of_a_document_is_no_difference(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert dataset_changes(RAW | stored, wanted) == {}


def test_only_what_differs_is_written_and_metadata_as_a_whole() -> None:
    stored = RAW | {"description": "a", "owner": "Ada", "scientificMetadata": {"x": {"value": 1, "unit": "mm"}, "y": 1}}
    metadata = {"x": {"value": 2, "unit": "mm"}, "y": 1}
    wanted = {"description": "b", "owner": "Ada", "scientificMetadata": metadata, "endTime": "2026-05-04T10:08:30Z"}
    assert dataset_changes(stored, wanted) == {
        "description": "b",
        "scientificMetadata": metadata,
        "endTime": "2026-05-04T10:08:30Z",
    }
    assert dataset_changes(RAW | {"keywords": ["a"]}, {"keywords": []}) == {"keywords": []}


def test_the_totals_are_the_sums_over_all_file_lists() -> None:
    assert totals([OrigDatablock(files(2)).as_json(), {"size": 5, "dataFileList": [{}]}, {}]) == {
        "size": 206,
        "numberOfFiles": 3,
    }


def test_file_lists_of_others_are_neither_replaced_nor_removed() -> None:
    one, two = OrigDatablock(files(1)), OrigDatablock(files(1, first=1))
    ours, theirs = stored("b1", one.files), stored("b2", files(5), createdBy="archive")
    nobody = plan_blocks([theirs], [one], lambda part: False)
    assert nobody == BlockPlan(add=(one,))
    mixed = plan_blocks([ours, theirs], [two], lambda part: part.get("createdBy") != "archive")
    assert mixed == BlockPlan(replace=(("b1", two),))
    assert not plan_blocks([stored("b2", files(1), createdBy="archive")], [one], lambda part: False), "the same files"


def test_files_that_are_spread_over_more_lists_are_the_same_files() -> None:
    whole = OrigDatablock(files(5), "sha256")
    parts = spread([whole], 3)
    assert parts is not None
    assert [len(part.files) for part in parts] == [2, 1, 2] or sorted(len(part.files) for part in parts) == [1, 2, 2]
    assert [file for part in parts for file in part.files] == list(whole.files)
    assert not plan_blocks([stored(f"b{n}", part.files) for n, part in enumerate(parts)], [whole], every)
    assert spread([OrigDatablock(files(1))], 2) is None


def stored(block_id: str, files: tuple[DataFile, ...], **more: Any) -> dict[str, Any]:
    entries = [entry | {"_id": f"f{n}"} for n, entry in enumerate(OrigDatablock(files).as_json()["dataFileList"])]
    for entry in entries:
        entry["time"] = "2026-05-04T08:07:30.123Z"
    return {"_id": block_id, "dataFileList": entries[::-1], "ownerGroup": "bt-7"} | more


def test_file_lists_are_equal_whatever_their_order_and_ids() -> None:
    assert not plan_blocks([stored("b1", files(3))], [OrigDatablock(files(3))], every)
    assert not plan_blocks([stored("b1", files(3), chkAlg="sha256")], [OrigDatablock(files(3))], every)


@pytest.mark.parametrize(
    "other",
    [
        DataFile("other", 100, "2026-05-04T10:07:30.123456+02:00", "1000", "1000", "-rw-r--r--"),
        DataFile("scan_1/frame_00000.cbf", 101, "2026-05-04T10:07:30.123456+02:00", "1000", "1000", "-rw-r--r--"),
        DataFile("scan_1/frame_00000.cbf", 100, "2026-05-04T10:07:31+02:00", "1000", "1000", "-rw-r--r--"),
        DataFile("scan_1/frame_00000.cbf", 100, "2026-05-04T10:07:30.123456+02:00", "1001", "1000", "-rw-r--r--"),
        DataFile("scan_1/frame_00000.cbf", 100, "2026-05-04T10:07:30.123456+02:00", "1000", "1000", "-r--------"),
        DataFile("scan_1/frame_00000.cbf", 100, "2026-05-04T10:07:30.123456+02:00", "1000", "1000", "-rw-r--r--", "9f"),
    ],
)
def test_any_other_file_makes_another_list_which_takes_the_place_of_the_old_one(other: DataFile) -> None:
    wanted = OrigDatablock((other, *files(1, first=1)))
    assert plan_blocks([stored("b1", files(2))], [wanted], every) == BlockPlan(replace=(("b1", wanted),))


def test_what_is_missing_is_added_and_what_is_too_many_removed() -> None:
    one, two, three = (OrigDatablock(files(1, first=n)) for n in range(3))
    there = [stored("b1", one.files), stored("b2", two.files)]
    assert plan_blocks([], [one, two], every) == BlockPlan(add=(one, two))
    assert plan_blocks(there, [one, two, three], every) == BlockPlan(add=(three,))
    assert plan_blocks(there, [one], every) == BlockPlan(remove=("b2",))
    assert plan_blocks(there, [one, three], every) == BlockPlan(replace=(("b2", three),))
    assert plan_blocks([stored("b1", one.files)] * 2, [one], every) == BlockPlan(remove=("b1",))


def test_a_long_file_list_is_split_by_number_and_by_length() -> None:
    many = OrigDatablock(files(25), "sha256")
    assert [len(block.files) for block in split([many], most_files=10)] == [10, 10, 5]
    short = split([many], longest=1000)
    assert [file for block in short for file in block.files] == list(many.files)
    assert all(block.checksums == "sha256" for block in short)
    assert max(len(str(block.as_json())) for block in short) < 1200
    assert split([OrigDatablock(())]) == ()


OURS, OTHER = Attachment(b"1", "the scan"), Attachment(b"2", "the scan")


def shown(*thumbnails: Attachment) -> list[dict[str, Any]]:
    return [{"id": "a", "caption": thumbnail.caption, "thumbnail": thumbnail.thumbnail} for thumbnail in thumbnails]


def test_thumbnails_are_added_replaced_or_left() -> None:
    foreign = Attachment(b"3", "drawn by Ada")

    def not_ada(part: Mapping[str, Any]) -> bool:
        return "Ada" not in part["caption"]

    assert not plan_attachments(shown(OURS), [OURS], every)
    assert not plan_attachments(shown(foreign, OURS), [OURS], not_ada)
    assert plan_attachments([], [OURS], every) == AttachmentPlan(add=(OURS,))
    assert plan_attachments(shown(foreign), [OURS], not_ada) == AttachmentPlan(add=(OURS,))
    assert plan_attachments(shown(OTHER), [OURS], every) == AttachmentPlan(clear=True, add=(OURS,))
    assert plan_attachments(shown(OURS, OURS), [OURS], every) == AttachmentPlan(clear=True, add=(OURS,))
    assert plan_attachments(shown(OTHER, foreign), [OURS], not_ada) == AttachmentPlan(add=(OURS,), remove=("a",))
    assert plan_attachments(shown(foreign), [OURS], not_ada) == AttachmentPlan(add=(OURS,))
    assert not plan_attachments(shown(Attachment(b"1", "")), [OURS], not_ada), "the same picture, whatever its caption"
    assert plan_attachments(shown(OURS), [OURS, OTHER], every) == AttachmentPlan(add=(OTHER,))
    same = Attachment(OURS.png, "drawn by Ada")
    assert plan_attachments(shown(same, OTHER), [OURS], not_ada) == AttachmentPlan(remove=("a",)), "not hers"
