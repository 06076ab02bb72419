"""Says in the log that a request to the catalogue has had no answer for long, as `status` does: once, not each time."""

from __future__ import annotations

import logging

from scicat_watch.catalogue.publisher import Publisher
from scicat_watch.clock import Clock

log = logging.getLogger(__name__)

_QUIET = 60.0
"""Seconds without such a request after which the next one is worth a line: a catalogue that is slow stays so."""


class UnansweredLog:
    """What is said of one catalogue."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher, self._clock = publisher, clock
        self._quiet_at = 0.0

    def step(self) -> None:
        """Say it if there is one now, and was none lately; returns at once."""
        now, found = self._clock.monotonic(), self._publisher.unanswered()
        if found is None:
            return
        if now >= self._quiet_at:
            log.warning("the catalogue has not answered %s for %.0f s; it is waited for", found.request, found.seconds)
        self._quiet_at = now + _QUIET
