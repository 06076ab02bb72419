"""How often directories are rescanned: so often that it costs no more than its share of one core.

What changed lately is rescanned more often than the rest where no events come: while nothing does, hardly anything is
done. Both have a share of their own, and all
beamtimes of the daemon have the same one: ten times as many directories are rescanned a tenth as often.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

ALL_SHARE = 0.005
"""Most of a core that full rescans may take."""
LIVE_SHARE = 0.08
"""Most of a core that rescans of what changed lately may take, where events do not come."""
COUNTS_FOR = 0.25
"""Seconds after which a first rescan holds up the next one no longer."""
LONGEST_ALL = 600.0
LONGEST_LIVE = 60.0
_OF_ITS_TIME = 0.1  # Most of the time that one beamtime may be rescanned, where the file system is slow.
_PHASES = 16
_ASK_AGAIN = 1.0  # Seconds between two questions whether it is over.


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
    """Lets the beamtimes make their first rescans one after the other: at once, they take twice the time of a core.

    One that takes longer counts no more: its file system may be slow, or not answer, and must hold up no other. Used
    by all threads.
    """

    def __init__(self, counts_for: float = COUNTS_FOR) -> None:
        """`counts_for`: seconds for which one counts."""
        self._counts_for = counts_for
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._counts_until: dict[threading.Event, float] = {}
        """Of those that are under way: until when, by the monotonic clock."""

    @contextmanager
    def one(self, over: Callable[[], bool]) -> Iterator[None]:
        """Around a first rescan: waits for its turn, or until it is `over` before it came."""
        me = threading.Event()
        with self._lock:
            self._waiting.append(me)
        while (left := self._left(me)) > 0.0 and not over():
            me.wait(left)
            me.clear()
        with self._lock:
            self._waiting.remove(me)
            self._counts_until[me] = time.monotonic() + self._counts_for
            self._wake_next()
        try:
            yield
        finally:
            with self._lock:
                del self._counts_until[me]
                self._wake_next()

    def _left(self, me: threading.Event) -> float:
        """How many seconds to wait before asking again; 0 if its turn has come."""
        with self._lock:
            if self._waiting[0] is not me:
                return _ASK_AGAIN
            left = max(self._counts_until.values(), default=0.0) - time.monotonic()
            return min(max(0.0, left), _ASK_AGAIN)

    def _wake_next(self) -> None:
        if self._waiting:
            self._waiting[0].set()


class Paces:
    """The intervals of all rescans of a daemon."""

    def __init__(self) -> None:
        self.first = FirstRescans()
        self.all = Pace(ALL_SHARE, LONGEST_ALL)
        self.live = Pace(LIVE_SHARE, LONGEST_LIVE)
