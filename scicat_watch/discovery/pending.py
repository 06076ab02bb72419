"""Scans that were found and are not yet complete: looked at again for as long as they change."""

from __future__ import annotations

import bisect
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import superblock
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.settle import Settling
from scicat_watch.discovery.superblock import FileLook, Signature
from scicat_watch.files import inside
from scicat_watch.model import Scan

ScanKey = tuple[Path, str]
"""A request for a dataset: scan directory and line. Two lines may ask for the same scan."""

_SHORTEST = 0.05
_LONGEST = 60.0


def key_of(scan: Scan) -> ScanKey:
    """What tells two requests apart."""
    return scan.directory, scan.line


@dataclass(frozen=True, slots=True)
class Ready:
    """A scan that is complete, as far as can be told without reading it."""

    scan: Scan
    signature: Signature = ()
    """Of its master file, () without one."""
    comment: str = ""
    """What the dataset should say about the state of its file; empty if all is well."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A scan that is not complete, and why."""

    scan: Scan
    reason: str
    stuck: bool
    """Whether it has been quiet, so that time alone will not complete it."""
    put_off: bool = False
    """Whether it was handed out before and is only to come again later, as a failed one is."""


@dataclass(frozen=True, slots=True)
class _Held:
    reason: str
    until: float = 0.0
    """When to look again."""
    stuck: bool = False


@dataclass(slots=True)
class _Entry:
    scan: Scan
    since: float
    """Monotonic time since which the list has held this line."""
    due: float
    held: _Held = _Held("was just found")
    put_off: bool = False


