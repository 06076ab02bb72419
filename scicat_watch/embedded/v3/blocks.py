"""File lists (origdatablocks) of API v3: below their dataset, and by themselves."""

from __future__ import annotations

from scicat_watch.embedded import blocks, datasets, rules_parts, search
from scicat_watch.embedded.query import Query, projected
from scicat_watch.embedded.tables import BLOCKS, DATASETS
from scicat_watch.embedded.web import Answer, Call, Served, asked, forbidden, not_found, posted

_MOST = 100


def add_nested(catalogue: Served, call: Call, pid: str) -> Answer:
    """`POST /datasets/{pid}/origdatablocks`: adds to the dataset's totals."""
    body = posted(call, rules_parts.NESTED_BLOCK)
    with catalogue.store.writing() as session:
        dataset = datasets.to_add_to(session, call, pid)
        block = blocks.made(body, dataset, call, catalogue.now())
        session.insert(BLOCKS, block)
        session.add_totals(pid, block["size"], len(block["dataFileList"]), blocks.stamp(block))
    return Answer(blocks.shown(block), 201)


def add(catalogue: Served, call: Call) -> Answer:
    """`POST /origdatablocks`: makes the dataset's totals the sums over all its blocks."""
    body = posted(call, rules_parts.BLOCK)
    with catalogue.store.writing() as session:
        dataset = blocks.dataset_of(session, body["datasetId"])
        if not call.caller.may_add(dataset):
            raise forbidden("Unauthorized access")
        block = blocks.made(body, dataset, call, catalogue.now())
        blocks.add(session, block)
    return Answer(blocks.shown(block), 201)


def nested(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/origdatablocks`: at most 100."""
    query = Query({"datasetId": pid}, limit=_MOST)
    with catalogue.store.reading() as session:
        datasets.readable(session, call, pid)
        return Answer([blocks.shown(block) for block in session.find(BLOCKS, query)])


def count_nested(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/origdatablocks/count`."""
    with catalogue.store.reading() as session:
        datasets.readable(session, call, pid)
        return Answer({"count": session.count(BLOCKS, {"datasetId": pid})})


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks`."""
    query = asked(call)
    with catalogue.store.reading() as session:
        found = session.find(BLOCKS, query, call.caller)
    return Answer([projected(blocks.shown(block), query.fields) for block in found])


def full_query(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/fullquery`: by values of fields, and by `text` in paths and all other texts."""
    with catalogue.store.reading() as session:
        found = session.find(BLOCKS, search.asked(call).query, call.caller)
    return Answer([blocks.shown(block) for block in found])


def full_query_files(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/fullquery/files`: as `fullquery`, with one row for each file."""
    with catalogue.store.reading() as session:
        found = session.find(BLOCKS, search.asked(call).query, call.caller)
    return Answer([{**block, "dataFileList": file} for block in found for file in block["dataFileList"]])


def full_facet(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/fullfacet`: how often each value of some fields occurs."""
    with catalogue.store.reading() as session:
        return Answer(search.facets(session, BLOCKS, call))


def count(catalogue: Served, call: Call) -> Answer:
    """`GET /origdatablocks/count`."""
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(BLOCKS, asked(call).where, call.caller)})


def read(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /origdatablocks/{id}`: 403 also for one that does not exist, as on a real backend."""
    with catalogue.store.reading() as session:
        block = session.get(BLOCKS, key)
    if block is None or not call.caller.may_read_data(block):
        raise forbidden("Unauthorized access")
    return Answer(blocks.shown(block))


def patch(catalogue: Served, call: Call, key: str) -> Answer:
    """`PATCH /origdatablocks/{id}`: the fields that are named."""
    return Answer(blocks.shown(blocks.changed(catalogue, call, key, posted(call, blocks.PATCHABLE))))


def patch_nested(catalogue: Served, call: Call, pid: str, key: str) -> Answer:
    """`PATCH /datasets/{pid}/origdatablocks/{id}`: size and list in full."""
    return Answer(blocks.shown(blocks.changed(catalogue, call, key, posted(call, rules_parts.NESTED_BLOCK), pid)))


def delete(catalogue: Served, call: Call, key: str) -> Answer:
    """`DELETE /origdatablocks/{id}`."""
    return Answer(blocks.shown(blocks.removed(catalogue, call, key)))


def delete_nested(catalogue: Served, call: Call, pid: str, key: str) -> Answer:
    """`DELETE /datasets/{pid}/origdatablocks/{id}`."""
    return Answer(blocks.shown(blocks.removed(catalogue, call, key, pid)))


def delete_all_nested(catalogue: Served, call: Call, pid: str) -> Answer:
    """`DELETE /datasets/{pid}/origdatablocks`: all of them."""
    if not call.caller.may_delete:
        raise forbidden()
    stamp = (catalogue.now(), call.caller.username)
    with catalogue.store.writing() as session:
        if session.get(DATASETS, pid) is None:
            raise not_found(f"dataset: {pid} not found")
        removed = session.delete_all(BLOCKS, {"datasetId": pid})
        session.sum_totals(pid, stamp)
    return Answer({"count": removed})
