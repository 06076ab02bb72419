"""File lists (origdatablocks): what both versions of the API do with them."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from scicat_watch.embedded import forms, rules_parts, times
from scicat_watch.embedded.store import Session
from scicat_watch.embedded.tables import BLOCKS, DATASETS, Document
from scicat_watch.embedded.web import Call, Served, bad_request, forbidden, not_found, nothing_to_change, unmodified


def shown(block: Document) -> Document:
    """A file list as its own routes show it: each id as `_id` and as `id`."""
    files = [{**file, "id": file["_id"]} for file in block["dataFileList"]]
    return {**block, "id": block["_id"], "dataFileList": files}


def made(body: Document, dataset: Document, call: Call, now: str) -> Document:
    """The stored form of a new file list; its groups are those of the dataset."""
    key = str(uuid.uuid4())
    block: dict[str, Any] = {"_id": key, "__v": 0, "datasetId": dataset["pid"], "isPublished": False}
    block |= {name: body[name] for name in ("size", "chkAlg", "isPublished") if body.get(name) is not None}
    block["dataFileList"] = _files(body["dataFileList"])
    return block | _groups(dataset) | forms.stamps(call.caller.username, now)


def add(session: Session, block: Document) -> None:
    """Store a file list, and make the dataset's totals the sums over all its blocks."""
    session.insert(BLOCKS, block)
    session.sum_totals(block["datasetId"], stamp(block))


def dataset_of(session: Session, pid: str) -> Document:
    """The dataset that a new file list names."""
    dataset = session.get(DATASETS, pid)
    if dataset is None:
        raise not_found(f"Dataset: {pid} not found for attaching an origdatablock")
    return dataset


def stamp(block: Document) -> tuple[str, str]:
    """When and by whom a file list was changed."""
    return block["updatedAt"], block["updatedBy"]


def changes(body: Document) -> Document:
    """The fields of a PATCH in their stored form."""
    if any(body.get(name, "") is None for name in ("size", "dataFileList")):
        raise bad_request(["size and dataFileList cannot be null"])
    return body | ({"dataFileList": _files(body["dataFileList"])} if "dataFileList" in body else {})


PATCHABLE = rules_parts.BLOCK.for_changes("datasetId", "ownerGroup", "accessGroups", "instrumentGroup")
"""What a PATCH may name: the groups are always those of the dataset."""


def changed(catalogue: Served, call: Call, key: str, body: Document, pid: str | None = None) -> Document:
    """Store a file list with some of its fields changed; `pid` is the dataset that the path names."""
    fields = changes(body)
    with catalogue.store.writing() as session:
        block = session.get(BLOCKS, key)
        if block is None or pid not in (None, block["datasetId"]):
            raise nothing_to_change()
        if not call.caller.may_change(block):
            raise forbidden("Unauthorized access")
        unmodified(call, block)
        block |= fields | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
        session.update(BLOCKS, block)
        session.sum_totals(block["datasetId"], stamp(block))
    return block


def removed(catalogue: Served, call: Call, key: str, pid: str | None = None) -> Document:
    """Delete a file list; `pid` is the dataset that the path names."""
    if not call.caller.may_delete:
        raise forbidden()
    now = (catalogue.now(), call.caller.username)
    with catalogue.store.writing() as session:
        block = session.get(BLOCKS, key)
        if block is None or pid not in (None, block["datasetId"]):
            raise nothing_to_change()
        session.delete(BLOCKS, key)
        session.sum_totals(block["datasetId"], now)
    return block


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