class Pending:
    """The scans of one beamtime that wait to be complete, in the order in which they came."""

    def __init__(
        self, rules: WatchRules, roots: tuple[Path, ...], list_name: str = "", *, patient: bool = True
    ) -> None:
        """`roots`: where data files may be. Not `patient`: file times older than the delay are believed at once.

        `list_name`: name of the dataset lists. That a listed scan has no data file is believed only where its list
        is there: a file system that is away looks like an empty directory.
        """
        self._rules, self._roots, self._patient = rules, roots, patient
        self._list_name = list_name
        self._entries: dict[ScanKey, _Entry] = {}
        self._by_base: dict[Path, set[ScanKey]] = {}
        """Where the data file begins, or the scan's folder is, of each."""
        self._settling: Settling[ScanKey] = Settling(rules.ingestion_delay)
        self._names: dict[Path, list[str]] = {}
        """Names in directories, sorted; only as long as one look lasts."""

    def __contains__(self, key: ScanKey) -> bool:
        return key in self._entries

    def admit(self, scan: Scan, now: float, changed_at: float | None = None, *, due: float | None = None) -> None:
        """Take a scan in. `changed_at`: wall-clock time of the last change of the list that names it."""
        since = now - self._age(changed_at)
        key = key_of(scan)
        self._entries[key] = _Entry(scan, since, now if due is None else due, put_off=due is not None)
        self._by_base.setdefault(scan.directory / scan.stem, set()).add(key)

    def keep_listed(self, directory: Path, lines: set[str], claimed: Callable[[Scan], bool]) -> None:
        """Drop what the list of `directory` says no longer: lines that grew since, found files that it names now."""
        for key, entry in list(self._entries.items()):
            if (key[0] == directory and key[1] not in lines) if entry.scan.listed else claimed(entry.scan):
                self._drop(key)

    def hurry(self, file: Path, now: float) -> None:
        """An event told that `file` was closed: look at its scan now."""
        for base in (file.with_name(file.name.rpartition(".")[0] or file.name), file.parent):
            for key in self._by_base.get(base, ()):
                entry = self._entries[key]
                entry.due = min(entry.due, now)

    def next_due(self) -> float | None:
        """Monotonic time at which the next scan is to be looked at."""
        return min((entry.due for entry in self._entries.values()), default=None)

    def take_ready(self, now: float) -> Iterator[Ready]:
        """The scans that are due and complete; they are pending no longer."""
        self._names.clear()
        for key, entry in [(key, entry) for key, entry in self._entries.items() if entry.due <= now]:
            try:
                state = self._check(key, entry, now)
            except OSError as error:  # One scan that cannot be looked at must not hold up the others.
                state = _Held(f"cannot be looked at: {error.strerror}", now + _LONGEST, stuck=True)
            match state:
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
            yield Waiting(entry.scan, entry.held.reason, entry.held.stuck, entry.put_off)

    def _check(self, key: ScanKey, entry: _Entry, now: float) -> Ready | _Held | None:
        scan, line_due = entry.scan, entry.since + self._rules.ingestion_delay
        if not _is_text(scan.name):
            return _Held("its name is not UTF-8 text; rename it", now + _LONGEST, stuck=True)
        master = find_master(scan, self._rules.master_extensions) if scan.listed else scan.master
        if master is None and not (scan.directory / self._list_name).exists():
            return _Held("its directory or list is not there", now + self._later(0.0), stuck=True)
        if master is None:
            return self._check_folder(entry, now)
        try:
            look = superblock.look_at(master)
            folder = superblock.signature(scan.place.stat()) if not scan.listed and scan.place.is_dir() else ()
        except FileNotFoundError:
            return _Held(f"{master.name} vanished", now + self._later(0.0)) if scan.listed else None
        except OSError as error:
            return _Held(f"{master.name} cannot be looked at: {error.strerror}", now + _LONGEST, stuck=True)
        if not inside(master, self._roots):
            return _Held(f"{master.name} is a link that leads out of the beamtime", now + _LONGEST, stuck=True)
        if not self._settling.look(key, look.signature + folder, now, self._age(look.signature[2] / 1e9)):
            return _Held(look.obstacle or f"{master.name} was just changing", self._settling.ready_at(key))
        found = Ready(dataclasses.replace(scan, master=master), look.signature)
        if look.obstacle:
            return self._obstructed(found, look, self._settling.quiet_for(key, now), now)
        return found if not scan.listed or now >= line_due else _Held("was named only just now", line_due)

    def _check_folder(self, entry: _Entry, now: float) -> Ready | _Held:
        """A listed scan without a data file: it has detector files, or files that are to come, or none."""
        line_due, waited = entry.since + self._rules.ingestion_delay, now - entry.since
        if now < line_due:
            return _Held("was named only just now", line_due)
        if self._has_files(entry.scan):
            return Ready(entry.scan)
        if waited < self._rules.without_files_after:
            return _Held("no file or folder of its name is there", now + self._later(waited), stuck=True)
        return Ready(entry.scan, comment="No files of this scan were found.")

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

    def _obstructed(self, found: Ready, look: FileLook, quiet: float, now: float) -> Ready | _Held:
        name = found.scan.master.name if found.scan.master else ""
        if look.writing and quiet >= self._rules.abandoned_after and self._rules.abandoned == "ingest":
            return dataclasses.replace(found, comment=f"{name} was left open by its writer; it may be incomplete.")
        return _Held(f"{name} {look.obstacle}", now + self._later(quiet), stuck=True)

    def _later(self, quiet: float) -> float:
        """How long to leave a file alone that has been `quiet` for so many seconds."""
        return max(_SHORTEST, self._rules.ingestion_delay, min(quiet / 2, _LONGEST))

    def _age(self, changed_at: float | None) -> float:
        return 0.0 if self._patient or changed_at is None else max(0.0, time.time() - changed_at)

    def _drop(self, key: ScanKey) -> None:
        entry = self._entries.pop(key, None)
        self._settling.forget(key)
        if entry is None:
            return
        base = entry.scan.directory / entry.scan.stem
        self._by_base[base].discard(key)
        if not self._by_base[base]:
            del self._by_base[base]


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
