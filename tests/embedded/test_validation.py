"""Each rule for documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scicat_watch.embedded import rules_datasets, rules_parts
from scicat_watch.embedded import validation as v
from tests.embedded.conftest import block, raw_dataset


def names(document: dict[str, Any]) -> list[str]:
    return [
        fault.name
        for fault in rules_datasets.check_dataset(document, rules_datasets.dataset_rules(document.get("type")))
    ]


def derived(**fields: Any) -> dict[str, Any]:
    base = raw_dataset(type="derived", investigator="Prof. P", inputDatasets=[], usedSoftware=[])
    for name in ("creationLocation", "principalInvestigator"):
        base.pop(name)
    return {key: value for key, value in (base | fields).items() if value is not ...}


REQUIRED = ("ownerGroup", "owner", "contactEmail", "sourceFolder", "creationTime")


@pytest.mark.parametrize("name", [*REQUIRED, "principalInvestigator", "creationLocation"])
def test_what_a_raw_dataset_must_have(name: str) -> None:
    assert names(raw_dataset(**{name: ...})) == [name]


@pytest.mark.parametrize("name", [*REQUIRED, "investigator", "inputDatasets", "usedSoftware"])
def test_what_a_derived_dataset_must_have(name: str) -> None:
    assert names(derived(**{name: ...})) == [name]


def test_sound_datasets_have_no_faults() -> None:
    assert names(raw_dataset()) == []
    assert names(derived()) == []
    assert names(raw_dataset(datasetName=..., pid=...)) == []
    other = raw_dataset(type="simulation", principalInvestigators=["P"], principalInvestigator=...)
    assert names(other) == []


@pytest.mark.parametrize("name", ["bogus", "_id", "createdBy", "createdAt", "history", "attachments", "origdatablocks"])
def test_unknown_fields_are_refused(name: str) -> None:
    assert names(raw_dataset(**{name: "x"})) == [name]


@pytest.mark.parametrize("name", ["principalInvestigators", "proposalIds", "sampleIds", "instrumentIds"])
def test_the_names_of_api_v4_are_refused_for_raw(name: str) -> None:
    assert names(raw_dataset(**{name: ["x"]})) == [name]


@pytest.mark.parametrize("name", ["creationLocation", "startTime", "endTime", "sampleId", "instrumentId", "dataFormat"])
def test_what_a_derived_dataset_must_not_have(name: str) -> None:
    assert names(derived(**{name: "2024-05-01T08:00:00Z"})) == [name]


@pytest.mark.parametrize(
    "value", ["a@b.org", "a@b.org; c@d.org", "a@b.org;c@d.org", "Ünsal@b.org", "A.B@SUB.EXAMPLE.ORG", "a+b@x-y.org"]
)
def test_addresses_that_pass(value: str) -> None:
    assert names(raw_dataset(contactEmail=value)) == []


@pytest.mark.parametrize(
    "value",
    ["", "unknown", "a@localhost", "Ada <a@b.org>", "a@10.0.0.1", "a@b_c.org", "a@b.org;", "a@b.org, c@d.org", "@b.org",
     "a@b.o", "a b@c.org", "a@-b.org", 5, None],
)  # fmt: skip
def test_addresses_that_do_not_pass(value: object) -> None:
    assert names(raw_dataset(contactEmail=value)) == ["contactEmail"]


def test_the_owner_has_one_address() -> None:
    assert names(raw_dataset(ownerEmail="a@b.org")) == []
    assert names(raw_dataset(ownerEmail="a@b.org; c@d.org")) == ["ownerEmail"]


@pytest.mark.parametrize(("value", "good"), [
    ("nfs://h.x.org/d", True), ("h.x.org", True), ("h.x.org:8080/p", True), ("10.0.0.1", True),
    ("localhost", False), ("host", False), ("", False), ("h .org", False),
])  # fmt: skip
def test_hosts(value: str, good: bool) -> None:
    assert names(raw_dataset(sourceFolderHost=value)) == ([] if good else ["sourceFolderHost"])


@pytest.mark.parametrize(("value", "good"), [
    ("2024-05-01T08:00:00Z", True), ("2024-05-01T08:00:00.123456+02:00", True), ("2024-05-01T08:00", True),
    ("2024-05-01", True), ("2024-05-01 10:00:00", False), (1714550400, False), ("2024-13-01T00:00:00Z", False),
    ("2024-05-01T08:00:60Z", False), ("Wed, 01 May 2024 08:00:00 GMT", False), ("2024-W18-3", False), ("", False),
    ("0001-01-01T00:00:00+14:00", False),
])  # fmt: skip
def test_times(value: object, good: bool) -> None:
    assert names(raw_dataset(creationTime=value)) == ([] if good else ["creationTime"])


@pytest.mark.parametrize("name", ["size", "packedSize", "numberOfFiles", "numberOfFilesArchived"])
@pytest.mark.parametrize("value", ["12", 1.5, True, 1 << 60, None])
def test_totals_are_whole_numbers(name: str, value: object) -> None:
    assert names(raw_dataset(**{name: value})) == [name]
    assert names(raw_dataset(**{name: -3})) == []


@pytest.mark.parametrize("name", ["accessGroups", "keywords", "sharedWith"])
def test_lists_of_texts(name: str) -> None:
    assert names(raw_dataset(**{name: ["a"]})) == []
    assert names(raw_dataset(**{name: "a"})) == []
    assert names(raw_dataset(**{name: [1]})) == [name]
    assert names(raw_dataset(**{name: None})) == []


def test_techniques_and_relationships_are_whole() -> None:
    assert names(raw_dataset(techniques=[{"pid": "T", "name": "SAXS"}])) == []
    assert names(raw_dataset(techniques=[{"pid": "T"}])) == ["techniques"]
    assert names(raw_dataset(techniques=["SAXS"])) == ["techniques"]
    assert names(raw_dataset(relationships=[{"pid": "T", "relationship": "x", "more": 1}])) == ["relationships"]


@pytest.mark.parametrize(("name", "value"), [
    ("runNumber", 5), ("isPublished", "true"), ("isPublished", None), ("dataQualityMetrics", "5"), ("pid", ""),
    ("pid", None), ("sourceFolder", ""), ("datasetlifecycle", []), ("description", 5),
])  # fmt: skip
def test_other_fields(name: str, value: object) -> None:
    assert names(raw_dataset(**{name: value})) == [name]


def test_a_dataset_has_a_type() -> None:
    assert names(raw_dataset(type="", principalInvestigator=...)) == ["type"]
    assert names(raw_dataset(type=..., principalInvestigator=...)) == ["type"]


def test_a_folder_without_a_name_needs_one() -> None:
    assert names(raw_dataset(sourceFolder="/", datasetName=...)) == ["datasetName"]
    assert rules_datasets.later_name("/data/bt/scan_1/") == "bt/scan_1"


@pytest.mark.parametrize("tree", [{"a": None}, {"": 1}, [None], "text", 5])
def test_metadata_that_would_end_a_backend_is_refused(tree: object) -> None:
    assert names(raw_dataset(scientificMetadata=tree)) == ["scientificMetadata"]


def test_metadata_may_be_null_below_the_top() -> None:
    assert names(raw_dataset(scientificMetadata={"a": {"b": None, "": 1}})) == []


def test_a_change_needs_nothing_and_cannot_move_the_dataset() -> None:
    rules = rules_datasets.RAW.for_changes("pid", "type", "version")
    assert v.check({"description": None, "size": 5}, rules) == []
    assert [fault.name for fault in v.check({"pid": "x", "type": "raw", "version": "3"}, rules)] == [
        "pid",
        "type",
        "version",
    ]


@pytest.mark.parametrize(("body", "sentence"), [
    ({"size": ...}, "size must be an integer number"),
    ({"size": 1.5}, "size must be an integer number"),
    ({"dataFileList": []}, "dataFileList should not be empty"),
    ({"dataFileList": "a.h5"}, "dataFileList must be an array"),
    ({"chkAlg": ""}, "chkAlg should not be empty"),
    ({"datasetId": "x"}, "property datasetId should not exist"),
    ({"ownerGroup": "x"}, "property ownerGroup should not exist"),
])  # fmt: skip
def test_file_lists(body: dict[str, Any], sentence: str) -> None:
    document = {key: value for key, value in (block(1) | body).items() if value is not ...}
    assert v.as_sentences(v.check(document, rules_parts.NESTED_BLOCK)) == [sentence]


@pytest.mark.parametrize(("file", "sentence"), [
    ({"uid": 1}, "dataFileList.0.uid must be a string"),
    ({"colour": "red"}, "dataFileList.0.property colour should not exist"),
    ({"time": "yesterday"}, "dataFileList.0.time must be a valid ISO 8601 date string"),
    ({"path": None}, "dataFileList.0.path must be a string"),
])  # fmt: skip
def test_files(file: dict[str, Any], sentence: str) -> None:
    document = block(1)
    document["dataFileList"][0] |= file
    assert v.as_sentences(v.check(document, rules_parts.NESTED_BLOCK)) == [sentence]


def test_attachments() -> None:
    assert v.check({"caption": "", "ownerGroup": "x"}, rules_parts.ATTACHMENT) == []
    assert v.as_sentences(v.check({"ownerGroup": "x", "caption": 5, "relationships": []}, rules_parts.ATTACHMENT)) == [
        "property relationships should not exist",
        "caption must be a string",
    ]


def test_the_two_ways_to_show_faults() -> None:
    faults = v.check(raw_dataset(bogus=1, techniques=[{"pid": "T"}]), rules_datasets.RAW)
    assert v.as_sentences(faults) == ["property bogus should not exist", "techniques.0.name must be a string"]
    unknown, techniques = json.loads(v.as_tree(faults))
    assert unknown == {"property": "bogus", "constraints": {"whitelistValidation": "property bogus should not exist"}}
    assert techniques["children"][0]["children"][0]["property"] == "name"
