"""Records that are created, listed, read, changed and deleted all alike: what one route of them does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from scicat_watch.embedded import filters, forms, search, validation
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import projected
from scicat_watch.embedded.store import DuplicateError
from scicat_watch.embedded.tables import INSTRUMENTS, JOBS, PUBLICATIONS, Document, Kind
from scicat_watch.embedded.web import (
    NOTHING,
    Answer,
    Call,
    Served,
    asked,
    conflict,
    forbidden,
    not_found,
    nothing_to_change,
    posted,
)


@dataclass(frozen=True, slots=True)
class Records:
    """One kind of record in one version of the API, and how it differs from the others."""

    kind: Kind
    word: str
    rules: validation.Rules
    may_create: Callable[[Caller, Document], bool]
    defaults: Callable[[Served, Document], Document]
    """The fields that a new record has if its body does not say."""
    filter_name: str = "filter"
    """Proposals take their filter as `filters`."""
    shows_id: bool = False
    """Whether answers repeat the id under `id`."""
    open: bool = False
    """Whether everybody may read them."""
    stored: Callable[[Document], Document] = lambda body: body
    """The fields of a body in their stored form."""
    shown: Callable[[Document], Document] = lambda record: record
    changes: validation.Rules | None = None
    """The rules of a PATCH if they are not those of a POST."""
    dialect: filters.Dialect = filters.V3

    @property
    def changed(self) -> validation.Rules:
        """The rules of a PATCH."""
        return self.changes or self.rules.for_changes(self.kind.key)

    def create(self, catalogue: Served, call: Call) -> Answer:
        """POST."""
        body = posted(call, self.rules)
        if not self.may_create(call.caller, body):
            raise forbidden()
        record = self.defaults(catalogue, body) | self.stored(body)
        record["_id"] = record[self.kind.key]
        record |= {"__v": 0} | forms.stamps(call.caller.username, catalogue.now())
        try:
            with catalogue.store.writing() as session:
                session.insert(self.kind, record)
        except DuplicateError as error:
            raise conflict(self._taken(record)) from error
        return Answer(self._shown(record), 201)

    def find(self, catalogue: Served, call: Call) -> Answer:
        """GET, the list."""
        query = asked(call, self.dialect, self.filter_name)
        with catalogue.store.reading() as session:
            found = session.find(self.kind, query, self._reader(call))
        return Answer([projected(self._shown(record), query.fields) for record in found])

    def find_one(self, catalogue: Served, call: Call) -> Answer:
        """GET `findOne`: nothing if there is none."""
        query = replace(asked(call, self.dialect, self.filter_name), limit=1)
        with catalogue.store.reading() as session:
            found = session.find(self.kind, query, self._reader(call))
        return Answer(projected(self._shown(found[0]), query.fields) if found else NOTHING)

    def count(self, catalogue: Served, call: Call) -> Answer:
        """GET `count`."""
        with catalogue.store.reading() as session:
            where = asked(call, self.dialect, self.filter_name).where
            return Answer({"count": session.count(self.kind, where, self._reader(call))})

    def read(self, catalogue: Served, call: Call, key: str) -> Answer:
        """GET by id."""
        with catalogue.store.reading() as session:
            record = session.get(self.kind, key)
        if record is None:
            if self.open:
                return Answer()
            raise not_found(f"{self.word}: {key} not found")
        if call.caller.shut_out or not (self.open or self._may_read(call.caller, record)):
            raise forbidden("Unauthorized access")
        return Answer(self._shown(record))

    def patch(self, catalogue: Served, call: Call, key: str) -> Answer:
        """PATCH: named fields are replaced whole."""
        body = posted(call, self.changed)
        with catalogue.store.writing() as session:
            record = session.get(self.kind, key)
            if record is None:
                raise nothing_to_change()
            if not self._may_change(call.caller, record):
                raise forbidden("Unauthorized access")
            record |= self.stored(body) | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
            session.update(self.kind, record)
        return Answer(self._shown(record))

    def delete(self, catalogue: Served, call: Call, key: str) -> Answer:
        """DELETE: by those who may delete, and by admins."""
        if not (call.caller.admin or call.caller.may_delete):
            raise forbidden()
        with catalogue.store.writing() as session:
            record = session.get(self.kind, key)
            if record is None:
                raise nothing_to_change()
            session.delete(self.kind, key)
        return Answer(self._shown(record))

    def full_query(self, catalogue: Served, call: Call) -> Answer:
        """GET `fullquery`: by values of fields, and by `text` anywhere."""
        with catalogue.store.reading() as session:
            found = session.find(self.kind, search.asked(call).query, self._reader(call))
        return Answer([self._shown(record) for record in found])

    def full_facet(self, catalogue: Served, call: Call) -> Answer:
        """GET `fullfacet`: how often each value of some fields occurs."""
        with catalogue.store.reading() as session:
            return Answer(search.facets(session, self.kind, call))

    def _may_read(self, caller: Caller, record: Document) -> bool:
        mine = record.get("createdBy") == caller.username and not caller.anonymous
        return (
            caller.may_read(record)
            or (mine and self.kind in _PERSONAL)
            or (self.kind is PUBLICATIONS and record.get("status") in _PUBLIC)
        )

    def _may_change(self, caller: Caller, record: Document) -> bool:
        mine = record.get("createdBy") == caller.username and not caller.anonymous
        return caller.may_change(record) or (mine and self.kind in _PERSONAL)

    def _reader(self, call: Call) -> Caller | None:
        return None if self.open and not call.caller.shut_out else call.caller

    def _shown(self, record: Document) -> Document:
        shown = self.shown(record)
        return {**shown, "id": record["_id"]} if self.shows_id else shown

    def _taken(self, record: Document) -> str:
        if self.kind is INSTRUMENTS:
            return "Instrument with the same unique name already exists"
        return f"{self.word} with {record[self.kind.key]} already exists"


_PERSONAL = (PUBLICATIONS, JOBS)
"""What belongs to who made it."""
_PUBLIC = ("public", "registered")
