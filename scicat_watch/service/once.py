"""The one-time ingest of one target, step by step: for whoever has a thread for it (`oneshot`, the daemon)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from scicat_watch.discovery.watch import Hints
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import Request, RequestKey
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.reporting.reporter import Reporter
from scicat_watch.service.site import Site
from scicat_watch.service.targets import Target
from scicat_watch.service.work import BeamtimeWork


class OnceWork:
    """Has every scan that a target means ingested once, those included that are done. One thread calls it."""

    def __init__(
        self,
        site: Site,
        target: Target,
        dispatcher: Dispatcher,
        reporter: Reporter,
        ledger: BeamtimeLedger,
        *,
        retry: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`reporter`: hears of each outcome; `retry`: take only what failed before; `wake`: see `BeamtimeWork`."""

        def failed(request: Request) -> bool:
            return target.means(request) and ledger.failed(ledger.as_begun(request))

        self.target, self._clock = target, site.clock
        self.work = BeamtimeWork(
            site, target.beamtime, dispatcher, reporter, rules=target.rules, ledger=ledger,
            entered=site.calls.about, wake=wake, once=failed if retry else target.means, within=target.within,
        )  # fmt: skip
        self.found = 0
        """How many scans were handed on to be ingested so far."""
        self._pids: dict[RequestKey, str] = {}
        self._hints: Hints | None = None

    def step(self) -> float | None:
        """Rescan, and hand on what is ready; monotonic time of the next step, None if nothing changes any more."""
        findings = self.work.step(self._hints)
        self.found += len(findings.ready)
        self._pids |= {ready.request.key: ready.request.pid for ready in findings.ready}
        if self._hints is None:
            self.work.watch.offer_missing(self.target.files, findings, self._clock.monotonic())
        self._hints = Hints()  # Everything was rescanned; now only what is pending.
        if self.work.watch.stuck:
            return None
        due = self.work.watch.next_due()
        return self._clock.monotonic() if due is None else due

    @property
    def settled(self) -> bool:
        """Whether there was an outcome of everything that was handed on."""
        self.work.take_results()
        return not self.work.watch.handed

    def open(self) -> list[str]:
        """The ids of the datasets that were handed on, and of which nothing was heard."""
        return [pid for key, pid in self._pids.items() if self.work.watch.is_under_way(key)]

    def _asked_for(self, path: Path) -> bool:
        """Whether a list is one of those whose scans are meant."""
        within = self.target.within
        return not within or any(path.is_relative_to(one) for one in within)

    def failures(self) -> Iterator[tuple[str, str]]:
        """What cannot be ingested, after the last step: each with the reason."""
        for waiting in self.work.watch.waiting():
            yield waiting.request.pid, f"not complete: {waiting.reason}"
        for path, line in self.work.watch.bad_lines():
            if not self._asked_for(path):
                continue  # The list was read only to know which of the files it names.
            yield f"{path}:{line.number}" if line.number else str(path), f"the line {line.line!r} {line.reason}"
        for problem in self.work.problems():
            where, _, why = problem.partition(": ")
            yield where, why
        for directory in self.work.foreign():
            yield str(directory), "another scicat-watch ingests this directory: it runs elsewhere, or with other state"
