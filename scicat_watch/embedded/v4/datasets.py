"""Datasets of API v4: create, list, count, read, patch, delete.

Unlike a real backend, a PATCH leaves the totals alone that it does not name.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scicat_watch.embedded import attachments, datasets, filters, forms, rules_datasets, search, validation
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.tables import DATASETS, Document
from scicat_watch.embedded.web import NOTHING, Answer, Call, Served, asked, faulty, forbidden, posted

_STAMPS = ("_id", "createdAt", "createdBy", "updatedAt", "updatedBy", "version", "scientificMetadataValid")
_DIALECT = filters.v4(frozenset({*rules_datasets.DATASET_V4.names, *_STAMPS}))
_CHANGES = rules_datasets.DATASET_V4.for_changes("pid", "type")
_MERGES = _CHANGES.with_checks({"scientificMetadata": validation.mapping})
"""A null in the metadata of a merge patch removes a member; what comes of it is checked by `_CHANGES`."""
_VIEW = datasets.View(forms.shown_v4, attachments.shown_v4)
_MERGE = "application/merge-patch+json"


def create(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets`."""
    body = posted(call, rules_datasets.DATASET_V4)
    pid = body.get("pid") or f"{catalogue.pid_prefix.rstrip('/')}/{uuid.uuid4()}"
    document = forms.new_dataset(body, pid, call.caller.username, catalogue.now(), version="4")
    datasets.added(catalogue, call, document, "pid" in body)
    return Answer(_with_ids(document), 201)


def is_valid(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets/isValid`: like a real backend it accepts fields that do not exist."""
    if call.caller.anonymous:
        raise forbidden()
    return Answer({"valid": not validation.check(call.document(), rules_datasets.DATASET_V4, unknown=False)})


def read(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}`: 404 says that it does not exist, 403 that it is not for the caller."""
    return Answer(_read(catalogue, call, pid))


def read_public(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/public/{pid}`: only if it is published."""
    return Answer(_read(catalogue, replace(call, caller=call.caller.stranger), pid))


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets`: by default the 10 newest."""
    return Answer(datasets.listed(catalogue, _logged_in(call), asked(call, _DIALECT), _VIEW))


def find_public(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/public`: the published ones."""
    return Answer(datasets.listed(catalogue, replace(call, caller=call.caller.stranger), asked(call, _DIALECT), _VIEW))


def find_one(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/findOne`: the first that fits, or nothing."""
    return _first(catalogue, _logged_in(call))


def find_one_public(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/public/findOne`: the first of the published ones that fits, or nothing."""
    return _first(catalogue, replace(call, caller=call.caller.stranger))


def count(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/count`."""
    return _counted(catalogue, _logged_in(call))


def count_public(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/public/count`."""
    return _counted(catalogue, replace(call, caller=call.caller.stranger))


def full_query(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/fullquery`: by values of fields, and by `text` in all texts."""
    return Answer(datasets.listed(catalogue, _logged_in(call), search.asked(call).query, _VIEW))


def patch(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PATCH /datasets/{pid}`: named fields are replaced whole, or merged if the content type says merge-patch."""
    merging = call.headers.get("content-type", "") == _MERGE
    body = posted(call, _MERGES if merging else _CHANGES)

    def change(document: Document) -> Document:
        given = _merged(document, body) if merging else body
        faults = validation.check(given, _CHANGES)
        faults += rules_datasets.halves(document.get("scientificMetadata"), given.get("scientificMetadata"))
        if faults:
            raise faulty(faults)
        return forms.changes(given)

    return Answer(_with_ids(datasets.changed(catalogue, call, pid, change)))


def put(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PUT /datasets/{pid}`: fields that are not named get their defaults; type, version and totals stay."""
    body = posted(call, rules_datasets.DATASET_V4.without("pid", "type"))

    return Answer(_with_ids(datasets.changed(catalogue, call, pid, lambda document: forms.replaced(document, body))))


def delete(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}`: the dataset alone; its file lists and thumbnails stay, as on a real backend."""
    return Answer(_with_ids(datasets.removed(catalogue, call, pid)))


def _read(catalogue: Served, call: Call, pid: str) -> Document:
    query = datasets.also_included(asked(call, _DIALECT), call)
    with catalogue.store.reading() as session:
        document = datasets.readable(session, call, pid)
        return _VIEW.of(session, document, query, call.caller)


def _first(catalogue: Served, call: Call) -> Answer:
    query: Query = replace(asked(call, _DIALECT), limit=1)
    found = datasets.listed(catalogue, call, query, _VIEW)
    return Answer(found[0] if found else NOTHING)


def _counted(catalogue: Served, call: Call) -> Answer:
    where = asked(call, _DIALECT).where
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(DATASETS, where, call.caller)})


def _logged_in(call: Call) -> Call:
    if not call.caller.may_list:
        raise forbidden()
    return call


def _merged(document: Mapping[str, Any], body: Mapping[str, Any]) -> Document:
    """The fields of a merge patch: objects are merged with what is stored, and a null at their inside removes."""
    found: Document = {}
    for name, value in body.items():
        if isinstance(value, dict):
            stored = document.get(name)
            found[name] = forms.merged(stored if isinstance(stored, dict) else {}, value)
        elif value is not None:
            found[name] = value
    return found


def _with_ids(document: Document) -> Document:
    """A dataset as it is answered to those who change it: ids once more as `id`."""
    shown = forms.shown_v4(document) | {"id": document["pid"]}
    for name in ("techniques", "relationships"):
        members = shown.get(name)
        if isinstance(members, list):
            shown[name] = [{**one, "id": one["_id"]} if "_id" in one else one for one in members]
    return shown
