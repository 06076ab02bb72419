"""What belongs to a dataset in API v3: file lists (origdatablocks) and thumbnails (attachments)."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from scicat_watch.embedded import forms, times, validation
from scicat_watch.embedded.datasets_v3 import asked, block_shown
from scicat_watch.embedded.query import Query, projected
from scicat_watch.embedded.store import Session
from scicat_watch.embedded.tables import ATTACHMENTS, BLOCKS, DATASETS, Document
from scicat_watch.embedded.web import (
    NOTHING,
    Answer,
    Call,
    Served,
    bad_request,
    forbidden,
    not_found,
    nothing_to_change,
    posted,
)

_MOST_BLOCKS = 100
_MOST_ATTACHMENTS = 10


def add_nested_block(catalogue: Served, call: Call, pid: str) -> Answer:
    """`POST /datasets/{pid}/origdatablocks`: adds to the dataset's totals."""
    body = posted(call, validation.NESTED_BLOCK)
    with catalogue.store.writing() as session:
        dataset = _dataset_to_add_to(session, call, pid)
        block = _new_block(body, dataset, call, catalogue.now())
        session.insert(BLOCKS, block)
        session.add_totals(pid, block["size"], len(block["dataFileList"]), _stamp(block))
    return Answer(block_shown(block), 201)


def add_block(catalogue: Served, call: Call) -> Answer:
    """`POST /origdatablocks`: makes the dataset's totals the sums over all its blocks."""
    body = posted(call, validation.BLOCK)
    pid = body["datasetId"]
    with catalogue.store.writing() as session:
        dataset = _dataset_to_add_to(session, call, pid, f"Dataset: {pid} not found for attaching an origdatablock")
        block = _new_block(body, dataset, call, catalogue.now())
        session.insert(BLOCKS, block)
        session.sum_totals(pid, _stamp(block))
    return Answer(block_shown(block), 201)


