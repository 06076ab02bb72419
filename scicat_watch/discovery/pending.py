"""Requests whose scans are not complete yet: checked again for as long as their files change."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scicat_watch.discovery import superblock
from scicat_watch.discovery.absent import Absent
from scicat_watch.discovery.growth import Growth, growth
from scicat_watch.discovery.lines import MANY, Names, beginnings, first_from
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.settle import Settling
from scicat_watch.discovery.superblock import Examined
from scicat_watch.files import Inside
from scicat_watch.model import FileState, Origin, Request, RequestKey, Scan, stem_of

WITHOUT_FILES = "no file or folder of its name is there"
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
    backlog: bool = False
    """Whether it was there before we watched, or is tried again, so that live scans come first."""


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
    awaited: tuple[str, ...] = ()
    """Beginnings of files that are to come before then; none if it is not known what is missing."""


@dataclass(slots=True)
class _Entry:
    request: Request
    number: int
    """Its place in the order in which requests came."""
    since: float
    """Monotonic time since which the list has held this line."""
    due: float
    held: _Held = _Held("was just found")
    backlog: bool = False
    base: Path = field(init=False)
    """Where the data file begins, or the scan's folder is."""

    def __post_init__(self) -> None:
        self.base = self.request.scan.directory / self.request.scan.stem


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
        self._found: set[RequestKey] = set()
        """Those that no list names."""
        self._put_off: set[RequestKey] = set()
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, RequestKey]] = []
        """When to check which entry; what does not agree with the entry any more does not count."""
        self._awaited: dict[RequestKey, tuple[str, ...]] = {}
        """Beginnings of the files that are to come."""
        self._absent = Absent(self.later, lambda key: self._awaited.get(key, ()))
        self._settling: Settling[RequestKey] = Settling(rules.ingestion_delay)
        self._moment = (math.nan, 0.0)
        """The last monotonic time with its time of day."""
        self._names = Names()
        self._inside = Inside(roots)
        """Which files are in the roots; only as long as one rescan lasts."""
        self._with_list: dict[Path, bool] = {}
        """Whether directories have their list; as long."""

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def has_found(self, place: Path) -> bool:
        """Whether the file that begins at `place` is pending as one that no list names, under whatever name."""
        return any(not self._entries[key].request.listed for key in self._by_base.get(place, ()))

    def admit(
        self,
        request: Request,
        now: float,
        changed_at: float | None = None,
        *,
        since: float | None = None,
        due: float | None = None,
        backlog: bool = False,
    ) -> None:
        """Take a request in. `changed_at`: wall-clock time of the last change of the list that names it.

        `since`: monotonic time since which that names it; without it from now on, or from the last change on.
        `due`: when it is to come again, if it was handed out before. `backlog`: as in `Ready`.
        """
        key, again = request.key, due is not None
        since = now - self._age(changed_at, now) if since is None else since
        self._drop(key)
        entry = _Entry(request, next(self._numbers), since, now if due is None else due, backlog=backlog or again)
        self._entries[key] = entry
        self._by_base.setdefault(entry.base, set()).add(key)
        if not request.listed:
            self._found.add(key)
        if again:
            self._put_off.add(key)
        heapq.heappush(self._queue, (entry.due, entry.number, key))

    def drop_lines(self, directory: Path, lines: Iterable[str]) -> None:
        """Drop what the list of `directory` says no longer."""
        for line in lines:
            key = RequestKey(directory, line)
            if (entry := self._entries.get(key)) is not None and entry.request.listed:
                self._drop(key)

    def drop_claimed(self, claimed: Callable[[Request], bool]) -> None:
        """Drop the found files that a list names now."""
        for key in [key for key in self._found if claimed(self._entries[key].request)]:
            self._drop(key)

    def drop_gone(self, there: Callable[[Path], bool]) -> None:
        """Drop the found files that are to be tried again and are not there: one that comes back is found again."""
        for request in [self._entries[key].request for key in self._put_off]:
            if request.origin is Origin.FOUND and request.scan.master is not None and not there(request.scan.master):
                self._drop(request.key)

    def hurry(self, file: Path, now: float) -> None:
        """An event says that `file` was closed: check its scan now."""
        for base in (stem_of(file), file.parent):
            for key in self._by_base.get(base, ()):
                self._check_by(self._entries[key], now)
                self._entries[key].backlog = False  # It is being written now.
        self._absent.hurry(os.fspath(file.parent), now)

    def rescan(self, directories: Iterable[Path], now: float) -> None:
        """Events say that names came or went in `directories`: see now whether they are those of absent scans."""
        for directory in directories:
            self._absent.hurry(os.fspath(directory), now)

    def next_due(self) -> float | None:
        """Monotonic time at which the next request is to be checked."""
        while self._queue and not self._holds(*self._queue[0]):
            heapq.heappop(self._queue)
        times = (self._queue[0][0] if self._queue else None, self._absent.next_due())
        return min((time for time in times if time is not None), default=None)

    def take_ready(self, now: float) -> Iterator[Ready]:
        """The requests that are due and complete; they are pending no longer."""
        self._names.forget()
        self._inside = Inside(self._roots)
        self._with_list.clear()
        due = self._take_due(now)
        many = Counter(entry.base.parent for entry in due if entry.request.listed)
        for directory in (directory for directory, count in many.items() if count >= MANY):
            self._names(directory)
        for entry in due:
            key = entry.request.key
            try:
                result = self._check(key, entry, now)
            except OSError as error:  # One scan that cannot be checked must not hold up the others.
                result = _Held(f"cannot be checked: {error.strerror}", now + _LONGEST, stuck=True)
            match result:
                case Ready() as ready:
                    self._drop(key)
                    yield replace(ready, backlog=True) if entry.backlog else ready
                case _Held() as held:
                    self._hold(entry, held, now)
                case None:
                    self._drop(key)  # A found file that is gone: if it comes back it is found again.

    def _take_due(self, now: float) -> list[_Entry]:
        """The entries that are to be checked, in the order in which they came."""
        due = {key: self._entries[key] for key in self._absent.take_arrived(now, self._names)}
        for arrived in due.values():
            arrived.backlog = False
        while self._queue and self._queue[0][0] <= now:
            key = (first := heapq.heappop(self._queue))[2]
            if self._holds(*first):
                due[key] = self._entries[key]
        return sorted(due.values(), key=lambda entry: entry.number)

    def _hold(self, entry: _Entry, held: _Held, now: float) -> None:
        key = entry.request.key
        entry.held, entry.due = held, held.until
        self._put_off.discard(key)
        heapq.heappush(self._queue, (entry.due, entry.number, key))
        self._await_nothing(key)
        if held.awaited:
            self._awaited[key] = held.awaited
            self._absent.add(key, self._names, now)

    def _await_nothing(self, key: RequestKey) -> None:
        self._absent.discard(key)
        self._awaited.pop(key, None)

    def _check_by(self, entry: _Entry, at: float) -> None:
        if at < entry.due:
            entry.due = at
            heapq.heappush(self._queue, (at, entry.number, entry.request.key))

    def _holds(self, due: float, number: int, key: RequestKey) -> bool:
        entry = self._entries.get(key)
        return entry is not None and (entry.due, entry.number) == (due, number)

    def waiting(self) -> Iterator[Waiting]:
        """Those that are not complete."""
        for key, entry in self._entries.items():
            yield Waiting(entry.request, entry.held.reason, entry.held.stuck, key in self._put_off)

    @property
    def incomplete(self) -> int:
        """How many are not complete, besides those that were put off."""
        return len(self._entries) - len(self._put_off)

    def _check(self, key: RequestKey, entry: _Entry, now: float) -> Ready | _Held | None:
        request, scan = entry.request, entry.request.scan
        if not _is_text(scan.name):
            return _Held("its name is not UTF-8 text; rename it", now + _LONGEST, stuck=True)
        master = self._find_master(entry) if request.listed else scan.master
        if master is not None:
            return self._check_file(key, entry, master, now)
        if not self._has_list(key.directory):
            awaited = (*beginnings(scan, scan.directory), os.fspath(key.directory / self._list_name))
            return _Held("its directory or list is not there", math.inf, stuck=True, awaited=awaited)
        return self._check_folder(entry, now)

    def _check_file(self, key: RequestKey, entry: _Entry, master: Path, now: float) -> Ready | _Held | None:
        listed, scan = entry.request.listed, entry.request.scan
        try:
            examined = superblock.examine(master, allocated="allocated" in self._rules.complete_when)
            folder = None if listed else _folder(f"{scan.directory}/{scan.name}")
        except FileNotFoundError:
            return _Held(f"{master.name} vanished", now + self.later(0.0)) if listed else None
        except OSError as error:
            return _Held(f"{master.name} cannot be examined: {error.strerror}", now + _LONGEST, stuck=True)
        if not self._inside.holds(os.fspath(master)):
            return _Held(f"{master.name} is a link that leads out of the beamtime", now + _LONGEST, stuck=True)
        siblings = self._siblings(entry, now)
        age = self._age(max(examined.state.changed / 1e9, siblings.changed), now)
        if not self._settling.check(key, (examined.state, folder, siblings.signature), now, age):
            changing = f"{master.name} or another file of the scan was just changing"
            return _Held(examined.obstacle or changing, self._settling.ready_at(key))
        if examined.obstacle:
            return self._obstructed(entry.request, master, examined, now)
        named_at = entry.since + self._rules.ingestion_delay
        if listed and now < named_at:
            return _Held("was named only just now", named_at)
        return Ready(entry.request.described_by(master), examined.state)

    def _check_folder(self, entry: _Entry, now: float) -> Ready | _Held:
        """A listed scan without a data file: it has detector files, or files that are to come, or none."""
        named_at, waited = entry.since + self._rules.ingestion_delay, now - entry.since
        key, scan, settled = entry.request.key, entry.request.scan, False
        if found := self._has_files(scan):
            siblings = self._siblings(entry, now)
            settled = self._settling.check(key, siblings.signature, now, self._age(siblings.changed, now))
        if now < named_at:
            return _Held("was named only just now", named_at)
        if found and settled:
            return Ready(entry.request)
        if found:
            return _Held("its files were just changing", self._settling.ready_at(key))
        if waited < self._rules.without_files_after:
            until = entry.since + self._rules.without_files_after
            return _Held(WITHOUT_FILES, until, stuck=True, awaited=beginnings(scan, scan.directory))
        return Ready(entry.request, comment="No files of this scan were found.")

    def _has_files(self, scan: Scan) -> bool:
        for beginning in beginnings(scan, scan.directory):
            directory, _, start = beginning.rpartition("/")
            names = self._names(directory)
            if start == first_from(names, start):
                return True
            if any(first_from(names, goes_on := start + after).startswith(goes_on) for after in "._"):
                return True
        return False

    def _siblings(self, entry: _Entry, now: float) -> Growth:
        """The other files of a scan as far as they count: not for ever, as a log file may grow for ever."""
        if "siblings" not in self._rules.complete_when or now - entry.since >= self._rules.siblings_within:
            return Growth()
        scan = entry.request.scan
        return growth(beginnings(scan, scan.directory), self._names)

    def _has_list(self, directory: Path) -> bool:
        if (there := self._with_list.get(directory)) is None:
            there = self._with_list[directory] = (directory / self._list_name).exists()
        return there

    def _find_master(self, entry: _Entry) -> Path | None:
        """As `find_master`, without a system call if the directory was listed and there is nothing of the name."""
        names = self._names.known(entry.base.parent)
        if names is not None and not first_from(names, entry.base.name).startswith(entry.base.name):
            return None
        return find_master(entry.request.scan, self._rules.master_extensions)

    def _obstructed(self, request: Request, master: Path, examined: Examined, now: float) -> Ready | _Held:
        quiet = self._settling.quiet_for(request.key, now)
        if examined.left_as and quiet >= self._rules.abandoned_after and self._rules.abandoned == "ingest":
            comment = f"{master.name} {examined.left_as}; it may be incomplete."
            return Ready(request.described_by(master), examined.state, comment)
        return _Held(f"{master.name} {examined.obstacle}", now + self.later(quiet), stuck=True)

    def later(self, quiet: float) -> float:
        """How long to leave a file or directory alone that has been `quiet` for so many seconds."""
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
        self._await_nothing(key)
        self._found.discard(key)
        self._put_off.discard(key)
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


def _folder(path: str) -> FileState | None:
    """The state of the folder of this path; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - fast
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState.of(status) if stat.S_ISDIR(status.st_mode) else None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
