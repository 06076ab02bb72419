"""The beamtime directories that were there, and by what each is known again: a part of the journal.

A file system that is not mounted looks like an empty directory. Without this, a start would take that for a new one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.ledger.known import text
from scicat_watch.ledger.storage import Storage

SCHEMA = """
create table if not exists places (
    directory text not null, id text not null, file text not null, device integer not null, inode integer not null,
    mount text not null, primary key (directory, id)
) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A beamtime directory as it was when it was last seen."""

    directory: Path
    id: str
    """Beamtime id."""
    file: str
    """Name of the metadata file; empty for a generated beamtime."""
    device: int
    inode: int
    mount: Path
    """Where its file system was mounted."""


class Places:
    """All of them, of one journal; used by several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def note(self, place: Place) -> None:
        """Remember a directory."""
        numbers = (_signed(place.device), _signed(place.inode))
        row = (text(place.directory), place.id, text(place.file), *numbers, text(place.mount))
        self._storage.execute("insert or replace into places values (?,?,?,?,?,?)", row)

    def all(self) -> list[Place]:
        """Those of which something is remembered."""
        columns = "directory, id, file, device, inode, mount"
        rows = self._storage.all(f"select {columns} from places order by directory, id")  # noqa: S608
        return [
            Place(Path(directory), id_, file, _unsigned(device), _unsigned(inode), Path(mount))
            for directory, id_, file, device, inode, mount in rows
        ]

    def forget(self, directory: Path, beamtime: str) -> None:
        """A beamtime is not in its directory any more."""
        values = (text(os.fspath(directory)), beamtime)
        self._storage.execute("delete from places where directory=? and id=?", values)


def _signed(number: int) -> int:
    """A number of 64 bits as SQLite can hold it: file systems number files up to the last one."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number
