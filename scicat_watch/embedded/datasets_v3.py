"""Datasets of API v3: create, list, count, read, patch, delete."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

from scicat_watch.embedded import attachments, datasets, filters, forms, validation
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.tables import DATASETS, Document
from scicat_watch.embedded.web import (
    NOTHING,
    Answer,
    Call,
    Served,
    asked,
    bad_request,
    faulty_dataset,
    forbidden,
    understood,
)

_VIEW = datasets.View(forms.shown, attachments.shown_v3)


def create(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets`."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    faults = validation.check_dataset(body, validation.dataset_rules(body.get("type")))
    if faults:
        raise faulty_dataset(faults)
    pid = body.get("pid") or f"{catalogue.pid_prefix.rstrip('/')}/{uuid.uuid4()}"
    document = forms.new_dataset(body, pid, call.caller.username, catalogue.now())
    datasets.added(catalogue, call, document, "pid" in body)
    return Answer(forms.created(document), 201)


def is_valid(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets/isValid`: like a real backend it accepts fields that do not exist."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    faults = validation.check_dataset(body, validation.dataset_rules(body.get("type")), unknown=False)
    return Answer({"valid": False, "error": validation.as_tree(faults)} if faults else {"valid": True})


def read(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}`: 404 says that it does not exist, 403 that it is not for the caller."""
    query = _asked(call)
    with catalogue.store.reading() as session:
        document = datasets.readable(session, call, pid)
        answer = _VIEW.of(session, document, query, call.caller)
    if not query.fields:
        answer["history"] = []
    return Answer(answer)


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets`: without rights on a dataset it is simply not listed."""
    return Answer(datasets.listed(catalogue, call, _asked(call), _VIEW))


def find_one(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/findOne`: the first that fits, or nothing."""
    found = datasets.listed(catalogue, call, replace(_asked(call), limit=1), _VIEW)
    return Answer(found[0] if found else NOTHING)


def count(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/count`."""
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(DATASETS, _asked(call).where, call.caller)})


def full_query(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/fullquery`: by values of fields, and by `text` in names and keywords."""
    try:
        fields = json.loads(call.parameter("fields") or "{}")
        limits = json.loads(call.parameter("limits") or "{}")
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Invalid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise bad_request("fields is not an object")
    where: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "text" and isinstance(value, str):
            where["$or"] = [{field: {"$in": [value]}} for field in ("keywords", "pid")]
            where["$or"] += [{field: {"$regex": _literal(value), "$options": "i"}} for field in _TEXTS]
        elif isinstance(value, list):
            where[name] = {"$in": value}
        elif isinstance(value, dict) and {"begin", "end"} & value.keys():
            where[name] = {"$gte": value.get("begin", ""), "$lte": value.get("end", "9999")}
        elif name != "mode":
            where[name] = value
    with catalogue.store.reading() as session:
        query = filters.renamed(understood(json.dumps({"where": where, "limits": limits})), forms.PLURALS)
        return Answer([forms.shown(document) for document in session.find(DATASETS, query, call.caller)])


def patch(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PATCH /datasets/{pid}`: named fields are replaced whole, totals stay unless named."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()

    def change(document: Document) -> Document:
        rules = validation.dataset_rules(document.get("type")).for_changes("pid", "type", "version")
        faults = validation.check(body, rules)
        if faults:
            raise faulty_dataset(faults)
        return forms.changes(body)

    return Answer(forms.shown(datasets.changed(catalogue, call, pid, change)))


def delete(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}`: the dataset alone; its file lists and thumbnails stay, as on a real backend."""
    return Answer(datasets.removed(catalogue, call, pid) | {"id": pid})


def _asked(call: Call) -> Query:
    return filters.renamed(asked(call), forms.PLURALS)


_TEXTS = ("datasetName", "pid", "description", "keywords", "sourceFolder")


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\.^$*+?{}[]|()#-&~ " else letter for letter in text)
