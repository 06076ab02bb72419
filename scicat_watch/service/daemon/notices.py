"""How changes in one beamtime directory are noticed: by notifications, or by rescans at the poll interval, and why.

A network file system does not report what other hosts write, a limit of the kernel may leave directories unwatched,
and some file systems report nothing for no reason that can be asked for: that shows when full rescans keep finding
what no event reported, or when not even our own line in an ingested list is. The former counts for the mount where it
was seen, also one below the beamtime directory.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.discovery.events.source import EventSource
from scicat_watch.progress import WatchState
from scicat_watch.service.daemon.hints import HintQueue

log = logging.getLogger(__name__)

_MISSED_AFTER = 3  # Full rescans in a row that found what no event reported.
_OURS_WITHIN = 30.0
"""Seconds within which an event comes of a line that we append ourselves, also on a machine that is busy."""


class Notices:
    """Decides how one beamtime is watched; used by its thread, but for `appending` and `last_rescan`."""

    def __init__(self, directory: Path, events: EventSource, hints: HintQueue, clock: Clock) -> None:
        self._directory, self._events, self._hints, self._clock = directory, events, hints, clock
        self._mounts = Mounts.now()
        self._reported: set[Path] = set()
        self._missed: dict[Path, int] = {}
        """By mount: in how many full rescans in a row something was found there that no event reported."""
        self._silent: set[Path] = set()
        """Mounts where that was so too often."""
        self._appended: dict[Path, tuple[int, float]] = {}
        """Directories where we appended a line: how many events of it there were before, and when."""
        self._without: dict[Path, int] = {}
        """Those of which no event came after that, with the number."""
        self._all_missed = 0
        self.last_rescan = "", 0.0
        """When the last full rescan ended, and the seconds it took; also asked for by other threads."""
        self._at = 0.0
        self._nested: dict[Path, str] = {}
        """Mounts below the beamtime directory, each with why and since when it is not there; empty if it is."""
        self._reason = self._find_reason()
        self._log()

    @property
    def polled(self) -> bool:
        """Whether everything is to be rescanned at the poll interval."""
        return bool(self._reason)

    @property
    def away(self) -> list[str]:
        """The mounts below the beamtime directory that were there and are no more, for people."""
        return [why for why in self._nested.values() if why]

    @property
    def due(self) -> float:
        """Monotonic time at which `grew_silent` has something to find out."""
        return min((at + _OURS_WITHIN for _, at in list(self._appended.values())), default=math.inf)

    def rescanned(self, missed: Iterable[Path], seconds: float) -> None:
        """A full rescan took so long, and found changes that no event had reported before it began, or since."""
        self._mounts = Mounts.now()
        self.last_rescan = self._clock.now().isoformat(timespec="seconds"), round(seconds, 3)
        self._at = self._clock.monotonic()
        before, self._reported = self._reported, self._hints.take_reported()
        # What is reported while a rescan runs may be what this one found, or what the next one finds.
        found = set(missed) - before - self._reported
        if not self.polled:
            self._count(found)
        self._note_mounts()
        if self._events.retry(self._directory):
            self._hints.renew()  # What came before it is watched is found by one more full rescan.
        self._decide()

    def appending(self, directory: Path) -> Callable[[], None]:
        """A line is about to be appended in a directory; what is to be called when it is. Called by any thread."""
        before = self._hints.heard(directory)

        def appended() -> None:
            if self._events.reports_ours and directory.is_relative_to(self._directory):
                self._appended.setdefault(directory, (before, self._clock.monotonic()))

        return appended

    def grew_silent(self) -> bool:
        """Whether it shows only now that some file system reports nothing, not even what we write ourselves."""
        was, now, known = self.polled, self._clock.monotonic(), self._without
        for directory, (before, at) in list(self._appended.items()):
            if (heard := self._hints.heard(directory) > before) or now - at >= _OURS_WITHIN:
                del self._appended[directory]
            if not heard and now - at >= _OURS_WITHIN and not was:
                self._without = self._without | {directory: before}
        self._without = {path: before for path, before in self._without.items() if self._hints.heard(path) == before}
        if self._without != known:
            self._decide()
        return self.polled and not was

    def _decide(self) -> None:
        was, self._reason = self._reason, self._find_reason()
        if self._reason != was:
            self._log()

    def _note_mounts(self) -> None:
        """Learn which file systems are mounted below the beamtime directory, and which are so no longer."""
        there = {mount.point for mount in self._mounts.below(self._mounts.follow(self._directory))}
        for point in self._nested.keys() - there:
            # An automounter takes away what nobody uses; and a mount point that is removed is not expected back.
            if self._mounts.holding(point).kind == "autofs" or not point.exists():
                del self._nested[point]
            elif not self._nested[point]:
                now = f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC"
                self._nested[point] = (
                    f"{point}: away since {now}: the file system that was mounted there is not mounted"
                )
        self._nested |= dict.fromkeys(there, "")

    def state(self, next_at: float) -> WatchState:
        """For `status`; `next_at`: monotonic time of the next full rescan."""
        rescanned, seconds = self.last_rescan
        return WatchState(
            method="polling" if self.polled else "notifications",
            reason=self._reason,
            interval=round(next_at - self._at, 1) if rescanned else 0.0,
            rescanned=rescanned,
            seconds=seconds,
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
        for path in self._without:
            return f"no event came for a line that was appended in {path}: no change notifications there"
        return self._events.gaps(self._directory).why

    def _log(self) -> None:
        if self._reason:
            log.warning("%s: rescanned every watching.poll_interval: %s", self._directory, self._reason)
