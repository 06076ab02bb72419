"""What the pages ask the store: a few columns of many datasets, and the parts of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scicat_watch.embedded.query import Query
from scicat_watch.embedded.store import Session
from scicat_watch.embedded.tables import ATTACHMENTS, HAS_THUMBNAIL, READERS
from scicat_watch.embedded.thumbnails import Thumbnail, thumbnail
from scicat_watch.embedded.words import any_part

_NO_LIMIT = 1 << 31
_LINE = (
    'SELECT pid, "datasetName", "creationTime", "ownerGroup", size, "numberOfFiles", "isPublished",'  # noqa: S608
    " substr(json_extract(doc, '$.description'), 1, 200),"
    f' (SELECT _id FROM attachments WHERE "datasetId" = datasets.pid AND "{HAS_THUMBNAIL}"'
    ' ORDER BY "createdAt" DESC LIMIT 1)'
)
_PUBLISHED = f"SELECT seq FROM datasets_links WHERE field = '{READERS.name}' AND value = 'all'"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Line:
    """A dataset in the list."""

    pid: str
    name: str
    time: str
    """When its data was taken, ISO 8601 in UTC."""
    group: str
    size: int
    """In bytes."""
    files: int
    published: bool
    description: str
    """Its beginning; mostly the title of the scan."""
    thumbnail: str | None
    """Id of the attachment to show, if there is one."""


def lines(session: Session, words: str, published: bool, limit: int, skip: int) -> tuple[list[Line], int]:
    """A page of datasets, the newest first, and how many there are in all.

    Every one of the space-separated `words` must be in the name, the id, a keyword or a proposal id;
    `published` leaves the others out.
    """
    part, values = any_part(words)
    # What is counted are rows of indexes: those of the datasets are long.
    table, row = ("datasets_names", "rowid") if values else ("datasets", "seq")
    conditions = [part] if values else []
    if published:
        conditions.append(f"{row} IN ({_PUBLISHED})")
    chosen = f"FROM {table} WHERE {' AND '.join(conditions) or '1'}"
    (total,) = session.connection.execute(f"SELECT count(*) {chosen}", values).fetchone()
    page = f"SELECT {row} {chosen} ORDER BY {row} DESC LIMIT ? OFFSET ?"
    rows = session.connection.execute(
        f"{_LINE} FROM datasets WHERE seq IN ({page}) ORDER BY seq DESC", (*values, limit, skip)
    )
    return [_line(row) for row in rows], int(total)


def files(session: Session, pid: str, limit: int, skip: int) -> tuple[list[dict[str, Any]], int]:
    """A page of the files of a dataset, and how many there are in all."""
    (total,) = session.connection.execute(
        'SELECT coalesce(sum(files), 0) FROM origdatablocks WHERE "datasetId" = ?', (pid,)
    ).fetchone()
    rows = session.connection.execute(
        "SELECT one.value FROM origdatablocks, json_each(doc, '$.dataFileList') AS one"
        ' WHERE "datasetId" = ? ORDER BY seq, one.key LIMIT ? OFFSET ?',
        (pid, limit, skip),
    )
    return [json.loads(row[0]) for row in rows], int(total)


def thumbnails(session: Session, pid: str) -> Iterator[tuple[str, Thumbnail]]:
    """The thumbnails of a dataset with their captions, the newest first."""
    query = Query({"datasetId": pid}, limit=_NO_LIMIT, order=(("createdAt", True),))
    for attachment in session.find(ATTACHMENTS, query):
        found = thumbnail(attachment.get("thumbnail"))
        if found is not None:
            yield str(attachment.get("caption") or ""), found


def _line(row: tuple[Any, ...]) -> Line:
    pid, name, time, group, size, count, published, description, shown = row
    name, time, title = str(name or pid), str(time or ""), str(description or "")
    return Line(pid, name, time, str(group), size or 0, count or 0, bool(published), title, shown)
