"""What datasets refer to in API v3: proposals, samples, instruments. A dataset may name what does not exist."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from scicat_watch.embedded import forms, times, validation
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import projected
from scicat_watch.embedded.store import DuplicateError
from scicat_watch.embedded.tables import INSTRUMENTS, PROPOSALS, SAMPLES, Document, Kind
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
    """One kind of record, and how it differs from the other two."""

    kind: Kind
    word: str
    rules: validation.Rules
    filter_name: str
    """Proposals take their filter as `filters`."""
    may_create: Callable[[Caller, Document], bool]
    defaults: Callable[[Served], Document]
    shows_id: bool
    """Whether answers repeat the id under `id`."""
    open: bool = False
    """Whether everybody may read them."""

    def create(self, catalogue: Served, call: Call) -> Answer:
        """POST."""
        body = posted(call, self.rules)
        if not self.may_create(call.caller, body):
            raise forbidden()
        record = self.defaults(catalogue) | _stored(body)
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
        query = asked(call, name=self.filter_name)
        with catalogue.store.reading() as session:
            found = session.find(self.kind, query, self._reader(call))
        return Answer([projected(self._shown(record), query.fields) for record in found])

    def find_one(self, catalogue: Served, call: Call) -> Answer:
        """GET `findOne`: nothing if there is none."""
        query = replace(asked(call), limit=1)
        with catalogue.store.reading() as session:
            found = session.find(self.kind, query, self._reader(call))
        return Answer(projected(self._shown(found[0]), query.fields) if found else NOTHING)

    def count(self, catalogue: Served, call: Call) -> Answer:
        """GET `count`."""
        with catalogue.store.reading() as session:
            where = asked(call, name=self.filter_name).where
            return Answer({"count": session.count(self.kind, where, self._reader(call))})

    def read(self, catalogue: Served, call: Call, key: str) -> Answer:
        """GET by id."""
        with catalogue.store.reading() as session:
            record = session.get(self.kind, key)
        if record is None:
            if self.open:
                return Answer()
            raise not_found(f"{self.word}: {key} not found")
        if not self.open and not call.caller.may_read(record):
            raise forbidden("Unauthorized access")
        return Answer(self._shown(record))

    def patch(self, catalogue: Served, call: Call, key: str) -> Answer:
        """PATCH: named fields are replaced whole."""
        body = posted(call, self.rules.for_changes(self.kind.key))
        with catalogue.store.writing() as session:
            record = session.get(self.kind, key)
            if record is None:
                raise nothing_to_change()
            if not call.caller.may_change(record):
                raise forbidden("Unauthorized access")
            record |= _stored(body) | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
            session.update(self.kind, record)
        return Answer(self._shown(record))

    def _reader(self, call: Call) -> Caller | None:
        return None if self.open else call.caller

    def _shown(self, record: Document) -> Document:
        return {**record, "id": record["_id"]} if self.shows_id else record

    def _taken(self, record: Document) -> str:
        if self.kind is INSTRUMENTS:
            return "Instrument with the same unique name already exists"
        return f"{self.word} with {record[self.kind.key]} already exists"


def _stored(body: Document) -> Document:
    found = dict(body)
    for name in ("accessGroups", "instrumentIds"):
        if name in found:
            found[name] = forms.text_list(found[name]) or []
    for name in ("startTime", "endTime"):
        if name in found:
            found[name] = times.normal(found[name])
    if "sampleCharacteristics" in found:
        found["sampleCharacteristics"] = forms.metadata(found["sampleCharacteristics"])
    if isinstance(found.get("MeasurementPeriodList"), list):
        periods = found["MeasurementPeriodList"]
        moments = ({name: times.normal(period[name]) for name in ("start", "end")} for period in periods)
        pairs = zip(periods, moments, strict=True)
        found["MeasurementPeriodList"] = [period | moment | {"_id": forms.object_id()} for period, moment in pairs]
    return found


def _proposal_defaults(catalogue: Served) -> Document:
    return {
        "accessGroups": [],
        "instrumentIds": [],
        "isPublished": False,
        "metadata": {},
        "MeasurementPeriodList": [],
        "numberOfDatasets": 0,
        "parentProposalId": None,
        "type": "Default Proposal",
    }


def _sample_defaults(catalogue: Served) -> Document:
    return {"sampleId": str(uuid.uuid4()), "accessGroups": [], "isPublished": False, "sampleCharacteristics": {}}


def _instrument_defaults(catalogue: Served) -> Document:
    # A real backend puts no slash between prefix and id.
    return {"pid": f"{catalogue.pid_prefix}{uuid.uuid4()}", "customMetadata": {}}


proposals = Records(
    kind=PROPOSALS,
    word="Proposal",
    rules=validation.PROPOSAL,
    filter_name="filters",
    may_create=lambda caller, _: caller.privileged,
    defaults=_proposal_defaults,
    shows_id=True,
)
samples = Records(
    kind=SAMPLES,
    word="Sample",
    rules=validation.SAMPLE,
    filter_name="filter",
    may_create=lambda caller, body: caller.privileged or body["ownerGroup"] in caller.groups,
    defaults=_sample_defaults,
    shows_id=False,
)
instruments = Records(
    kind=INSTRUMENTS,
    word="Instrument",
    rules=validation.INSTRUMENT,
    filter_name="filter",
    may_create=lambda caller, _: caller.admin,
    defaults=_instrument_defaults,
    shows_id=True,
    open=True,
)
