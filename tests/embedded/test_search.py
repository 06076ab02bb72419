"""What SciCat's front end asks for: searches, facets, keys of metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.embedded.conftest import Client, Running, raw_dataset


@pytest.fixture
def client(catalogue: Running) -> Iterator[Client]:
    client = catalogue.client("ingestor")
    first = {"energy": {"value": 12.4, "unit": "keV"}, "sample name": "Fe film on MgO", "n": 5}
    second = {"energy": {"value": 9000, "unit": "eV"}, "long": list(range(100)), "deep": {"er": {"value": "Cu-7"}}}
    datasets: list[dict[str, Any]] = [
        {"datasetName": "scan_00041", "keywords": ["SAXS", "film"], "proposalId": "P1", "scientificMetadata": first},
        {"datasetName": "scan_00042", "keywords": ["SAXS"], "proposalId": "P2", "scientificMetadata": second},
        {"datasetName": "Prüfung", "description": "α particles; Fe", "creationTime": "2024-05-02T08:00:00Z"},
    ]
    for number, fields in enumerate(datasets):
        assert client.post("datasets", raw_dataset(f"d{number}", **fields)).status_code == 201
    client.post("datasets", raw_dataset("foreign", ownerGroup="g9", keywords=["SAXS", "hidden"]))
    yield client
    client.session.close()


def found(client: Client, **fields: Any) -> list[str]:
    answer = client.get("datasets/fullquery", fields=fields, limits={"order": "creationTime:asc,pid:asc"})
    assert answer.status_code == 200, answer.text
    return [one["pid"].removeprefix("20.500.1/") for one in answer.json()]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["d0", "d1", "d2"]),
        ({"text": "film"}, ["d0"]),
        ({"text": "FE"}, ["d0", "d2"]),
        ({"text": "mgo fe"}, ["d0"]),
        ({"text": "mgo cu"}, []),
        ({"text": "0004"}, ["d0", "d1"]),
        ({"text": "n_00042"}, ["d1"]),
        ({"text": "42"}, ["d1"]),
        ({"text": "prufung"}, ["d2"]),
        ({"text": "hidden"}, []),
        ({"text": "'; DROP TABLE datasets; --"}, []),
        ({"text": '" OR x NEAR('}, []),
        ({"text": "   "}, ["d0", "d1", "d2"]),
        ({"keywords": ["film", "x"]}, ["d0"]),
        ({"keywords": []}, ["d0", "d1", "d2"]),
        ({"proposalId": "P2"}, ["d1"]),
        ({"creationTime": {"begin": "2024-05-02T00:00:00Z", "end": "2024-05-03T00:00:00Z"}}, ["d2"]),
        ({"mode": {"datasetName": {"$regex": "^scan"}}}, ["d0", "d1"]),
        ({"text": "saxs", "mode": {"proposalIds": "P1"}}, ["d0"]),
        ({"scientific": [{"lhs": "energy", "relation": "GREATER_THAN", "rhs": 10, "unit": "keV"}]}, ["d0"]),
        ({"scientific": [{"lhs": "energy", "relation": "LESS_THAN", "rhs": 10, "unit": "keV"}]}, ["d1"]),
        ({"scientific": [{"lhs": "deep.er", "relation": "EQUAL_TO_STRING", "rhs": "Cu-7", "unit": ""}]}, ["d1"]),
    ],
)
def test_full_query(client: Client, fields: dict[str, Any], expected: list[str]) -> None:
    assert found(client, **fields) == expected


@pytest.mark.parametrize(
    "order", ["", "creationTime:desc", "datasetName:asc", "size:desc", "creationTime:desc,pid:asc"]
)
@pytest.mark.parametrize(("text", "expected"), [("", 3), ("fe", 2), ("saxs", 2), ("0004", 2), ("hidden", 0)])
def test_every_order_finds_the_same_by_pages(client: Client, order: str, text: str, expected: int) -> None:
    fields, pages = {"text": text}, []
    for skip in range(4):
        limits = {"limit": 1, "skip": skip, "order": order}
        pages += client.get("datasets/fullquery", fields=fields, limits=limits).json()
    assert len({one["pid"] for one in pages}) == len(pages) == expected
    whole = client.get("datasets/fullquery", fields=fields, limits={"order": order}).json()
    assert [one["pid"] for one in whole] == [one["pid"] for one in pages]
    if name := order.partition(":")[0]:
        values = [one[name] for one in whole]
        assert values == sorted(values, reverse=":desc" in order)


def test_an_index_follows_what_changes(client: Client, catalogue: Running) -> None:
    client.patch("datasets/{}", {"description": "now with vanadium", "datasetName": "other"}, "20.500.1/d0")
    assert (found(client, text="vanadium"), found(client, text="00041")) == (["d0"], [])
    catalogue.client("archiveManager").delete("datasets/{}", "20.500.1/d0")
    assert found(client, text="vanadium") == []


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"scientificMetadata.sample name": "Fe film on MgO"}, 1),
        ({"scientificMetadata.sample name": "Fe film"}, 0),
        ({"scientificMetadata.n": 5}, 1),
        ({"scientificMetadata.n": {"$in": ["5", 5.0]}}, 1),
        ({"scientificMetadata.n": {"$in": ["5"]}}, 0),
        ({"scientificMetadata.long": 99}, 1),
        ({"scientificMetadata.energy.valueSI": {"$gt": 1.9e-15}}, 1),
        ({"scientificMetadata.energy.unitSI": "(kg m^2) / s^2"}, 2),
        ({"scientificMetadata.deep.er.value": {"inq": ["Cu-7"]}}, 1),
        ({"description": "α particles; Fe"}, 1),
        ({"sourceFolder": "/data/bt-1234/d1"}, 1),
        ({"_id": "20.500.1/d1"}, 1),
        ({"size": 0}, 3),
        ({"size": {"$gt": -1}, "numberOfFiles": {"$eq": 0}}, 3),
        ({"$text": {"$search": "mgo"}}, 1),
    ],
)
def test_equal_values_are_found_wherever_they_stand(client: Client, where: dict[str, Any], expected: int) -> None:
    assert client.get("datasets/count", filter={"where": where}).json() == {"count": expected}


def test_facets_count_what_the_caller_may_read(client: Client) -> None:
    names = ["type", "keywords", "proposalId", "creationTime", "creationLocation", "owner", "bogus"]
    (facets,) = client.get("datasets/fullfacet", fields={}, facets=names).json()
    assert facets["all"] == [{"totalSets": 3}]
    assert facets["type"] == [{"_id": "raw", "count": 3}]
    assert facets["keywords"] == [{"_id": "SAXS", "count": 2}, {"_id": "film", "count": 1}]
    assert facets["proposalId"] == [{"_id": "P1", "count": 1}, {"_id": "P2", "count": 1}]
    days = [{"year": 2024, "month": 5, "day": day} for day in (1, 2)]
    assert facets["creationTime"] == [{"_id": days[0], "count": 2}, {"_id": days[1], "count": 1}]
    assert facets["owner"] == [{"_id": "Ada Example", "count": 3}]
    # With a condition that only the documents can answer:
    fields = {"scientificMetadata.energy.value": {"$gt": 100}}
    (facets,) = client.get("datasets/fullfacet", fields=fields, facets=["keywords"]).json()
    assert facets == {"all": [{"totalSets": 1}], "keywords": [{"_id": "SAXS", "count": 1}]}
    assert client.get("datasets/fullfacet", fields={"type": "x"}, facets=[]).json() == [{"all": []}]


@pytest.mark.parametrize("facets", ['{"a"', '"x"', "[5]", '["a\\"b"]', json.dumps(["x"] * 99)])
def test_facets_that_are_none_are_refused(client: Client, facets: str) -> None:
    assert client.call("GET", "datasets/fullfacet", params={"facets": facets}).status_code == 400


def test_metadata_keys(client: Client) -> None:
    keys = client.get("datasets/metadataKeys").json()
    assert keys == ["deep", "energy", "long", "n", "sample name"]
    assert client.get("datasets/metadataKeys", fields={"metadataKey": "EN"}).json() == ["energy"]
    assert client.get("datasets/metadataKeys", fields={"type": "raw", "proposalId": "P1"}).json() == [
        "energy", "n", "sample name",
    ]  # fmt: skip
    assert client.get("datasets/metadataKeys", limits={"limit": 2, "skip": 1}).json() == ["energy", "long"]


def test_metadata_keys_follow_what_changes_and_are_those_that_the_caller_may_read(
    client: Client, catalogue: Running
) -> None:
    foreign = {"ownerGroup": "g9", "scientificMetadata": {"secret": 1, "energy": 2}}
    assert client.post("datasets", raw_dataset("theirs", **foreign)).status_code == 201
    keys = ["deep", "energy", "long", "n", "sample name"]
    assert client.get("datasets/metadataKeys").json() == keys
    admin = catalogue.client("admin")
    assert admin.get("datasets/metadataKeys").json() == sorted([*keys, "secret"])
    assert admin.get("datasets/metadataKeys", fields={"ownerGroup": "g9"}).json() == ["energy", "secret"]
    assert client.patch("datasets/{}", {"scientificMetadata": {"new": 1}}, "20.500.1/d1").status_code == 200
    assert client.get("datasets/metadataKeys").json() == ["energy", "n", "new", "sample name"]
    assert client.get("datasets/metadataKeys", fields={"text": "film"}).json() == ["energy", "n", "sample name"]
    remover = catalogue.client("archiveManager")
    assert remover.delete("datasets/{}", "20.500.1/theirs").status_code == 200
    assert admin.get("datasets/metadataKeys").json() == ["energy", "n", "new", "sample name"]