def nested_blocks(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/origdatablocks`: at most 100."""
    query = Query({"datasetId": pid}, limit=_MOST_BLOCKS)
    with catalogue.store.reading() as session:
        _readable_dataset(session, call, pid)
        return Answer([block_shown(block) for block in session.find(BLOCKS, query)])


def count_nested_blocks(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/origdatablocks/count`."""
    with catalogue.store.reading() as session:
        _readable_dataset(session, call, pid)
        return Answer({"count": session.count(BLOCKS, {"datasetId": pid})})


def blocks(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks`."""
    query = asked(call)
    with catalogue.store.reading() as session:
        found = session.find(BLOCKS, query, call.caller)
    return Answer([projected(block_shown(block), query.fields) for block in found])


def count_blocks(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/count`."""
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(BLOCKS, asked(call).where, call.caller)})


def read_block(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /origdatablocks/{id}`: 403 also for one that does not exist, as on a real backend."""
    with catalogue.store.reading() as session:
        block = session.get(BLOCKS, key)
    if block is None or not call.caller.may_read(block):
        raise forbidden("Unauthorized access")
    return Answer(block_shown(block))


def patch_block(catalogue: Served, call: Call, key: str) -> Answer:
    """`PATCH /origdatablocks/{id}`: the fields that are named."""
    rules = validation.BLOCK.for_changes("datasetId", "ownerGroup", "accessGroups", "instrumentGroup")
    return _patched_block(catalogue, call, key, rules)


def patch_nested_block(catalogue: Served, call: Call, pid: str, key: str) -> Answer:
    """`PATCH /datasets/{pid}/origdatablocks/{id}`: size and list in full."""
    return _patched_block(catalogue, call, key, validation.NESTED_BLOCK, pid)


def delete_block(catalogue: Served, call: Call, key: str) -> Answer:
    """`DELETE /origdatablocks/{id}`."""
    return _deleted_block(catalogue, call, key, None)


def delete_nested_block(catalogue: Served, call: Call, pid: str, key: str) -> Answer:
    """`DELETE /datasets/{pid}/origdatablocks/{id}`."""
    return _deleted_block(catalogue, call, key, pid)


def delete_nested_blocks(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}/origdatablocks`: all of them."""
    if not call.caller.may_delete:
        raise forbidden()
    stamp = (catalogue.now(), call.caller.username)
    with catalogue.store.writing() as session:
        if session.get(DATASETS, pid) is None:
            raise not_found(f"dataset: {pid} not found")
        removed = session.delete_where(BLOCKS, "datasetId", pid)
        session.sum_totals(pid, stamp)
    return Answer({"count": removed})


def add_attachment(catalogue: Served, call: Call, pid: str) -> Answer:
    """`POST /datasets/{pid}/attachments`."""
    body = posted(call, validation.ATTACHMENT)
    given = {name: value for name, value in body.items() if name != "id"}
    given["accessGroups"] = forms.text_list(given.get("accessGroups")) or []
    with catalogue.store.writing() as session:
        dataset = _dataset_to_add_to(session, call, pid)
        attachment = {"_id": str(uuid.uuid4()), "__v": 0, "isPublished": False, **given, "datasetId": pid}
        attachment |= forms.stamps(call.caller.username, catalogue.now())
        attachment["ownerGroup"] = dataset["ownerGroup"]
        session.insert(ATTACHMENTS, attachment)
    return Answer(_attachment_shown(attachment), 201)


def attachments(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/attachments`: at most 10, the newest first."""
    with catalogue.store.reading() as session:
        _readable_dataset(session, call, pid)
        return Answer([_attachment_shown(found) for found in _newest_attachments(session, pid)])


def count_attachments(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/attachments/count`: not more than the list shows."""
    with catalogue.store.reading() as session:
        _readable_dataset(session, call, pid)
        return Answer({"count": min(_MOST_ATTACHMENTS, session.count(ATTACHMENTS, {"datasetId": pid}))})


def delete_attachments(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}/attachments`: all of them."""
    if call.caller.anonymous:
        raise forbidden()
    with catalogue.store.writing() as session:
        _dataset_to_add_to(session, call, pid)
        return Answer({"count": session.delete_where(ATTACHMENTS, "datasetId", pid)})


def delete_attachment(catalogue: Served, call: Call, pid: str, key: str) -> Answer:
    """`DELETE /datasets/{pid}/attachments/{id}`: this one (a real backend deletes another)."""
    if call.caller.anonymous:
        raise forbidden()
    with catalogue.store.writing() as session:
        _dataset_to_add_to(session, call, pid)
        found = session.get(ATTACHMENTS, key)
        if found is None or found.get("datasetId") != pid:
            raise nothing_to_change()
        session.delete(ATTACHMENTS, key)
    return Answer(_attachment_shown(found))


def thumbnail(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/thumbnail`: the newest thumbnail; nothing if there is none."""
    with catalogue.store.reading() as session:
        _readable_dataset(session, call, pid)
        thumbnails = (found.get("thumbnail") for found in _newest_attachments(session, pid))
        thumbnail = next((one for one in thumbnails if one), None)
    return Answer(NOTHING if thumbnail is None else {"thumbnail": thumbnail})


def _new_block(body: Document, dataset: Document, call: Call, now: str) -> Document:
    key = str(uuid.uuid4())
    block: dict[str, Any] = {"_id": key, "__v": 0, "datasetId": dataset["pid"], "isPublished": False}
    block |= {name: body[name] for name in ("size", "chkAlg", "isPublished") if body.get(name) is not None}
    block["dataFileList"] = _files(body["dataFileList"])
    return block | _groups(dataset) | forms.stamps(call.caller.username, now)


def _files(entries: list[Document]) -> list[Document]:
    # A list may have 20 000 files: their ids share one random beginning, and each has a number.
    beginning = secrets.token_hex(9)
    return [
        {**entry, "time": times.normal(entry["time"]), "_id": f"{beginning}{number:06x}"}
        for number, entry in enumerate(entries)
    ]


def _groups(dataset: Document) -> Document:
    names = ("ownerGroup", "accessGroups", "instrumentGroup")
    return {name: dataset[name] for name in names if dataset.get(name) is not None}


def _stamp(block: Document) -> tuple[str, str]:
    return block["updatedAt"], block["updatedBy"]


def _dataset_to_add_to(session: Session, call: Call, pid: str, absent: str = "") -> Document:
    dataset = session.get(DATASETS, pid)
    if dataset is None:
        raise not_found(absent or f"dataset: {pid} not found")
    if not call.caller.may_add(dataset):
        raise forbidden("Unauthorized access")
    return dataset


def _readable_dataset(session: Session, call: Call, pid: str) -> None:
    dataset = session.get(DATASETS, pid)
    if dataset is None:
        raise not_found(f"dataset: {pid} not found")
    if not call.caller.may_read(dataset):
        raise forbidden("Unauthorized access")


def _patched_block(catalogue: Served, call: Call, key: str, rules: validation.Rules, pid: str | None = None) -> Answer:
    body = posted(call, rules)
    if any(body.get(name, "") is None for name in ("size", "dataFileList")):
        raise bad_request(["size and dataFileList cannot be null"])
    with catalogue.store.writing() as session:
        block = session.get(BLOCKS, key)
        if block is None or pid not in (None, block["datasetId"]):
            raise nothing_to_change()
        if not call.caller.may_change(block):
            raise forbidden("Unauthorized access")
        if "dataFileList" in body:
            body["dataFileList"] = _files(body["dataFileList"])
        block |= body | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
        session.update(BLOCKS, block)
        session.sum_totals(block["datasetId"], _stamp(block))
    return Answer(block_shown(block))


def _deleted_block(catalogue: Served, call: Call, key: str, pid: str | None) -> Answer:
    if not call.caller.may_delete:
        raise forbidden()
    stamp = (catalogue.now(), call.caller.username)
    with catalogue.store.writing() as session:
        block = session.get(BLOCKS, key)
        if block is None or pid not in (None, block["datasetId"]):
            raise nothing_to_change()
        session.delete(BLOCKS, key)
        session.sum_totals(block["datasetId"], stamp)
    return Answer(block_shown(block))


def _newest_attachments(session: Session, pid: str) -> list[Document]:
    newest_first = (("createdAt", True),)
    return session.find(ATTACHMENTS, Query({"datasetId": pid}, limit=_MOST_ATTACHMENTS, order=newest_first))


def _attachment_shown(attachment: Document) -> Document:
    return {**attachment, "id": attachment["_id"]}
