"""Lines of lists of whose scans nothing is on the disk: kept as text until something comes, or it is too late for that.

A list may be written before a beamtime and name a hundred thousand scans. What is kept of such a line takes little
memory, and admitting it little time. As soon as a file or folder of its name comes, it is a line like any other.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scicat_watch.discovery.absent import Absent
from scicat_watch.discovery.listfile import entries, parse_list
from scicat_watch.model import ListEntry, RequestKey, Scan

MANY = 20
"""Lines that come together, from which on it is worth listing the directories of their files."""
_AT_ONCE = 500  # Lines whose time is over, that are taken in one step: the others wait for a moment.


class Names:
    """The sorted names in directories, each listed once as long as one rescan lasts."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def __call__(self, directory: str | Path) -> list[str]:
        """Those in a directory; none if it cannot be listed."""
        path = os.fspath(directory)
        if (names := self._names.get(path)) is None:
            try:
                names = sorted(os.listdir(path))  # noqa: PTH208 - fast
            except OSError:
                names = []
            self._names[path] = names
        return names

    def known(self, directory: str | Path) -> list[str] | None:
        """The same if it was listed already, and else None."""
        return self._names.get(os.fspath(directory))

    def forget(self) -> None:
        """List directories anew from now on."""
        self._names.clear()


class Line(NamedTuple):
    """A line whose scan may be complete by now."""

    entry: ListEntry
    directory: Path
    """That of its list."""
    since: float
    """Monotonic time since which the list has held it."""
    late: bool = False
    """Whether nothing has come of it, and its time is over."""


class LinesWithoutFiles:
    """Such lines of all lists of one beamtime."""

    def __init__(self, interval: Callable[[float], float], without_files_after: float, longest_line: int) -> None:
        """`interval`: as in `Absent`; `without_files_after`: after how many seconds nothing is expected to come."""
        self._after, self._longest = without_files_after, longest_line
        self._since: dict[RequestKey, float] = {}
        self._times: list[float] = []
        """Those that there are, as a heap."""
        self._absent = Absent(interval, lambda key: beginnings(self._entry(key), key.directory))
        self._names = Names()

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._since

    def __len__(self) -> int:
        return len(self._since)

    def take_in(self, lines: Iterable[ListEntry], directory: Path, now: float) -> list[ListEntry]:
        """Take those of the lines that have nothing on the disk, of the list in `directory`; the others."""
        others: list[ListEntry] = []
        self._names.forget()
        taken = False
        for entry in lines:
            if any(map(self._has_files, beginnings(entry, directory))):
                others.append(entry)
                continue
            key = RequestKey(directory, entry.line)
            self._since[key], taken = now, True
            self._absent.add(key, self._names, now)
        if taken:
            heapq.heappush(self._times, now)
        return others

    def drop(self, directory: Path, lines: Iterable[str]) -> None:
        """Forget lines that the list of `directory` says no longer."""
        for line in lines:
            if self._since.pop(key := RequestKey(directory, line), None) is not None:
                self._absent.discard(key)

    def hurry(self, directories: Iterable[Path], now: float) -> None:
        """Something happened in these directories."""
        for directory in directories:
            self._absent.hurry(os.fspath(directory), now)

    def next_due(self) -> float | None:
        """Monotonic time at which `take_due` may have something to give."""
        times = (self._absent.next_due(), self._times[0] + self._after if self._times else None)
        return min((time for time in times if time is not None), default=None)

    def take_due(self, now: float) -> list[Line]:
        """The lines for which something has come, and of those whose time is over the first ones."""
        self._names.forget()
        arrived = self._absent.take_arrived(now, self._names)
        if len(arrived) > 1:
            come = set(arrived)
            arrived = [key for key in self._since if key in come]  # In the order of the lists.
        found = [Line(self._entry(key), key.directory, self._since.pop(key)) for key in arrived]
        return found + list(self._take_late(now))

    def waiting(self) -> Iterator[tuple[ListEntry, Path]]:
        """All lines, each with the directory of its list."""
        return ((self._entry(key), key.directory) for key in list(self._since))

    def _take_late(self, now: float) -> Iterator[Line]:
        left = _AT_ONCE
        while left and self._times and (since := self._times[0]) + self._after <= now:
            late = list(itertools.islice((key for key, at in self._since.items() if at == since), left))
            if len(late) < left:
                heapq.heappop(self._times)
            left -= len(late)
            for key in late:
                self._absent.discard(key)
                yield Line(self._entry(key), key.directory, self._since.pop(key), late=True)

    def _has_files(self, beginning: str) -> bool:
        """Whether any name begins so, which may be that of another scan as well."""
        directory, _, name = beginning.rpartition("/")
        return first_from(self._names(directory), name).startswith(name)

    def _entry(self, key: RequestKey) -> ListEntry:
        return next(entries(parse_list(key.line.encode(), self._longest)))


def beginnings(of: ListEntry | Scan, directory: Path) -> tuple[str, ...]:
    """Paths that the files of a scan, or of a line's, may begin with; `directory`: the one that its name is within."""
    return tuple(f"{os.fspath(directory)}/{stem}" for stem in (of.stem, *of.extras))


def first_from(names: Sequence[str], name: str) -> str:
    """The first of the sorted `names` that is not before `name`; empty if there is none."""
    nearest = bisect.bisect_left(names, name)
    return names[nearest] if nearest < len(names) else ""
