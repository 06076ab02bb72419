"""Attachments of API v4: only admins make and change them, as on a real backend."""

from __future__ import annotations

from scicat_watch.embedded import attachments, filters, rules_parts, validation
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import Query, projected
from scicat_watch.embedded.store import DuplicateError
from scicat_watch.embedded.tables import ATTACHMENTS, Document
from scicat_watch.embedded.web import Answer, Call, Served, asked, conflict, forbidden, not_found, posted, unmodified

_STAMPS = ("_id", "createdAt", "createdBy", "updatedAt", "updatedBy")
_DIALECT = filters.v4(frozenset({*rules_parts.ATTACHMENT_V4.names, *_STAMPS}))
_CHANGES = rules_parts.ATTACHMENT_V4.for_changes("aid")


def add(catalogue: Served, call: Call) -> Answer:
    """`POST /attachments`."""
    _admin(call)
    made = attachments.made_v4(posted(call, rules_parts.ATTACHMENT_V4), call.caller.username, catalogue.now())
    try:
        with catalogue.store.writing() as session:
            session.insert(ATTACHMENTS, made)
    except DuplicateError as error:
        raise conflict(f"An attachment with aid {made['_id']} already exists") from error
    return Answer(_with_id(made), 201)


def is_valid(catalogue: Served, call: Call) -> Answer:
    """`POST /attachments/isValid`."""
    _admin(call)
    return Answer({"valid": not validation.check(call.document(), rules_parts.ATTACHMENT_V4, unknown=False)})


def find(catalogue: Served, call: Call) -> Answer:
    """`GET /attachments`: by default the 10 newest."""
    if not call.caller.may_list:
        raise forbidden()
    return Answer(_found(catalogue, _asked(call), call.caller))


def find_public(catalogue: Served, call: Call) -> Answer:
    """`GET /attachments/public`: those that are published."""
    return Answer(_found(catalogue, _asked(call), call.caller.stranger))


def count(catalogue: Served, call: Call) -> Answer:
    """`GET /attachments/count`."""
    if not call.caller.may_list:
        raise forbidden()
    with catalogue.store.reading() as session:
        return Answer({"count": session.count(ATTACHMENTS, _asked(call).where, call.caller)})


def read(catalogue: Served, call: Call, key: str) -> Answer:
    """`GET /attachments/{aid}`."""
    with catalogue.store.reading() as session:
        found = session.get(ATTACHMENTS, key)
    if found is None:
        raise not_found(f"Attachment: {key} not found")
    if not call.caller.may_read_data(found):
        raise forbidden("Unauthorized access")
    return Answer(attachments.shown_v4(found))


def patch(catalogue: Served, call: Call, key: str) -> Answer:
    """`PATCH /attachments/{aid}`: named fields are replaced whole."""
    _admin(call)
    return _stored(catalogue, call, key, attachments.changes_v4(posted(call, _CHANGES)), whole=False)


def put(catalogue: Served, call: Call, key: str) -> Answer:
    """`PUT /attachments/{aid}`: fields that are not named are gone."""
    _admin(call)
    body = posted(call, rules_parts.ATTACHMENT_V4.without("aid"))
    return _stored(catalogue, call, key, attachments.changes_v4(body), whole=True)


def delete(catalogue: Served, call: Call, key: str) -> Answer:
    """`DELETE /attachments/{aid}`."""
    if not (call.caller.admin or call.caller.may_delete):
        raise forbidden()
    with catalogue.store.writing() as session:
        found = session.get(ATTACHMENTS, key)
        if found is None:
            raise not_found(f"Attachment: {key} not found")
        session.delete(ATTACHMENTS, key)
    return Answer(_with_id(found))


def _stored(catalogue: Served, call: Call, key: str, fields: Document, *, whole: bool) -> Answer:
    with catalogue.store.writing() as session:
        found = session.get(ATTACHMENTS, key)
        if found is None:
            raise not_found(f"Attachment: {key} not found")
        if not whole:
            unmodified(call, found)
        stamps = {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
        if whole:
            kept = {name: found[name] for name in ("_id", "__v", "createdAt", "createdBy")}
            found = kept | {"accessGroups": [], "relationships": []}
        found |= fields | stamps
        session.update(ATTACHMENTS, found)
    return Answer(_with_id(found))


def _found(catalogue: Served, query: Query, caller: Caller) -> list[Document]:
    with catalogue.store.reading() as session:
        found = session.find(ATTACHMENTS, query, caller)
    return [projected(attachments.shown_v4(one), query.fields) for one in found]


def _asked(call: Call) -> Query:
    query = asked(call, _DIALECT)
    return filters.renamed(query, {"aid": "_id"})


def _with_id(attachment: Document) -> Document:
    return attachments.shown_v4(attachment) | {"id": attachment["_id"]}


def _admin(call: Call) -> None:
    if not call.caller.admin:
        raise forbidden()
