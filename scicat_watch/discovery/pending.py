"""Requests whose scans are not complete yet: checked again for as long as their files change."""

from __future__ import annotations

import bisect
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import superblock
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.settle import Settling
from scicat_watch.discovery.superblock import Examined
from scicat_watch.files import inside
from scicat_watch.model import FileState, Request, RequestKey, Scan, stem_of

_SHORTEST = 0.05
_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A request whose scan is complete, as far as can be said without reading it."""

    request: Request
    state: FileState | None = None
    """Of its master file; None without one."""
    comment: str = ""
    """What the dataset should say about the state of its file; empty if all is well."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose scan is not complete, and why."""

    request: Request
    reason: str
    stuck: bool
    """Whether it has been quiet, so that time alone will not complete it."""
    put_off: bool = False
    """Whether it was handed out before and is only to come again later, as a failed one is."""


@dataclass(frozen=True, slots=True)
class _Held:
    reason: str
    until: float = 0.0
    """When to check again."""
    stuck: bool = False


@dataclass(slots=True)
class _Entry:
    request: Request
    since: float
    """Monotonic time since which the list has held this line."""
    due: float
    held: _Held = _Held("was just found")
    put_off: bool = False

    @property
    def base(self) -> Path:
        """Where the data file begins, or the scan's folder is."""
        return self.request.scan.directory / self.request.scan.stem


