"""Jobs and published data: records of persons, in the forms of both versions of the API.

The catalogue only keeps them: it runs no job, and registers no DOI.
"""

from __future__ import annotations

import uuid

from scicat_watch.embedded import filters, forms, rules_records
from scicat_watch.embedded.records import Records
from scicat_watch.embedded.tables import DATASETS, JOBS, PUBLICATIONS, Document
from scicat_watch.embedded.validation import Rules
from scicat_watch.embedded.web import Answer, Call, Served, forbidden, not_found

_STAMPS = ("_id", "createdAt", "createdBy", "updatedAt", "updatedBy")
_KEPT = "The job is kept, but this catalogue runs no jobs"


def _job_defaults(catalogue: Served, body: Document) -> Document:
    return {"id": str(uuid.uuid4()), "jobParams": {}, "statusCode": "jobSubmitted", "statusMessage": _KEPT}


def _job_of_v3(body: Document) -> Document:
    """A job of API v3 in the form of API v4."""
    found = dict(body)
    names = {"emailJobInitiator": "contactEmail", "jobStatusMessage": "statusMessage"}
    found = {names.get(name, name): value for name, value in found.items()}
    if "datasetList" in found:
        found["jobParams"] = {**(found.get("jobParams") or {}), "datasetList": found.pop("datasetList")}
    return found


def _job_in_v3(job: Document) -> Document:
    params = dict(job.get("jobParams") or {})
    datasets = params.pop("datasetList", [])
    mail = {"emailJobInitiator": job["contactEmail"]} if job.get("contactEmail") else {}
    more = {"datasetList": datasets, "jobParams": params, "jobStatusMessage": job.get("statusMessage")}
    return {**job, **mail, **more, "creationTime": job["createdAt"]}


def _jobs(rules: Rules, version: int) -> Records:
    fields = frozenset({*rules_records.JOB_V4.names, *_STAMPS, "id", "statusCode", "statusMessage"})
    return Records(
        kind=JOBS,
        word="Job",
        rules=rules,
        changes=rules_records.JOB_CHANGES,
        may_create=lambda caller, _: not caller.anonymous,
        defaults=_job_defaults,
        stored=_job_of_v3 if version == 3 else lambda body: body,
        shown=_job_in_v3 if version == 3 else lambda job: job,
        dialect=filters.V3 if version == 3 else filters.v4(fields),
    )


jobs_v3 = _jobs(rules_records.JOB_V3, 3)
jobs_v4 = _jobs(rules_records.JOB_V4, 4)


def _publication_defaults(catalogue: Served, body: Document) -> Document:
    doi = f"{catalogue.pid_prefix.rstrip('/')}/{uuid.uuid4()}"
    return {"doi": doi, "status": "private", "metadata": {}, "numberOfFiles": 0, "sizeOfArchive": 0}


_SAME = frozenset({"title", "abstract", "numberOfFiles", "sizeOfArchive"})


def _publication_of_v3(body: Document) -> Document:
    """Published data of API v3 in the form of API v4: what is special to it is metadata."""
    found = {name: value for name, value in body.items() if name in _SAME}
    if "pidArray" in body:
        found["datasetPids"] = forms.text_list(body["pidArray"])
    rest = {name: value for name, value in body.items() if name not in _SAME | {"pidArray"}}
    return found | ({"metadata": rest} if rest else {})


def _publication_in_v3(record: Document) -> Document:
    rest = {name: value for name, value in record.items() if name not in ("metadata", "datasetPids")}
    status = "pending_registration" if record["status"] == "private" else "registered"
    return {**(record.get("metadata") or {}), **rest, "pidArray": record["datasetPids"], "status": status}


def _publication_of_v4(body: Document) -> Document:
    return body | ({"datasetPids": forms.text_list(body["datasetPids"])} if "datasetPids" in body else {})


def _publications(rules: Rules, version: int) -> Records:
    fields = frozenset({*rules_records.PUBLICATION_V4.names, *_STAMPS, "doi", "status"})
    return Records(
        kind=PUBLICATIONS,
        word="PublishedData",
        rules=rules,
        may_create=lambda caller, _: not caller.anonymous,
        defaults=_publication_defaults,
        stored=_publication_of_v3 if version == 3 else _publication_of_v4,
        shown=_publication_in_v3 if version == 3 else lambda record: record,
        dialect=filters.V3 if version == 3 else filters.v4(fields),
    )


publications_v3 = _publications(rules_records.PUBLICATION_V3, 3)
publications_v4 = _publications(rules_records.PUBLICATION_V4, 4)


def form_populate(catalogue: Served, call: Call) -> Answer:
    """`GET /publisheddata/formpopulate?pid=`: what a form for publishing a dataset begins with."""
    pid = call.parameter("pid") or ""
    with catalogue.store.reading() as session:
        dataset = session.get(DATASETS, pid)
    if dataset is None:
        raise not_found(f"dataset: {pid} not found")
    if not call.caller.may_read_data(dataset):
        raise forbidden("Unauthorized access")
    description = str(dataset.get("description") or "")
    title = str(dataset.get("datasetName") or "")
    return Answer({"resourceType": dataset.get("type"), "description": description, "title": title, "abstract": ""})
