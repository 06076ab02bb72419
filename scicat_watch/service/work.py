"""The work on one beamtime: what its watch finds goes, by the ledger's plan, into the lanes and back."""

from __future__ import annotations

import dataclasses
import functools
import logging
import queue
from collections.abc import Callable
from pathlib import Path

from scicat_watch.discovery.pending import Ready
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.watch import BeamtimeWatch, Findings, Hints, Ledger
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.plan import Action, Decision
from scicat_watch.model import Beamtime, Outcome, Scan
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.site import Site

log = logging.getLogger(__name__)

_SHOWN = 50  # Waiting scans and bad lines that `status` is told of, besides their number.


class BeamtimeWork:
    """Steps one beamtime; all methods but `_finished` are called by one thread."""

    def __init__(
        self,
        site: Site,
        beamtime: Beamtime,
        lanes: Dispatcher,
        *,
        rules: WatchRules | None = None,
        entered: Callable[[Path], None] = lambda path: None,
        finished: Callable[[Outcome], None] = lambda outcome: None,
        once: Callable[[Scan], bool] | None = None,
        within: Path | None = None,
    ) -> None:
        """`finished` is told each outcome, from any thread.

        `once`: take all scans of which this is true, also those that are done, and none of them again.
        `within`: look only into the directories on the way to this one.
        """
        self.beamtime = beamtime
        self._site, self._lanes, self._told, self._once = site, lanes, finished, once is not None
        self.ledger: BeamtimeLedger = site.ledger(beamtime)
        self._results: queue.SimpleQueue[tuple[Scan, float | None]] = queue.SimpleQueue()
        self._foreign: set[Path] = set()
        self._unusable: dict[Path, str] = {}
        asked = Ledger(once) if once else Ledger(self.ledger.wanted, self.ledger.begun, self.ledger.changed)
        self.watch = BeamtimeWatch(
            beamtime, rules or site.settings.watch_rules(), site.host, asked, entered,
            patient=once is None, within=within,
        )  # fmt: skip

    def step(self, hints: Hints | None) -> Findings:
        """Look, and put what is ready into the lanes. OSError if a list of ours cannot be read."""
        self.take_results()
        findings = self.watch.step(self._site.clock.monotonic(), hints)
        for ready in findings.ready:
            self._dispatch(ready)
        return findings

    def foreign(self) -> set[Path]:
        """Scan directories that another scicat-watch ingests."""
        return set(self._foreign)

    def problems(self) -> list[str]:
        """Directories and lists that cannot be read or worked on, for people."""
        unusable = [f"{path}: cannot be worked on: {error}" for path, error in self._unusable.items()]
        return self.watch.problems() + unusable

    def show(self, problem: str = "") -> None:
        """Leave the state of the beamtime for `status`."""
        waiting = [one for one in self.watch.waiting() if not one.put_off]  # Failed ones are told as failed.
        bad = [(path, line) for path, line in self.watch.bad_lines()]
        self._site.journal.show(
            self.beamtime.directory,
            self.beamtime.id,
            {
                "title": str(self.beamtime.metadata.get("title") or ""),
                "generated": self.beamtime.generated,
                "done": sum(self.ledger.ingested(path).count for path in self.watch.scan_directories()),
                "waiting": len(waiting),
                "waiting_scans": [{"pid": one.scan.pid, "reason": one.reason} for one in waiting[:_SHOWN]],
                "skipped": len(bad),
                "skipped_lines": [
                    {"list": str(path), "line": line.line, "number": line.number, "reason": line.reason}
                    for path, line in bad[:_SHOWN]
                ],
                "elsewhere": sorted(str(path) for path in self._foreign),
                "problems": ([problem] if problem else []) + self.problems(),
            },
        )

    def _dispatch(self, ready: Ready) -> None:
        scan = ready.scan
        if not self._may_ingest(scan.directory):
            if self._once:  # It ends rather than wait for another's end.
                self.watch.forget(scan)
            else:
                self._put_off(scan, self._site.settings.watching.rescan_interval)
            return
        now = self._site.clock.now().timestamp()
        decision = Decision(Action.INGEST) if self._once else self.ledger.decide(scan, ready.signature, now)
        match decision.action:
            case Action.INGEST:
                self.ledger.begin(scan, now)
                known = dataclasses.replace(ready, scan=self.ledger.as_known(scan))
                self._lanes.put(scan.directory, (known, self.beamtime, functools.partial(self._finished, ready)))
            case Action.WAIT:
                self._put_off(scan, decision.until - now)
            case Action.NOTE:
                self.ledger.note_found(scan)
                self.watch.forget(scan)
            case Action.NOTHING:
                self.watch.forget(scan)

    def _may_ingest(self, directory: Path) -> bool:
        """Whether the scans of a directory are ours; if not, says why in the log."""
        try:
            ours = self.ledger.ours(directory)
        except OSError as error:
            if self._unusable.get(directory) != str(error):
                log.error("%s: cannot be worked on: %s", directory, error)
            self._unusable[directory] = str(error)
            return False
        self._unusable.pop(directory, None)
        if ours:
            self._foreign.discard(directory)
        elif directory not in self._foreign:
            log.warning("%s: another scicat-watch ingests this directory; staying passive", directory)
            self._foreign.add(directory)
        return ours

    def _finished(self, ready: Ready, known: Ready, outcome: Outcome) -> None:
        """Note the outcome of `ready`, which was ingested as `known`; called by a lane's thread."""
        _report(outcome)
        outcome = dataclasses.replace(outcome, scan=ready.scan)
        now = self._site.clock.now().timestamp()
        try:
            again = self.ledger.note(outcome, ready.signature, now)
        except Exception:
            # A scan that could not be noted comes again, and is found unchanged in the catalogue.
            log.exception("%s: a fault of scicat-watch while noting the outcome", outcome.scan.pid)
            again = now + self._site.settings.retrying.first
        self._results.put((outcome.scan, None if again is None else again - now))
        self._told(outcome)

    def take_results(self) -> None:
        """Tell the watch which scans are done with, and which are to come again."""
        while True:
            try:
                scan, wait = self._results.get_nowait()
            except queue.Empty:
                return
            if wait is None or self._once:
                self.watch.forget(scan)
            else:
                self._put_off(scan, wait)

    def _put_off(self, scan: Scan, seconds: float) -> None:
        self.watch.again(scan, self._site.clock.monotonic() + seconds)


def _report(outcome: Outcome) -> None:
    if outcome.done:
        log.info("%s %s in %.2f s", outcome.status, outcome.scan.pid, outcome.seconds)
    else:
        log.error("failed %s: %s", outcome.scan.pid, outcome.reason)
    for note in outcome.notes:
        log.debug("%s: %s", outcome.scan.pid, note)
