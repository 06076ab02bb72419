"""The journal: attempts, errors, next tries and the daemon's pulse, in SQLite on a local disk.

It is history and convenience: what is done is said by the ingested lists alone. A journal that is
damaged is therefore kept aside and begun anew, and nothing is lost but the memory of failures.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scicat_watch.ledger import known, places, written
from scicat_watch.ledger.known import KnownScans
from scicat_watch.ledger.places import Places
from scicat_watch.ledger.plan import Attempt
from scicat_watch.ledger.storage import Storage
from scicat_watch.ledger.written import WrittenDocuments
from scicat_watch.model import FileState, Outcome, Request, RequestKey
from scicat_watch.progress import BeamtimeState, ChangedScan, Outage, SkippedLine, Stages, WaitingScan, WatchState

log = logging.getLogger(__name__)

BEGUN = "begun"
"""Status of a request whose first ingestion is under way, or was when its process ended."""

_VERSION = 7
_SCHEMA = (
    """
create table if not exists scans (
    directory text not null, line text not null, beamtime text not null, pid text not null,
    status text not null, tries integer not null, reason text not null, next_try real,
    last_try real not null, seconds real not null, signature text not null, notes text not null,
    found integer not null, readers_lost integer not null default 0,
    primary key (directory, line)
) without rowid;
create index if not exists scans_by_status on scans (status);
create table if not exists beamtimes (
    directory text not null, id text not null, state text not null, primary key (directory, id)
) without rowid;
create table if not exists daemon (
    one integer primary key check (one = 1), pid integer not null, host text not null,
    started real not null, pulse real not null, catalogue text not null
);
"""
    + known.SCHEMA
    + written.SCHEMA
    + places.SCHEMA
)
_UPGRADES = {
    2: "alter table scans add column readers_lost integer not null default 0;" + known.SCHEMA,
    3: written.SCHEMA,
    4: known.SCHEMA + places.SCHEMA,
    5: known.SCHEMA,
    6: written.SCHEMA,
}
"""What makes a journal one of the next version, by the version that it has."""
_NOTE = """insert or replace into scans (directory, line, beamtime, pid, status, tries, reason, next_try, last_try,
    seconds, signature, notes, found, readers_lost) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal holds of one request."""

    directory: str
    line: str
    beamtime: str
    pid: str
    status: str
    tries: int
    reason: str
    next_try: float | None
    last_try: float
    seconds: float
    """How long the last try took."""
    notes: tuple[str, ...] = field(kw_only=True)

    @property
    def quarantined(self) -> bool:
        """Whether time alone brings no further try."""
        return self.next_try == math.inf


class Journal:
    """One SQLite file, used by the threads of one process, read by others at the same time."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the journal; None: one in memory, which is forgotten.

        A journal that cannot be opened or written is kept in memory, and says so (`problem`). A damaged one is kept
        aside.
        """
        self.path = path
        self._storage = Storage(path, _opened, renewed=("beamtimes",))
        columns = "directory, line, beamtime, pid, found"
        rows = self._all(f"select {columns} from scans where status in ('begun', 'failed', 'gone')")  # noqa: S608
        self._begun = {(row[0], name) for row in rows if (name := _name(*row[1:])) is not None}
        """Directories with the names of scans under them whose ingestion has begun and not come to a good end."""
        self.known = KnownScans(self._storage)
        """The scans that are published."""
        self.places = Places(self._storage)
        """The beamtime directories that were there."""

    def written(self, catalogue: str) -> WrittenDocuments:
        """What was written to a catalogue; `catalogue`: its address, empty for the embedded one."""
        return WrittenDocuments(self._storage, catalogue)

    @property
    def problem(self) -> str:
        """Why the journal is in memory alone; empty if it is on the disk."""
        return self._storage.problem

    def note(self, outcome: Outcome, attempt: Attempt | None, now: float, state: FileState | None) -> None:
        """Remember how a request ended; `attempt` if it failed; `state`: its master file's. `now`: since 1970."""
        request = outcome.request
        row = (
            *_key(request.key), request.scan.beamtime, _text(request.pid), outcome.status.value,
            attempt.tries if attempt else 0, _text(outcome.reason), attempt.next_try if attempt else None, now,
            outcome.seconds, json.dumps(state or ()), json.dumps(outcome.notes), not request.listed,
            attempt.readers_lost if attempt else 0,
        )  # fmt: skip
        if outcome.done:
            self._begun.discard(_named(request))
        self._storage.execute(_NOTE, row)

    def begin(self, request: Request, now: float) -> None:
        """Remember that a request's ingestion begins, unless there is something better to remember of it."""
        row = (
            *_key(request.key), request.scan.beamtime, _text(request.pid), BEGUN, 0, "", None, now, 0.0, "[]", "[]",
            not request.listed, 0,
        )  # fmt: skip
        self._begun.add(_named(request))
        self._storage.execute(_NOTE.replace("or replace", "or ignore"), row)

    def begun(self, directory: Path, name: str) -> bool:
        """Whether the ingestion of a scan of this name under `directory` is under way, or has failed so far."""
        return bool(self._begun) and (_text(os.fspath(directory)), _text(name)) in self._begun

    def attempt(self, key: RequestKey) -> Attempt | None:
        """The failures of a request since it last succeeded."""
        columns = "tries, next_try, reason, readers_lost"
        row = self._one(f"select {columns} from scans where directory=? and line=?", _key(key))  # noqa: S608
        return Attempt(*row) if row and row[1] is not None else None

    def state(self, key: RequestKey) -> FileState | None:
        """What a scan's master file looked like when it was last read; None if that is not known."""
        row = self._one("select signature from scans where directory=? and line=?", _key(key))
        known = json.loads(row[0]) if row else ()
        return FileState(*known) if len(known) in (4, 5) else None  # Four before version 0.2: without the device.

    def states(self, directory: Path) -> dict[str, str]:
        """The same for all lines under a scan directory of which it is known, as JSON."""
        query = "select line, signature from scans where directory=? and signature not in ('[]', 'null')"
        return dict(self._all(query, (_text(os.fspath(directory)),)))

    def tell_failure(self, key: RequestKey, *, there: bool) -> None:
        """Count a request that failed among the failed ones, or no longer, as its scan is not `there` any more."""
        before, after = ("gone", "failed") if there else ("failed", "gone")
        values = (after, *_key(key), before)
        self._storage.execute("update scans set status=? where directory=? and line=? and status=?", values)

    def failed(self) -> list[Entry]:
        """All requests whose last try failed, the next to be tried first."""
        columns = "directory, line, beamtime, pid, status, tries, reason, next_try, last_try, seconds, notes"
        rows = self._all(f"select {columns} from scans where status='failed' order by next_try")  # noqa: S608
        return [Entry(*row[:10], notes=tuple(json.loads(row[10]))) for row in rows]

    def show(self, state: BeamtimeState) -> None:
        """Leave the state of a beamtime for `status`, in place of the one before."""
        values = (_text(state.directory), _text(state.id), json.dumps(asdict(state)))
        self._storage.execute("insert or replace into beamtimes values (?,?,?)", values)

    def hide(self, directory: str | None = None) -> None:
        """Take back what `show` left of a directory, or of all."""
        if directory is None:
            self._storage.execute("delete from beamtimes")
        else:
            self._storage.execute("delete from beamtimes where directory=?", (_text(directory),))

    def shown(self) -> list[BeamtimeState]:
        """What `show` left, by directory; what cannot be understood is not shown."""
        rows = self._all("select directory, id, state from beamtimes order by directory, id")
        states = (_state({"directory": row[0], "id": row[1], **json.loads(row[2])}) for row in rows)
        return [state for state in states if state is not None]

    def beat(self, started: float, now: float, host: str, catalogue: str) -> None:
        """Say that the daemon of this process lives. A disk that failed and is well again is used again."""
        self._storage.recover()
        values = (os.getpid(), host, started, now, catalogue)
        self._storage.execute("insert or replace into daemon values (1,?,?,?,?,?)", values)

    def pulse(self) -> dict[str, Any] | None:
        """The last `beat`."""
        row = self._one("select pid, host, started, pulse, catalogue from daemon", ())
        return dict(zip(("pid", "host", "started", "pulse", "catalogue"), row, strict=True)) if row else None

    def begun_as(self, key: RequestKey) -> tuple[str, str] | None:
        """Beamtime id and dataset id of a request whose ingestion has begun and not come to a good end; or None."""
        columns = "select beamtime, pid from scans where directory=? and line=? and status in ('begun', 'failed')"
        row = self._one(columns, _key(key))
        return (row[0], row[1]) if row else None

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    def _one(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        return next(iter(self._all(query, values)), None)

    def _all(self, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        return self._storage.all(query, values)


def _opened(path: Path | None) -> sqlite3.Connection:
    """The journal at a path, or a new one in memory; sqlite3.Error or OSError if it cannot be used."""
    if path is None:
        return _connected(None)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # Unpublished metadata is nobody else's.
    try:
        return _connected(path)
    except sqlite3.OperationalError:  # Locked, full, or not writable: no damage.
        raise
    except sqlite3.DatabaseError as error:
        _set_aside(path, error)
        return _connected(path)


def _connected(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", timeout=10, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=normal")
        connection.execute("pragma wal_autocheckpoint=100")  # A small state directory is not filled by the log.
        connection.execute("pragma journal_size_limit=1000000")
        if (said := connection.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(said)
        if (version := connection.execute("pragma user_version").fetchone()[0]) not in (0, *_UPGRADES, _VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}, this program writes version {_VERSION}")
        if version != _VERSION:  # One that is there is read even while the disk is full, or somebody writes.
            connection.executescript(_script(version))
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _script(version: int) -> str:
    """What makes a journal of `version` (0: a new file) one of ours, all of it or nothing."""
    steps = [_UPGRADES[one] for one in range(version, _VERSION)] if version else [_SCHEMA]
    return f"begin immediate; {' '.join(steps)} pragma user_version = {_VERSION}; commit;"


def _key(key: RequestKey) -> tuple[str, str]:
    return _text(os.fspath(key.directory)), key.line


def _named(request: Request) -> tuple[str, str]:
    return _text(os.fspath(request.scan.directory)), _text(request.scan.name)


def _name(line: str, beamtime: str, pid: str, found: bool) -> str | None:
    """The name of a row's scan under the row's directory; None if its dataset is named under another."""
    name = pid.removeprefix(f"{beamtime}/")
    return name if found or line.split(None, 1)[0].partition(":")[0] == name else None


def _state(shown: dict[str, Any]) -> BeamtimeState | None:
    if "made_up" in shown:  # As version 0.1 called it.
        shown["generated"] = shown.pop("made_up")
    try:
        shown["waiting_scans"] = tuple(WaitingScan(**one) for one in shown["waiting_scans"])
        shown["skipped_lines"] = tuple(SkippedLine(**one) for one in shown["skipped_lines"])
        shown["changed_scans"] = tuple(ChangedScan(**one) for one in shown.get("changed_scans", ()))
        shown |= {name: tuple(shown[name]) for name in ("elsewhere", "problems")}
        shown["notes"] = tuple(shown.get("notes", ()))  # Not in states of before version 0.2.
        shown["watch"] = WatchState(**shown["watch"]) if shown.get("watch") else None
        shown["stages"] = Stages(**shown.get("stages", {}))
        shown["outage"] = Outage(**shown["outage"]) if shown.get("outage") else None
        return BeamtimeState(**shown)
    except (KeyError, TypeError):
        return None


def _text(text: str) -> str:
    """Text that SQLite can hold: the bytes of a file name that are no UTF-8 are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _set_aside(path: Path, error: sqlite3.Error) -> None:
    aside = path.with_name(f"{path.name}.broken-{int(time.time())}")
    log.warning("%s: the journal is damaged (%s); it is kept as %s, and a new one is begun", path, error, aside.name)
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
