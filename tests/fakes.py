"""What stands in for the world in tests: only the time."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves when somebody waits on it or advances it, and on which things can be planned.

    `at(5.0, action)` plans something for 5 s from now: it happens while somebody waits or the clock is advanced, so a
    whole story is told in one thread, and nothing sleeps.
    """

    def __init__(self) -> None:
        self.seconds = 1000.0
        """What `monotonic` says."""
        self.waits: list[float] = []
        """How long somebody wanted to wait, each time."""
        self.ahead = 0.0
        """Seconds that the time of day is ahead; a test that changes it sets the clock."""
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds + self.ahead)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, event: threading.Event) -> bool:
        self.waits.append(seconds)
        until = self.seconds + max(0.0, seconds)
        while not event.is_set() and self._planned and self._planned[0][0] <= until:
            self._next()
        if not event.is_set():
            assert math.isfinite(until), "somebody waits for ever, and nothing is planned that would end it"
            self.seconds = max(self.seconds, until)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        until = self.seconds + seconds
        while self._planned and self._planned[0][0] <= until:
            self._next()
        self.seconds = until

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan `action` for so many seconds from now."""
        heapq.heappush(self._planned, (self.seconds + seconds, next(self._number), action))

    def _next(self) -> None:
        at, _, action = heapq.heappop(self._planned)
        self.seconds = max(self.seconds, at)
        action()
