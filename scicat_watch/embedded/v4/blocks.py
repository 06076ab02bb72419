"""File lists (origdatablocks) of API v4."""

from __future__ import annotations

from dataclasses import replace

from scicat_watch.embedded import blocks, filters, rules_parts, validation
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import projected
from scicat_watch.embedded.tables import BLOCKS, Document
from scicat_watch.embedded.web import Answer, Call, Served, asked, forbidden, not_found, posted

_STAMPS = ("_id", "createdAt", "createdBy", "updatedAt", "updatedBy")
_DIALECT = filters.v4(frozenset({*rules_parts.BLOCK.names, *_STAMPS}))


def add(catalogue: Served, call: Call) -> Answer:
    """`POST /origdatablocks`: makes the dataset's totals the sums over all its blocks."""
    body = posted(call, rules_parts.BLOCK)
    with catalogue.store.writing() as session:
        dataset = blocks.dataset_of(session, body["datasetId"])
        if not call.caller.may_change(dataset):
            raise forbidden("Unauthorized to create this origdatablock")
        block = blocks.made(body, dataset, call, catalogue.now())
        blocks.add(session, block)
    return Answer(blocks.shown(block), 201)


def is_valid(catalogue: Served, call: Call) -> Answer:
    """`POST /origdatablocks/isValid`."""
    if call.caller.anonymous:
        raise forbidden()
    return Answer({"valid": not validation.check(call.document(), rules_parts.BLOCK, unknown=False)})


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks`: by default the 10 newest."""
    return Answer(_found(catalogue, call, _logged_in(call)))


def find_public(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/public`: those of published datasets."""
    return Answer(_found(catalogue, call, call.caller.stranger))


def files(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/files`: one row for each file; the filter is about file lists."""
    query = asked(call, _DIALECT)
    with catalogue.store.reading() as session:
        found = session.find(BLOCKS, replace(query, fields={}), _logged_in(call))
    rows = ({**block, "dataFileList": file} for block in found for file in block["dataFileList"])
    return Answer([projected(row, query.fields) for row in rows])


def count(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/count`."""
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(BLOCKS, asked(call, _DIALECT).where, _logged_in(call))})


def read(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /origdatablocks/{id}`."""
    with catalogue.store.reading() as session:
        block = session.get(BLOCKS, key)
    if block is None:
        raise not_found(f"OrigDatablock: {key} not found")
    if not call.caller.may_read_data(block):
        raise forbidden("Unauthorized access")
    return Answer(block)


def patch(catalogue: Served, call: Call, key: str) -> Answer:
    """`PATCH /origdatablocks/{id}`: the fields that are named."""
    return Answer(blocks.shown(blocks.changed(catalogue, call, key, posted(call, blocks.PATCHABLE))))


def delete(catalogue: Served, call: Call, key: str) -> Answer:
    """`DELETE /origdatablocks/{id}`."""
    return Answer(blocks.shown(blocks.removed(catalogue, call, key)))


def _found(catalogue: Served, call: Call, caller: Caller) -> list[Document]:
    query = asked(call, _DIALECT)
    with catalogue.store.reading() as session:
        return [projected(block, query.fields) for block in session.find(BLOCKS, query, caller)]


def _logged_in(call: Call) -> Caller:
    if not call.caller.may_list:
        raise forbidden()
    return call.caller
