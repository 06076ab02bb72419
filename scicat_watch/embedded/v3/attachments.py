"""Attachments of API v3: below a dataset, a sample or a proposal."""

from __future__ import annotations

from dataclasses import dataclass

from scicat_watch.embedded import attachments, datasets, rules_parts, validation
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.store import Session
from scicat_watch.embedded.tables import ATTACHMENTS, DATASETS, PROPOSALS, SAMPLES, Document, Kind
from scicat_watch.embedded.web import Answer, Call, Served, forbidden, not_found, nothing_to_change, posted

_MOST = 10


@dataclass(frozen=True, slots=True)
class Nested:
    """The attachments below one kind of record."""

    parents: Kind
    word: str
    """The parent's type in an attachment's relationships."""
    rules: validation.Rules

    def add(self, catalogue: Served, call: Call, key: str) -> Answer:
        """POST: the attachment's group is that of the record."""
        body = posted(call, self.rules)
        with catalogue.store.writing() as session:
            parent = self._parent_to_change(session, call, key)
            made = attachments.made_v3(body, self.word, parent, key, call.caller.username, catalogue.now())
            session.insert(ATTACHMENTS, made)
        return Answer(attachments.shown_v3(made), 201)

    def find(self, catalogue: Served, call: Call, key: str) -> Answer:
        """GET, the list: at most 10, the newest first."""
        with catalogue.store.reading() as session:
            self._readable_parent(session, call, key)
            return Answer([attachments.shown_v3(found) for found in self.newest(session, key)])

    def count(self, catalogue: Served, call: Call, key: str) -> Answer:
        """GET `count`: not more than the list shows."""
        with catalogue.store.reading() as session:
            self._readable_parent(session, call, key)
            return Answer({"count": min(_MOST, session.count(ATTACHMENTS, self._below(key)))})

    def replace(self, catalogue: Served, call: Call, key: str, attachment: str) -> Answer:
        """PUT: this one gets a new caption and thumbnail (a real backend changes another)."""
        body = posted(call, self.rules)
        with catalogue.store.writing() as session:
            parent = self._parent_to_change(session, call, key)
            found = self._belonging(session, key, attachment)
            made = attachments.made_v3(body, self.word, parent, key, call.caller.username, catalogue.now())
            kept = {name: found[name] for name in ("_id", "createdAt", "createdBy", "isPublished", "relationships")}
            session.update(ATTACHMENTS, made | kept)
        return Answer(attachments.shown_v3(made | kept))

    def delete_all(self, catalogue: Served, call: Call, key: str) -> Answer:
        """DELETE, all of them."""
        if call.caller.anonymous:
            raise forbidden()
        with catalogue.store.writing() as session:
            self._parent_to_change(session, call, key)
            return Answer({"count": session.delete_all(ATTACHMENTS, self._below(key))})

    def delete(self, catalogue: Served, call: Call, key: str, attachment: str) -> Answer:
        """DELETE: this one (a real backend deletes another)."""
        if call.caller.anonymous:
            raise forbidden()
        with catalogue.store.writing() as session:
            self._parent_to_change(session, call, key)
            found = self._belonging(session, key, attachment)
            session.delete(ATTACHMENTS, attachment)
        return Answer(attachments.shown_v3(found))

    def newest(self, session: Session, key: str) -> list[Document]:
        """The newest attachments of a record."""
        return session.find(ATTACHMENTS, Query(self._below(key), limit=_MOST, order=(("createdAt", True),)))

    def _below(self, key: str) -> dict[str, str]:
        return {f"{self.word}Id": key}

    def _belonging(self, session: Session, key: str, attachment: str) -> Document:
        found = session.get(ATTACHMENTS, attachment)
        if found is None or key not in (one["targetId"] for one in found["relationships"]):
            raise nothing_to_change()
        return found

    def _parent(self, session: Session, key: str) -> Document:
        parent = session.get(self.parents, key)
        if parent is None:
            raise not_found(f"{self.word}: {key} not found")
        return parent

    def _parent_to_change(self, session: Session, call: Call, key: str) -> Document:
        parent = self._parent(session, key)
        if not call.caller.may_add(parent):
            raise forbidden("Unauthorized access")
        return parent

    def _readable_parent(self, session: Session, call: Call, key: str) -> None:
        parent = self._parent(session, key)
        caller = call.caller
        if not (caller.may_read_data(parent) if self.parents is DATASETS else caller.may_read(parent)):
            raise forbidden("Unauthorized access")


OF_DATASETS = Nested(DATASETS, "dataset", rules_parts.ATTACHMENT)
OF_PROPOSALS = Nested(PROPOSALS, "proposal", rules_parts.ATTACHMENT)
OF_SAMPLES = Nested(SAMPLES, "sample", rules_parts.SAMPLE_ATTACHMENT)


def thumbnail(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/thumbnail`: the newest thumbnail; an empty object if there is none."""
    with catalogue.store.reading() as session:
        datasets.readable(session, call, pid)
        thumbnails = (found.get("thumbnail") for found in OF_DATASETS.newest(session, pid))
        found = next((one for one in thumbnails if one), None)
    return Answer({} if found is None else {"thumbnail": found})
