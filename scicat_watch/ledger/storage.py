"""A SQLite file that may fail: what it holds goes on in memory, and back to the disk when that is well again.

For what is convenience and history, and must hold nothing up: a full, read-only or failing disk costs a warning.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from scicat_watch.words import why

log = logging.getLogger(__name__)

Values = tuple[Any, ...]


class Storage:
    """One database, used by the threads of one process."""

    def __init__(
        self, path: Path | None, opened: Callable[[Path | None], sqlite3.Connection], renewed: tuple[str, ...] = ()
    ) -> None:
        """`path`: None for one in memory, which is forgotten.

        `opened` opens or makes the database at a path, or one in memory; sqlite3.Error or OSError if it cannot.
        `renewed`: tables of which the disk keeps nothing when it takes up what was in memory.
        """
        self.path = path
        self.problem = ""
        """Why it is in memory; empty while it is on the disk."""
        self._open, self._renewed = opened, renewed
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._connection = opened(path)
            self._file = _identity(path)
        except (sqlite3.Error, OSError) as error:
            self._to_memory(error, None)

    def execute(self, statement: str, values: Values = ()) -> None:
        """Write. What cannot be written to the disk is written to memory."""
        with self._lock, self._guarded(statement) as run:
            run(values).close()

    def all(self, query: str, values: Values = ()) -> list[Values]:
        """All rows of a query."""
        with self._lock, self._guarded(query) as run, closing(run(values)) as rows:
            found: list[Values] = rows.fetchall()
            return found
        return []

    def recover(self) -> None:
        """Take the disk into use again if it can be: to be called now and then."""
        with self._lock:
            if self._closed or self.path is None:
                return
            if not self.problem and _identity(self.path) != self._file:
                self._to_memory(FileNotFoundError("it was removed"), self._connection)
            if self.problem:
                self._to_disk()

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._closed = True
            self._connection.close()

    @contextmanager
    def _guarded(self, statement: str) -> Iterator[Callable[[Values], sqlite3.Cursor]]:
        """Something that runs the statement: on the disk, or else in memory."""

        def run(values: Values) -> sqlite3.Cursor:
            try:
                return self._connection.execute(statement, values)
            except sqlite3.Error as error:
                if self._closed or self.problem or self.path is None:
                    raise
                self._to_memory(error, self._connection)
                return self._connection.execute(statement, values)

        try:
            yield run
        except sqlite3.Error as error:
            # Neither is worth stopping for: the program is ending, or there is no memory either.
            log.warning("%s: cannot be used: %s", self.path, error)

    def _to_memory(self, error: Exception, disk: sqlite3.Connection | None) -> None:
        self.problem = (
            f"{self.path}: cannot be used ({why(error)}); until it can be, what it would hold is kept in memory only"
        )
        log.warning("%s", self.problem)
        memory = self._open(None)
        try:
            if disk is not None:
                disk.backup(memory)
        except sqlite3.Error as unreadable:
            log.warning("%s: what it holds cannot be read either: %s", self.path, unreadable)
            memory.close()
            memory = self._open(None)
        if disk is not None:
            disk.close()
        self._connection, self._file = memory, None

    def _to_disk(self) -> None:
        try:
            disk = self._open(self.path)
        except (sqlite3.Error, OSError):
            return
        try:
            disk.execute("begin immediate")
            for table in _tables(self._connection):
                _copy(self._connection, disk, table, renewed=table in self._renewed)
            disk.execute("commit")
        except sqlite3.Error:
            disk.close()
            return
        self._connection.close()
        self._connection, self._file, self.problem = disk, _identity(self.path), ""
        log.info("%s: can be used again; what was kept in memory is stored", self.path)


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("select name from sqlite_master where type='table' and name not like 'sqlite_%'")
    return [row[0] for row in rows]


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, *, renewed: bool) -> None:
    if renewed:
        target.execute(f"delete from {table}")  # noqa: S608 - a name of our own schema
    rows = source.execute(f"select * from {table}")  # noqa: S608
    columns = [one[0] for one in rows.description]
    marks = ",".join("?" * len(columns))
    target.executemany(f"insert or replace into {table} ({','.join(columns)}) values ({marks})", rows)  # noqa: S608


def _identity(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino
