"""Datasets of API v3: create, list, count, read, patch, delete."""

from __future__ import annotations

import uuid
from dataclasses import replace

from scicat_watch.embedded import attachments, datasets, filters, forms, rules_datasets, search, validation
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.tables import DATASETS, Document
from scicat_watch.embedded.web import (
    NOTHING,
    Answer,
    Call,
    Served,
    asked,
    faulty_dataset,
    forbidden,
)

_VIEW = datasets.View(forms.shown, attachments.shown_v3)


def create(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets`."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    faults = rules_datasets.check_dataset(body, rules_datasets.dataset_rules(body.get("type")))
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
    faults = rules_datasets.check_dataset(body, rules_datasets.dataset_rules(body.get("type")), unknown=False)
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
    """`GET /datasets/fullquery`: by values of fields, and by `text` in all texts."""
    return Answer(datasets.listed(catalogue, call, search.asked(call).query, _VIEW))


def of_proposal(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /proposals/{id}/datasets`."""
    query = replace(_asked(call), where={"proposalIds": key})
    return Answer(datasets.listed(catalogue, call, query, _VIEW))


def of_sample(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /samples/{id}/datasets`."""
    query = replace(_asked(call), where={"sampleIds": key})
    return Answer(datasets.listed(catalogue, call, query, _VIEW))


def patch(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PATCH /datasets/{pid}`: named fields are replaced whole, totals stay unless named."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()

    def change(document: Document) -> Document:
        rules = rules_datasets.dataset_rules(document.get("type")).for_changes("pid", "type", "version")
        faults = validation.check(body, rules)
        if faults:
            raise faulty_dataset(faults)
        ignored = ("investigator",) if document.get("type") == "raw" else ()
        return forms.changes({name: value for name, value in body.items() if name not in ignored})

    return Answer(forms.shown(datasets.changed(catalogue, call, pid, change)))


def put(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PUT /datasets/{pid}`: fields that are not named get their defaults; type and totals stay."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()

    def change(document: Document) -> Document:
        faults = rules_datasets.check_dataset(
            body, rules_datasets.dataset_rules(document.get("type")).without("pid", "type")
        )
        if faults:
            raise faulty_dataset(faults)
        return forms.replaced(document, body)

    return Answer(forms.shown(datasets.changed(catalogue, call, pid, change)))


def delete(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}`: the dataset alone; its file lists and thumbnails stay, as on a real backend."""
    return Answer(datasets.removed(catalogue, call, pid) | {"id": pid})


def _asked(call: Call) -> Query:
    return filters.renamed(asked(call), forms.PLURALS)
