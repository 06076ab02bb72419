"""Proposals, samples, jobs, published data and the like: what front end and clients need beside datasets."""

from __future__ import annotations

from typing import Any

import requests

from tests.embedded.conftest import Running, raw_dataset

PUBLICATION = {
    "title": "Films", "abstract": "Thin ones", "creator": ["Ada"], "publisher": "Site", "publicationYear": 2024,
    "pidArray": ["20.500.1/scan_1"], "resourceType": "raw", "dataDescription": "x",
}  # fmt: skip


def test_attachments_of_samples_and_proposals(catalogue: Running) -> None:
    admin = catalogue.client("admin")
    admin.post("samples", {"sampleId": "S1", "ownerGroup": "g1"})
    proposal = {"proposalId": "P1", "title": "t", "email": "a@b.org", "ownerGroup": "g1"}
    assert admin.post("proposals", proposal).status_code == 201
    for path, key, body in (
        ("samples", "S1", {"caption": "s"}),
        ("proposals", "P1", {"caption": "p", "ownerGroup": "x"}),
    ):
        made = admin.post(f"{path}/{{}}/attachments", body, key)
        assert (made.status_code, made.json()["ownerGroup"]) == (201, "g1")
        (found,) = admin.get(f"{path}/{{}}/attachments", key).json()
        assert (found["caption"], found["id"]) == (body["caption"], made.json()["id"])
        assert catalogue.client("user1").get(f"{path}/{{}}/attachments", key).status_code == 403
        assert admin.delete(f"{path}/{{}}/attachments/{{}}", key, found["id"]).status_code == 200
        assert admin.get(f"{path}/{{}}/attachments", key).json() == []
    # Below a sample the group is refused.
    assert admin.post("samples/{}/attachments", {"caption": "s", "ownerGroup": "x"}, "S1").status_code == 400


def test_records_are_searched_counted_and_deleted(catalogue: Running) -> None:
    admin = catalogue.client("admin")
    for number in range(3):
        body = {
            "proposalId": f"P{number}",
            "title": ("red", "green", "blue")[number],
            "email": "a@b.org",
            "ownerGroup": "g1",
        }
        admin.post("proposals", body)
    admin.post("datasets", raw_dataset(proposalId="P1"))
    assert [one["proposalId"] for one in admin.get("proposals/fullquery", fields={"text": "Green"}).json()] == ["P1"]
    assert admin.get("proposals/count").json() == {"count": 3}
    assert [one["pid"] for one in admin.get("proposals/{}/datasets", "P1").json()] == ["20.500.1/scan_1"]
    (facets,) = admin.get("proposals/fullfacet", facets=["ownerGroup"]).json()
    assert facets["ownerGroup"] == [{"_id": "g1", "count": 3}]
    assert catalogue.client("user1").delete("proposals/{}", "P2").status_code == 403
    assert admin.delete("proposals/{}", "P2").status_code == 200
    assert admin.delete("proposals/{}", "P2").status_code == 404


def test_an_instrument_is_changed(catalogue: Running) -> None:
    admin = catalogue.client("admin")
    pid = admin.post("instruments", {"uniqueName": "bl07", "name": "BL 7"}).json()["pid"]
    assert admin.patch("instruments/{}", {"name": "Beamline 7"}, pid).json()["name"] == "Beamline 7"
    assert catalogue.client("user1").patch("instruments/{}", {"name": "mine"}, pid).status_code == 403


def test_jobs_are_kept_but_not_run(catalogue: Running) -> None:
    user = catalogue.client("user1")
    body = {"type": "archive", "emailJobInitiator": "a@b.org", "datasetList": [{"pid": "x", "files": []}]}
    job = user.post("jobs", body).json()
    assert (job["datasetList"], job["emailJobInitiator"]) == (body["datasetList"], "a@b.org")
    assert "runs no jobs" in job["jobStatusMessage"]
    newer = catalogue.client("user1", "v4").get("jobs/{}", job["id"]).json()
    assert (newer["contactEmail"], newer["jobParams"]["datasetList"]) == ("a@b.org", body["datasetList"])
    assert catalogue.client("bl07").get("jobs/{}", job["id"]).status_code == 403
    assert (catalogue.client("bl07").get("jobs").json(), len(user.get("jobs").json())) == ([], 1)
    assert user.patch("jobs/{}", {"jobStatusMessage": "done"}, job["id"]).json()["jobStatusMessage"] == "done"
    assert catalogue.client().post("jobs", body).status_code == 403
    newest = catalogue.client("user1", "v4").post("jobs", {"type": "public", "jobParams": {"a": 1}})
    assert (newest.status_code, newest.json()["jobParams"]) == (201, {"a": 1})


