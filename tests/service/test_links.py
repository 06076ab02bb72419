"""Ids of other records in a document that is carried: which are known, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from scicat_watch.errors import AssemblyError
from scicat_watch.service.links import Names, links_of, redirected

NAMES = Names(["P/9/a", "P/b", "Q/b", "Q/c", "d"], ["P/", "Q/"])


@pytest.mark.parametrize(
    ("pid", "name"),
    [("P/9/a", "9/a"), ("P/b", "b"), ("Q/c", "c"), ("d", "d"), ("P/d", "P/d"), ("P/", "P/"), ("P", "P")],
)
def test_a_dataset_is_carried_by_its_id_without_prefix_unless_that_is_anothers(pid: str, name: str) -> None:
    assert NAMES.of(pid) == name


def follow(kind: str, name: str) -> str | None:
    return {"datasets": f"T/{name}", "instruments": "i-9" if name == "bl07" else None}[kind]


def test_ids_of_other_records_are_found_and_follow_in_all_models() -> None:
    documents: list[dict[str, Any]] = [
        {"inputDatasets": ["P/9/a", "X/y"], "relationships": [{"pid": "Q/c", "relationship": "is"}], "title": "P/9/a"},
        {"instrumentId": "i-1", "instrumentIds": ["i-1", "text"]},
        {"pidArray": ["P/9/a"], "datasetPids": ["d"]},
        {"datasetList": [{"pid": "P/9/a", "files": []}], "jobParams": {"datasetList": [{"pid": "d"}], "x": 1}},
        {"MeasurementPeriodList": [{"instrument": "i-1", "start": "now"}]},
    ]
    assert [redirected(one, links_of(one, NAMES, {"i-1": "bl07"}), follow) for one in documents] == [
        {"inputDatasets": ["T/9/a", "X/y"], "relationships": [{"pid": "T/c", "relationship": "is"}], "title": "P/9/a"},
        {"instrumentId": "i-9", "instrumentIds": ["i-9", "text"]},
        {"pidArray": ["T/9/a"], "datasetPids": ["T/d"]},
        {"datasetList": [{"pid": "T/9/a", "files": []}], "jobParams": {"datasetList": [{"pid": "T/d"}], "x": 1}},
        {"MeasurementPeriodList": [{"instrument": "i-9", "start": "now"}]},
    ]


def test_an_instrument_that_is_not_there_is_left_out_and_nothing_else() -> None:
    links = {"instruments": {"i-1": "gone"}}
    assert redirected({"instrumentId": "i-1", "instrumentIds": ["i-1"]}, links, follow) == {}
    assert redirected({"instrumentIds": ["i-1", "i-2"]}, links, follow) == {"instrumentIds": ["i-2"]}
    empty = {
        "instrumentIds": [],
        "instrumentId": None,
        "inputDatasets": [],
        "MeasurementPeriodList": [{"instrument": "i-1"}],
    }
    assert redirected(empty, links, follow) == empty


@pytest.mark.parametrize("links", [3, [], {"datasets": ["x"]}, {"datasets": {"x": 1}}, {"instruments": {"x": ""}}])
def test_links_that_are_none_are_refused(links: object) -> None:
    with pytest.raises(AssemblyError, match="its links"):
        redirected({"inputDatasets": ["x"]}, links, follow)
