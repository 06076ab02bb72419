"""What both versions of the API do with datasets: they differ in names and shapes, which `View` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from scicat_watch.embedded import forms, search
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import Query, projected
from scicat_watch.embedded.store import DuplicateError, Session
from scicat_watch.embedded.tables import ATTACHMENTS, BLOCKS, DATASETS, INSTRUMENTS, PROPOSALS, SAMPLES, Document, Kind
from scicat_watch.embedded.web import (
    Answer,
    Call,
    Served,
    bad_request,
    conflict,
    forbidden,
    not_found,
    nothing_to_change,
    unmodified,
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


@dataclass(frozen=True, slots=True)
class View:
    """How one version of the API shows a dataset."""

    dataset: Callable[[Document], Document]
    attachment: Callable[[Document], Document]

    def of(self, session: Session, document: Document, query: Query, caller: Caller) -> Document:
        """The chosen fields of a dataset, and the related records that the query includes."""
        answer = projected(self.dataset(document), query.fields)
        names = query.include
        if "all" in names:
            names = {name: names.get(name, {}) for name in _RELATIONS}
        for name, fields in names.items():
            if name not in _RELATIONS:
                raise bad_request(f"Provided include field {name} is not part of the dataset relations")
            related = _related(session, document, name, caller)
            shown = map(self.attachment, related) if name == "attachments" else related
            answer[name] = [projected(record, fields) for record in shown]
        return answer


def readable(session: Session, call: Call, pid: str) -> Document:
    """The dataset `pid`: 404 says that it does not exist, 403 that it is not for the caller."""
    return _allowed(session, pid, call.caller.may_read_data)


def to_add_to(session: Session, call: Call, pid: str) -> Document:
    """The dataset `pid`, to which the caller adds a file list."""
    return _allowed(session, pid, call.caller.may_add)


def _allowed(session: Session, pid: str, may: Callable[[Document], bool]) -> Document:
    document = session.get(DATASETS, pid)
    if document is None:
        raise not_found(f"dataset: {pid} not found")
    if not may(document):
        raise forbidden("Unauthorized access")
    return document


def listed(catalogue: Served, call: Call, query: Query, view: View) -> list[Document]:
    """The datasets that a query asks for: without rights on a dataset it is simply not listed."""
    with catalogue.store.reading() as session:
        found = session.find(DATASETS, query, call.caller)
        return [view.of(session, document, query, call.caller) for document in found]


def also_included(query: Query, call: Call) -> Query:
    """The query, with what `include` parameters of the address name as well."""
    extra: dict[str, dict[str, bool]] = {name: {} for name in call.query.get("include", ())}
    return replace(query, include={**query.include, **extra})


def added(catalogue: Served, call: Call, document: Document, with_pid: bool) -> None:
    """Store a new dataset."""
    if not call.caller.may_create(document["ownerGroup"], with_pid):
        raise forbidden("Unauthorized to create this dataset")
    try:
        with catalogue.store.writing() as session:
            session.insert(DATASETS, document)
            _count_in_proposals(session, document, 1)
    except DuplicateError as error:
        raise conflict(f"A dataset with pid {document['pid']} already exists!") from error


def changed(catalogue: Served, call: Call, pid: str, change: Callable[[Document], Document]) -> Document:
    """Store a dataset with the fields that `change` makes of it; it raises if the request cannot be followed."""
    with catalogue.store.writing() as session:
        document = session.get(DATASETS, pid)
        if document is None:
            raise nothing_to_change()
        fields = change(document)
        if not call.caller.may_change(document):
            raise forbidden("Unauthorized to update this dataset")
        unmodified(call, document)
        _count_in_proposals(session, document, -1)
        document |= fields | {"updatedAt": catalogue.now(), "updatedBy": call.caller.username}
        _count_in_proposals(session, document, 1)
        session.update(DATASETS, document)
    return document


def removed(catalogue: Served, call: Call, pid: str) -> Document:
    """Delete a dataset alone: its file lists and thumbnails stay, as on a real backend."""
    if not call.caller.may_delete:
        raise forbidden()
    with catalogue.store.writing() as session:
        document = session.get(DATASETS, pid)
        if document is None:
            raise nothing_to_change()
        session.delete(DATASETS, pid)
        _count_in_proposals(session, document, -1)
    return document


def _related(session: Session, document: Document, name: str, caller: Caller) -> list[Document]:
    relation = _RELATIONS[name]
    if relation is None:
        return []
    kind, field, own = relation
    wanted = document.get(own) or []
    keys = [key for key in (wanted if isinstance(wanted, list) else [wanted]) if isinstance(key, str)]
    reader = caller if name in ("proposals", "samples") else None
    return session.find(kind, Query({field: {"$in": keys}}, limit=_ALL_OF_THEM), reader)


def _count_in_proposals(session: Session, document: Document, difference: int) -> None:
    for key in document.get("proposalIds") or ():
        proposal = session.get(PROPOSALS, key) if isinstance(key, str) else None
        if proposal is not None:
            proposal["numberOfDatasets"] = max(0, proposal.get("numberOfDatasets", 0) + difference)
            session.update(PROPOSALS, proposal)


def lifecycle(catalogue: Served, call: Call, pid: str) -> Answer:
    """`GET /datasets/{pid}/datasetlifecycle`: whether the dataset may be archived, and such."""
    with catalogue.store.reading() as session:
        return Answer(readable(session, call, pid).get("datasetlifecycle") or {})


def patch_lifecycle(catalogue: Served, call: Call, pid: str) -> Answer:
    """`PATCH /datasets/{pid}/datasetlifecycle`: adds the fields that are named, and leaves all else."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    if not body:
        raise bad_request("the body names no field")
    change = {"datasetlifecycle": body}
    stored = changed(catalogue, call, pid, lambda document: _within(document, change))
    return Answer(stored["datasetlifecycle"])


def append(catalogue: Served, call: Call, pid: str) -> Answer:
    """`POST /datasets/{pid}/appendToArrayField`: adds texts to a list of them."""
    name = call.parameter("fieldName") or ""
    if name not in forms.TEXT_LISTS:
        raise bad_request(f"fieldName is not one of {', '.join(forms.TEXT_LISTS)}")
    try:
        texts = json.loads(call.parameter("data") or "[]")
    except (ValueError, RecursionError) as error:
        raise bad_request(f"data is not JSON: {error}") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise bad_request("data is not a list of texts")
    if call.caller.anonymous:
        raise forbidden()

    def change(document: Document) -> Document:
        before = [text for text in document.get(name) or () if text is not None]
        return {name: before + [text for text in dict.fromkeys(texts) if text not in before]}

    return Answer(changed(catalogue, call, pid, change))


def full_facet(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/fullfacet`: how often each value of some fields occurs."""
    with catalogue.store.reading() as session:
        return Answer(search.facets(session, DATASETS, call))


def metadata_keys(catalogue: Served, call: Call) -> Answer:
    """`GET /datasets/metadataKeys`: the keys at the top of the scientific metadata."""
    with catalogue.store.reading() as session:
        return Answer(search.metadata_keys(session, DATASETS, "scientificMetadata", call))


def _within(document: Document, change: Document) -> Document:
    return {name: {**(document.get(name) or {}), **members} for name, members in change.items()}
