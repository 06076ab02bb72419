"""Conversion of catalogues that an older version made: everything in them stays."""

from __future__ import annotations

import json
import logging
import sqlite3
import time

from scicat_watch.embedded import attachments, rows
from scicat_watch.embedded.tables import KEYS, KINDS, Document

log = logging.getLogger(__name__)

_REPORT_EVERY = 5.0
"""Seconds between two messages. They are warnings, as nothing is served meanwhile."""


def convert(connection: sqlite3.Connection, version: int) -> None:
    """Bring all records of a `version` to the present form; the caller has begun a transaction and made the tables."""
    if version < 2:
        for (seq,) in connection.execute("SELECT seq FROM attachments").fetchall():
            (text,) = connection.execute("SELECT doc FROM attachments WHERE seq = ?", (seq,)).fetchone()
            stored = json.dumps(related(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
            connection.execute("UPDATE attachments SET doc = ? WHERE seq = ?", (stored, seq))
    for kind in KINDS:
        if not kind.links or (version >= 2 and KEYS not in kind.links):
            continue
        (total,) = connection.execute(f"SELECT count(*) FROM {kind.table}").fetchone()  # noqa: S608
        reported = time.monotonic()
        for number, (seq, text) in enumerate(connection.execute(f"SELECT seq, doc FROM {kind.table}")):  # noqa: S608
            if time.monotonic() - reported >= _REPORT_EVERY:
                reported = time.monotonic()
                log.warning("the database is converted: %d of %d %s", number, total, kind.table)
            document = json.loads(text)
            added = rows.links(kind, document, seq)
            connection.executemany(f"INSERT OR IGNORE INTO {kind.table}_links VALUES (?, ?, ?)", added)  # noqa: S608
            indexes = rows.indexes(kind, document, seq) if version < 2 else rows.names_of_metadata(kind, document)
            for statement, values in indexes:
                connection.execute(statement, values)


def related(attachment: Document) -> Document:
    """An attachment that says what it belongs to as API v4 does; version 1 had names of API v3."""
    found = dict(attachment)
    named = [(kind, found.pop(f"{kind}Id", None)) for kind in ("dataset", "proposal", "sample")]
    found.setdefault("relationships", [])
    for kind, key in named:
        if key:
            found["relationships"].append(attachments.relationship(kind, key))
    return found