class Pending:
    """The requests of one beamtime that wait for their scans to be complete, in the order in which they came."""

    def __init__(
        self, rules: WatchRules, roots: tuple[Path, ...], list_name: str = "", *, patient: bool = True
    ) -> None:
        """`roots`: where data files may be. Not `patient`: file times older than the delay are believed at once.

        `list_name`: name of the dataset lists. That a listed scan has no data file is believed only where its list
        is there: a file system that is unreachable looks like an empty directory.
        """
        self._rules, self._roots, self._patient = rules, roots, patient
        self._list_name = list_name
        self._entries: dict[RequestKey, _Entry] = {}
        self._by_base: dict[Path, set[RequestKey]] = {}
        self._settling: Settling[RequestKey] = Settling(rules.ingestion_delay)
        self._moment = (math.nan, 0.0)
        """The last monotonic time with its time of day."""
        self._names: dict[Path, list[str]] = {}
        """Names in directories, sorted; only as long as one rescan lasts."""

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def has_found(self, place: Path) -> bool:
        """Whether the file that begins at `place` is pending as one that no list names, under whatever name."""
        return any(not self._entries[key].request.listed for key in self._by_base.get(place, ()))

    def admit(self, request: Request, now: float, changed_at: float | None = None, *, due: float | None = None) -> None:
        """Take a request in. `changed_at`: wall-clock time of the last change of the list that names it."""
        since = now - self._age(changed_at, now)
        entry = _Entry(request, since, now if due is None else due, put_off=due is not None)
        self._entries[request.key] = entry
        self._by_base.setdefault(entry.base, set()).add(request.key)

    def keep_listed(self, directory: Path, lines: set[str], claimed: Callable[[Request], bool]) -> None:
        """Drop what the list of `directory` says no longer: lines that grew since, found files that it names now."""
        for key, entry in list(self._entries.items()):
            if key.directory == directory and key.line not in lines if entry.request.listed else claimed(entry.request):
                self._drop(key)

    def hurry(self, file: Path, now: float) -> None:
        """An event says that `file` was closed: check its scan now."""
        for base in (stem_of(file), file.parent):
            for key in self._by_base.get(base, ()):
                entry = self._entries[key]
                entry.due = min(entry.due, now)

    def hasten(self, request: Request, now: float) -> None:
        """A request that is pending is to be checked now, whatever it was put off for."""
        if (entry := self._entries.get(request.key)) is not None:
            entry.due = min(entry.due, now)

    def next_due(self) -> float | None:
        """Monotonic time at which the next request is to be checked."""
        return min((entry.due for entry in self._entries.values()), default=None)

    def take_ready(self, now: float) -> Iterator[Ready]:
        """The requests that are due and complete; they are pending no longer."""
        self._names.clear()
        for key, entry in [(key, entry) for key, entry in self._entries.items() if entry.due <= now]:
            try:
                result = self._check(key, entry, now)
            except OSError as error:  # One scan that cannot be checked must not hold up the others.
                result = _Held(f"cannot be checked: {error.strerror}", now + _LONGEST, stuck=True)
            match result:
                case Ready() as ready:
                    self._drop(key)
                    yield ready
                case _Held() as held:
                    entry.held, entry.put_off = held, False
                    entry.due = held.until
                case None:
                    self._drop(key)  # A found file that is gone: if it comes back it is found again.

    def waiting(self) -> Iterator[Waiting]:
        """Those that are not complete."""
        for entry in self._entries.values():
            yield Waiting(entry.request, entry.held.reason, entry.held.stuck, entry.put_off)

    def _check(self, key: RequestKey, entry: _Entry, now: float) -> Ready | _Held | None:
        request, scan = entry.request, entry.request.scan
        if not _is_text(scan.name):
            return _Held("its name is not UTF-8 text; rename it", now + _LONGEST, stuck=True)
        master = find_master(scan, self._rules.master_extensions) if request.listed else scan.master
        if master is not None:
            return self._check_file(key, entry, master, now)
        if not (key.directory / self._list_name).exists():
            return _Held("its directory or list is not there", now + self._later(0.0), stuck=True)
        return self._check_folder(entry, now)

    def _check_file(self, key: RequestKey, entry: _Entry, master: Path, now: float) -> Ready | _Held | None:
        listed, place = entry.request.listed, entry.request.scan.place
        try:
            examined = superblock.examine(master)
            folder = FileState.of(place.stat()) if not listed and place.is_dir() else None
        except FileNotFoundError:
            return _Held(f"{master.name} vanished", now + self._later(0.0)) if listed else None
        except OSError as error:
            return _Held(f"{master.name} cannot be examined: {error.strerror}", now + _LONGEST, stuck=True)
        if not inside(master, self._roots):
            return _Held(f"{master.name} is a link that leads out of the beamtime", now + _LONGEST, stuck=True)
        if not self._settling.check(key, (examined.state, folder), now, self._age(examined.state.changed / 1e9, now)):
            return _Held(examined.obstacle or f"{master.name} was just changing", self._settling.ready_at(key))
        if examined.obstacle:
            return self._obstructed(entry.request, master, examined, now)
        named_at = entry.since + self._rules.ingestion_delay
        if listed and now < named_at:
            return _Held("was named only just now", named_at)
        return Ready(entry.request.described_by(master), examined.state)

    def _check_folder(self, entry: _Entry, now: float) -> Ready | _Held:
        """A listed scan without a data file: it has detector files, or files that are to come, or none."""
        named_at, waited = entry.since + self._rules.ingestion_delay, now - entry.since
        if now < named_at:
            return _Held("was named only just now", named_at)
        if self._has_files(entry.request.scan):
            return Ready(entry.request)
        if waited < self._rules.without_files_after:
            return _Held("no file or folder of its name is there", now + self._later(waited), stuck=True)
        return Ready(entry.request, comment="No files of this scan were found.")

    def _has_files(self, scan: Scan) -> bool:
        for stem in (scan.stem, *scan.extras):
            beginning = scan.directory / stem
            if beginning.parent not in self._names:
                try:
                    self._names[beginning.parent] = sorted(os.listdir(beginning.parent))  # noqa: PTH208 - fast
                except OSError:
                    self._names[beginning.parent] = []
            names = self._names[beginning.parent]
            if beginning.name == _from(names, beginning.name):
                return True
            if any(_from(names, goes_on := beginning.name + after).startswith(goes_on) for after in "._"):
                return True
        return False

    def _obstructed(self, request: Request, master: Path, examined: Examined, now: float) -> Ready | _Held:
        quiet = self._settling.quiet_for(request.key, now)
        if examined.writing and quiet >= self._rules.abandoned_after and self._rules.abandoned == "ingest":
            comment = f"{master.name} was left open by its writer; it may be incomplete."
            return Ready(request.described_by(master), examined.state, comment)
        return _Held(f"{master.name} {examined.obstacle}", now + self._later(quiet), stuck=True)

    def _later(self, quiet: float) -> float:
        """How long to leave a file alone that has been `quiet` for so many seconds."""
        return max(_SHORTEST, self._rules.ingestion_delay, min(quiet / 2, _LONGEST))

    def _age(self, changed_at: float | None, now: float) -> float:
        """How old a change is at the monotonic time `now`.

        The one comparison with the time of day: who names a file by hand has seen it, and does not want to wait.
        """
        if self._patient or changed_at is None:
            return 0.0
        if self._moment[0] != now:  # In one rescan all is of one time: the lines of a list come due together, in order.
            self._moment = (now, time.time())
        return max(0.0, self._moment[1] - changed_at)

    def _drop(self, key: RequestKey) -> None:
        entry = self._entries.pop(key, None)
        self._settling.forget(key)
        if entry is None:
            return
        self._by_base[entry.base].discard(key)
        if not self._by_base[entry.base]:
            del self._by_base[entry.base]


def find_master(scan: Scan, extensions: tuple[str, ...]) -> Path | None:
    """The file that describes a listed scan: beside its folder, or else in it; None if there is none."""
    beside = scan.directory / scan.stem
    for base in (beside, beside / beside.name) if beside.is_dir() else (beside,):
        for extension in extensions:
            if (path := base.with_name(f"{base.name}.{extension}")).is_file():
                return path
    return None


def _from(names: list[str], name: str) -> str:
    """The first of the sorted `names` that is not before `name`; empty if there is none."""
    nearest = bisect.bisect_left(names, name)
    return names[nearest] if nearest < len(names) else ""


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
