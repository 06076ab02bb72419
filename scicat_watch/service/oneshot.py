"""The one-time ingest: every scan of the given beamtimes, lists or files once, then a summary.

It does the daemon's work, with two differences: scans that are done are ingested again, and their datasets brought
up to date where they changed; and it ends. A scan that is not complete is waited for while it changes, and counts as
failed when it does not.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.watch import Hints
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import BeamtimeState, Outcome, Request, Status
from scicat_watch.service.site import Site
from scicat_watch.service.targets import Target
from scicat_watch.service.work import BeamtimeWork

log = logging.getLogger(__name__)

_END_WITHIN = 10.0  # Seconds in which what is under way may end.
_WAKE_EVERY = 0.5


@dataclass(slots=True)
class Summary:
    """How a one-time ingest ended."""

    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    failures: list[tuple[str, str]] = field(default_factory=list)
    """What failed, each with its reason."""
    unavailable: str = ""
    """Why the catalogue could not be reached; empty if it could."""
    left: int = 0
    """Scans that were not tried, because the catalogue was unavailable or the program was stopped."""

    @property
    def exit_status(self) -> int:
        """0 all done, 1 something failed, 3 the catalogue is unreachable."""
        return 3 if self.unavailable else 1 if self.failures or self.left else 0


class OneShot:
    """One run over some targets. It is the reporter of its own work, and passes on what it hears."""

    def __init__(
        self, site: Site, progress: Callable[[Outcome, int], None] = lambda outcome, total: None, *, retry: bool = False
    ) -> None:
        """`progress` is called with each outcome and how many scans there are so far, one call at a time.

        `retry`: only scans that failed before.
        """
        self._retry = retry
        self._site, self._stopping, self._progress = site, site.stopping, progress
        self._summary = Summary()
        self._lock = threading.Lock()
        self._total = 0
        self._tried = 0
        self._ledgers: dict[tuple[Path, str], BeamtimeLedger] = {}
        self._dispatcher = site.dispatcher(site.settings.catalogue.patience.give_up_after)

    def run(self, found: list[Target | BrokenBeamtime]) -> Summary:
        """Ingest all of it; the summary."""
        works: list[tuple[BeamtimeWork, Target]] = []
        for target in found:
            if isinstance(target, BrokenBeamtime):
                self._fail(str(target.file), target.reason)
                continue
            if target.beamtime.generated:
                log.warning(
                    "%s: has no beamtime metadata file; taken as beamtime %r",
                    target.beamtime.directory, target.beamtime.id,
                )  # fmt: skip
            works.append((self._work(target), target))
        for work, target in works:
            self._exhaust(work, target)
        while not self._stopping.is_set() and not self._site.clock.wait(_WAKE_EVERY, self._dispatcher.idle):
            pass  # A stop is noticed between two waits.
        for work, _ in works:
            while not self._stopping.is_set() and not work.settle(_WAKE_EVERY):
                pass
        return self._end([work for work, _ in works])

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome, and pass it on."""
        with self._lock:
            self._summary.counts[outcome.status] += 1
            if not outcome.done:
                self._summary.failures.append((outcome.request.pid, outcome.reason))
            self._tried += 1
            self._progress(outcome, self._total)
        self._site.reporter.outcome(outcome)

    def beamtime(self, state: BeamtimeState) -> None:
        """Pass a state on."""
        self._site.reporter.beamtime(state)

    def left(self, directory: str) -> None:
        """Nothing is left before the end."""

    def _work(self, target: Target) -> BeamtimeWork:
        beamtime = target.beamtime
        # Several targets of one beamtime share its locks: none of them is another scicat-watch.
        ledger = self._ledgers.setdefault((beamtime.directory, beamtime.id), self._site.ledger(beamtime))

        def failed(request: Request) -> bool:
            return target.means(request) and ledger.failed(ledger.as_begun(request))

        return BeamtimeWork(
            self._site, beamtime, self._dispatcher, self, rules=target.rules, ledger=ledger,
            once=failed if self._retry else target.means, within=target.within,
        )  # fmt: skip

    def _exhaust(self, work: BeamtimeWork, target: Target) -> None:
        """Rescan until nothing is pending but what does not change any more."""
        hints: Hints | None = None
        while not self._stopping.is_set():
            findings = work.step(hints)
            with self._lock:
                self._total += len(findings.ready)
            if hints is None:
                work.watch.offer_missing(target.files, findings, self._site.clock.monotonic())
            hints = Hints()  # Everything was rescanned; now only what is pending.
            if all(waiting.stuck for waiting in work.watch.waiting()):
                break
            if (due := work.watch.next_due()) is not None:
                self._site.clock.wait(due - self._site.clock.monotonic(), self._stopping)
        self._take_stock(work)

    def _take_stock(self, work: BeamtimeWork) -> None:
        """Count as failed what cannot be ingested."""
        for waiting in work.watch.waiting():
            self._fail(waiting.request.pid, f"not complete: {waiting.reason}")
        for path, line in work.watch.bad_lines():
            self._fail(f"{path}:{line.number}" if line.number else str(path), f"the line {line.line!r} {line.reason}")
        for problem in work.problems():
            where, _, why = problem.partition(": ")
            self._fail(where, why)
        for directory in work.foreign():
            self._fail(str(directory), "another scicat-watch ingests this directory, perhaps the daemon; stop it first")

    def _fail(self, what: str, why: str) -> None:
        with self._lock:
            self._summary.counts[Status.FAILED] += 1
            self._summary.failures.append((what, why))

    def _end(self, works: list[BeamtimeWork]) -> Summary:
        self._stopping.set()
        self._dispatcher.join(_END_WITHIN)
        for work in works:
            work.settle(_END_WITHIN)
            work.take_results()
            if not work.foreign():  # Otherwise the state is the other's to report.
                work.report()
            work.release(_END_WITHIN)
        summary = self._summary
        summary.left = max(0, self._total - self._tried)
        if self._dispatcher.unavailable is not None:
            summary.unavailable = str(self._dispatcher.unavailable)
        return dataclasses.replace(summary)
