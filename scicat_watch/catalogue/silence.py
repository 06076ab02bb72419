"""Which request of ours has had no answer for how long, for people who wonder why nothing goes on.

A request that was given up stays unanswered while the same thread waits or asks whether it was done, until another of
its writes is answered.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from scicat_watch.clock import Clock

LONG = 5.0
"""Seconds without an answer that are worth a word."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request without an answer."""

    request: str
    """E.g. "POST datasets/7/origdatablocks"."""
    seconds: float
    """For how long, its repetitions included."""


@dataclass(slots=True)
class _Waiting:
    request: str
    since: float
    until: float | None = None
    """When it was given up; None while it is waited for."""


class Silence:
    """The requests of one client that have no answer yet; used by several threads."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        """`timeout`: the time limit of a request; so long, one that was given up may still be waited for."""
        self._clock, self._timeout = clock, timeout
        self._waiting: dict[int, _Waiting] = {}
        self._lock = threading.Lock()

    def begun(self, request: str) -> None:
        """This thread sends a request."""
        with self._lock:
            known = self._waiting.get(threading.get_ident())
            if known is None or self._over(known):
                self._waiting[threading.get_ident()] = _Waiting(request, self._clock.monotonic())
            else:
                known.until = None

    def ended(self, request: str, *, answered: bool) -> None:
        """The request of this thread was answered, or given up."""
        with self._lock:
            known = self._waiting.get(threading.get_ident())
            if known is None:
                return
            # That a question was answered says nothing about a write.
            if answered and (known.request == request or not request.startswith("GET ")):
                del self._waiting[threading.get_ident()]
            else:
                known.until = self._clock.monotonic()

    def longest(self) -> Unanswered | None:
        """The request that has had no answer for longest; None if none has been for long."""
        now = self._clock.monotonic()
        with self._lock:
            waiting = [one for one in self._waiting.values() if not self._over(one)]
        found = min(waiting, key=lambda one: one.since, default=None)
        if found is None or now - found.since < LONG:
            return None
        return Unanswered(found.request, now - found.since)

    def _over(self, waiting: _Waiting) -> bool:
        """Whether it was given up so long ago that nobody waits for it any more."""
        return waiting.until is not None and self._clock.monotonic() - waiting.until > 1.5 * self._timeout
