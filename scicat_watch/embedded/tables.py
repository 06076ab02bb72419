"""The kinds of records in the catalogue: their tables, and the columns beside the documents. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scicat_watch.embedded.thumbnails import thumbnail

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column beside the document, and how its value follows from it."""

    name: str
    value: Callable[[Document], Any]
    plain: bool = True
    """Whether it has the value of the document's field of the same name, so that a filter on the field can use it."""
    live: bool = False
    """Whether only the column has the field: so a frequent change does not rewrite a long document."""
    indexed: bool = False


def _field(name: str, *, live: bool = False, indexed: bool = False) -> Column:
    return Column(name, lambda document: document.get(name), live=live, indexed=indexed)


def _readers(document: Document) -> str:
    groups = [f"group:{name}" for name in document.get("accessGroups") or ()]
    people = [f"mail:{address}" for address in document.get("sharedWith") or ()]
    return json.dumps(groups + people)


def _own(document: Document) -> str:
    return json.dumps([f"user:{document['createdBy']}"])


def _allowed(document: Document) -> list[str]:
    found: list[str] = json.loads(_readers(document))
    owner, published = document.get("ownerGroup"), document.get("isPublished")
    return found + [f"group:{owner}"] * bool(owner) + ["all"] * bool(published)


_RIGHTS = (
    _field("ownerGroup", indexed=True),
    Column("isPublished", lambda document: int(bool(document.get("isPublished"))), plain=False),
    Column("readers", _readers, plain=False),
)
_STAMPS = (_field("createdAt", indexed=True), _field("updatedAt", live=True), _field("updatedBy", live=True))


@dataclass(frozen=True, slots=True)
class Link:
    """A field, mostly with several texts, that filters often name: a table of its own has them."""

    name: str
    values: Callable[[Document], Iterable[str]]


READERS = Link("", _allowed)
"""Who may read a record; no filter can name it."""


def keys_of_metadata(document: Document) -> str:
    """The names at the top of a dataset's scientific metadata, as JSON; empty if there are none."""
    metadata = document.get("scientificMetadata")
    return json.dumps(sorted(metadata), ensure_ascii=False) if isinstance(metadata, dict) and metadata else ""


def digest_of(keys: str) -> str:
    """What stands for names of metadata in the links: most datasets of a beamline have the same ones."""
    return hashlib.blake2b(keys.encode("utf-8", "replace"), digest_size=12).hexdigest()


KEYS = Link(":keys", lambda document: map(digest_of, filter(None, [keys_of_metadata(document)])))
"""Which names the metadata of a dataset has at its top; the names are in a table of their own, by their digest."""


def _members(name: str) -> Link:
    return Link(name, lambda document: [text for text in document.get(name) or () if isinstance(text, str)])


def _single(name: str) -> Link:
    return Link(name, lambda document: [document[name]] if isinstance(document.get(name), str) else [])


def targets(document: Document, kind: str) -> list[str]:
    """The ids of the records of this kind that an attachment belongs to."""
    return [one["targetId"] for one in document["relationships"] if one["targetType"] == kind]


def _target(name: str, kind: str) -> Link:
    return Link(name, lambda document: targets(document, kind))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record: its table, the field that is its id, its columns and its links."""

    table: str
    key: str
    columns: tuple[Column, ...]
    links: tuple[Link, ...] = ()
    searched: bool = False
    """Whether its records are found by words, see `words`."""

    @property
    def plain(self) -> frozenset[str]:
        """Names of the fields that a filter or an order can take from columns."""
        return frozenset({self.key, *(column.name for column in self.columns if column.plain)})

    @property
    def live(self) -> tuple[str, ...]:
        """Names of the fields that only the columns hold."""
        return tuple(column.name for column in self.columns if column.live)


DATASETS = Kind(
    "datasets",
    "pid",
    (
        _field("datasetName", indexed=True),
        _field("creationTime", indexed=True),
        _field("type", indexed=True),
        _field("size", live=True, indexed=True),
        _field("numberOfFiles", live=True),
        *_RIGHTS,
        *_STAMPS,
    ),
    (
        *map(_members, ("proposalIds", "sampleIds", "instrumentIds", "keywords", "principalInvestigators")),
        *map(_single, ("creationLocation", "sourceFolder")),
        READERS,
        KEYS,
    ),
    searched=True,
)
BLOCKS = Kind(
    "origdatablocks",
    "_id",
    (
        _field("datasetId", indexed=True),
        _field("size"),
        Column("files", lambda document: len(document["dataFileList"]), plain=False),
        *_RIGHTS,
        *_STAMPS,
    ),
    (READERS,),
)
HAS_THUMBNAIL = "picture"
"""The column's name in catalogues that exist: another one would need another `SCHEMA_VERSION`, and a conversion."""
ATTACHMENTS = Kind(
    "attachments",
    "_id",
    (
        Column("datasetId", lambda document: next(iter(targets(document, "dataset")), None), plain=False, indexed=True),
        Column(HAS_THUMBNAIL, lambda document: int(thumbnail(document.get("thumbnail")) is not None), plain=False),
        *_RIGHTS,
        *_STAMPS,
    ),
    (
        READERS,
        _target("datasetId", "dataset"),
        _target("proposalId", "proposal"),
        _target("sampleId", "sample"),
        Link("relationships.targetId", lambda document: [one["targetId"] for one in document["relationships"]]),
    ),
)
"""An attachment may belong to several records: the column names the first dataset, the links all of them."""
PROPOSALS = Kind("proposals", "proposalId", (*_RIGHTS, *_STAMPS))
SAMPLES = Kind("samples", "sampleId", (_field("proposalId"), *_RIGHTS, *_STAMPS))
INSTRUMENTS = Kind("instruments", "pid", (_field("uniqueName", indexed=True), *_STAMPS))
_OF_A_PERSON = (
    Column("ownerGroup", lambda document: document.get("ownerGroup"), indexed=True),
    Column("isPublished", lambda document: int(document.get("status") in ("public", "registered")), plain=False),
    Column("readers", _own, plain=False),
)
"""Rights on records that belong to who made them."""
PUBLICATIONS = Kind("publisheddata", "doi", (*_OF_A_PERSON, *_STAMPS))
JOBS = Kind("jobs", "id", (*_OF_A_PERSON, *_STAMPS))
POLICIES = Kind("policies", "_id", (*_RIGHTS, *_STAMPS))
KINDS = (DATASETS, BLOCKS, ATTACHMENTS, PROPOSALS, SAMPLES, INSTRUMENTS, PUBLICATIONS, JOBS, POLICIES)
