"""The work on one beamtime: what its watch finds goes, by the ledger's plan, into the queues and back."""

from __future__ import annotations

import functools
import itertools
import logging
import math
import os
import queue
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scicat_watch.discovery.completeness import Ready
from scicat_watch.discovery.presence import Presence
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.tree import Entered, unwatched
from scicat_watch.discovery.watch import BeamtimeWatch, Findings, Hints
from scicat_watch.errors import NameTaken
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.plan import Action, Decision
from scicat_watch.model import Beamtime, Outcome, Request, RequestKey, Status
from scicat_watch.pipeline.belonging import belonging
from scicat_watch.progress import BeamtimeState, Outage, SkippedLine, Stages, WaitingScan, WatchState
from scicat_watch.scanstate import ScanState
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.reporting.reporter import Reporter
from scicat_watch.service.site import Site
from scicat_watch.service.targets import Once
from scicat_watch.words import why

log = logging.getLogger(__name__)

_NOT_COUNTED = "it was paused before the daemon's start; what is done is counted when it is resumed"
_REPORTED_WITHIN = 60.0  # Seconds after which it is reported that nothing has changed but the time of the last rescan.
_SHOWN = 50  # Waiting scans and bad lines that a state names, besides their number.


class BeamtimeWork:
    """Steps one beamtime; all methods but those that begin with `_finish` and `_note` are called by one thread.

    Outcomes are noted in a thread of the beamtime's own: where its file system hangs, the queues go on.
    """

    def __init__(
        self,
        site: Site,
        beamtime: Beamtime,
        dispatcher: Dispatcher,
        reporter: Reporter,
        *,
        rules: WatchRules | None = None,
        ledger: BeamtimeLedger | None = None,
        entered: Entered = unwatched,
        left: Callable[[Path], None] = lambda path: None,
        wake: Callable[[], None] = lambda: None,
        once: Callable[[Request], bool] | None = None,
        within: tuple[Path, ...] = (),
    ) -> None:
        """`wake` is called, from any thread, when there is an outcome for `step` to take.

        `once`: take all requests of which this is true, also those that are done, and none of them again.
        `within`: rescan only there, see `discovery.tree`.
        """
        self.beamtime = beamtime
        self._site, self._dispatcher, self._reporter = site, dispatcher, reporter
        self._wake, self._once = wake, once is not None
        self.ledger = ledger or site.ledger(beamtime)
        self._results: queue.SimpleQueue[tuple[Request, ScanState | None, float | None]] = queue.SimpleQueue()
        title = str(beamtime.metadata.get("title") or "")
        self._reported_at = -math.inf
        """Monotonic time at which the state was reported that is the last one."""
        self._reported = BeamtimeState(str(beamtime.directory), beamtime.id, title, beamtime.generated)
        self.watching: Callable[[], WatchState | None] = lambda: None
        """How changes are noticed, for the state."""
        self.presence = Presence(beamtime.directory, beamtime.file)
        self._notes = site.serial(f"notes {beamtime.id}")
        self._under_way: dict[str, Request] = {}
        """What is in the queues, by the identity of its files."""
        self._held: dict[RequestKey, list[Request]] = {}
        """By the key of what is in the queues: the requests for the same files under other names, which wait for it."""
        self._caught_up_at, self._rescan_used = -math.inf, 0.0
        self._unnoted: list[str] = []
        """Problems of noting that were reported."""
        self._foreign: set[Path] = set()
        self._unusable: dict[Path, str] = {}
        asked = Once(self.ledger, once) if once else self.ledger
        self.watch = BeamtimeWatch(
            beamtime, rules or site.settings.watch_rules(), site.host, asked, entered, left,
            patient=once is None, within=within,
        )  # fmt: skip
        self._rechecks = site.rechecks(beamtime, self.ledger, self.watch)

    def step(self, hints: Hints | None) -> Findings:
        """Rescan what the hints name, or everything, and queue what is ready. OSError if a list cannot be read."""
        self.take_results()
        self.catch_up()
        began = time.thread_time()
        try:
            findings = self.watch.step(self._site.clock.monotonic(), hints)
            if findings.ready:
                self.ledger.make_way((one.request for one in findings.ready), self.watch.data_files)
        finally:
            self._rescan_used += time.thread_time() - began
        for ready in findings.ready:
            self._dispatch(ready)
        if hints is not None:
            self._rechecks.closed(hints.files, self._site.settings.watching.ingestion_delay)
        return findings

    def take_rescan_used(self) -> float:
        """Seconds of a core that rescans took since this was last asked."""
        used, self._rescan_used = self._rescan_used, 0.0
        return used

    def next_due(self) -> float:
        """Monotonic time at which `step` or `recheck` may have something to do."""
        due = self.watch.next_due()
        return min(self._rechecks.next_due(), self._catch_up_at(), math.inf if due is None else due)

    def is_due(self, now: float) -> bool:
        """Whether there is an outcome to take, or a request to check at `now`, or what can be noted has changed."""
        due = self.watch.next_due()
        return not self._results.empty() or (due is not None and due <= now) or self._unnoted != self.ledger.problems()

    def recheck(self) -> bool:
        """Compare some published scans with their files; whether there is something new to report."""
        return self._rechecks.step()

    def forget_gone(self) -> None:
        """After a full rescan of a beamtime directory that is there: no failure is shown of what is not there."""
        self.ledger.forget_gone(lambda key: self.watch.is_under_way(key) or _has_files(key))

    def catch_up(self) -> None:
        """Have noted, in the thread that notes, what could not be noted before; now and then."""
        if self._site.clock.monotonic() >= self._catch_up_at():
            self._caught_up_at = self._site.clock.monotonic()
            self._notes.put(self._catch_up)

    def _catch_up_at(self) -> float:
        return self._caught_up_at + self._site.settings.retrying.first if self.ledger.problems() else math.inf

    def _catch_up(self) -> None:
        with self._site.calls.on(self.beamtime.directory):
            if not self.presence.why_away():
                self.ledger.catch_up()
        self._wake()

    def foreign(self) -> set[Path]:
        """Scan directories that another scicat-watch ingests."""
        return set(self._foreign)

    def problems(self) -> list[str]:
        """Directories and lists that cannot be read or worked on, for people."""
        return self._problems(self._done()[1])

    def _problems(self, unreadable: list[str]) -> list[str]:
        unusable = [
            f"{path}: its scans wait, because the ingested list cannot be used: {error}"
            for path, error in self._unusable.items()
        ]
        return list(dict.fromkeys(self.watch.problems() + unreadable + unusable + self.ledger.problems()))

    def state(self, problem: str = "") -> BeamtimeState:
        """How far the work is."""
        # Requests that failed are shown as failed, by the journal.
        waiting = itertools.islice((one for one in self.watch.waiting() if not one.put_off), _SHOWN)
        bad = list(self.watch.bad_lines())
        done, unreadable = self._done()
        changed, outage = self._rechecks.changed(), self._site.availability.outage
        stages = self._stages(outage)
        return BeamtimeState(
            directory=str(self.beamtime.directory),
            id=self.beamtime.id,
            title=str(self.beamtime.metadata.get("title") or ""),
            generated=self.beamtime.generated,
            done=done,
            waiting=stages.total,
            waiting_scans=tuple(WaitingScan(one.request.pid, one.reason) for one in waiting),
            stages=stages,
            outage=outage if stages.catalogue else None,
            skipped=len(bad),
            skipped_lines=tuple(
                SkippedLine(str(path), line.line, line.number, line.reason) for path, line in bad[:_SHOWN]
            ),
            changed=len(changed),
            changed_scans=tuple(changed[:_SHOWN]),
            elsewhere=tuple(sorted(str(path) for path in self._foreign)),
            problems=((problem,) if problem else ()) + tuple(self._problems(unreadable)),
            notes=tuple(self.ledger.notes()),
            counted=self._site.clock.now().isoformat(timespec="seconds"),
            watch=self.watching(),
        )

    @property
    def under_way(self) -> bool:
        """Whether something is in the queues, so that the state changes without anything that happens here."""
        return self._dispatcher.load(self.beamtime).total > 0

    def _stages(self, outage: Outage | None) -> Stages:
        load, incomplete = self._dispatcher.load(self.beamtime), self.watch.incomplete
        queued = load.queued + sum(map(len, self._held.values()))
        if outage is None:
            return Stages(incomplete, queued, load.reading, load.publishing)
        return Stages(incomplete, reading=load.reading, catalogue=queued + load.publishing)

    def report(self, problem: str = "") -> None:
        """Report the state of the beamtime if it has changed.

        That it was rescanned is a change only now and then: hundreds of beamtimes are, again and again.
        """
        self._unnoted = self.ledger.problems()  # First: it may change meanwhile.
        state, now = self.state(problem), self._site.clock.monotonic()
        if now < self._reported_at + _REPORTED_WITHIN and state.but_for_times() == self._reported.but_for_times():
            return
        self._reported, self._reported_at = state, now
        self.report_again()

    def report_away(self, problem: str) -> None:
        """Report that the beamtime directory is not there; all else stays as it was last reported."""
        self._reported, self._reported_at = replace(self._reported, problems=(problem,), stale=True), -math.inf
        self.report_again()

    def report_paused(self) -> None:
        """Report that the beamtime is paused; all else stays as it was last reported."""
        self._reported, self._reported_at = replace(self._reported, paused=True), -math.inf
        self.report_again()

    def remember(self, state: BeamtimeState | None) -> None:
        """Take a state that was reported before the start for the last one, as nothing is rescanned now."""
        unknown = replace(self._reported, notes=(_NOT_COUNTED,))
        self._reported = state or unknown

    def report_again(self, reporter: Reporter | None = None) -> None:
        """Report the last state, with whether the file system answers by now; called by any thread.

        `reporter`: who hears of it, instead of who hears of all.
        """
        state, silence = self._reported, self._site.calls.silence(self.beamtime.directory)
        (reporter or self._reporter).beamtime(
            replace(state, problems=(str(silence), *state.problems), stale=True) if silence else state
        )

    def take_results(self) -> None:
        """Say to the watch which requests are done with, and which are to come again."""
        while True:
            try:
                request, files, wait = self._results.get_nowait()
            except queue.Empty:
                return
            self._has_left_queues(request, files)
            if wait is None or self._once:
                self.watch.forget(request)
                self._rechecks.published(request)
            else:
                self._put_off(request, wait)

    def _has_left_queues(self, request: Request, files: ScanState | None) -> None:
        if (
            files is not None
            and (first := self._under_way.get(files.identity)) is not None
            and first.key == request.key
        ):
            del self._under_way[files.identity]
        for held in self._held.pop(request.key, ()):
            self._put_off(held, 0.0)

    def _is_held(self, request: Request, files: ScanState | None) -> bool:
        """Whether the same files are in the queues under another name, which they had until just now.

        Which dataset they have is known only once that has its outcome. Of hard links one waits for the other.
        """
        first = self._under_way.get(files.identity) if files is not None and files.identity else None
        if first is None or self._once or first.scan.place == request.scan.place:
            return False
        self._held.setdefault(first.key, []).append(request)
        return True

    def settle(self, seconds: float) -> bool:
        """Wait until all outcomes so far were noted, at most so many seconds; whether they were."""
        return self._notes.settle(seconds)

    def release(self, seconds: float) -> bool:
        """Give the locks of the ledger back once all outcomes were noted; whether that was within so many seconds."""
        self._notes.put(self._release)
        return self.settle(seconds)

    def _release(self) -> None:
        with self._site.calls.on(self.beamtime.directory):
            self.ledger.release()

    def _done(self) -> tuple[int, list[str]]:
        """How many scans are done, and which ingested lists cannot be read."""
        return self.ledger.count_done(self.watch.scan_directories())

    def _dispatch(self, ready: Ready) -> None:
        asked, settings = ready.request, self._site.settings
        files = self._rechecks.state_of(asked, asked.scan.master)
        if self._is_held(asked, files):
            return
        try:
            request = self.ledger.identified(self.ledger.as_begun(asked), files)
        except OSError as error:
            self._unusable[asked.key.directory] = why(error)
            self._leave(asked, settings.retrying.first)
            return
        except NameTaken as error:
            self._finished(ready, files, Outcome(asked, Status.FAILED, str(error)))
            return
        self._unusable.pop(asked.key.directory, None)
        # The directory that names the scan learns of it as well, and nobody else may be at the same dataset.
        directories = dict.fromkeys((request.key.directory, request.scan.directory))
        if not all(self._may_ingest(directory) for directory in directories):
            self._leave(asked, settings.watching.rescan_interval)
            return
        now = self._site.clock.now().timestamp()
        decision = Decision(Action.INGEST) if self._once else self.ledger.decide(request, ready.state, now)
        if decision.action is Action.INGEST and not self._once:
            decided = self._rechecks.left_to_do(request, files)
            request, decision = decided or request, decision if decided else Decision(Action.NOTHING)
        match decision.action:
            case Action.INGEST:
                self.ledger.take_moved(request, files)
                self.ledger.begin(request, now)
                named = replace(ready, request=request)
                suspect, finished = self.ledger.suspect(request), functools.partial(self._finished, ready, files)
                if files is not None and files.identity:
                    self._under_way[files.identity] = asked
                self._dispatcher.put(named, self.beamtime, finished, suspect=suspect)
            case Action.WAIT | Action.HOLD:
                self.ledger.is_back(request)
                self._put_off(asked, decision.until - now)
            case Action.NOTHING:
                self.watch.forget(asked)

    def _leave(self, request: Request, seconds: float) -> None:
        """Let a request that cannot be worked on come again later; a one-time ingest ends rather than wait."""
        if self._once:
            self.watch.forget(request)
        else:
            self._put_off(request, seconds)

    def _may_ingest(self, directory: Path) -> bool:
        """Whether the scans of a directory are ours."""
        try:
            ours = self.ledger.ours(directory)
        except OSError as error:
            self._unusable[directory] = why(error)
            return False
        self._unusable.pop(directory, None)
        if ours:
            self._foreign.discard(directory)
        elif directory not in self._foreign:
            log.warning("%s: another scicat-watch ingests this directory; this one leaves it alone", directory)
            self._foreign.add(directory)
        return ours

    def _finished(self, ready: Ready, files: ScanState | None, outcome: Outcome) -> None:
        """Have the outcome of what `ready` asked for noted; called by a queue's thread, which must not wait."""
        # Where the file system does not answer, a scan that could not be read is no worse than the others.
        excused = not outcome.done and self._site.calls.hangs(self.beamtime.directory)
        self._notes.put(functools.partial(self._note, ready, files, outcome, excused))

    def _note(self, ready: Ready, files: ScanState | None, outcome: Outcome, excused: bool) -> None:
        """Note and report an outcome; called by the thread that notes. `excused`: it does not count as an attempt."""
        now = self._site.clock.now().timestamp()
        try:
            with self._site.calls.on(self.beamtime.directory):
                # What is in the place of a beamtime directory gets no ingested list.
                later = now + self._site.settings.retrying.first if excused or self.presence.why_away() else None
                again = later or self.ledger.note(outcome, ready.state, now, files)
        except Exception:
            # A request that could not be noted comes again, and is found unchanged in the catalogue.
            log.exception("%s: a fault of scicat-watch while noting the outcome", outcome.request.pid)
            again = now + self._site.settings.retrying.first
        self._reporter.outcome(outcome)  # First: whoever takes the last result has heard of all outcomes.
        self._results.put((ready.request, files, None if again is None else again - now))
        self._wake()

    def _put_off(self, request: Request, seconds: float) -> None:
        """Let a request come again later. One that is quarantined is checked now and then: its file may be another."""
        if math.isinf(seconds):
            seconds = self._site.settings.watching.rescan_interval
        self.watch.again(request, self._site.clock.monotonic() + seconds)


def _has_files(key: RequestKey) -> bool:
    """Whether something lies where the files of a request that failed were; also if that is not known."""
    if key.line[:1] in "'\"":
        return True  # A quoted name: it is not taken apart.
    place = key.directory / key.line.split(None, 1)[0].partition(":")[0]
    try:
        names = os.listdir(place.parent)  # noqa: PTH208 - fast
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(map(belonging(place.name, "exact"), names))
