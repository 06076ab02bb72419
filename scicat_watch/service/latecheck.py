"""Has datasets read again when that is due (`Publisher.late_check`), in a thread of its own."""

from __future__ import annotations

import logging

from scicat_watch.catalogue.availability import Availability
from scicat_watch.catalogue.publisher import Publisher
from scicat_watch.clock import Clock
from scicat_watch.errors import CatalogueError
from scicat_watch.service.serial import SerialThread

log = logging.getLogger(__name__)

_EVERY = 5.0
"""Seconds between two checks whether one is due, at least."""


class LateChecking:
    """Makes the late checks of one catalogue."""

    def __init__(self, publisher: Publisher, availability: Availability, clock: Clock, thread: SerialThread) -> None:
        self._publisher, self._availability, self._clock, self._thread = publisher, availability, clock, thread
        self._next = 0.0

    def step(self) -> None:
        """Check whether some are due, if the last check is long ago enough; returns at once."""
        if self._clock.monotonic() < self._next or not self._thread.settle(0.0):
            return
        self._next = self._clock.monotonic() + _EVERY
        if self._availability.error is None:
            self._thread.put(self.now)

    def now(self) -> None:
        """Make those that are due, as far as the catalogue answers."""
        try:
            self._publisher.late_check()
        except CatalogueError as error:
            log.info("no dataset is read again for now: %s", error)