def test_published_data_has_the_forms_of_both_versions(catalogue: Running) -> None:
    user, other = catalogue.client("user1"), catalogue.client("bl07")
    made = user.post("publisheddata", PUBLICATION).json()
    assert (made["pidArray"], made["status"]) == (PUBLICATION["pidArray"], "pending_registration")
    newer = catalogue.client("user1", "v4").get("publisheddata/{}", made["doi"]).json()
    assert (newer["datasetPids"], newer["status"]) == (PUBLICATION["pidArray"], "private")
    assert newer["metadata"]["publisher"] == "Site"
    assert other.get("publisheddata/{}", made["doi"]).status_code == 403
    assert other.patch("publisheddata/{}", {"title": "mine"}, made["doi"]).status_code == 403
    assert user.patch("publisheddata/{}", {"title": "Better"}, made["doi"]).json()["title"] == "Better"
    assert (user.get("publisheddata/count").json(), other.get("publisheddata").json()) == ({"count": 1}, [])
    body: dict[str, Any] = {"title": "t", "abstract": "a", "datasetPids": ["x"], "metadata": {"k": 1}}
    assert catalogue.client("user1", "v4").post("publisheddata", body).json()["metadata"] == {"k": 1}
    assert user.post("publisheddata", {"title": "t"}).status_code == 400
    catalogue.client("admin").post("datasets", raw_dataset(description="d", ownerGroup="group1"))
    found = user.call("GET", "publisheddata/formpopulate", params={"pid": "20.500.1/scan_1"}).json()
    assert (found["title"], found["description"]) == ("scan_1", "d")


def test_policies_belong_to_admins(catalogue: Running) -> None:
    body = {"manager": ["ada"], "ownerGroup": "g1"}
    assert catalogue.client("user1").post("policies", body).status_code == 403
    admin = catalogue.client("admin")
    key = admin.post("policies", body).json()["id"]
    assert admin.patch("policies/{}", {"autoArchive": True}, key).json()["autoArchive"] is True
    assert admin.get("policies/count").json() == {"count": 1}


def test_other_ways_to_log_in_and_the_front_ends_questions(catalogue: Running) -> None:
    for path in ("auth/ldap", "auth/msad"):
        body = {"username": "user1", "password": "correct horse"}
        assert requests.post(f"{catalogue.url}/api/v3/{path}", json=body, timeout=120).status_code == 201
        body["password"] = "wrong"
        assert requests.post(f"{catalogue.url}/api/v3/{path}", json=body, timeout=120).status_code == 401
    user = catalogue.client("user1")
    assert user.get("users/my/identity").json()["profile"]["accessGroups"] == ["group1"]
    assert user.get("users/my/settings").status_code == 200
    assert catalogue.client().get("users/my/settings").status_code == 401
    assert catalogue.client().get("admin/config").json()["jobsEnabled"] is False


def test_lifecycle_and_lists_of_a_dataset(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    pid = client.post("datasets", raw_dataset(keywords=["a"])).json()["pid"]
    answer = client.patch("datasets/{}/datasetlifecycle", {"archivable": False}, pid)
    assert (answer.status_code, answer.json()["archivable"], answer.json()["publishable"]) == (200, False, False)
    assert client.get("datasets/{}/datasetlifecycle", pid).json()["archivable"] is False
    assert client.patch("datasets/{}/datasetlifecycle", {}, pid).status_code == 400
    path, texts = "datasets/{}/appendToArrayField", '["a", "b"]'
    added = client.call("POST", path, pid, params={"fieldName": "keywords", "data": texts})
    assert added.json()["keywords"] == ["a", "b"]
    refused = client.call("POST", path, pid, params={"fieldName": "pid", "data": texts})
    assert refused.status_code == 400


def test_metadata_that_ends_a_backend_is_refused(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    metadata: dict[str, Any]
    for metadata in ({"x": {"human_name": {}}}, {"human_name": ["a"]}, {"a": [{"b": {"constructor": 1}}]}):
        answer = client.post("datasets", raw_dataset(scientificMetadata=metadata))
        assert (answer.status_code, "backend" in answer.text) == (400, True)
    harmless = {"x": {"human_name": "X", "deep": {"human_name": {}}}, "toString": 1}
    assert client.post("datasets", raw_dataset(scientificMetadata=harmless)).status_code == 201


def test_what_older_clients_send_beside_is_accepted(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    body = raw_dataset(investigator="other", scientificMetadataValid=True)
    assert client.post("datasets", body).json()["principalInvestigators"] == ["Prof. P"]
    patched = client.patch("datasets/{}", {"investigator": "other", "comment": "x"}, body["pid"]).json()
    assert (patched["principalInvestigator"], patched["comment"]) == ("Prof. P", "x")
