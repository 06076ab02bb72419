"""What a person asked the daemon for, as far as it concerns one beamtime: done by the thread of the beamtime."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from scicat_watch.errors import ConfigError, NotLoggedIn
from scicat_watch.model import Outcome, Status
from scicat_watch.progress import BeamtimeState
from scicat_watch.service.control.server import Reply
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.once import OnceWork
from scicat_watch.service.site import Site
from scicat_watch.service.targets import targets_in
from scicat_watch.service.work import BeamtimeWork

log = logging.getLogger(__name__)

_CHECK_EVERY = 2.0  # Seconds between two checks whether the catalogue answers.

Failure = tuple[str, str]
"""What failed, and why."""


class Job(Protocol):
    """Something to be done by the thread of a beamtime."""

    full: bool
    """Whether a full rescan is to be made before its first step."""

    def step(self, work: BeamtimeWork, problem: str) -> float | None:
        """Go on; monotonic time of the next step, infinite if it waits for outcomes; None if it is over.

        `problem`: of the last rescan; empty without one.
        """

    def abandon(self, why: str) -> None:
        """It will not be done; called by any thread, also while `step` is."""


class Parts:
    """Answers a command once all beamtimes that it concerns have done their parts. Used by several threads."""

    def __init__(self, parts: int, reply: Reply) -> None:
        self._reply, self._left, self._failures = reply, parts, list[Failure]()
        self._done = set[object]()
        self._lock = threading.Lock()
        if parts == 0:
            self._end()

    def done(self, part: object, failures: Iterable[Failure] = ()) -> None:
        """A part is done, or given up; what went wrong there. What is said of it later is not heard."""
        with self._lock:
            if part in self._done:
                return
            self._done.add(part)
            for what, why in failures:
                self._fail((what, why.removeprefix(f"{what}: ")))  # What it is about is said once.
            self._left -= 1
            if self._left == 0:
                self._end()

    def has(self, part: object) -> bool:
        """Whether a part is done, or was given up."""
        with self._lock:
            return part in self._done

    def _fail(self, failure: Failure) -> None:
        self._failures.append(failure)

    def _end(self) -> None:
        self._reply.end(failures=self._failures)


class Rescan:
    """A full rescan."""

    full = True

    def __init__(self, parts: Parts, directory: Path) -> None:
        """`directory`: that of the beamtime."""
        self._parts, self._directory = parts, directory

    def step(self, work: BeamtimeWork, problem: str) -> None:
        """It was made just now."""
        self._parts.done(self, [(str(work.beamtime.directory), problem)] if problem else [])

    def abandon(self, why: str) -> None:
        """It was not made."""
        self._parts.done(self, [(str(self._directory), why)])


class Wish(Parts):
    """Scans that a person wants to be ingested now; the reporter of their outcomes. Used by several threads."""

    def __init__(self, site: Site, parts: int, reply: Reply) -> None:
        """`parts`: how many beamtimes it concerns."""
        self._site = site
        self._total = self._tried = 0
        self._counts = dict.fromkeys(Status, 0)
        self._unreachable_since: float | None = None
        self._ended = False
        super().__init__(parts, reply)

    def found(self, more: int) -> None:
        """So many scans more are to be ingested."""
        with self._lock:
            self._total += more

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome, and pass it on."""
        with self._lock:
            self._tried += 1
            self._counts[outcome.status] += 1
            if not outcome.done:
                self._failures.append((outcome.request.pid, outcome.reason))
            self._reply.send(
                {"event": "scan", "status": outcome.status, "pid": outcome.request.pid, "total": self._total}
            )
        self._site.reporter.outcome(outcome)

    def beamtime(self, state: BeamtimeState) -> None:
        """The loop of the beamtime reports its state."""

    def left(self, directory: str) -> None:
        """Nor is anything left."""

    def check_catalogue(self) -> None:
        """Say that the catalogue is unreachable, and let the person go when it is so for long.

        The scans stay in their queues.
        """
        error, now = self._site.availability.error, self._site.clock.monotonic()
        with self._lock:
            if error is None:
                self._unreachable_since = None
            elif self._unreachable_since is None:
                self._unreachable_since = now
                self._reply.send({"event": "waiting", "reason": str(error)})
            elif (
                isinstance(error, NotLoggedIn)
                or now - self._unreachable_since > self._site.settings.catalogue.patience.give_up_after
            ):
                self._end(f"{error}; the daemon goes on when it answers")

    def _fail(self, failure: Failure) -> None:
        super()._fail(failure)
        self._counts[Status.FAILED] += 1

    def _end(self, unavailable: str = "") -> None:
        if self._ended:
            return  # The person was let go before.
        self._ended = True
        self._reply.end(
            counts=self._counts, failures=self._failures, left=max(0, self._total - self._tried),
            unavailable=unavailable,
        )  # fmt: skip


class Ingest:
    """A one-time ingest of paths in the beamtime, beside the watch over it."""

    full = False

    def __init__(
        self, site: Site, dispatcher: Dispatcher, paths: tuple[Path, ...], wish: Wish, wake: Callable[[], None],
        *, retry: bool = False,
    ) -> None:  # fmt: skip
        """`paths`: in the beamtime directory, or that itself. `wake`: called when there is an outcome."""
        self._site, self._dispatcher, self._paths, self._wish, self._wake = site, dispatcher, paths, wish, wake
        self._retry = retry
        self._works: list[OnceWork] | None = None
        self._open: set[OnceWork] = set()
        self._failures: list[Failure] = []

    def step(self, work: BeamtimeWork, problem: str) -> float | None:
        """Rescan what is due, and take what has come of it."""
        if self._wish.has(self):
            return None  # It was given up while the file system did not answer.
        works = self._works if self._works is not None else self._begin(work)
        due = math.inf
        for one in list(self._open):
            before = one.found
            next_due = one.step()
            self._wish.found(one.found - before)
            if next_due is None:
                self._open.discard(one)
                self._failures += one.failures()
            else:
                due = min(due, next_due)
        if not self._open and all(one.settled for one in works):
            self._wish.done(self, self._failures)
            return None
        self._wish.check_catalogue()
        return min(due, self._site.clock.monotonic() + _CHECK_EVERY)

    def abandon(self, why: str) -> None:
        """Say why it was not done."""
        self._wish.done(self, [(", ".join(map(str, self._paths)), why)])

    def _begin(self, work: BeamtimeWork) -> list[OnceWork]:
        found = []
        for path, target in targets_in(self._paths, work.beamtime, self._site.settings.watch_rules()):
            if isinstance(target, ConfigError):
                self._failures.append((str(path), target.message))
            else:
                found.append(
                    OnceWork(
                        self._site, target, self._dispatcher, self._wish, work.ledger, retry=self._retry,
                        wake=self._wake,
                    )
                )  # fmt: skip
        self._works, self._open = found, set(found)
        return found
