"""How changes in one beamtime directory are noticed: by notifications, or by rescans at the poll interval, and why.

A network file system does not report what other hosts write, a limit of the kernel may leave directories unwatched,
and some file systems report nothing for no reason that can be asked for: that shows when full rescans keep finding
what no event reported. Each of these counts for the mount where it was seen, also one below the beamtime directory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.discovery.events.source import EventSource
from scicat_watch.progress import WatchState
from scicat_watch.service.daemon.hints import HintQueue

log = logging.getLogger(__name__)

_MISSED_AFTER = 3  # Full rescans in a row that found what no event reported.


class Notices:
    """Decides how one beamtime is watched; used by its thread."""

    def __init__(self, directory: Path, events: EventSource, hints: HintQueue, clock: Clock) -> None:
        self._directory, self._events, self._hints, self._clock = directory, events, hints, clock
        self._mounts = Mounts.now()
        self._reported: set[Path] = set()
        self._missed: dict[Path, int] = {}
        """By mount: in how many full rescans in a row something was found there that no event reported."""
        self._silent: set[Path] = set()
        """Mounts where that was so too often."""
        self._all_missed = 0
        self._rescanned, self._seconds, self._at = "", 0.0, 0.0
        self._reason = self._find_reason()
        self._log()

    @property
    def polled(self) -> bool:
        """Whether everything is to be rescanned at the poll interval."""
        return bool(self._reason)

    def rescanned(self, missed: Iterable[Path], seconds: float) -> None:
        """A full rescan took so long, and found changes that no event had reported before it began, or since."""
        self._mounts = Mounts.now()
        self._rescanned, self._seconds = self._clock.now().isoformat(timespec="seconds"), seconds
        self._at = self._clock.monotonic()
        before, self._reported = self._reported, self._hints.take_reported()
        # What is reported while a rescan runs may be what this one found, or what the next one finds.
        found = set(missed) - before - self._reported
        if not self.polled:
            self._count(found)
        was, self._reason = self._reason, self._find_reason()
        if self._reason != was:
            self._log()

    def state(self, next_at: float) -> WatchState:
        """For `status`; `next_at`: monotonic time of the next full rescan."""
        return WatchState(
            method="polling" if self.polled else "notifications",
            reason=self._reason,
            interval=round(next_at - self._at, 1) if self._rescanned else 0.0,
            rescanned=self._rescanned,
            seconds=round(self._seconds, 3),
            missed=self._all_missed,
            overflows=self._hints.overflows,
            unwatched=self._events.gaps(self._directory).unwatched,
        )

    def _count(self, found: set[Path]) -> None:
        self._all_missed += len(found)
        mounts = {self._mounts.holding(path).point for path in found}
        self._missed = {mount: self._missed.get(mount, 0) + 1 for mount in mounts}
        self._silent |= {mount for mount, times in self._missed.items() if times >= _MISSED_AFTER}

    def _find_reason(self) -> str:
        """Why notifications do not do; empty if they do."""
        root = self._mounts.follow(self._directory)
        for mount in (self._mounts.holding(root), *self._mounts.below(root)):
            if mount.lacks_notifications:
                return f"the file system at {mount.point} ({mount.kind}) does not report what other hosts write"
            if mount.point in self._silent:
                return f"the file system at {mount.point} ({mount.kind}) sends no change notifications"
        return self._events.gaps(self._directory).why

    def _log(self) -> None:
        if self._reason:
            log.warning("%s: rescanned at the poll interval: %s", self._directory, self._reason)
