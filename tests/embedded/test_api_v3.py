"""API v3 over HTTP, beyond what the recorded exchanges say."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.embedded.conftest import Client, Running, block, raw_dataset

PNG = "data:image/png;base64,iVBORw0KGgo="


def made(client: Client, name: str = "scan_1", **fields: Any) -> str:
    answer = client.post("datasets", raw_dataset(name, **fields))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["pid"])


def totals(client: Client, pid: str) -> tuple[int, int]:
    found = client.get("datasets/{}", pid).json()
    return found["size"], found["numberOfFiles"]


@pytest.mark.parametrize(
    "path", ["/api/v3/Datasets/{}", "/API/V3/DATASETS/{}/", "/api/v3/datasets/{}?include=origdatablocks"]
)
def test_words_of_a_path_may_be_written_in_any_case(catalogue: Running, path: str) -> None:
    client = catalogue.client("ingestor")
    made(client, "ü ä'\"&?#%")
    encoded = "20.500.1%2F%C3%BC%20%C3%A4%27%22%26%3F%23%25"
    assert client.session.get(catalogue.url + path.format(encoded)).status_code == 200


def test_an_id_whose_slash_is_not_encoded_is_no_route(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    made(client)
    answer = client.session.get(f"{catalogue.url}/api/v3/datasets/20.500.1/scan_1")
    assert (answer.status_code, answer.json()["message"]) == (404, "Cannot GET /api/v3/datasets/20.500.1/scan_1")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v4/proposals",
        "/api/v5/datasets",
        "/api/v3/datasets//x",
        "/api/v3/nowhere",
        "/api/v3",
        "/api",
        "/api/v3/a/x",
    ],
)
def test_other_paths_are_no_routes(catalogue: Running, path: str) -> None:
    assert requests.get(catalogue.url + path).status_code == 404


def test_head_answers_whether_a_dataset_exists(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client, "foreign", ownerGroup="g9")
    own = made(client)
    answers = [client.call("HEAD", "datasets/{}", key) for key in (own, pid, "absent")]
    assert [answer.status_code for answer in answers] == [200, 403, 404]
    assert answers[0].content == b""


def test_a_user_may_make_datasets_of_the_own_group_without_a_pid(catalogue: Running) -> None:
    user = catalogue.client("user1")
    assert user.post("datasets", raw_dataset(ownerGroup="group1")).status_code == 403
    assert user.post("datasets", raw_dataset(pid=..., ownerGroup="ingestor")).status_code == 403
    answer = user.post("datasets", raw_dataset(pid=..., ownerGroup="group1"))
    assert answer.status_code == 201
    assert answer.json()["pid"].startswith("20.500.9/")
    assert catalogue.client("maker").post("datasets", raw_dataset(ownerGroup="group1")).status_code == 201


def test_a_duplicate_is_reported_also_to_those_who_may_not_read_it(catalogue: Running) -> None:
    made(catalogue.client("ingestor"), ownerGroup="g9")
    assert catalogue.client("maker").post("datasets", raw_dataset(ownerGroup="group1")).status_code == 409


def test_two_at_once_make_one_dataset(catalogue: Running) -> None:
    clients = [catalogue.client("ingestor") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda client: client.post("datasets", raw_dataset()).status_code, clients)
    assert sorted(answers) == [201] + [409] * 7


def test_blocks_posted_at_once_all_count(catalogue: Running) -> None:
    clients = [catalogue.client("ingestor") for _ in range(6)]
    pid = made(clients[0])

    def post(number: int) -> int:
        return clients[number % 6].post("datasets/{}/origdatablocks", block(1, 2), pid).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(post, range(120))) == {201}
    assert totals(clients[0], pid) == (360, 240)
    assert clients[0].get("datasets/{}/origdatablocks/count", pid).json() == {"count": 120}
    assert len(clients[0].get("datasets/{}/origdatablocks", pid).json()) == 100
    # A top-level block recomputes the totals over all of them, not the first hundred.
    assert clients[0].post("origdatablocks", block(5) | {"datasetId": pid}).status_code == 201
    assert totals(clients[0], pid) == (365, 241)


def test_totals_follow_blocks_that_change_and_go(catalogue: Running) -> None:
    client, archiver = catalogue.client("ingestor"), catalogue.client("archiveManager")
    pid = made(client)
    first = client.post("datasets/{}/origdatablocks", block(1, 2), pid).json()["id"]
    second = client.post("datasets/{}/origdatablocks", block(4), pid).json()["id"]
    assert client.patch("origdatablocks/{}", block(10), first).status_code == 200
    assert totals(client, pid) == (14, 2)
    assert client.patch("datasets/{}/origdatablocks/{}", block(20, 20), pid, first).status_code == 200
    assert totals(client, pid) == (44, 3)
    assert client.delete("origdatablocks/{}", first).status_code == 403
    assert archiver.delete("origdatablocks/{}", second).status_code == 200
    assert totals(client, pid) == (40, 2)
    assert archiver.delete("datasets/{}/origdatablocks/{}", "other", first).status_code == 404
    assert archiver.delete("datasets/{}/origdatablocks", pid).json() == {"count": 1}
    assert totals(client, pid) == (0, 0)


def test_a_patch_leaves_the_totals_alone_and_replaces_the_metadata(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client, scientificMetadata={"a": 1, "b": 2}, proposalId="P1", sampleId="S1")
    client.post("datasets/{}/origdatablocks", block(7), pid)
    answer = client.patch("datasets/{}", {"scientificMetadata": {"c": {"value": 1, "unit": "mm"}}, "owner": None}, pid)
    found = answer.json()
    assert (answer.status_code, found["size"], found["numberOfFiles"], found["owner"]) == (200, 7, 1, None)
    assert found["scientificMetadata"] == {"c": {"value": 1, "unit": "mm", "valueSI": 0.001, "unitSI": "m"}}
    assert found["proposalIds"] == ["P1"]
    assert client.patch("datasets/{}", {"proposalId": "P2"}, pid).json()["proposalIds"] == ["P2"]
    assert client.patch("datasets/{}", {"size": 99, "ownerGroup": "g9"}, pid).json()["size"] == 99
    assert client.get("datasets/{}", pid).status_code == 403


def test_a_dataset_that_changed_meanwhile_is_not_patched(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client)
    changed = client.get("datasets/{}", pid).json()["updatedAt"]
    later = (datetime.fromisoformat(changed) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")

    def patch(time: str) -> int:
        return client.patch("datasets/{}", {"comment": "x"}, pid, headers={"If-Unmodified-Since": time}).status_code

    assert [patch(changed), patch("Wed, 01 May 2024 08:00:00 GMT"), patch(later.replace("+00:00", "Z"))] == [
        412,
        412,
        200,
    ]
    assert patch("soon") == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"a": NaN}', b"\xff", b'{"a":' * 100_000])
def test_a_body_that_is_no_json_object_is_refused(catalogue: Running, body: bytes) -> None:
    answer = catalogue.client("ingestor").call("POST", "datasets", data=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_a_null_at_the_top_of_the_metadata_is_refused_and_nobody_dies(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    answer = client.post("datasets", raw_dataset(scientificMetadata={"a": None}))
    assert answer.status_code == 400
    assert "leave it out" in answer.text
    assert client.post("datasets", raw_dataset(scientificMetadata={"a": {"b": None}})).status_code == 201
    pid = "20.500.1/scan_1"
    assert client.patch("datasets/{}", {"scientificMetadata": {"": 1}}, pid).status_code == 400


def test_what_no_database_can_hold_does_no_harm(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    body = json.dumps(raw_dataset(description="half \ud800 and nul \0")).encode()
    answer = client.call("POST", "datasets", data=body)
    assert (answer.status_code, answer.json()["description"]) == (201, "half ? and nul \0")
    infinite = json.dumps(raw_dataset("y")).replace('"type"', '"dataQualityMetrics": 1e400, "type"')
    assert client.call("POST", "datasets", data=infinite).status_code == 400
    nested: Any = 1
    for _ in range(150):
        nested = {"x": nested}
    assert client.post("datasets", raw_dataset("deep", scientificMetadata=nested)).status_code == 201
    assert client.get("datasets/{}", "20.500.1/deep").json()["scientificMetadata"] == nested


def test_a_body_may_be_packed_but_not_too_large(catalogue: Running) -> None:
    client = catalogue.client("ingestor")

    def post(content: bytes) -> requests.Response:
        return client.call("POST", "datasets", data=content, headers={"Content-Encoding": "gzip"})

    assert post(gzip.compress(json.dumps(raw_dataset()).encode())).status_code == 201
    assert post(b"not packed").status_code == 400
    assert post(gzip.compress(json.dumps(raw_dataset()).encode())[:-9]).status_code == 400
    assert post(gzip.compress(b" " * (17 << 20))).status_code == 413
    plain = client.call("POST", "datasets", data=b" " * (17 << 20))
    assert (plain.status_code, plain.json()["statusCode"]) == (413, 413)
    assert client.get("datasets/{}", "20.500.1/scan_1").status_code == 200


def test_an_address_that_is_too_long_is_refused(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pids = [f"20.500.1/{'x' * 40}{number}" for number in range(400)]
    assert client.get("datasets", filter={"where": {"pid": {"$in": pids}}}).status_code == 431


def test_lists_are_bounded_sorted_and_paged(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    for number in range(105):
        made(client, f"scan {number}", size=number % 3)
    assert len(client.get("datasets").json()) == 100
    limits = {"limit": 2, "skip": 1, "order": "size:desc"}
    found = client.get("datasets", filter={"where": {"size": {"$lt": 2}}, "limits": limits}).json()
    assert [one["size"] for one in found] == [1, 1]
    # A text that JavaScript could parse as a date is compared as text.
    assert client.get("datasets/count", filter={"where": {"datasetName": "scan 7"}}).json() == {"count": 1}
    assert client.get("datasets", filter={"limits": {"limit": -1}}).status_code == 400
    assert client.get("datasets", filter={"include": ["secrets"]}).status_code == 400
    found = client.call("GET", "datasets", headers={"filter": '{"where": {"datasetName": "scan 7"}}'}).json()
    assert [one["datasetName"] for one in found] == ["scan 7"]
    both = client.call("GET", "datasets", headers={"filter": "{}"}, params={"filter": "{}"})
    assert both.status_code == 400


def test_singular_names_are_found_in_the_lists(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client, proposalId="P-1", principalInvestigator="Prof. Q")
    for where in ({"proposalId": "P-1"}, {"$and": [{"principalInvestigator": "Prof. Q"}]}, {"sampleId": None}):
        assert [one["pid"] for one in client.get("datasets", filter={"where": where}).json()] == [pid]


def test_include_brings_what_belongs_to_a_dataset(catalogue: Running) -> None:
    client = catalogue.client("admin")
    client.post("proposals", {"proposalId": "P1", "title": "t", "email": "a@b.org", "ownerGroup": "ingestor"})
    pid = made(client, proposalId="P1")
    client.post("datasets/{}/origdatablocks", block(1), pid)
    client.post("datasets/{}/attachments", {"caption": "c", "ownerGroup": "x", "thumbnail": PNG}, pid)
    found = client.get("datasets/{}", pid, filter={"include": ["all"]}).json()
    counts = {
        name: len(found[name]) for name in ("origdatablocks", "attachments", "proposals", "samples", "datablocks")
    }
    assert counts == {"origdatablocks": 1, "attachments": 1, "proposals": 1, "samples": 0, "datablocks": 0}
    assert client.get("proposals/{}", "P1").json()["numberOfDatasets"] == 1


def test_a_put_keeps_what_says_what_the_dataset_is(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client, "scan_1", description="gone", proposalId="P1", keywords=["gone"])
    client.post("datasets/{}/origdatablocks", block(3), pid)
    before = client.get("datasets/{}", pid).json()
    assert client.put("datasets/{}", raw_dataset("scan_1", type=...), pid).status_code == 400  # It names its pid.
    assert client.put("datasets/{}", {"description": "too little"}, pid).status_code == 400
    assert catalogue.client("").put("datasets/{}", raw_dataset(pid=..., type=...), pid).status_code == 403
    answer = client.put("datasets/{}", raw_dataset(pid=..., type=..., comment="new", proposalId="P2"), pid)
    assert answer.status_code == 200, answer.text
    found = client.get("datasets/{}", pid).json()
    assert (found["comment"], found["proposalId"], found["keywords"]) == ("new", "P2", [])
    assert found.get("description") is None
    for name in ("pid", "type", "version", "size", "numberOfFiles", "createdAt", "createdBy"):
        assert found[name] == before[name], name


def test_file_lists_are_found_and_counted_by_fields_and_text(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pids = [made(client, name) for name in ("scan_1", "scan_2")]
    for pid, size in zip(pids, (3, 4), strict=True):
        client.post("datasets/{}/origdatablocks", block(size), pid)
    found = client.get("origdatablocks/fullquery", fields={"datasetId": pids[1]}).json()
    assert [(one["datasetId"], one["size"]) for one in found] == [(pids[1], 4)]
    path = found[0]["dataFileList"][0]["path"]
    assert len(client.get("origdatablocks/fullquery", fields={"text": path}, limits={"limit": 1}).json()) == 1
    assert client.get("origdatablocks/fullquery", fields={"text": "in no path"}).json() == []
    files = client.get("origdatablocks/fullquery/files", fields={"datasetId": pids[0]}).json()
    assert [(one["datasetId"], one["dataFileList"]["path"]) for one in files] == [(pids[0], path)]
    facets = client.get("origdatablocks/fullfacet", fields={}, facets=["datasetId", "ownerGroup"]).json()
    assert facets[0]["all"] == [{"totalSets": 2}]
    assert facets[0]["ownerGroup"] == [{"_id": "ingestor", "count": 2}]
    assert sorted((one["_id"], one["count"]) for one in facets[0]["datasetId"]) == [(pid, 1) for pid in pids]
    stranger = catalogue.client("")
    assert stranger.get("origdatablocks/fullquery", fields={}).json() == []
    assert stranger.get("origdatablocks/fullfacet", fields={}, facets=["ownerGroup"]).json()[0]["ownerGroup"] == []


def test_full_query_finds_texts_and_values(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client, "Films (1)", keywords=["SAXS"])
    made(client, "other")
    for fields in (
        {"text": "films (1"},
        {"text": "SAXS"},
        {"keywords": ["SAXS"]},
        {"pid": pid, "ownerGroup": ["ingestor"]},
    ):
        found = client.get("datasets/fullquery", fields=fields, limits={"limit": 5}).json()
        assert [one["pid"] for one in found] == [pid], fields
    assert client.get("datasets/fullquery", fields={"creationTime": {"begin": "2025", "end": "2026"}}).json() == []


def test_attachments_are_the_newest_first_and_the_named_one_goes(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(client)
    ids = [
        client.post("datasets/{}/attachments", {"caption": str(n), "ownerGroup": "x"}, pid).json()["id"]
        for n in range(12)
    ]
    assert len(client.get("datasets/{}/attachments", pid).json()) == 10
    assert client.get("datasets/{}/attachments/count", pid).json() == {"count": 10}
    assert client.delete("datasets/{}/attachments/{}", pid, ids[3]).json()["id"] == ids[3]
    assert client.delete("datasets/{}/attachments/{}", pid, ids[3]).status_code == 404
    assert client.delete("datasets/{}/attachments", pid).json() == {"count": 11}
    answer = client.get("datasets/{}/thumbnail", pid)
    assert (answer.status_code, answer.json()) == (200, {})


def test_strangers_and_absent_datasets(catalogue: Running) -> None:
    client, stranger, nobody = catalogue.client("ingestor"), catalogue.client("user1"), catalogue.client()
    pid = made(client)
    thumbnail = {"caption": "", "ownerGroup": "x"}
    for path, body in (("datasets/{}/origdatablocks", block(1)), ("datasets/{}/attachments", thumbnail)):
        assert client.post(path, body, "absent").status_code == 404
        assert stranger.post(path, body, pid).status_code == 403
        assert nobody.post(path, body, pid).status_code == 403
        assert stranger.get(path, pid).status_code == 403
    assert nobody.patch("datasets/{}", {}, pid).status_code == 403
    # Whoever is not logged in does not learn what is wrong with a document.
    for path in ("datasets/{}/origdatablocks", "datasets/{}/attachments", "origdatablocks", "proposals", "samples"):
        assert nobody.post(path, {"bogus": 1}, pid).status_code == 403, path
    assert client.get("origdatablocks/{}", "absent").status_code == 403


def test_published_datasets_are_everybodys(catalogue: Running) -> None:
    pid = made(catalogue.client("ingestor"), isPublished=True)
    assert [one["pid"] for one in catalogue.client().get("datasets").json()] == [pid]
    assert catalogue.client().get("datasets/{}", pid).status_code == 200


def test_times_are_shown_in_utc_with_milliseconds(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = made(
        client, startTime="2024-05-01T07:00:00+02:00", endTime="whenever", creationTime="2024-05-01T08:00:00.999999Z"
    )
    found = client.get("datasets/{}", pid).json()
    assert (found["startTime"], found["endTime"]) == ("2024-05-01T05:00:00.000Z", None)
    assert found["creationTime"] == "2024-05-01T08:00:00.999Z"


def test_logging_in(catalogue: Running) -> None:
    client = catalogue.client()
    assert client.post("Users/login", {"username": "ingestor", "password": "x"}).content == b""
    answer = client.post("auth/login", {"username": "ingestor", "password": "correct horse"}).json()
    assert (answer["ttl"], answer["user"]["username"]) == (3600, "ingestor")
    assert client.get("users/my/self").status_code == 401
    in_address = client.call("GET", "auth/whoami", params={"access_token": f"Bearer {answer['id']}"})
    assert in_address.json()["username"] == "ingestor"
    assert client.call("GET", "auth/whoami", params={"access_token": answer["id"]}).content == b""
    assert catalogue.client("user1").get("users/my/self").json()["email"] == "user1@your.site"


def test_proposals_samples_and_instruments(catalogue: Running) -> None:
    admin, user, nobody = (catalogue.client(name) for name in ("admin", "user1", ""))
    proposal = {"proposalId": "P 1", "title": "t", "email": "a@b.org", "ownerGroup": "group1"}
    assert user.post("proposals", proposal).status_code == 403
    period = {"instrument": "bl", "start": "2024-05-01T08:00:00Z", "end": "2024-05-02T08:00:00Z"}
    assert admin.post("proposals", proposal | {"MeasurementPeriodList": [period]}).status_code == 201
    assert user.patch("proposals/{}", {"title": "u"}, "P 1").json()["title"] == "u"
    assert len(user.get("proposals", filters={"where": {"title": "u"}}).json()) == 1
    assert len(user.get("proposals", filters={"where": {"title": "v"}}).json()) == 0
    assert catalogue.client("bl07").get("proposals/{}", "P 1").status_code == 403
    assert admin.post("proposals", proposal | {"proposalId": "2", "type": "odd"}).status_code == 400
    sample = user.post("samples", {"ownerGroup": "group1", "description": "d"}).json()
    changed = user.patch("samples/{}", {"sampleCharacteristics": {"d": {"value": 1, "unit": "nm"}}}, sample["sampleId"])
    assert changed.json()["sampleCharacteristics"]["d"]["unitSI"] == "m"
    assert user.get("samples/findOne", filter={"where": {"description": "d"}}).json()["sampleId"] == sample["sampleId"]
    assert user.post("instruments", {"uniqueName": "bl", "name": "BL"}).status_code == 403
    instrument = admin.post("instruments", {"uniqueName": "bl", "name": "BL"}).json()
    assert nobody.get("instruments/{}", instrument["pid"]).json()["name"] == "BL"
    absent = nobody.get("instruments/{}", "absent")
    assert (absent.status_code, absent.content) == (200, b"")
