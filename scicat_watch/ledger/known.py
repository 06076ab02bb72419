"""The scans that are published, with what their files looked like then: a part of the journal.

It is what later changes are compared with, and by what a renamed file is known again. Losing it loses that only: a
scan that is done and not known here is taken as it is from then on.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scicat_watch.ledger.storage import Storage
from scicat_watch.scanstate import FilesState, ScanState

SCHEMA = """
create table if not exists known (
    place text primary key, beamtime text not null, pid text not null, entry text not null, folder text not null,
    identity text not null, state text not null, moved_to text not null
) without rowid;
create index if not exists known_by_identity on known (identity);
create index if not exists known_by_pid on known (pid);
create table if not exists orphans (
    pid text not null, beamtime text not null, primary key (pid, beamtime)
) without rowid;
create table if not exists known_files (place text primary key, names blob not null) without rowid;
"""
_COLUMNS = "place, beamtime, pid, entry, folder, state, moved_to, identity"


@dataclass(frozen=True, slots=True)
class KnownScan:
    """A scan that is published."""

    place: str
    """Path that its files began with when it was published."""
    beamtime: str
    pid: str
    """Id of its dataset."""
    entry: str
    """The NXentry that it is; empty for all of a file."""
    source_folder: str
    """The dataset's; empty if it is not known."""
    state: ScanState
    """Its files when it was published, or found to be done."""
    moved_to: str = ""
    """Where its files are now, if they were renamed since: what is at `place` now is another scan."""
    identity: str = ""
    """What its files kept when they were renamed after they were last seen; empty if not known.

    That may be later than `state`: of a scan that was changed, and left so.
    """

    @property
    def seen(self) -> tuple[int, int, int] | None:
        """Inode, size and time of the master file when it was last seen; None if that is not known."""
        words = self.identity.split(":")
        if len(words) == 4:
            return int(words[0]), int(words[1]), int(words[2])
        file = self.state.file
        return None if file is None else (file.inode, file.size, file.modified)


class KnownScans:
    """All of them, of one journal; used by several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._moved = {row[0] for row in storage.all("select place from known where moved_to != ''")}

    def at(self, place: Path | str) -> KnownScan | None:
        """The scan whose files begin with a path, or began so before they moved."""
        return next(self._where("place", text(place)), None)

    def like(self, identity: str) -> Iterator[KnownScan]:
        """The scans whose master file was this one, wherever it is now."""
        return self._where("identity", identity) if identity else iter(())

    def named(self, pid: str) -> Iterator[KnownScan]:
        """The scans that have the dataset of this id."""
        return self._where("pid", text(pid))

    def left(self, place: Path) -> bool:
        """Whether the scan that was at a path has moved, so that what is there now is another one."""
        return bool(self._moved) and text(place) in self._moved

    def left_in(self, directory: Path) -> frozenset[str]:
        """The names under a directory of the scans that have moved from there."""
        start = f"{text(directory)}/"
        return frozenset(place.removeprefix(start) for place in self._moved.copy() if place.startswith(start))

    def names(self, place: Path | str) -> Mapping[str, str] | None:
        """The names of a scan's files when it was published, as in `ScanState`; None if they are not known."""
        for row in self._storage.all("select names from known_files where place=?", (text(place),)):
            with contextlib.suppress(ValueError, zlib.error):
                found: dict[str, str] = json.loads(zlib.decompress(row[0]))
                return found
        return None

    def note(self, known: KnownScan) -> None:
        """Remember a scan as it is now; the names of its files stay as they were noted, if it has none."""
        known = replace(known, place=text(known.place))
        self._note([known])
        if known.state.names is not None:
            names = zlib.compress(json.dumps(known.state.names).encode(), 1)
            self._storage.execute("insert or replace into known_files values (?,?)", (known.place, names))

    def move(self, moved: Iterable[tuple[KnownScan, Path, Path | None]]) -> None:
        """Remember at which other places files of scans are now, with their master files, before the datasets say so.

        They count as changed until these do. What comes to the places that they left is another scan from now on.
        All is remembered or nothing: they may have changed places with each other.
        """
        rows: dict[str, KnownScan] = {}
        scans = list(moved)
        for known, place, _ in scans:
            rows[known.place] = replace(known, moved_to=os.fspath(place))
        for known, place, master in scans:
            state = replace(known.state, master=master, files=FilesState(), names=None)
            rows[text(place)] = replace(known, place=text(place), state=state)
        self._note(list(rows.values()))
        for _, place, _ in scans:
            self._storage.execute("delete from known_files where place=?", (text(place),))

    def is_orphan(self, pid: str, beamtimes: Iterable[str]) -> bool:
        """Whether a dataset was that of a scan whose place another one has taken: it is nobody else's."""
        rows = self._storage.all("select beamtime from orphans where pid=?", (text(pid),))
        return any(row[0] in beamtimes for row in rows)

    def _note(self, scans: list[KnownScan]) -> None:
        for known in scans:
            before = self.at(known.place)
            if before is not None and before.pid != text(known.pid):
                values = (text(before.pid), before.beamtime)
                self._storage.execute("insert or ignore into orphans values (?,?)", values)
            (self._moved.add if known.moved_to else self._moved.discard)(known.place)
        rows = json.dumps([_row(known) for known in scans])
        columns = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(8))
        # One statement, so that a crash leaves all or nothing.
        statement = f"insert or replace into known select {columns} from json_each(?) where true"  # noqa: S608
        self._storage.execute(statement, (rows,))

    def _where(self, column: str, value: str) -> Iterator[KnownScan]:
        for row in self._storage.all(f"select {_COLUMNS} from known where {column}=?", (value,)):  # noqa: S608
            try:
                place, beamtime, pid, entry, folder, state, moved_to, identity = row
                yield KnownScan(place, beamtime, pid, entry, folder, ScanState.from_json(state), moved_to, identity)
            except ValueError:
                continue  # Written by another version; the scan is taken as it is now.


def _row(known: KnownScan) -> tuple[str, ...]:
    identity = known.identity or known.state.identity
    texts = known.place, known.beamtime, text(known.pid), known.entry, text(known.source_folder), identity
    return *texts, known.state.as_json(), text(known.moved_to)


def text(path: Path | str) -> str:
    """A path as the journal holds it: with the bytes that are no UTF-8 as escapes."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()
