"""Datasets of API v3: create, list, count, read, patch, delete."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scicat_watch.embedded import forms, times, validation
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.patterns import PatternError
from scicat_watch.embedded.query import BadQueryError, Query, parse, projected
from scicat_watch.embedded.store import DuplicateError, Session
from scicat_watch.embedded.tables import ATTACHMENTS, BLOCKS, DATASETS, INSTRUMENTS, PROPOSALS, SAMPLES, Document, Kind
from scicat_watch.embedded.web import (
    NOTHING,
    Answer,
    Call,
    Served,
    bad_request,
    changed_meanwhile,
    conflict,
    faulty_dataset,
    forbidden,
    not_found,
    nothing_to_change,
)

_RELATIONS: dict[str, tuple[Kind, str, str] | None] = {
    "origdatablocks": (BLOCKS, "datasetId", "pid"),
    "attachments": (ATTACHMENTS, "datasetId", "pid"),
    "proposals": (PROPOSALS, "proposalId", "proposalIds"),
    "samples": (SAMPLES, "sampleId", "sampleIds"),
    "instruments": (INSTRUMENTS, "pid", "instrumentIds"),
    "datablocks": None,  # Archived file lists: this catalogue archives nothing.
}
"""What `include` may name: the kind of record, its field, and the dataset's field that agrees with it."""

_ALL_OF_THEM = 1 << 31


def create(catalogue: Served, call: Call) -> Answer:
    """`POST /datasets`."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    faults = validation.check_dataset(body, validation.dataset_rules(body.get("type")))
    if faults:
        raise faulty_dataset(faults)
    if not call.caller.may_create(body["ownerGroup"], "pid" in body):
        raise forbidden("Unauthorized to create this dataset")
    pid = body.get("pid") or f"{catalogue.pid_prefix.rstrip('/')}/{uuid.uuid4()}"
    document = forms.new_dataset(body, pid, call.caller.username, catalogue.now())
    try:
        with catalogue.store.writing() as session:
            session.insert(DATASETS, document)
            _count_in_proposals(session, document, 1)
    except DuplicateError as error:
        raise conflict(f"A dataset with pid {pid} already exists!") from error
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
        document = session.get(DATASETS, pid)
        if document is None:
            raise not_found(f"dataset: {pid} not found")
        if not call.caller.may_read(document):
            raise forbidden("Unauthorized access")
        answer = _presented(session, document, query, call.caller)
    if not query.fields:
        answer["history"] = []
    return Answer(answer)


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets`: without rights on a dataset it is simply not listed."""
    query = _asked(call)
    with catalogue.store.reading() as session:
        found = session.find(DATASETS, query, call.caller)
        return Answer([_presented(session, document, query, call.caller) for document in found])


def find_one(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/findOne`: the first that fits, or nothing."""
    query = replace(_asked(call), limit=1)
    with catalogue.store.reading() as session:
        found = session.find(DATASETS, query, call.caller)
        return Answer(_presented(session, found[0], query, call.caller) if found else NOTHING)


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
        query = _translated(_parsed(json.dumps({"where": where, "limits": limits})))
        return Answer([forms.shown(document) for document in session.find(DATASETS, query, call.caller)])


def patch(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PATCH /datasets/{pid}`: named fields are replaced whole, totals stay unless named."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    with catalogue.store.writing() as session:
        document = session.get(DATASETS, pid)
        if document is None:
            raise nothing_to_change()
        rules = validation.dataset_rules(document.get("type")).for_changes("pid", "type", "version")
        faults = validation.check(body, rules)
        if faults:
            raise faulty_dataset(faults)
        if not call.caller.may_change(document):
            raise forbidden("Unauthorized to update this dataset")
        _unmodified(call, document)
        _count_in_proposals(session, document, -1)
        document |= forms.changes(body) | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
        _count_in_proposals(session, document, 1)
        session.update(DATASETS, document)
    return Answer(forms.shown(document))


def delete(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}`: the dataset alone; its file lists and thumbnails stay, as on a real backend."""
    if not call.caller.may_delete:
        raise forbidden()
    with catalogue.store.writing() as session:
        document = session.get(DATASETS, pid)
        if document is None:
            raise nothing_to_change()
        session.delete(DATASETS, pid)
        _count_in_proposals(session, document, -1)
    return Answer(document | {"id": pid})


def asked(call: Call, name: str = "filter") -> Query:
    """The query of a list request, from a parameter or from a header of the same name."""
    in_header = call.headers.get(name)
    in_address = call.parameter(name)
    if in_header is not None and in_address is not None:
        raise bad_request(f"{name} is given as a parameter and as a header: send one of them")
    return _parsed(in_address if in_address is not None else in_header)


def block_shown(block: Document) -> Document:
    """A file list as its own routes show it: each id as `_id` and as `id`."""
    files = [{**file, "id": file["_id"]} for file in block["dataFileList"]]
    return {**block, "id": block["_id"], "dataFileList": files}


def _asked(call: Call) -> Query:
    query = _translated(asked(call))
    extra: dict[str, dict[str, bool]] = {name: {} for name in call.query.get("include", ())}
    return replace(query, include={**query.include, **extra}) if extra else query


_TEXTS = ("datasetName", "pid", "description", "keywords", "sourceFolder")


def _parsed(text: str | None) -> Query:
    try:
        return parse(text)
    except (BadQueryError, PatternError) as error:
        raise bad_request(str(error)) from error


def _translated(query: Query) -> Query:
    """The same query with the names that API v3 has for the first of a list."""
    order = tuple((forms.PLURALS.get(name, name), descending) for name, descending in query.order)
    return replace(query, where=_renamed(query.where), order=order)


def _renamed(where: Mapping[str, Any]) -> dict[str, Any]:
    return {
        forms.PLURALS.get(name, name): [_renamed(part) for part in condition] if name.startswith("$") else condition
        for name, condition in where.items()
    }


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\.^$*+?{}[]|()#-&~ " else letter for letter in text)


def _presented(session: Session, document: Document, query: Query, caller: Caller) -> Document:
    answer = projected(forms.shown(document), query.fields)
    names = query.include
    if "all" in names:
        names = {name: names.get(name, {}) for name in _RELATIONS}
    for name, fields in names.items():
        if name not in _RELATIONS:
            raise bad_request(f"Provided include field {name} is not part of the dataset relations")
        answer[name] = [projected(record, fields) for record in _related(session, document, name, caller)]
    return answer


def _related(session: Session, document: Document, name: str, caller: Caller) -> list[Document]:
    relation = _RELATIONS[name]
    if relation is None:
        return []
    kind, field, own = relation
    wanted = document.get(own) or []
    keys = [key for key in (wanted if isinstance(wanted, list) else [wanted]) if isinstance(key, str)]
    reader = caller if name in ("proposals", "samples") else None
    return session.find(kind, Query({field: {"$in": keys}}, limit=_ALL_OF_THEM), reader)


def _unmodified(call: Call, document: Document) -> None:
    text = call.headers.get("if-unmodified-since")
    asked_for = times.header(text) if text else None
    last = times.parse(document["updatedAt"])
    if asked_for is not None and last is not None and asked_for <= last:
        raise changed_meanwhile()


def _count_in_proposals(session: Session, document: Document, difference: int) -> None:
    for key in document.get("proposalIds") or ():
        proposal = session.get(PROPOSALS, key) if isinstance(key, str) else None
        if proposal is not None:
            proposal["numberOfDatasets"] = max(0, proposal.get("numberOfDatasets", 0) + difference)
            session.update(PROPOSALS, proposal)
