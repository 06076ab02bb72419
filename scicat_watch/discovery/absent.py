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

from scicat_watch.model import RequestKey

Names = Callable[[str], Iterable[str]]
"""What is in a directory now; nothing if it cannot be listed."""


@dataclass(slots=True)
class _Place:
    """A directory in which files are expected."""

    names: frozenset[str]
    """Those that were there when it was last read."""
    expected: dict[str, tuple[RequestKey, ...]] = field(default_factory=dict)
    """Beginnings of file names, each with the requests that wait for such a file."""
    since: float = math.nan
    """Monotonic time at which the last of them was added."""
    due: float = math.inf


class Absent:
    """Requests that wait for a file or folder of one of some beginnings."""

    def __init__(self, interval: Callable[[float], float], beginnings: Callable[[RequestKey], Iterable[str]]) -> None:
        """`interval`: after how many seconds to read a directory again in which so long nothing came.

        `beginnings`: the paths for which a request waits, the same as long as it does; none for one that does not.
        """
        self._interval, self._beginnings = interval, beginnings
        self._places: dict[str, _Place] = {}
        self._queue: list[tuple[float, str]] = []

    def add(self, key: RequestKey, names: Names, now: float) -> None:
        """Wait for a file that begins as the request says; `names`: as they were when there was none such."""
        self.discard(key)
        for beginning in self._beginnings(key):
            directory, _, name = beginning.rpartition("/")
            if (place := self._places.get(directory)) is None:
                place = self._places[directory] = _Place(frozenset(names(directory)))
            elif place.since != now:
                place.names &= frozenset(names(directory))  # What went since is new for all when it comes back.
            place.expected[name] = (*place.expected.get(name, ()), key)
            if place.since != now:
                place.since = now
                self._schedule(directory, place, now + self._interval(0.0))

    def discard(self, key: RequestKey) -> None:
        """Wait no longer."""
        for beginning in self._beginnings(key):
            directory, _, name = beginning.rpartition("/")
            place = self._places.get(directory)
            if place is None or name not in place.expected:
                continue
            if others := tuple(one for one in place.expected[name] if one != key):
                place.expected[name] = others
            else:
                del place.expected[name]
            if not place.expected:
                del self._places[directory]

    def hurry(self, directory: str, now: float) -> None:
        """Something happened in a directory."""
        if (place := self._places.get(directory)) is not None:
            self._schedule(directory, place, now)

    def next_due(self) -> float | None:
        """Monotonic time at which the next directory is to be read."""
        while self._queue and not self._holds(*self._queue[0]):
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take_arrived(self, now: float, names: Names) -> list[RequestKey]:
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

    def _schedule(self, directory: str, place: _Place, due: float) -> None:
        place.due = due
        heapq.heappush(self._queue, (due, directory))

    def _holds(self, due: float, directory: str) -> bool:
        place = self._places.get(directory)
        return place is not None and place.due == due


def _beginnings(name: str) -> Iterator[str]:
    """What a scan may be called to which a file of this name belongs."""
    yield name
    for position, character in enumerate(name):
        if character in "._":
            yield name[:position]
