"""The daemon: a thread for each beamtime, events as hints, a periodic look, an orderly end."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import Broken
from scicat_watch.discovery.events.inotify import Event, Observer, silent
from scicat_watch.discovery.watch import Findings
from scicat_watch.model import Beamtime
from scicat_watch.service.daemon.hints import HintQueue
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.ingest import Ingestor
from scicat_watch.service.site import Site
from scicat_watch.service.work import BeamtimeWork

log = logging.getLogger(__name__)

END_WITHIN = 10.0
"""Seconds after a stop in which what is under way may end."""
_GATHER = 0.02  # Events come in clusters: a file is made, written and closed. One look serves them all.
_BUSY_SHARE = 0.1  # Most of a core that looking may take while events stream in.
_LONGEST_REST = 5.0
_SHOW_WITHIN = 1.0
_DEAF_AFTER = 3


class BeamtimeThread(threading.Thread):
    """Watches one beamtime until it is told to stop."""

    def __init__(self, site: Site, beamtime: Beamtime, lanes: Dispatcher, observer: Observer) -> None:
        super().__init__(name=f"beamtime {beamtime.id}", daemon=True)
        self.beamtime = beamtime
        self._site, self._observer, self._lanes = site, observer, lanes
        self._leaving = threading.Event()
        watching = site.settings.watching
        self.work = BeamtimeWork(site, beamtime, lanes, entered=self._entered, finished=lambda outcome: self.box.wake())
        extensions = tuple({*watching.extensions, *watching.master_extensions})
        self.box = HintQueue(beamtime.directory, self.work.watch.list_name, extensions)
        self._silent = silent(beamtime.directory)
        self._missed = 0
        if self._silent:
            log.info(
                "%s: its file system sends no events for what other hosts write; looking every %g s",
                beamtime.directory, watching.poll_interval,
            )  # fmt: skip

    def leave(self) -> None:
        """Let the beamtime alone; its lists are free for others once nothing of them is under way."""
        self._leaving.set()
        self.box.wake()
        self.join(END_WITHIN)
        self._lanes.drop(self.beamtime.directory, END_WITHIN)
        self.work.ledger.release()

    def run(self) -> None:
        """Step after step, whatever happens in one."""
        rescan_at, show_at = 0.0, 0.0
        while not self._over():
            started = time.monotonic()
            hints, everywhere = self.box.take()
            everywhere = everywhere or started >= rescan_at
            problem, due = "", None
            try:
                findings = self.work.step(None if everywhere else hints)
                due = self.work.watch.next_look()
                if everywhere:
                    self._listen_to(findings)
            except Exception as error:
                # The watch of a beamtime must not end because of something in one of its directories.
                log.exception("%s: a look failed", self.beamtime.directory)
                problem = f"a look failed: {error}"
            now = time.monotonic()
            if everywhere:
                rescan_at = now + self._interval()
            if problem or now >= show_at:
                self._show(problem)
                show_at = math.inf
            elif show_at == math.inf:
                show_at = now + _SHOW_WITHIN  # What this look changed, and what changes until then.
            if not everywhere and now - started > _GATHER:
                # Looks that take long are made rarely: a flood of events takes no more than its share.
                self._site.clock.wait(min(_LONGEST_REST, (now - started) / _BUSY_SHARE), self._site.stopping)
            self._rest(min(rescan_at, show_at, due if due is not None else math.inf))
        self._show("")

    def _rest(self, until: float) -> None:
        if not self._over() and self.box.filled.wait(max(0.0, until - time.monotonic())):
            self._site.clock.wait(_GATHER, self._site.stopping)

    def _over(self) -> bool:
        return self._leaving.is_set() or self._site.stopping.is_set()

    def _interval(self) -> float:
        watching = self._site.settings.watching
        deaf = self._silent or self._observer.deaf
        return min(watching.rescan_interval, watching.poll_interval) if deaf else watching.rescan_interval

    def _listen_to(self, findings: Findings) -> None:
        """Notice when looks keep finding what no event told."""
        if self._silent:
            return
        self._missed = self._missed + 1 if findings.missed and not self.box.filled.is_set() else 0
        if self._missed >= _DEAF_AFTER:
            self._silent = True
            log.warning(
                "%s: no events come from here; looking every %g s", self.beamtime.directory,
                self._site.settings.watching.poll_interval,
            )  # fmt: skip

    def _entered(self, path: Path) -> None:
        self._observer.watch(path, is_list=path.name == self.work.watch.list_name)

    def _show(self, problem: str) -> None:
        try:
            self.work.show(problem)
        except OSError as error:
            log.error("%s: the state cannot be told: %s", self.beamtime.directory, error)


class Daemon:
    """Watches all beamtimes of a site until it is stopped."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._started = site.clock.now().timestamp()
        self._lanes = Dispatcher(
            Ingestor(site), site.settings.catalogue.connections, site.settings.reading.workers, site.stopping
        )
        self._threads: dict[tuple[Path, str], BeamtimeThread] = {}
        self._had_file: set[Path] = set()
        self._broken: dict[Path, str] = {}
        self._look = threading.Event()
        self._observer = Observer(self._heard)

    def run(self) -> None:
        """Watch until `site.stopping` is set; then end in an orderly way."""
        interval = min(5.0, self._site.settings.watching.rescan_interval)
        self._site.journal.hide()
        while not self._site.stopping.is_set():
            self._find_beamtimes()
            now = self._site.clock.now().timestamp()
            self._site.journal.beat(self._started, now, self._site.host, self._site.catalogue_url)
            self._look.wait(interval)
            self._look.clear()
        self._end()

    def wake(self) -> None:
        """Look now; called when `site.stopping` was set."""
        self._look.set()

    def _heard(self, event: Event) -> None:
        for thread in list(self._threads.values()):
            root = thread.beamtime.directory
            if event.directory is None or event.directory.is_relative_to(root):
                thread.box.put(event)
        if event.name.startswith(self._site.settings.beamtimes.file_prefix):
            self._look.set()

    def _find_beamtimes(self) -> None:
        rules = self._site.settings.beamtimes.rules()
        for directory in beamtimes.directories(rules):
            try:
                found = beamtimes.find(directory, rules)
            except OSError as error:
                self._complain(directory, f"{directory}: cannot be looked at: {error.strerror}")
                continue  # Absence proves nothing: what is watched stays watched.
            self._take(directory, found)

    def _take(self, directory: Path, found: list[Beamtime | Broken]) -> None:
        real = {one.id: one for one in found if isinstance(one, Beamtime) and not one.generated}
        broken = [one for one in found if isinstance(one, Broken)]
        for one in broken:
            self._complain(one.file, one.reason)
        if real or broken:
            self._had_file.add(directory)
        elif directory not in self._had_file:
            real = {one.id: one for one in found if isinstance(one, Beamtime)}
        for file in [file for file in self._broken if file.parent == directory]:
            if file not in [one.file for one in broken]:
                del self._broken[file]
                self._site.journal.hide(file)
        if self._broken.pop(directory, None) is not None:
            self._site.journal.hide(directory)
        for key, thread in list(self._threads.items()):
            if key[0] == directory and key[1] not in real and not broken:
                log.info("%s: beamtime %s is here no longer; no longer watched", directory, key[1])
                thread.leave()
                self._site.journal.hide(directory)
                del self._threads[key]
        for beamtime in real.values():
            known = self._threads.get((directory, beamtime.id))
            if known is None:
                self._watch(beamtime)
            elif not beamtime.generated and known.work.beamtime.metadata != beamtime.metadata:
                log.info("%s: the metadata of beamtime %s changed; new scans get it", directory, beamtime.id)
                known.work.beamtime = beamtime

    def _watch(self, beamtime: Beamtime) -> None:
        if beamtime.generated:
            log.info("%s: has no beamtime metadata file; taken as beamtime %r", beamtime.directory, beamtime.id)
        else:
            log.info("%s: watching beamtime %s", beamtime.directory, beamtime.id)
        thread = BeamtimeThread(self._site, beamtime, self._lanes, self._observer)
        self._threads[beamtime.directory, beamtime.id] = thread
        thread.start()

    def _complain(self, where: Path, problem: str) -> None:
        if self._broken.get(where) != problem:
            self._broken[where] = problem
            log.error("%s", problem)
            self._site.journal.show(where, "?", {"problems": [problem]})

    def _end(self) -> None:
        log.info("stopping: no new scans; what is under way may take %g s", END_WITHIN)
        until = time.monotonic() + END_WITHIN
        for thread in self._threads.values():
            thread.box.wake()
        ended = self._lanes.join(until)
        for thread in self._threads.values():
            thread.join(max(0.5, until - time.monotonic()))
            if ended:  # Otherwise the locks end with the process, which is when nothing writes any more.
                thread.work.ledger.release()
        if not ended:
            log.warning("cut short what was under way; it will be done again")
        self._observer.close()


def run(site: Site) -> None:
    """Run the daemon until SIGTERM or SIGINT; called from the main thread."""
    daemon = Daemon(site)

    def stop(number: int, frame: object) -> None:
        site.stopping.set()
        daemon.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker = threading.Thread(target=daemon.run, name="daemon", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(1.0 if site.stopping.is_set() else 3600.0)
    site.close()
    logging.shutdown()
    if any(thread.name.startswith("lane") for thread in threading.enumerate()):
        os._exit(0)  # A request that does not end must not hold up the stop; nothing of it was noted.
