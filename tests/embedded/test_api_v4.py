"""API v4 over HTTP, beyond what the recorded exchanges say, and beside API v3: both show the same records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.embedded.conftest import Client, Running, block, raw_dataset, v4_dataset

PNG = "data:image/png;base64,iVBORw0KGgo="
MERGE = {"Content-Type": "application/merge-patch+json"}


def made(client: Client, name: str = "scan_1", **fields: Any) -> str:
    answer = client.post("datasets", v4_dataset(name, **fields))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["pid"])


def test_several_of_each_kind_are_kept_and_api_v3_shows_the_first(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    several: dict[str, Any] = {
        "principalInvestigators": ["A", "B"],
        "proposalIds": ["P1", "P2"],
        "sampleIds": ["S1", "S2"],
        "instrumentIds": ["I1", "I2"],
    }
    pid = made(client, **several, type="derived", inputDatasets=["x"], usedSoftware=["y"])
    found = client.get("datasets/{}", pid).json()
    assert {name: found[name] for name in several} == several
    assert not {"principalInvestigator", "proposalId", "history"} & found.keys()
    older = catalogue.client("ingestor").get("datasets/{}", pid).json()
    assert (older["principalInvestigator"], older["proposalId"], older["sampleId"]) == ("A", "P1", "S1")
    client.patch("datasets/{}", {"proposalIds": ["P2"]}, pid)
    assert catalogue.client("ingestor").get("datasets/{}", pid).json()["proposalId"] == "P2"


def test_metadata_keys_are_shown_encoded_and_accepted_in_both_forms(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client, scientificMetadata={"a.b": 1, "c%2Fd": 2, "ü": {"x y": {"value": 1, "unit": "mm"}}})
    found = client.get("datasets/{}", pid).json()["scientificMetadata"]
    quantity = {"value": 1, "unit": "mm", "valueSI": 0.001, "unitSI": "m"}
    assert found == {"a%2Eb": 1, "c%2Fd": 2, "%C3%BC": {"x%20y": quantity}}
    older = catalogue.client("ingestor").get("datasets/{}", pid).json()["scientificMetadata"]
    assert older == {"a.b": 1, "c/d": 2, "ü": {"x y": quantity}}
    assert client.patch("datasets/{}", {"scientificMetadata": found}, pid).status_code == 200
    assert client.get("datasets/{}", pid).json()["scientificMetadata"] == found
    assert len(client.get("datasets", filter={"where": {"scientificMetadata.a%2Eb": 1}}).json()) == 1


def test_a_merge_patch_adds_and_removes_single_members(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client, comment="stays", scientificMetadata={"a.b": 1, "gone": 2, "in": {"x": 1, "y": 2}})
    body = {"comment": None, "scientificMetadata": {"gone": None, "new": 3, "in": {"x": None, "z": 4}}}
    patched = client.patch("datasets/{}", body, pid, headers=MERGE).json()
    assert patched["scientificMetadata"] == {"a%2Eb": 1, "new": 3, "in": {"y": 2, "z": 4}}
    assert patched["comment"] == "stays"
    # With a charset, and in API v3, it is an ordinary patch: metadata is replaced whole.
    other = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    answer = client.patch("datasets/{}", {"scientificMetadata": {"only": 1}}, pid, headers=other)
    assert answer.json()["scientificMetadata"] == {"only": 1}
    catalogue.client("ingestor").patch("datasets/{}", {"scientificMetadata": {"last": 1}}, pid, headers=MERGE)
    assert client.get("datasets/{}", pid).json()["scientificMetadata"] == {"last": 1}


def test_value_and_unit_stay_together(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client, scientificMetadata={"group": {"energy": {"value": 1, "unit": "keV"}}})
    for half in ({"value": 2}, {"unit": "eV"}):
        answer = client.patch("datasets/{}", {"scientificMetadata": {"group": {"energy": half}}}, pid)
        assert (answer.status_code, "energy" in str(answer.json()["message"])) == (400, True)
    assert client.patch("datasets/{}", {"scientificMetadata": {"group": {}}}, pid).status_code == 200


def test_a_patch_leaves_totals_alone_and_respects_changes_in_between(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client)
    for _ in range(12):
        body = block(1, 2) | {"datasetId": pid}
        assert client.post("origdatablocks", body).status_code == 201
    found = client.patch("datasets/{}", {"description": "x"}, pid).json()
    assert (found["size"], found["numberOfFiles"]) == (36, 24)
    later = datetime.fromisoformat(found["updatedAt"]) + timedelta(milliseconds=1)
    for time, status in ((found["updatedAt"], 412), (later.isoformat().replace("+00:00", "Z"), 200)):
        answer = client.patch("datasets/{}", {"comment": "y"}, pid, headers={"If-Unmodified-Since": time})
        assert answer.status_code == status


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_file_lists_and_attachments_respect_changes_in_between(catalogue: Running, version: str) -> None:
    client, newest = catalogue.client("admin", version), catalogue.client("admin", "v4")
    pid = made(newest)
    found = newest.post("origdatablocks", block(1) | {"datasetId": pid}).json()
    attachment = {"caption": "x", "ownerGroup": "ingestor", "isPublished": False}
    picture = newest.post("attachments", attachment).json()
    records = [(client, "origdatablocks/{}", found, block(2)), (newest, "attachments/{}", picture, {"caption": "y"})]
    for who, path, record, body in records:
        last = datetime.fromisoformat(record["updatedAt"])
        for time, status in ((last, 412), (last + timedelta(milliseconds=1), 200)):
            header = {"If-Unmodified-Since": time.isoformat().replace("+00:00", "Z")}
            answer = who.patch(path, body, record.get("aid") or record["_id"], headers=header)
            assert answer.status_code == status, (path, answer.text)


@pytest.mark.parametrize(
    "wanted",
    [
        {"where": {"bogus": 1}},
        {"where": {"proposalId": "1"}},
        {"where": {"$and": [{"bogus": 1}]}},
        {"where": {"pid": {"inq": ["x"]}, "and": []}},
        {"limits": {"order": "size:desc"}},
        {"limit": 5},
        {"include": ["nowhere"]},
    ],
)
def test_what_a_filter_does_not_know_is_refused(catalogue: Running, wanted: dict[str, Any]) -> None:
    client = catalogue.client("ingestor", "v4")
    made(client)
    answer = client.get("datasets", filter=wanted)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_lists_have_the_ten_newest_first(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pids = [made(client, f"scan_{number}", size=number) for number in range(12)]
    assert [one["pid"] for one in client.get("datasets").json()] == pids[:1:-1]
    wanted = {"where": {"size": {"$gte": 3}}, "limits": {"limit": 2, "skip": 1, "sort": {"size": "asc"}}}
    assert [one["pid"] for one in client.get("datasets", filter=wanted).json()] == pids[4:6]
    assert client.get("datasets/count", filter={"where": {"size": {"$gte": 3}}}).json() == {"count": 9}
    assert client.get("datasets/findOne", filter={"where": {"pid": pids[3]}}).json()["size"] == 3
    assert client.get("datasets/findOne", filter={"where": {"pid": "nothing"}}).content == b""


def test_include_is_a_parameter_or_in_the_filter(catalogue: Running) -> None:
    client = catalogue.client("admin", "v4")
    pid = made(client)
    client.post("origdatablocks", block(5) | {"datasetId": pid})
    attachment = {"caption": "x", "ownerGroup": "ingestor", "isPublished": False}
    target = {"targetId": pid, "targetType": "dataset"}
    aid = client.post("attachments", attachment | {"relationships": [target]}).json()["aid"]
    path = f"{catalogue.url}/api/v4/datasets/{pid.replace('/', '%2F')}?include=origdatablocks&include=attachments"
    wanted = {"include": ["origdatablocks", "attachments"], "fields": ["pid"]}
    for found in (client.session.get(path).json(), client.get("datasets/{}", pid, filter=wanted).json()):
        assert [one["size"] for one in found["origdatablocks"]] == [5]
        assert [(one["aid"], one["relationships"][0]["targetId"]) for one in found["attachments"]] == [(aid, pid)]


def test_blocks_are_listed_by_dataset_and_by_file(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid, other = made(client), made(client, "scan_2")
    keys = [client.post("origdatablocks", block(1, 2) | {"datasetId": pid}).json()["_id"] for _ in range(12)]
    client.post("origdatablocks", block(7) | {"datasetId": other})
    wanted = {"where": {"datasetId": pid}}
    assert [one["_id"] for one in client.get("origdatablocks", filter=wanted).json()] == keys[:1:-1]
    files = client.get("origdatablocks/files", filter={"where": {"datasetId": other}}).json()
    assert [(row["datasetId"], row["dataFileList"]["path"]) for row in files] == [(other, "0.h5")]
    assert client.patch("origdatablocks/{}", block(9), keys[0]).json()["size"] == 9
    assert client.get("datasets/{}", pid).json()["size"] == 11 * 3 + 9
    assert client.get("origdatablocks/{}", "nothing").status_code == 404
    assert client.delete("origdatablocks/{}", keys[0]).status_code == 403
    archiver = catalogue.client("archiveManager", "v4")
    assert archiver.delete("origdatablocks/{}", keys[0]).status_code == 200
    assert archiver.delete("origdatablocks/{}", keys[0]).status_code == 404
    assert client.get("datasets/{}", pid).json()["numberOfFiles"] == 22


def test_a_privileged_account_adds_blocks_to_foreign_datasets_in_api_v3_only(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client, ownerGroup="g9")
    assert client.post("origdatablocks", block(1) | {"datasetId": pid}).status_code == 403
    body = block(1) | {"datasetId": pid}
    assert catalogue.client("ingestor").post("origdatablocks", body).status_code == 201


def test_an_attachment_may_belong_to_several_records(catalogue: Running) -> None:
    admin, older = catalogue.client("admin", "v4"), catalogue.client("ingestor")
    pids = [made(admin, f"scan_{number}") for number in range(2)]
    targets = [{"targetId": pid, "targetType": "dataset"} for pid in pids]
    body = {"caption": "x", "thumbnail": PNG, "ownerGroup": "ingestor", "isPublished": False, "aid": "mine"}
    assert admin.post("attachments", body | {"relationships": targets}).json()["aid"] == "mine"
    assert admin.post("attachments", body).status_code == 409
    for pid in pids:
        (found,) = older.get("datasets/{}/attachments", pid).json()
        assert (found["id"], found["datasetId"]) == ("mine", pids[0])
        assert older.get("datasets/{}/thumbnail", pid).json() == {"thumbnail": PNG}
        wanted = {"where": {"relationships.targetId": pid, "relationships.targetType": "dataset"}}
        assert [one["aid"] for one in admin.get("attachments", filter=wanted).json()] == ["mine"]
    assert admin.get("attachments", filter={"where": {"aid": "mine"}}).json()[0]["caption"] == "x"
    assert admin.get("attachments/{}", "mine").json()["relationships"][1]["targetId"] == pids[1]
    assert admin.patch("attachments/{}", {"relationships": targets[:1]}, "mine").status_code == 200
    assert older.get("datasets/{}/attachments", pids[1]).json() == []
    put = {"caption": "new", "ownerGroup": "ingestor", "isPublished": True}
    assert "thumbnail" not in admin.put("attachments/{}", put, "mine").json()
    assert older.get("datasets/{}/attachments", pids[0]).json() == []
    assert catalogue.client("", "v4").get("attachments/public").json()[0]["aid"] == "mine"
    assert admin.delete("attachments/{}", "mine").json()["aid"] == "mine"
    assert admin.get("attachments/{}", "mine").status_code == 404


@pytest.mark.parametrize(
    "change",
    [{"isPublished": ...}, {"caption": None}, {"relationships": [{"targetId": "x", "targetType": "star"}]}, {"id": "x"},
     {"relationships": [{"targetType": "dataset"}]}, {"datasetId": "x"}, {"relationships": "x"}],
)  # fmt: skip
def test_an_attachment_is_checked(catalogue: Running, change: dict[str, Any]) -> None:
    body: dict[str, Any] = {"caption": "x", "ownerGroup": "g", "isPublished": False} | change
    body = {name: value for name, value in body.items() if value is not ...}
    assert catalogue.client("admin", "v4").post("attachments", body).status_code == 400


def test_an_attachment_of_api_v3_is_the_same_in_api_v4(catalogue: Running) -> None:
    older, admin = catalogue.client("ingestor"), catalogue.client("admin", "v4")
    pid = older.post("datasets", raw_dataset()).json()["pid"]
    body = {"caption": "c", "ownerGroup": "x", "datasetId": "elsewhere", "sampleId": "S1"}
    key = older.post("datasets/{}/attachments", body, pid).json()["id"]
    found = admin.get("attachments/{}", key).json()
    targets = [(one["targetType"], one["targetId"]) for one in found["relationships"]]
    assert (found["aid"], targets) == (key, [("dataset", pid), ("sample", "S1")])
    changed = older.put("datasets/{}/attachments/{}", body | {"caption": "d"}, pid, key)
    assert (changed.status_code, changed.json()["caption"]) == (200, "d")
    assert admin.get("attachments/{}", key).json()["caption"] == "d"
    assert older.post("datasets/{}/attachments", body | {"isPublished": True}, pid).status_code == 400


def test_a_put_keeps_what_says_what_the_dataset_is(catalogue: Running) -> None:
    client = catalogue.client("ingestor", "v4")
    pid = made(client, description="gone", comment="gone")
    client.post("origdatablocks", block(3) | {"datasetId": pid})
    before = client.get("datasets/{}", pid).json()
    answer = client.put("datasets/{}", v4_dataset(pid=..., type=..., comment="new"), pid)
    assert answer.status_code == 200
    found = client.get("datasets/{}", pid).json()
    assert (found["comment"], found["description"], found["size"], found["type"]) == ("new", None, 3, "raw")
    assert (found["createdAt"], found["createdBy"]) == (before["createdAt"], "ingestor")


def test_who_may_do_what(catalogue: Running) -> None:
    admin, user, nobody = (catalogue.client(name, "v4") for name in ("admin", "user1", ""))
    pid, public = made(admin, ownerGroup="g9"), made(admin, "open", isPublished=True)
    for client in (user, nobody):
        assert client.get("datasets/{}", pid).status_code == 403
        assert client.patch("datasets/{}", {"comment": "x"}, pid).status_code == 403
        assert client.delete("datasets/{}", pid).status_code == 403
        assert client.post("datasets", v4_dataset("new")).status_code == 403
        assert client.post("attachments", {}).status_code == 403
        assert client.get("datasets/{}", "absent").status_code == 404
    assert [one["pid"] for one in user.get("datasets").json()] == [public]
    for path in ("datasets", "datasets/count", "datasets/findOne", "origdatablocks", "attachments"):
        assert nobody.get(path).status_code == 403
    assert [one["pid"] for one in nobody.get("datasets/public").json()] == [public]
    assert nobody.get("datasets/public/count").json() == {"count": 1}
    assert nobody.get("datasets/public/{}", public).status_code == 200
    assert nobody.get("datasets/public/{}", pid).status_code == 403
    assert nobody.get("datasets/public/findOne").json()["pid"] == public
    assert admin.delete("datasets/{}", pid).status_code == 403
    assert catalogue.client("archiveManager", "v4").delete("datasets/{}", pid).status_code == 200
    answer = requests.get(f"{catalogue.url}/api/v4/auth/whoami", timeout=120)
    assert answer.status_code == 404  # Logins are in API v3 only.
