"""The embedded catalogue's records in one SQLite file.

A record is a JSON document in SciCat's own form, with the columns that queries need beside it. What
`Store.writing` finished is on the disk: the ledger relies on a 201. Writers run one after the other, so what a
transaction read is still true when it writes; readers never wait for them.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import secrets
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.query import Query, matches, ordered
from scicat_watch.embedded.tables import INSTRUMENTS, KINDS, Document, Kind
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x53435774
"""Marks an SQLite file as one of ours ("SCWt")."""


class UnstorableError(Exception):
    """A document that cannot be written as JSON, such as one with the number 1e400."""


class DuplicateError(Exception):
    """There is a record with this id already."""


class Session:
    """Reading and writing on one connection; made by `Store.reading` and `Store.writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def get(self, kind: Kind, key: str) -> Document | None:
        """The record with this id, if there is one."""
        row = self.connection.execute(f'{_selected(kind)} WHERE "{kind.key}" = ?', (key,)).fetchone()
        return None if row is None else _document(kind, row)

    def insert(self, kind: Kind, document: Document) -> None:
        """Add a record; `DuplicateError` if its id is taken."""
        names = [kind.key, *(column.name for column in kind.columns), "doc"]
        listed = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        try:
            self.connection.execute(
                f"INSERT INTO {kind.table} ({listed}) VALUES ({marks})",  # noqa: S608
                (document[kind.key], *_row(kind, document)),
            )
        except sqlite3.IntegrityError as error:
            raise DuplicateError(document[kind.key]) from error

    def update(self, kind: Kind, document: Document) -> None:
        """Replace the record that has the id of `document`."""
        names = [*(column.name for column in kind.columns), "doc"]
        assigned = ", ".join(f'"{name}" = ?' for name in names)
        self.connection.execute(
            f'UPDATE {kind.table} SET {assigned} WHERE "{kind.key}" = ?',  # noqa: S608
            (*_row(kind, document), document[kind.key]),
        )

    def delete(self, kind: Kind, key: str) -> None:
        """Remove a record."""
        self.connection.execute(f'DELETE FROM {kind.table} WHERE "{kind.key}" = ?', (key,))  # noqa: S608

    def delete_where(self, kind: Kind, column: str, value: str) -> int:
        """Remove all records whose column has this value; how many there were."""
        found = self.connection.execute(f'DELETE FROM {kind.table} WHERE "{column}" = ?', (value,))  # noqa: S608
        return found.rowcount

    def find(self, kind: Kind, query: Query, caller: Caller | None = None) -> list[Document]:
        """The records that a query asks for; with a caller, only those that they may read."""
        clause, values, rest = _narrowed(kind, query.where, caller)
        by_columns = all(name in kind.plain for name, _ in query.order)
        order = [f'"{name}" {"DESC" if descending else "ASC"}' for name, descending in query.order if by_columns]
        order.append(f"seq {'DESC' if order and query.order[0][1] else 'ASC'}")
        sql = f"{_selected(kind)} WHERE {clause} ORDER BY {', '.join(order)}"
        if by_columns and not rest:
            # The database stops where the page ends, so even the last of many pages parses few documents.
            rows = self.connection.execute(f"{sql} LIMIT ? OFFSET ?", (*values, query.limit, query.skip))
            return [_document(kind, row) for row in rows]
        found: list[Document] = []
        with closing(self.connection.execute(sql, values)) as rows:
            for row in rows:
                document = _document(kind, row)
                if matches(rest, document):
                    found.append(document)
                    if by_columns and len(found) == query.skip + query.limit:
                        break
        return (found if by_columns else ordered(found, query.order))[query.skip : query.skip + query.limit]

    def count(self, kind: Kind, where: Mapping[str, Any], caller: Caller | None = None) -> int:
        """How many records `find` would find without a limit."""
        clause, values, rest = _narrowed(kind, where, caller)
        if not rest:
            row = self.connection.execute(f"SELECT count(*) FROM {kind.table} WHERE {clause}", values).fetchone()  # noqa: S608
            return int(row[0])
        rows = self.connection.execute(f"{_selected(kind)} WHERE {clause}", values)
        return sum(matches(rest, _document(kind, row)) for row in rows)

    def add_totals(self, pid: str, size: int, files: int, stamp: tuple[str, str]) -> None:
        """Add a block's size in bytes and number of files to those of its dataset; `stamp` is when and by whom."""
        self.connection.execute(
            'UPDATE datasets SET size = size + ?, "numberOfFiles" = "numberOfFiles" + ?, "updatedAt" = ?,'
            ' "updatedBy" = ? WHERE pid = ?',
            (size, files, *stamp, pid),
        )

    def sum_totals(self, pid: str, stamp: tuple[str, str]) -> None:
        """Make a dataset's size and number of files the sums over all its blocks."""
        self.connection.execute(
            'UPDATE datasets SET (size, "numberOfFiles") = (SELECT coalesce(sum(size), 0), coalesce(sum(files), 0)'
            ' FROM origdatablocks WHERE "datasetId" = ?), "updatedAt" = ?, "updatedBy" = ? WHERE pid = ?',
            (pid, *stamp, pid),
        )


class Store:
    """The catalogue's database; may be used by many threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the database `path`; a damaged one is moved aside and a new one made.

        Raises `ConfigError` if the file cannot be used at all, or is not a catalogue of ours.
        """
        self.path = path
        self.moved_to: Path | None = None
        """Where a damaged database was moved; None if it was sound."""
        self._turn = threading.Lock()
        self._writes = 0
        self._start = secrets.token_hex(4)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            # Two processes that start at once must not both move the file: the second would move a good one.
            with FileLock(f"{path}.lock", mode=0o600):
                self._writer = self._opened()
                status = self.path.stat()
                self._identity = (status.st_dev, status.st_ino)
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigError(f"the catalogue's database cannot be opened: {error}", path) from error

    @property
    def version(self) -> str:
        """A text that changes with every write, and with every start of the catalogue."""
        return f"{self._start}-{self._writes}"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees what was committed when each of its statements began."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = _connected(self.path)
        try:
            yield Session(connection)
        finally:
            self._readers.put(connection)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are on the disk when the block ends, or undone if it raises. One writer at a time."""
        with self._turn:
            self._still_there()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Session(self._writer)
                self._writer.execute("COMMIT")
                self._writes += 1
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close all connections; SQLite merges the write-ahead log into the file."""
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with self._turn:
            self._writer.close()

    def _still_there(self) -> None:
        """Refuse to write into a file that was removed or replaced: the data would be lost without notice."""
        try:
            found = self.path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._identity:
            log.critical("the database %s was removed or replaced while in use; ending, to start anew", self.path)
            os.kill(os.getpid(), signal.SIGTERM)
            raise sqlite3.OperationalError("the database was removed or replaced while in use")

    def _opened(self) -> sqlite3.Connection:
        try:
            return _checked(self.path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self.moved_to = _moved_aside(self.path)
            log.error("the database %s is damaged (%s): kept as %s, starting anew", self.path, error, self.moved_to)
            return _checked(self.path)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(path: Path) -> sqlite3.Connection:
    """A connection to a sound database with our tables; `sqlite3.DatabaseError` if it is damaged.

    The check reads the whole file once: seconds for a catalogue of some gigabytes.
    """
    connection = _connected(path)
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
        if not tables:
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for kind in KINDS:
        columns = "".join(f', "{column.name}"' for column in kind.columns)
        connection.execute(
            f'CREATE TABLE {kind.table} (seq INTEGER PRIMARY KEY AUTOINCREMENT, "{kind.key}" TEXT NOT NULL UNIQUE'
            f"{columns}, doc TEXT NOT NULL)"
        )
        for column in kind.columns:
            if column.indexed:
                unique = "UNIQUE " if (kind, column.name) == (INSTRUMENTS, "uniqueName") else ""
                connection.execute(f'CREATE {unique}INDEX {kind.table}_{column.name} ON {kind.table} ("{column.name}")')
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _moved_aside(path: Path) -> Path:
    target = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for ending in ("", "-wal", "-shm"):
        part = Path(f"{path}{ending}")
        if part.exists():
            part.rename(f"{target}{ending}")
    return target


def _selected(kind: Kind) -> str:
    live = "".join(f', "{name}"' for name in kind.live)
    return f"SELECT doc{live} FROM {kind.table}"  # noqa: S608 - names of our own


def _document(kind: Kind, row: Sequence[Any]) -> Document:
    document: Document = json.loads(row[0])
    document.update(zip(kind.live, row[1:], strict=True))
    return document


def _row(kind: Kind, document: Document) -> list[Any]:
    stored = {name: value for name, value in document.items() if name not in kind.live}
    values = [column.value(document) for column in kind.columns]
    try:
        return [*values, json.dumps(stored, ensure_ascii=False, allow_nan=False, separators=(",", ":"))]
    except ValueError as error:
        raise UnstorableError(f"a number of the document is too large: {error}") from error


_OPERATORS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_IN = "IN (SELECT value FROM json_each(?))"
_READABLE = f"EXISTS (SELECT 1 FROM json_each(readers) WHERE value {_IN})"  # noqa: S608 - texts of our own


def _narrowed(kind: Kind, where: Mapping[str, Any], caller: Caller | None) -> tuple[str, list[Any], dict[str, Any]]:
    """The part of `where` that columns can answer as SQL with its values, and the part that is left."""
    clauses, values = ["1"], []
    rest: dict[str, Any] = {}
    for name, condition in _flat(where):
        found = _clause(name, condition) if name in kind.plain else None
        if found is not None:
            clauses.append(found[0])
            values.append(found[1])
        elif name in rest:
            rest.setdefault("$and", []).append({name: condition})
        else:
            rest[name] = condition
    if caller is not None and not caller.admin:
        names = [f"group:{group}" for group in caller.groups] + [f"mail:{caller.email}"] * bool(caller.email)
        clauses.append(f'("isPublished" OR "ownerGroup" {_IN} OR {_READABLE})')
        values += [json.dumps(sorted(caller.groups)), json.dumps(names)]
    return " AND ".join(clauses), values, rest


def _flat(where: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, condition in where.items():
        if name == "$and":
            for part in condition:
                yield from _flat(part)
        else:
            yield name, condition


def _clause(name: str, condition: Any) -> tuple[str, Any] | None:
    """One comparison as SQL; None where SQLite and MongoDB differ."""
    if isinstance(condition, str):
        return f'"{name}" = ?', condition
    if not isinstance(condition, dict) or len(condition) != 1:
        return None
    ((operator, operand),) = condition.items()
    if operator == "$in" and all(isinstance(value, str) for value in operand):
        return f'"{name}" {_IN}', json.dumps(operand)
    if operator in _OPERATORS and isinstance(operand, str):
        # In SQLite every text is greater than every number; in MongoDB they do not compare.
        return f'(typeof("{name}") = \'text\' AND "{name}" {_OPERATORS[operator]} ?)', operand
    return None
