"""The embedded catalogue's records in one SQLite file.

A record is a JSON document in SciCat's own form, with the columns that queries need beside it. What
`Store.writing` finished is on the disk: the ledger relies on a 201. Writers run one after the other, so what a
transaction read is still true when it writes; readers never wait for them.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from scicat_watch.embedded import database, rows
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.narrowing import narrowed
from scicat_watch.embedded.query import Query, matches, ordered
from scicat_watch.embedded.tables import Document, Kind
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)


class DuplicateError(Exception):
    """There is a record with this id already."""


class Session:
    """Reading and writing on one connection; made by `Store.reading` and `Store.writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def get(self, kind: Kind, key: str) -> Document | None:
        """The record with this id, if there is one."""
        row = self.connection.execute(f'{rows.selected(kind)} WHERE "{kind.key}" = ?', (key,)).fetchone()
        return None if row is None else rows.document(kind, row)

    def insert(self, kind: Kind, document: Document) -> None:
        """Add a record; `DuplicateError` if its id is taken."""
        names = [kind.key, *(column.name for column in kind.columns), "doc"]
        listed = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        try:
            added = self.connection.execute(
                f"INSERT INTO {kind.table} ({listed}) VALUES ({marks})",  # noqa: S608
                (document[kind.key], *rows.row(kind, document)),
            )
        except sqlite3.IntegrityError as error:
            raise DuplicateError(document[kind.key]) from error
        self._link(kind, document, int(added.lastrowid or 0))

    def update(self, kind: Kind, document: Document) -> None:
        """Replace the record that has the id of `document`."""
        names = [*(column.name for column in kind.columns), "doc"]
        assigned = ", ".join(f'"{name}" = ?' for name in names)
        self.connection.execute(
            f'UPDATE {kind.table} SET {assigned} WHERE "{kind.key}" = ?',  # noqa: S608
            (*rows.row(kind, document), document[kind.key]),
        )
        if kind.links:  # All that are found by words have links as well.
            which = f'SELECT seq FROM {kind.table} WHERE "{kind.key}" = ?'  # noqa: S608
            row = self.connection.execute(which, (document[kind.key],)).fetchone()
            if row is not None:
                self.connection.execute(f"DELETE FROM {kind.table}_links WHERE seq = ?", row)  # noqa: S608
                for name in ("names", "texts") if kind.searched else ():
                    self.connection.execute(f"DELETE FROM {kind.table}_{name} WHERE rowid = ?", row)  # noqa: S608
                self._link(kind, document, row[0])

    def _link(self, kind: Kind, document: Document, seq: int) -> None:
        links = rows.links(kind, document, seq)
        if links:
            self.connection.executemany(f"INSERT INTO {kind.table}_links VALUES (?, ?, ?)", links)  # noqa: S608
        for statement, values in rows.indexes(kind, document, seq):
            self.connection.execute(statement, values)

    def delete(self, kind: Kind, key: str) -> None:
        """Remove a record."""
        self.connection.execute(f'DELETE FROM {kind.table} WHERE "{kind.key}" = ?', (key,))  # noqa: S608

    def delete_all(self, kind: Kind, where: Mapping[str, Any]) -> int:
        """Remove all records that fit; how many there were."""
        clause, values, rest = narrowed(kind, where, None)
        if rest:
            raise ValueError(f"not columns or links: {', '.join(rest)}")
        return self.connection.execute(f"DELETE FROM {kind.table} WHERE {clause}", values).rowcount  # noqa: S608

    def find(self, kind: Kind, query: Query, caller: Caller | None = None) -> list[Document]:
        """The records that a query asks for; with a caller, only those that they may read."""
        by_columns = all(name in kind.plain for name, _ in query.order)
        clause, values, rest = narrowed(kind, query.where, caller, walking=_in_order(kind, query))
        order = [f'"{name}" {"DESC" if descending else "ASC"}' for name, descending in query.order if by_columns]
        order.append(f"seq {'DESC' if order and query.order[0][1] else 'ASC'}")
        ordering = f"ORDER BY {', '.join(order)}"
        if by_columns and not rest:
            # Documents are long: only those of the page are read, even if it is the last of many.
            chosen = f"SELECT seq FROM {kind.table} WHERE {clause} {ordering} LIMIT ? OFFSET ?"  # noqa: S608
            sql = f"{rows.selected(kind)} WHERE seq IN ({chosen}) {ordering}"
            page = self.connection.execute(sql, (*values, query.limit, query.skip))
            return [rows.document(kind, row) for row in page]
        sql = f"{rows.selected(kind)} WHERE {clause} {ordering}"
        found: list[Document] = []
        with closing(self.connection.execute(sql, values)) as all_of_them:
            for row in all_of_them:
                document = rows.document(kind, row)
                if matches(rest, document):
                    found.append(document)
                    if by_columns and len(found) == query.skip + query.limit:
                        break
        return (found if by_columns else ordered(found, query.order))[query.skip : query.skip + query.limit]

    def count(self, kind: Kind, where: Mapping[str, Any], caller: Caller | None = None) -> int:
        """How many records `find` would find without a limit."""
        clause, values, rest = narrowed(kind, where, caller, walking=kind.searched)
        if not rest:
            row = self.connection.execute(f"SELECT count(*) FROM {kind.table} WHERE {clause}", values).fetchone()  # noqa: S608
            return int(row[0])
        fitting = self.connection.execute(f"{rows.selected(kind)} WHERE {clause}", values)
        return sum(matches(rest, rows.document(kind, row)) for row in fitting)

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


def _in_order(kind: Kind, query: Query) -> bool:
    """Whether there is an index that has the records in the order that is asked for."""
    name = query.order[0][0] if query.order else ""
    return len(query.order) == 1 and any(column.name == name and column.indexed for column in kind.columns)


class Store:
    """The catalogue's database; may be used by many threads."""

    def __init__(self, path: Path, published: database.Published = tuple) -> None:
        """Open or make the database `path`; a damaged one is moved aside and a new one made.

        `published`: what a new one does not have, see `database.lost`.

        Raises `ConfigError` if the file cannot be used at all, or is not a catalogue of ours.
        """
        self.path = path
        self._turn = threading.Lock()
        self._writes = 0
        self._unwritable = False
        """Whether the last write failed because of the disk, and none has succeeded since."""
        self._gone = False
        """Whether the file was removed or replaced."""
        self._start = secrets.token_hex(4)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            # Two processes that start at once must not both move the file: the second would move a good one.
            with FileLock(f"{path}.lock", mode=0o600):
                self._writer, self.moved_to = database.opened(path, published)
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
            connection = database.connected(self.path)
        try:
            yield Session(connection)
        finally:
            self._readers.put(connection)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are on the disk when the block ends, or undone if it raises. One writer at a time."""
        with self._turn:
            self.still_there()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield Session(self._writer)
                self._writer.execute("COMMIT")
                self._writes += 1
            except BaseException as error:
                self._unwritable |= isinstance(error, (sqlite3.OperationalError, OSError))
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._unwritable = False

    def examine(self) -> None:
        """Make sure that the database can be read, and, if writing failed the last time, that there is room again.

        sqlite3.OperationalError or OSError if not.
        """
        with self.reading() as session:
            session.connection.execute("SELECT 1 FROM datasets LIMIT 1").fetchone()
        if self._unwritable:
            database.check_room(self.path.parent)
            with self.writing() as session:
                version = session.connection.execute("PRAGMA user_version").fetchone()[0]
                session.connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close all connections; SQLite merges the write-ahead log into the file."""
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with self._turn:
            self._writer.close()

    def still_there(self) -> None:
        """Refuse to write into a file that was removed or replaced: the data would be lost without notice.

        Raises `database.GoneError`; the process ends then, to be started anew, and says so once.
        """
        try:
            found = self.path.stat()
        except OSError:
            found = None
        if found is not None and (found.st_dev, found.st_ino) == self._identity:
            return
        what = "removed" if found is None else "replaced"
        if not self._gone:
            self._gone = True
            log.critical("the database %s was %s while in use: the catalogue ends, to start anew", self.path, what)
            os.kill(os.getpid(), signal.SIGTERM)
        raise database.GoneError(f"the catalogue's database was {what} while in use; it starts anew")
