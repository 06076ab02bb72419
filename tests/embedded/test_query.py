"""Filters, projections and orders, on values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.embedded.filters import BadQueryError, parse
from scicat_watch.embedded.patterns import PatternError
from scicat_watch.embedded.query import matches, ordered, projected

DOCUMENT: dict[str, Any] = {
    "_id": "p/1",
    "pid": "p/1",
    "datasetName": "scan 7",
    "size": 12,
    "isPublished": False,
    "keywords": ["SAXS", "film"],
    "creationTime": "2024-05-01T08:00:00.000Z",
    "proposalIds": [None],
    "scientificMetadata": {"a.b": {"value": 1.5, "unit": "mm"}, "title": "test"},
    "techniques": [{"pid": "T1", "name": "SAXS"}, {"pid": "T2", "name": "WAXS"}],
}


def fits(where: dict[str, Any]) -> bool:
    return matches(parse(json.dumps({"where": where})).where, DOCUMENT)


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"datasetName": "scan 7"},
        {"datasetName": {"$in": ["scan 7", "x"]}},
        {"datasetName": {"inq": ["scan 7"]}},
        {"datasetName": {"$nin": ["x"]}},
        {"datasetName": {"$ne": "x"}},
        {"datasetName": {"$regex": "^SCAN", "$options": "i"}},
        {"datasetName": {"like": "can"}},
        {"datasetName": {"ilike": "SCAN"}},
        {"size": {"$gt": 11, "$lte": 12}},
        {"size": {"gte": 12}},
        {"keywords": "film"},
        {"keywords": {"$in": ["film"]}},
        {"absent": None},
        {"absent": {"$exists": False}},
        {"size": {"$not": {"$gt": 20}}},
        {"proposalIds": None},
        {"scientificMetadata.a%2Eb.value": 1.5},
        {"scientificMetadata.a%2Eb": {"value": 1.5, "unit": "mm"}},
        {"techniques.pid": "T2"},
        {"techniques.1.name": "WAXS"},
        {"$and": [{"pid": "p/1"}, {"$or": [{"size": 1}, {"size": 12}]}]},
        {"and": [{"pid": "p/1"}]},
        {"$nor": [{"size": 1}]},
        {"creationTime": "2024-05-01T10:00:00+02:00"},
        {"creationTime": {"$gte": "2024-05", "$lt": "2024-05-02"}},
    ],
)
def test_a_filter_that_fits(where: dict[str, Any]) -> None:
    assert fits(where)


@pytest.mark.parametrize(
    "where",
    [
        {"datasetName": "scan"},
        {"datasetName": {"$nin": ["scan 7"]}},
        {"size": "12"},
        {"size": {"$gt": "1"}},
        {"isPublished": 0},
        {"keywords": {"$ne": "film"}},
        {"absent": "x"},
        {"absent": {"$gt": 0}},
        {"scientificMetadata.a.b.value": 1.5},
        {"$nor": [{"size": 12}]},
        {"creationTime": {"$gt": "2024-05-01T08:00:00Z"}},
    ],
)
def test_a_filter_that_does_not_fit(where: dict[str, Any]) -> None:
    assert not fits(where)


def deep(levels: int) -> dict[str, Any]:
    where: dict[str, Any] = {"pid": "x"}
    for _ in range(levels):
        where = {"$and": [where]}
    return where


@pytest.mark.parametrize(
    "content",
    [
        {"where": {"$where": "sleep(1)"}},
        {"where": {"size": {"$where": "1"}}},
        {"where": {"$and": {"pid": "x"}}},
        {"where": {"pid": {"$in": "x"}}},
        {"where": {"pid": {"$regex": "("}}},
        {"where": {"pid": {"$regex": "a" * 600}}},
        {"where": {"pid": {"$regex": 5}}},
        {"where": deep(100)},
        {"where": [1]},
        {"limits": {"limit": -1}},
        {"limits": {"limit": True}},
        {"limits": {"order": "size:sideways"}},
        {"fields": "pid"},
        [],
    ],
)
def test_a_filter_that_cannot_be_understood_is_refused(content: Any) -> None:
    with pytest.raises((BadQueryError, PatternError)):
        parse(json.dumps(content))


def test_a_filter_nested_beyond_what_can_be_read_is_refused() -> None:
    with pytest.raises(BadQueryError):
        parse('{"where":' + '{"$and":[' * 100_000)


def test_a_pattern_that_would_take_hours_is_stopped() -> None:
    query = parse(json.dumps({"where": {"name": {"$regex": "^(a|a|aa)+$"}}}))
    with pytest.raises(PatternError, match="too long"):
        matches(query.where, {"name": "a" * 5000 + "b"})


@pytest.mark.parametrize(
    ("limit", "expected"), [({}, 100), ({"limit": None}, 100), ({"limit": 0}, 10), ({"limit": 5}, 5)]
)
def test_limits_are_those_of_api_v3(limit: dict[str, Any], expected: int) -> None:
    assert parse(json.dumps({"limits": limit})).limit == expected


def test_a_limit_at_the_top_is_ignored() -> None:
    assert parse('{"limit": 3, "bogus": 1}').limit == 100


def test_both_ways_to_write_an_order() -> None:
    assert parse('{"limits": {"order": "size:desc,pid"}}').order == (("size", True), ("pid", False))
    assert parse('{"limits": {"sort": {"size": "desc"}}}').order == (("size", True),)


def test_fields_are_chosen_or_hidden() -> None:
    assert projected(DOCUMENT, {"size": True}) == {"_id": "p/1", "size": 12}
    assert "size" not in projected(DOCUMENT, {"size": False})
    assert projected(DOCUMENT, {"scientificMetadata.title": True}) == {
        "_id": "p/1",
        "scientificMetadata": {"title": "test"},
    }
    assert DOCUMENT["scientificMetadata"].keys() == {"a.b", "title"}


def test_absent_values_come_first() -> None:
    documents: list[dict[str, Any]] = [{"n": 2}, {"n": "x"}, {}, {"n": 1}]
    assert ordered(documents, (("n", False),)) == [{}, {"n": 1}, {"n": 2}, {"n": "x"}]
    assert ordered(documents, (("n", True),)) == [{"n": "x"}, {"n": 2}, {"n": 1}, {}]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab$.%", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "$in", "$gt", "and"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    where=st.dictionaries(st.sampled_from(["a", "b", "a.b", "$and", "or"]), json_values, max_size=3),
    document=st.dictionaries(st.sampled_from(["a", "b"]), json_values),
)
def test_any_filter_is_understood_or_refused(where: dict[str, Any], document: dict[str, Any]) -> None:
    try:
        query = parse(json.dumps({"where": where}))
    except (BadQueryError, PatternError):
        return
    assert matches(query.where, document) in (True, False)


@given(json_values, json_values)
def test_in_is_what_equality_is(value: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        return
    document = {"a": value}
    assert matches({"a": wanted}, document) == matches({"a": {"$in": [wanted]}}, document)
    assert matches({"a": {"$nin": [wanted]}}, document) != matches({"a": {"$in": [wanted]}}, document)
