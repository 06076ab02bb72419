from __future__ import annotations

from typing import Any

import pytest

from scicat_watch.catalogue.difference import AttachmentPlan, BlockPlan
from scicat_watch.catalogue.scicat.compare import dataset_changes, plan_attachments, plan_blocks
from scicat_watch.catalogue.scicat.parts import split
from scicat_watch.documents import Attachment, DataFile, OrigDatablock
from tests.catalogue.bundles import files

RAW = {"type": "raw"}


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


def test_the_totals_of_another_type_of_dataset_survive_a_change() -> None:
    stored = {"type": "simulation", "size": 7, "numberOfFiles": 2, "packedSize": 0, "description": "a"}
    assert dataset_changes(stored, {"description": "a"}) == {}
    totals = {"size": 7, "numberOfFiles": 2, "packedSize": 0}
    assert dataset_changes(stored, {"description": "b"}) == {"description": "b"} | totals


def stored(block_id: str, files: tuple[DataFile, ...], **more: Any) -> dict[str, Any]:
    entries = [entry | {"_id": f"f{n}"} for n, entry in enumerate(OrigDatablock(files).as_json()["dataFileList"])]
    for entry in entries:
        entry["time"] = "2026-05-04T08:07:30.123Z"
    return {"_id": block_id, "dataFileList": entries[::-1], "ownerGroup": "bt-7"} | more


def test_file_lists_are_equal_whatever_their_order_and_ids() -> None:
    assert not plan_blocks([stored("b1", files(3))], [OrigDatablock(files(3))])
    assert not plan_blocks([stored("b1", files(3), chkAlg="sha256")], [OrigDatablock(files(3))])


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
    assert plan_blocks([stored("b1", files(2))], [wanted]) == BlockPlan(replace=(("b1", wanted),))


def test_what_is_missing_is_added_and_what_is_too_many_removed() -> None:
    one, two, three = (OrigDatablock(files(1, first=n)) for n in range(3))
    there = [stored("b1", one.files), stored("b2", two.files)]
    assert plan_blocks([], [one, two]) == BlockPlan(add=(one, two))
    assert plan_blocks(there, [one, two, three]) == BlockPlan(add=(three,))
    assert plan_blocks(there, [one]) == BlockPlan(remove=("b2",))
    assert plan_blocks(there, [one, three]) == BlockPlan(replace=(("b2", three),))
    assert plan_blocks([stored("b1", one.files)] * 2, [one]) == BlockPlan(remove=("b1",))


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
    assert not plan_attachments(shown(OURS), [OURS])
    assert not plan_attachments(shown(foreign, OURS), [OURS])
    assert plan_attachments([], [OURS]) == AttachmentPlan(add=(OURS,))
    assert plan_attachments(shown(foreign), [OURS]) == AttachmentPlan(add=(OURS,))
    assert plan_attachments(shown(OTHER), [OURS]) == AttachmentPlan(clear=True, add=(OURS,))
    assert plan_attachments(shown(OURS, OURS), [OURS]) == AttachmentPlan(clear=True, add=(OURS,))
    assert plan_attachments(shown(OTHER, foreign), [OURS]) == AttachmentPlan(add=(OURS,))
    assert plan_attachments(shown(OURS), [OURS, OTHER]) == AttachmentPlan(add=(OTHER,))
