"""Requests whose scans are not complete yet: checked again for as long as their files change."""

from __future__ import annotations

import heapq
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scicat_watch.discovery.absent import Absent
from scicat_watch.discovery.completeness import LONGEST, Completeness, Held, Ready
from scicat_watch.discovery.lines import MANY
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.model import Origin, Request, RequestKey, stem_of

_AT_ONCE = 1000  # Entries that are checked in one step: of many that come at once the first are handed out early.


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose scan is not complete, and why."""

    request: Request
    reason: str
    stuck: bool
    """Whether it has been quiet, so that time alone will not complete it."""
    put_off: bool = False
    """Whether it was handed out before and is only to come again later, as a failed one is."""


_NEW = Held("was found just now")


@dataclass(slots=True)
class _Entry:
    request: Request
    number: int
    """Its place in the order in which requests came."""
    since: float
    """Monotonic time since which the list has held this line."""
    due: float
    held: Held = _NEW
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
        self._completeness, self._patient = Completeness(rules, roots, list_name, patient=patient), patient
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
        self._absent = Absent(self._completeness.later, lambda key: self._awaited.get(key, ()))

    def later(self, quiet: float) -> float:
        """How long to leave a file or directory alone that has been `quiet` for so many seconds."""
        return self._completeness.later(quiet)

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
        since = now - self._completeness.age(changed_at, now) if since is None else since
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
        """The requests that are due and complete, the first of many; they are pending no longer."""
        self._completeness.begin()
        due = self._take_due(now)
        many = Counter(entry.base.parent for entry in due if entry.request.listed)
        for directory in (directory for directory, count in many.items() if count >= MANY):
            self._completeness.names(directory)
        for entry in due:
            key = entry.request.key
            try:
                result = self._completeness.of(entry.request, entry.since, now)
            except OSError as error:  # One scan that cannot be checked must not hold up the others.
                result = Held(f"cannot be checked: {error.strerror}", now + LONGEST, stuck=True)
            match result:
                case Ready() as ready:
                    self._drop(key)
                    yield replace(ready, backlog=True) if entry.backlog else ready
                case Held() as held:
                    self._hold(entry, held, now)
                case None:
                    self._drop(key)  # If its files come back they are found again.

    def _take_due(self, now: float) -> list[_Entry]:
        """The entries that are to be checked, in the order in which they came."""
        due = {key: self._entries[key] for key in self._absent.take_arrived(now, self._completeness.names)}
        for arrived in due.values():
            arrived.backlog = False
        while self._queue and self._queue[0][0] <= now and (len(due) < _AT_ONCE or not self._patient):
            key = (first := heapq.heappop(self._queue))[2]
            if self._holds(*first):
                due[key] = self._entries[key]
        return sorted(due.values(), key=lambda entry: entry.number)

    def _hold(self, entry: _Entry, held: Held, now: float) -> None:
        key = entry.request.key
        entry.held, entry.due = held, held.until
        self._put_off.discard(key)
        heapq.heappush(self._queue, (entry.due, entry.number, key))
        self._await_nothing(key)
        if held.awaited:
            self._awaited[key] = held.awaited
            self._absent.add(key, self._completeness.names, now)

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

    def _drop(self, key: RequestKey) -> None:
        entry = self._entries.pop(key, None)
        self._completeness.forget(key)
        if entry is None:
            return
        self._await_nothing(key)
        self._found.discard(key)
        self._put_off.discard(key)
        self._by_base[entry.base].discard(key)
        if not self._by_base[entry.base]:
            del self._by_base[entry.base]
