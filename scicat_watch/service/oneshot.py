"""The one-time ingest: every scan of the given beamtimes, lists or files once, then a summary.

It does the daemon's work, with two differences: scans that are done are ingested again, and their datasets brought
up to date where they changed; and it ends. A scan that is not complete is waited for while it changes, and counts as
failed when it does not.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import Outcome, Status
from scicat_watch.progress import BeamtimeState
from scicat_watch.service.bulkheads import Bulkheads
from scicat_watch.service.once import OnceWork
from scicat_watch.service.remembered import Remembered, remembered, why_away
from scicat_watch.service.reporting.journal import JournalReporter
from scicat_watch.service.site import Site
from scicat_watch.service.targets import Target
from scicat_watch.service.work import BeamtimeWork
from scicat_watch.words import counted

log = logging.getLogger(__name__)

END_WITHIN = 13.0
"""Seconds after a stop in which all ends, or is cut short."""
_END_WITHIN = 10.0  # Of these, for what is under way.
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

    def add(self, other: Summary) -> None:
        """Take in how another part of the same ingest ended."""
        for status, count in other.counts.items():
            self.counts[status] += count
        self.failures += other.failures
        self.unavailable = self.unavailable or other.unavailable
        self.left += other.left

    @property
    def exit_status(self) -> int:
        """0 all done, 1 something failed, 3 the catalogue is unreachable."""
        return 3 if self.unavailable else 1 if self.failures or self.left else 0


class OneShot:
    """One run over some targets. It is the reporter of its own work, and passes on what it hears."""

    def __init__(
        self,
        site: Site,
        progress: Callable[[Outcome, int], None] = lambda outcome, total: None,
        *,
        retry: bool = False,
        bulkheads: Bulkheads | None = None,
    ) -> None:
        """`progress` is called with each outcome and how many scans there are so far, one call at a time.

        `retry`: only scans that failed before. `bulkheads`: those in which the targets were searched for.
        """
        self._retry = retry
        self._site, self._stopping, self._progress = site, site.stopping, progress
        self._summary = Summary()
        self._lock = threading.Lock()
        self._total = 0
        self._tried = 0
        self._ledgers: dict[tuple[Path, str], BeamtimeLedger] = {}
        self._bulkheads = bulkheads or Bulkheads(site.calls, site.clock, site.stopping, site.serial)
        self._known: Remembered = {}
        self._shown = {(state.directory, state.id): state for state in site.journal.shown()}
        self._dispatcher = site.dispatcher(site.settings.catalogue.patience.give_up_after)

    def run(self, found: list[Target | BrokenBeamtime]) -> Summary:
        """Ingest all of it; the summary."""
        works: list[OnceWork] = []
        self._known = remembered(self._site.journal.places)
        for target in found:
            if isinstance(target, BrokenBeamtime):
                self._fail(str(target.file), target.reason)
            else:
                self._bulkheads.make(target.beamtime.directory, functools.partial(self._begin, target, works))
        while not self._stopping.is_set() and self._is_open(works):
            pass
        self._late_check()
        return self._end(works)

    def _begin(self, target: Target, works: list[OnceWork]) -> None:
        directory = target.beamtime.directory
        if target.beamtime.generated:
            with self._site.calls.on(directory):
                why = why_away(self._known.get(directory, ()))
            if why:
                self._fail(str(directory), f"the beamtime directory is not there: {why}")
                return
            log.warning(
                "%s: has no beamtime metadata file; ingested as generated beamtime %s", directory, target.beamtime.id
            )
        works.append(work := self._work(target))
        self._exhaust(work)

    def _is_open(self, works: list[OnceWork]) -> bool:
        """Whether outcomes are to come, other than from where no answer comes; returns after a while, or if not."""
        self._site.clock.wait(_WAKE_EVERY, self._dispatcher.idle)  # A stop is noticed between two waits.
        waits = [one for one in works if self._bulkheads.silence(one.target.beamtime.directory) is None]
        if self._bulkheads.named:
            self._dispatcher.wake()  # One may answer again, where nothing was read meanwhile.
            if any(self._bulkheads.silence(root) is None for root in self._bulkheads.left()):
                return True
        if self._dispatcher.idle.is_set():
            return not all(one.work.settle(_WAKE_EVERY) for one in waits)
        return not all(one.settled for one in waits)

    def _late_check(self) -> None:
        """Have datasets read again as far as that is due, and say what is left."""
        if self._stopping.is_set() or self._site.availability.error is not None:
            return
        self._site.late_checking().now()
        if left := self._site.journal.written(self._site.settings.catalogue.url or "").late_checks():
            due = datetime.fromtimestamp(left[0].due, UTC)
            log.warning(
                "an answer of the catalogue was lost for %s, to be read again after %s UTC: by the daemon, or by the "
                "next ingest",
                counted(len(left), "dataset"), f"{due:%H:%M:%S}",
            )  # fmt: skip

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

    def _work(self, target: Target) -> OnceWork:
        beamtime = target.beamtime
        # Several targets of one beamtime share its locks: none of them is another scicat-watch.
        ledger = self._ledgers.setdefault((beamtime.directory, beamtime.id), self._site.ledger(beamtime))
        return OnceWork(self._site, target, self._dispatcher, self, ledger, retry=self._retry)

    def _exhaust(self, work: OnceWork) -> None:
        """Rescan until nothing is pending but what does not change any more."""
        due: float | None = self._site.clock.monotonic()
        while due is not None and not self._stopping.is_set():
            self._site.clock.wait(due - self._site.clock.monotonic(), self._stopping)
            before = work.found
            with self._site.calls.on(work.target.beamtime.directory):
                due = work.step()
            with self._lock:
                self._total += work.found - before
        with self._site.calls.on(work.target.beamtime.directory):
            failures = list(work.failures())
        for what, why in failures:
            self._fail(what, why)

    def _fail(self, what: str, why: str) -> None:
        with self._lock:
            self._summary.counts[Status.FAILED] += 1
            self._summary.failures.append((what, why))

    def _end(self, works: list[OnceWork]) -> Summary:
        self._stopping.set()
        self._dispatcher.join(_END_WITHIN)
        for work in works:
            self._bulkheads.make(work.target.beamtime.directory, functools.partial(self._conclude, work.work))
        for root, why in unanswered(self._bulkheads):
            self._fail(root, why)
        for work in works:
            if self._bulkheads.silence(work.target.beamtime.directory) is not None:
                self._leave(work)
        summary = self._summary
        summary.left = max(0, self._total - self._tried)
        if self._dispatcher.unavailable is not None:
            summary.unavailable = str(self._dispatcher.unavailable)
        return dataclasses.replace(summary)

    def _conclude(self, work: BeamtimeWork) -> None:
        work.settle(_END_WITHIN)
        with self._site.calls.on(work.beamtime.directory):
            work.take_results()
            if not work.foreign():  # Otherwise the state is the other's to report.
                work.report()
        work.release(_END_WITHIN)

    def _leave(self, work: OnceWork) -> None:
        """Say which scans were not ingested, as no answer came where they are; and that for `status`."""
        beamtime = work.target.beamtime
        if (last := self._shown.get((str(beamtime.directory), beamtime.id))) is not None:
            work.work.remember(last)  # There was nothing to be counted.
        work.work.report_again(JournalReporter(self._site.journal))  # The log has it.
        pids = work.open()
        with self._lock:
            self._tried += len(pids)
        for pid in pids:
            self._fail(pid, "not ingested, or not noted as ingested: its file system does not answer")


def unanswered(bulkheads: Bulkheads) -> list[tuple[str, str]]:
    """The roots that do not answer, each with what to do."""
    then = "what is missing from there is ingested by scicat-watch ingest"
    return [(str(root), f"{silence.said}; {then} {root} when it answers") for root, silence in bulkheads.left().items()]
