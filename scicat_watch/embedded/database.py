"""The catalogue's SQLite file: connections, its tables, and what happens to a file that is damaged or not ours."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from scicat_watch.embedded import conversion
from scicat_watch.embedded.tables import INSTRUMENTS, KEYS, KINDS, Kind
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 3
"""1 had no links, and attachments of one dataset only; 2 had no names of metadata."""
_ROOM = 1 << 20
APPLICATION_ID = 0x53435774
"""Marks an SQLite file as one of ours ("SCWt")."""
Published = Callable[[], Iterable[str]]
"""The ids of the datasets that a catalogue is known to have had."""


class GoneError(sqlite3.OperationalError):
    """The database was removed or replaced while it was in use."""


def connected(path: Path) -> sqlite3.Connection:
    """A connection on which a commit is on the disk when it returns."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def opened(path: Path, published: Published = tuple) -> tuple[sqlite3.Connection, Path | None]:
    """A connection to the database `path`, and where a damaged one was moved, in whose place a new one was made.

    A new one remembers what was `published` to one in its place: see `lost`.
    """
    try:
        return _checked(path, published), None
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        moved_to = _moved_aside(path)
        log.error("the database %s is damaged (%s): kept as %s, starting anew", path, error, moved_to)
        return _checked(path, published), moved_to


def lost(path: Path) -> int:
    """How many datasets are not in a catalogue that is new, although they were published to one in its place.

    A backup that is restored in its place, and each dataset that is published again, makes them fewer. The catalogue
    may be in use by another process; nothing is made where there is none. 0 if it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=5)) as connection:
            known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'lost'").fetchone()[0]
            query = "SELECT count(*) FROM lost WHERE NOT EXISTS (SELECT 1 FROM datasets WHERE pid = lost.pid)"
            return int(connection.execute(query).fetchone()[0]) if known else 0
    except sqlite3.Error:
        return 0


def is_full(error: Exception) -> bool:
    """Whether there is no room on the disk, or none for this account."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def check_room(directory: Path) -> None:
    """Make sure that a directory takes more than a document has usually; OSError if not."""
    with tempfile.TemporaryFile(prefix=".room-", dir=directory) as probe:
        probe.write(bytes(_ROOM))
        probe.flush()
        os.fsync(probe.fileno())


def _checked(path: Path, published: Published) -> sqlite3.Connection:
    """A connection to a sound database with our tables; `sqlite3.DatabaseError` if it is damaged.

    The check reads the whole file once: seconds for a catalogue of some gigabytes.
    """
    connection = connected(path)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION_ID:
            raise ConfigError("this is a database of another program: name another file for the catalogue", path)
        if version > SCHEMA_VERSION:
            raise ConfigError("a newer scicat-watch made this catalogue: install that version, or newer", path)
        connection.execute("BEGIN IMMEDIATE")
        _create_tables(connection)  # Also in a catalogue of this version: an index may have come since.
        if not tables:
            _remember(connection, published)
        if tables and version < SCHEMA_VERSION:
            log.warning("the database %s is converted to what this version uses; it is served afterwards", path)
            conversion.convert(connection, version)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _remember(connection: sqlite3.Connection, published: Published) -> None:
    """Note what a new catalogue does not have, together with its tables, so that a crash forgets nothing."""
    if pids := [(pid,) for pid in published()]:
        connection.execute("CREATE TABLE lost (pid TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT OR IGNORE INTO lost VALUES (?)", pids)


def _create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing; the caller has begun a transaction."""
    for kind in KINDS:
        _create_table(connection, kind)
        if kind.links:
            links = f"{kind.table}_links"
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {links} (field TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,"
                " PRIMARY KEY (field, value, seq)) WITHOUT ROWID"
            )
            connection.execute(f"CREATE INDEX IF NOT EXISTS {links}_seq ON {links} (seq)")
            connection.execute(
                f"CREATE TRIGGER IF NOT EXISTS {links}_gone AFTER DELETE ON {kind.table}"  # noqa: S608
                f" BEGIN DELETE FROM {links} WHERE seq = OLD.seq; END"
            )
        if KEYS in kind.links:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {kind.table}_keys (digest TEXT PRIMARY KEY, keys TEXT NOT NULL)"
                " WITHOUT ROWID"
            )
        if kind.searched:
            _create_indexes(connection, kind)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _create_table(connection: sqlite3.Connection, kind: Kind) -> None:
    columns = "".join(f', "{column.name}"' for column in kind.columns)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {kind.table} (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        f' "{kind.key}" TEXT NOT NULL UNIQUE{columns}, doc TEXT NOT NULL)'
    )
    for column in kind.columns:
        if column.indexed:
            unique = "UNIQUE " if (kind, column.name) == (INSTRUMENTS, "uniqueName") else ""
            name = f"{kind.table}_{column.name}"
            connection.execute(f'CREATE {unique}INDEX IF NOT EXISTS {name} ON {kind.table} ("{column.name}")')


def _create_indexes(connection: sqlite3.Connection, kind: Kind) -> None:
    kinds = {"names": "trigram", "texts": "unicode61 remove_diacritics 2 tokenchars ''_''"}
    for name, tokenizer in kinds.items():
        table = f"{kind.table}_{name}"
        connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING fts5({name}, tokenize = '{tokenizer}')")
        connection.execute(
            f"CREATE TRIGGER IF NOT EXISTS {table}_gone AFTER DELETE ON {kind.table}"  # noqa: S608
            f" BEGIN DELETE FROM {table} WHERE rowid = OLD.seq; END"
        )


def _moved_aside(path: Path) -> Path:
    target = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for ending in ("", "-wal", "-shm"):
        part = Path(f"{path}{ending}")
        if part.exists():
            part.rename(f"{target}{ending}")
    return target
