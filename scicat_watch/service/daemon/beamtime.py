"""The watch over one beamtime: hints and full rescans in, requests into the queues, state to the reporters."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
from dataclasses import replace
from pathlib import Path

from scicat_watch.discovery.events.source import EventSource
from scicat_watch.discovery.presence import Known
from scicat_watch.discovery.watch import Hints
from scicat_watch.model import Beamtime
from scicat_watch.service.daemon.hints import HintQueue
from scicat_watch.service.daemon.jobs import Job
from scicat_watch.service.daemon.notices import Notices
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.remembered import place_of
from scicat_watch.service.site import Site
from scicat_watch.service.work import BeamtimeWork
from scicat_watch.words import why

log = logging.getLogger(__name__)

END_WITHIN = 8.0
"""Seconds after a stop in which what is under way may end."""
GATHER = 0.02
"""Seconds for which hints are gathered: events come in clusters, a file is made, written and closed."""
_BUSY_SHARE = 0.1  # Most of a core that rescans may take while events stream in.
_LONGEST_REST = 5.0
_REPORT_WITHIN = 1.0
_REPORT_AGAIN = 2.0  # While something is in the queues: also where they stand still, as the catalogue is unavailable.
_AWAY = 5.0  # Seconds between two checks whether a directory is back.


class BeamtimeLoop:
    """Watches one beamtime until it is to stop; one thread runs it."""

    def __init__(self, site: Site, beamtime: Beamtime, dispatcher: Dispatcher, events: EventSource) -> None:
        self.beamtime = beamtime
        self._site, self._clock, self._events, self._dispatcher = site, site.clock, events, dispatcher
        self._leaving = threading.Event()
        self.hints = HintQueue(beamtime.directory, *self._names())
        self._notices = Notices(beamtime.directory, events, self.hints, site.clock)
        self.work = self._new_work()
        self._renewed, self._paused = threading.Event(), threading.Event()
        self._problem = ""
        self._away = ""
        """The problem while the directory is not there; empty while it is."""
        self._remembered: Known | None = None
        """As what the directory was last noted in the journal."""
        self._rescan_at = self._live_at = self._report_at = self._hints_at = -math.inf
        self._asked: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._jobs: list[Job] = []
        self._ended = ""
        """Why nothing is done here any more; empty before."""

    def ask(self, job: Job) -> None:
        """Have a job done in the thread of this beamtime; called by any thread."""
        self._asked.put(job)
        self.hints.wake()
        if self._ended:
            self._abandon_asked(self._ended)

    def renew(self) -> None:
        """Search the beamtime for scans anew, by the settings that are in force now; called by any thread."""
        self._renewed.set()
        self.hints.wake()

    def pause(self, paused: bool) -> None:
        """Read and publish nothing new of the beamtime from now on, or do it again; called by any thread."""
        if not paused and self._paused.is_set():
            self._renewed.set()  # First: the thread must not go on with what it forgot when it was paused.
            self._paused.clear()
        elif paused:
            self._paused.set()
        self.hints.wake()

    @property
    def last_rescan(self) -> tuple[str, float]:
        """When the last full rescan ended, and the seconds it took; asked for by any thread."""
        return self._notices.last_rescan

    def give_up(self, why: str) -> None:
        """Do no longer what was asked for, as the file system does not answer; called by another thread.

        What has been begun ends with its next step.
        """
        for job in list(self._jobs):
            job.abandon(why)
        self._abandon_asked(why)

    def leave(self) -> None:
        """Let `run` end, because the beamtime is not to be watched any more."""
        self._leaving.set()
        self.hints.wake()

    def run(self) -> None:
        """Turn after turn, whatever happens in one."""
        with self._site.paces.first.one(self._over):
            first = self._clock.monotonic() if self._over() else self.turn()
        self._rest(first)
        while not self._over():
            self._rest(self.turn())
        self._ended = "the daemon is stopping" if self._site.stopping.is_set() else "it is watched no longer"
        self._abandon_asked(self._ended)
        for job in self._jobs:
            job.abandon(self._ended)
        for pace in (self._site.paces.all, self._site.paces.live):
            pace.leave(self)
        if not self._away:
            with self._site.calls.on(self.beamtime.directory):
                self.work.report(self._problem)

    @property
    def left(self) -> bool:
        """Whether the beamtime is not to be watched any more."""
        return self._leaving.is_set()

    def turn(self) -> float:
        """One turn; until when (monotonic time) nothing is due."""
        with self._site.calls.on(self.beamtime.directory):
            if self._paused.is_set():
                return self._stand_still()
            if self._renewed.is_set():
                self._begin_anew()
            return self._turn() if self._is_there() else self._clock.monotonic() + _AWAY

    def _stand_still(self) -> float:
        """Do nothing, as a person wishes; what is being published comes to its end."""
        self._dispatcher.drop(self.beamtime, 0.0)
        self.hints.take()
        self.work.take_results()
        self._take_asked()
        while self._jobs:
            self._jobs.pop().abandon(f"the beamtime is paused; scicat-watch resume {self.beamtime.id} ends that")
        ends = self.work.under_way
        if not ends:
            self.work.release(0.0)  # So that the file system can be unmounted, or another scicat-watch take over.
        self.work.report_paused()
        return self._clock.monotonic() + (_REPORT_AGAIN if ends else self._site.settings.watching.rescan_interval)

    def _is_there(self) -> bool:
        """Whether the beamtime directory is there. While it is not, everything known of it stays as it is."""
        before, known = self._away, self.work.presence.known
        why = self.work.presence.check()
        if not why:
            if before or self.work.presence.known != known is not None:
                self._away = ""
                self.hints.renew()
            self._remember()
            return True
        self.hints.take()
        self._take_asked()
        while self._jobs:
            self._jobs.pop().abandon(why)
        if not before:
            now = self._clock.now()
            self._away = f"{self.beamtime.directory}: away since {now:%Y-%m-%d %H:%M:%S} UTC: {why}"
            self.work.report_away(self._away)
        return False

    def _remember(self) -> None:
        """Note the directory, so that after a start nothing else is taken for it."""
        known = self.work.presence.known
        if known is not None and known != self._remembered:
            self._site.journal.places.note(place_of(self.work.beamtime, known))
            self._remembered = known

    def _turn(self) -> float:
        """Rescan what hints and the time ask for; until when (monotonic time) nothing is due."""
        started = self._clock.monotonic()
        if self.hints.take_renewal():
            self.work.watch.renew()
        hints, lost = self.hints.take(held=started < self._hints_at)
        asked = self._take_asked()
        full = lost or started >= self._rescan_at or any(job.full for job in asked)
        if live := not full and started >= self._live_at:
            hints = replace(hints, turn=self.work.watch.live(started))
        before, due = self._problem, math.inf
        eventful = live or bool(hints.directories or hints.files) or self.work.is_due(started)
        try:
            findings = self.work.step(None if full else hints)
            if full and hints.files:
                self.work.step(Hints(files=hints.files))  # A full rescan does not see that a known file was closed.
            eventful |= self.work.recheck()
            due = self.work.next_due()
            if full:
                self._notices.rescanned(() if lost else findings.missed, self._clock.monotonic() - started)
                self._problem = "; ".join(self._notices.away)
        except Exception as error:
            # The watch of a beamtime must not end because of something in one of its directories.
            log.exception("%s: a rescan failed", self.beamtime.directory)
            self._problem = f"a rescan failed: {why(error)}"  # Until a full rescan has caught up.
        if not self._is_there():
            return self._clock.monotonic() + _AWAY  # What the rescan found missing, it did not miss.
        if full:
            self._clear_up()
        self._plan_rescans(started, used := self.work.take_rescan_used(), full=full, live=live)
        jobs_due = self._step_jobs()
        now = self._clock.monotonic()
        self._report(now, at_once=full or self._problem != before, soon=eventful)
        if (hints.directories or hints.files) and not full and used > GATHER:
            # Rescans that cost much are made rarely: a flood of events takes no more than its share. All else goes on.
            self._hints_at = now + min(_LONGEST_REST, used / _BUSY_SHARE)
            self.hints.hold()
        hints_due = self._hints_at if self._hints_at > now else math.inf
        return min(self._rescan_at, self._live_at, self._report_at, jobs_due, due, self._notices.due, hints_due)

    def _clear_up(self) -> None:
        """After a full rescan."""
        if not self._notices.away:  # What is missing there is not gone.
            self.work.forget_gone()

    def _report(self, now: float, *, at_once: bool, soon: bool) -> None:
        """Report the state if it is time; `soon`: this turn may have changed it."""
        if at_once or now >= self._report_at:
            self.work.report(self._problem)
            self._report_at = now + _REPORT_AGAIN if self.work.under_way else math.inf
        elif soon:
            self._report_at = min(self._report_at, now + _REPORT_WITHIN)

    def _names(self) -> tuple[str, tuple[str, ...]]:
        """The name of the dataset lists, and the extensions of data files."""
        rules = self._site.settings.watch_rules()
        return rules.list_name(self.beamtime.id, self._site.host), (*rules.extensions, *rules.master_extensions)

    def _new_work(self) -> BeamtimeWork:
        work = BeamtimeWork(
            self._site, self.beamtime, self._dispatcher, self._site.reporter, entered=self._entered,
            left=self._events.unwatch, wake=self.hints.wake,
        )  # fmt: skip
        work.ledger.appending = self._notices.appending
        work.watching = lambda: self._notices.state(self._rescan_at)
        return work

    def _begin_anew(self) -> None:
        """Forget what is pending: a full rescan finds it again, by the settings of now."""
        self._renewed.clear()
        while self._jobs:
            self._jobs.pop().abandon("the configuration was read again meanwhile; ask for it once more")
        self._dispatcher.drop(self.beamtime, 0.0)
        old, self.beamtime = self.work, self.work.beamtime
        old.release(END_WITHIN)
        self.hints.expect(*self._names())
        self.work = self._new_work()
        self.work.presence = old.presence  # What an empty directory means is known by what was there before.
        self._rescan_at = self._live_at = -math.inf

    def _take_asked(self) -> list[Job]:
        asked = []
        with contextlib.suppress(queue.Empty):
            while True:
                asked.append(self._asked.get_nowait())
        self._jobs += asked
        return asked

    def _step_jobs(self) -> float:
        """Let the jobs go on; monotonic time of the next step."""
        due = math.inf
        for job in list(self._jobs):
            try:
                again = job.step(self.work, self._problem)
            except Exception as error:
                log.exception("%s: what a command asked for failed", self.beamtime.directory)
                job.abandon(why(error))
                again = None
            if again is None:
                self._jobs.remove(job)
            else:
                due = min(due, again)
        return due

    def _abandon_asked(self, why: str) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._asked.get_nowait().abandon(why)

    def _rest(self, until: float) -> None:
        if not self._over() and self._clock.wait(max(0.0, until - self._clock.monotonic()), self.hints.filled):
            self._clock.wait(GATHER, self._site.stopping)

    def _over(self) -> bool:
        return self._leaving.is_set() or self._site.stopping.is_set()

    def _plan_rescans(self, started: float, used: float, *, full: bool, live: bool) -> None:
        """Rescan again in time, now that a rescan that `started` then has `used` so many seconds of a core.

        Where no events come all is rescanned at the poll interval, as far as its cost allows; else what changed lately,
        as long as there is something.
        """
        watching, paces, now = self._site.settings.watching, self._site.paces, self._clock.monotonic()
        polled = self._notices.polled
        shortest = min(watching.rescan_interval, watching.poll_interval) if polled else watching.rescan_interval
        if full:
            # The first one lists all, which costs more than those that follow.
            cost = (0.0, 0.0) if self._rescan_at == -math.inf else (used, now - started)
            self._rescan_at = now + paces.all.interval(self, *cost, shortest)
        if not polled:
            self._live_at = math.inf
        elif live:
            self._live_at = now + paces.live.interval(self, used, now - started, shortest)
        elif full or self._live_at == math.inf:
            self._live_at = now + shortest
        if polled and not self.work.watch.live(now):
            self._live_at = math.inf
        if self._notices.grew_silent():
            self._rescan_at = now

    def _entered(self, directory: Path, name: str = "") -> None:
        self._site.calls.about(directory, name)
        self._events.watch(directory, name)


class BeamtimeThread(threading.Thread):
    """Runs the watch over one beamtime."""

    def __init__(self, loop: BeamtimeLoop, dispatcher: Dispatcher) -> None:
        super().__init__(name=f"beamtime {loop.beamtime.id}", daemon=True)
        self.loop, self._dispatcher = loop, dispatcher

    def run(self) -> None:
        """See `BeamtimeLoop.run`; what is left gives its locks back, once nothing of it is under way."""
        self.loop.run()
        if self.loop.left:
            self.give_back()

    def leave(self) -> None:
        """Let the beamtime alone; the thread ends when it is done with it."""
        self.loop.leave()

    def give_back(self) -> None:
        """Drop what waits in the queues, and give the locks back."""
        self._dispatcher.drop(self.loop.beamtime, END_WITHIN)
        self.loop.work.release(END_WITHIN)
