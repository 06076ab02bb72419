"""The daemon: a thread for each beamtime, events as hints, periodic rescans, an orderly end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.events.source import Event
from scicat_watch.model import Beamtime, BeamtimeState
from scicat_watch.service.daemon.beamtime import END_WITHIN, BeamtimeLoop, BeamtimeThread
from scicat_watch.service.site import Site

log = logging.getLogger(__name__)

_FIND_EVERY = 5.0
"""Seconds between two searches for beamtimes, at most; also the interval of the heartbeat."""


class Daemon:
    """Watches all beamtimes of a site until it is stopped."""

    def __init__(self, site: Site, thread: type[BeamtimeThread] = BeamtimeThread) -> None:
        """`thread` runs the watch over one beamtime."""
        self._site, self._thread = site, thread
        self._started = site.clock.now().timestamp()
        self._dispatcher = site.dispatcher()
        self._threads: dict[tuple[Path, str], BeamtimeThread] = {}
        self._had_file: set[Path] = set()
        self._broken: dict[Path, str] = {}
        self._woken = threading.Event()
        self._events = site.events(self._heard)

    def run(self) -> None:
        """Watch until `site.stopping` is set; then end in an orderly way."""
        interval = min(_FIND_EVERY, self._site.settings.watching.rescan_interval)
        self._site.journal.hide()
        while not self._site.stopping.is_set():
            self._find_beamtimes()
            now = self._site.clock.now().timestamp()
            self._site.journal.beat(self._started, now, self._site.host, self._site.catalogue_url)
            self._site.clock.wait(interval, self._woken)
            self._woken.clear()
        self._end()

    def wake(self) -> None:
        """Search for beamtimes now; also called when `site.stopping` was set."""
        self._woken.set()

    def _heard(self, event: Event) -> None:
        for thread in list(self._threads.values()):
            root = thread.loop.beamtime.directory
            if event.directory is None or event.directory.is_relative_to(root):
                thread.loop.hints.put(event)
        if event.name.startswith(self._site.settings.beamtimes.file_prefix):
            self.wake()

    def _find_beamtimes(self) -> None:
        rules = self._site.settings.beamtimes.rules()
        named = list(beamtimes.directories(rules))
        for directory in named:
            try:
                found = beamtimes.find(directory, rules)
            except OSError as error:
                self._complain(directory, f"{directory}: cannot be read: {error.strerror}")
                continue  # Absence proves nothing: what is watched stays watched.
            self._take(directory, found)
        # What is below a base directory is named only as long as it holds a metadata file.
        for directory in self._concerned() - set(named):
            with contextlib.suppress(OSError):
                self._take(directory, beamtimes.find(directory, rules))

    def _concerned(self) -> set[Path]:
        """The directories that had a metadata file, and of which something is watched or wrong."""
        return self._had_file & ({key[0] for key in self._threads} | {file.parent for file in self._broken})

    def _take(self, directory: Path, found: list[Beamtime | BrokenBeamtime]) -> None:
        """Watch what was found in a directory, and no longer what is not there any more."""
        real = {one.id: one for one in found if isinstance(one, Beamtime) and not one.generated}
        broken = [one for one in found if isinstance(one, BrokenBeamtime)]
        for one in broken:
            self._complain(one.file, one.reason)
        if real or broken:
            self._had_file.add(directory)
        elif directory not in self._had_file:
            real = {one.id: one for one in found if isinstance(one, Beamtime)}
        self._settle_complaints(directory, {one.file for one in broken})
        if not broken:
            self._leave_others(directory, set(real))
        for beamtime in real.values():
            known = self._threads.get((directory, beamtime.id))
            if known is None:
                self._watch(beamtime)
            elif not beamtime.generated and known.loop.work.beamtime.metadata != beamtime.metadata:
                log.info("%s: the metadata of beamtime %s changed; new scans get it", directory, beamtime.id)
                known.loop.work.beamtime = beamtime

    def _leave_others(self, directory: Path, staying: set[str]) -> None:
        for key, thread in list(self._threads.items()):
            if key[0] == directory and key[1] not in staying:
                log.info("%s: beamtime %s is here no longer; no longer watched", directory, key[1])
                thread.leave()
                self._site.reporter.left(str(directory))
                del self._threads[key]

    def _watch(self, beamtime: Beamtime) -> None:
        if beamtime.generated:
            log.info("%s: has no beamtime metadata file; taken as beamtime %r", beamtime.directory, beamtime.id)
        else:
            log.info("%s: watching beamtime %s", beamtime.directory, beamtime.id)
        loop = BeamtimeLoop(self._site, beamtime, self._dispatcher, self._events)
        thread = self._thread(loop, self._dispatcher)
        self._threads[beamtime.directory, beamtime.id] = thread
        thread.start()

    def _complain(self, where: Path, problem: str) -> None:
        if self._broken.get(where) != problem:
            self._broken[where] = problem
            self._site.reporter.beamtime(BeamtimeState(str(where), "?", problems=(problem,)))

    def _settle_complaints(self, directory: Path, broken: set[Path]) -> None:
        """Forget the problems of a directory that can be read, and of metadata files that are usable or gone."""
        over = [file for file in self._broken if file.parent == directory and file not in broken]
        for where in [*over, *([directory] if directory in self._broken else [])]:
            del self._broken[where]
            self._site.reporter.left(str(where))

    def _end(self) -> None:
        log.info("stopping: no new scans; what is under way may take %g s", END_WITHIN)
        clock = self._site.clock
        until = clock.monotonic() + END_WITHIN
        for thread in self._threads.values():
            thread.loop.hints.wake()
        ended = self._dispatcher.join(END_WITHIN)
        for thread in self._threads.values():
            thread.join(max(0.5, until - clock.monotonic()))
            if ended:  # Otherwise the locks end with the process, which is when nothing writes any more.
                thread.loop.work.ledger.release()
        if not ended:
            log.warning("cut short what was under way; it will be done again")
        self._events.close()


def run(site: Site, ready: Callable[[], None] = lambda: None) -> None:
    """Run the daemon until SIGTERM or SIGINT; called from the main thread. `ready` is called once these are heard."""
    daemon = Daemon(site)

    def stop(number: int, frame: object) -> None:
        site.stopping.set()
        daemon.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    ready()
    worker = threading.Thread(target=daemon.run, name="daemon", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(1.0 if site.stopping.is_set() else 3600.0)
    site.close()
    logging.shutdown()
    if any(thread.name.startswith("queue") for thread in threading.enumerate()):
        os._exit(0)  # A request that does not end must not hold up the stop; nothing of it was noted.
