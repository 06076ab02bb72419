"""How often directories are rescanned: so often that it costs no more than its share of one core.

What changed lately is rescanned more often than the rest where no events come: while nothing does, hardly anything is
done. Both have a share of their own, and all
beamtimes of the daemon have the same one: ten times as many directories are rescanned a tenth as often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

ALL_SHARE = 0.005
"""Most of a core that full rescans may take."""
LIVE_SHARE = 0.08
"""Most of a core that rescans of what changed lately may take, where events do not come."""
MOST_FIRST = 4
"""How many beamtimes make their first rescan at a time."""
LONGEST_ALL = 600.0
LONGEST_LIVE = 60.0
_OF_ITS_TIME = 0.1  # Most of the time that one beamtime may be rescanned, where the file system is slow.
_PHASES = 16


class Pace:
    """The intervals of one kind of rescan, for all beamtimes. Used by all their threads."""

    def __init__(self, share: float, longest: float) -> None:
        """`share`: most of a core that the rescans may take; `longest`: an interval that none exceeds because of it."""
        self._share, self._longest = share, longest
        self._lock = threading.Lock()
        self._used: dict[Hashable, float] = {}

    def interval(self, who: Hashable, used: float, took: float, least: float) -> float:
        """Seconds until the next rescan of `who`, whose last one `used` so much of a core and `took` so long.

        Never less than `least`, except for the first one: those of all beamtimes shall not come at the same time.
        """
        with self._lock:
            earlier = 0.0 if who in self._used else len(self._used) % _PHASES / (2 * _PHASES)
            self._used[who] = used
            needed = max(sum(self._used.values()) / self._share, took / _OF_ITS_TIME)
        return max(least, min(needed, self._longest)) * (1.0 - earlier)

    def leave(self, who: Hashable) -> None:
        """`who` is rescanned no more."""
        with self._lock:
            self._used.pop(who, None)


class FirstRescans:
    """Lets few beamtimes make their first rescan at a time: hundreds of threads at once get in each other's way.

    One that takes long counts no more: its file system may not answer, and must hold up no other. Used by all threads.
    """

    def __init__(self, most: int = MOST_FIRST, counts_for: float = 1.0) -> None:
        """`counts_for`: seconds for which one counts."""
        self._most, self._counts_for = most, counts_for
        self._changed = threading.Condition()
        self._under_way: dict[int, float] = {}
        """By thread: since when, by the monotonic clock."""

    @contextmanager
    def one(self, over: Callable[[], bool]) -> Iterator[None]:
        """Around a first rescan: waits for its turn, or until it is `over` before it came."""
        me = threading.get_ident()
        with self._changed:
            while self._count() >= self._most and not over():
                self._changed.wait(self._counts_for / 2)
            self._under_way[me] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._under_way[me]
                self._changed.notify()

    def _count(self) -> int:
        now = time.monotonic()
        return sum(now - since < self._counts_for for since in self._under_way.values())


class Paces:
    """The intervals of all rescans of a daemon."""

    def __init__(self) -> None:
        self.first = FirstRescans()
        self.all = Pace(ALL_SHARE, LONGEST_ALL)
        self.live = Pace(LIVE_SHARE, LONGEST_LIVE)
