"""Listed scans of which nothing is on the disk yet, by the directories in which their files should appear.

A list may name a hundred thousand of them. So not each scan is searched again and again: the names of a directory are
read once for all scans that are expected there, and compared with those of before. The intervals grow with the time
for which the scans of a directory have been waited for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.model import RequestKey


@dataclass(slots=True)
class _Place:
    """A directory in which files are expected."""

    names: frozenset[str]
    """Those that were there when it was last read."""
    expected: dict[str, set[RequestKey]] = field(default_factory=dict)
    """Beginnings of file names, each with the requests that wait for such a file."""
    since: float = math.nan
    """Monotonic time at which the last of them was added."""
    due: float = math.inf


class Absent:
    """Requests that wait for a file or folder of one of some beginnings."""

    def __init__(self, interval: Callable[[float], float]) -> None:
        """`interval`: after how many seconds to read a directory again in which so long nothing came."""
        self._interval = interval
        self._places: dict[Path, _Place] = {}
        self._queue: list[tuple[float, Path]] = []
        self._beginnings: dict[RequestKey, tuple[Path, ...]] = {}

    def add(
        self, key: RequestKey, beginnings: Iterable[Path], names: Callable[[Path], Iterable[str]], now: float
    ) -> None:
        """Wait for a file that begins with one of `beginnings`; `names`: what is in a directory now, none such."""
        self.discard(key)
        self._beginnings[key] = tuple(beginnings)
        for beginning in self._beginnings[key]:
            directory = beginning.parent
            if (place := self._places.get(directory)) is None:
                place = self._places[directory] = _Place(frozenset(names(directory)))
            elif place.since != now:
                place.names &= frozenset(names(directory))  # What went since is new for all when it comes back.
            place.expected.setdefault(beginning.name, set()).add(key)
            if place.since != now:
                place.since = now
                self._schedule(directory, place, now + self._interval(0.0))

    def discard(self, key: RequestKey) -> None:
        """Wait no longer."""
        for beginning in self._beginnings.pop(key, ()):
            place = self._places.get(beginning.parent)
            if place is None or key not in place.expected.get(beginning.name, ()):
                continue
            place.expected[beginning.name].discard(key)
            if not place.expected[beginning.name]:
                del place.expected[beginning.name]
            if not place.expected:
                del self._places[beginning.parent]

    def hurry(self, directory: Path, now: float) -> None:
        """Something happened in a directory."""
        if (place := self._places.get(directory)) is not None:
            self._schedule(directory, place, now)

    def next_due(self) -> float | None:
        """Monotonic time at which the next directory is to be read."""
        while self._queue and not self._holds(*self._queue[0]):
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take_arrived(self, now: float, names: Callable[[Path], Iterable[str]]) -> list[RequestKey]:
        """The requests for which something came in the directories that are due at `now`."""
        arrived: dict[RequestKey, None] = {}
        while (due := self.next_due()) is not None and due <= now:
            directory = heapq.heappop(self._queue)[1]
            place = self._places[directory]
            found = frozenset(names(directory))
            for name in found - place.names:
                for beginning in _beginnings(name):
                    arrived |= dict.fromkeys(place.expected.get(beginning, ()))
            place.names = found
            self._schedule(directory, place, now + self._interval(now - place.since))
        for key in arrived:
            self.discard(key)
        return list(arrived)

    def _schedule(self, directory: Path, place: _Place, due: float) -> None:
        place.due = due
        heapq.heappush(self._queue, (due, directory))

    def _holds(self, due: float, directory: Path) -> bool:
        place = self._places.get(directory)
        return place is not None and place.due == due


def _beginnings(name: str) -> Iterator[str]:
    """What a scan may be called to which a file of this name belongs."""
    yield name
    for position, character in enumerate(name):
        if character in "._":
            yield name[:position]
