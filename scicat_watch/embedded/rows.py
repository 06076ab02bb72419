"""Records as rows of their table, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from scicat_watch.embedded import words
from scicat_watch.embedded.tables import KEYS, Document, Kind, digest_of, keys_of_metadata


class UnstorableError(Exception):
    """A document that cannot be written as JSON, such as one with the number 1e400."""


def selected(kind: Kind) -> str:
    """The beginning of a SELECT that `document` understands."""
    live = "".join(f', "{name}"' for name in kind.live)
    return f"SELECT doc{live} FROM {kind.table}"  # noqa: S608 - names of our own


def document(kind: Kind, row: Sequence[Any]) -> Document:
    """The record of a row."""
    found: Document = json.loads(row[0])
    found.update(zip(kind.live, row[1:], strict=True))
    return found


def row(kind: Kind, document: Document) -> list[Any]:
    """The values of a record's columns, and its JSON text; `UnstorableError` if it has none."""
    stored = {name: value for name, value in document.items() if name not in kind.live}
    values = [column.value(document) for column in kind.columns]
    try:
        return [*values, json.dumps(stored, ensure_ascii=False, allow_nan=False, separators=(",", ":"))]
    except ValueError as error:
        raise UnstorableError(f"a number of the document is too large: {error}") from error


def links(kind: Kind, document: Document, seq: int) -> list[tuple[str, str, int]]:
    """The rows of the table of links."""
    return sorted({(link.name, value, seq) for link in kind.links for value in link.values(document)})


def indexes(kind: Kind, document: Document, seq: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statements, with values, that add a record to the indexes of words and of names of metadata."""
    if kind.searched:
        for name, text in (("names", words.names(document)), ("texts", words.texts(document))):
            yield f"INSERT INTO {kind.table}_{name} (rowid, {name}) VALUES (?, ?)", (seq, text)  # noqa: S608
    yield from names_of_metadata(kind, document)


def names_of_metadata(kind: Kind, document: Document) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statement that has the names of a dataset's metadata kept by their digest."""
    keys = keys_of_metadata(document) if KEYS in kind.links else ""
    if keys:
        yield f"INSERT OR IGNORE INTO {kind.table}_keys VALUES (?, ?)", (digest_of(keys), keys)  # noqa: S608
