"""The daemon: a thread for each beamtime, events as hints, periodic rescans, an orderly end."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.events.source import Event
from scicat_watch.discovery.presence import Known
from scicat_watch.errors import ConfigError
from scicat_watch.model import Beamtime, FileState
from scicat_watch.progress import BeamtimeState
from scicat_watch.service.answering import ATTENDANT, Orderly, needed
from scicat_watch.service.calls import Silence
from scicat_watch.service.control.server import ControlServer, Reply
from scicat_watch.service.daemon.beamtime import END_WITHIN, BeamtimeLoop, BeamtimeThread
from scicat_watch.service.daemon.commands import Commands
from scicat_watch.service.daemon.pauses import Pauses
from scicat_watch.service.daemon.search import Search, Searched
from scicat_watch.service.daemon.unreached import Unreached
from scicat_watch.service.daemon.watched import Watched
from scicat_watch.service.reload import Configuration, reload
from scicat_watch.service.remembered import remembered
from scicat_watch.service.site import Site
from scicat_watch.service.unanswered import UnansweredLog
from scicat_watch.settings.effect import Taken

log = logging.getLogger(__name__)

_FIND_EVERY = 5.0
"""Seconds between two searches for beamtimes, at most; also the interval of the heartbeat."""
_CHECK_EVERY = 2.0
"""Seconds between two checks of which roots answer."""
_LONGEST_END = 13.0
"""Seconds after a stop after which the process ends, whatever hangs."""


class Daemon:
    """Watches all beamtimes of a site until it is stopped. Its own thread asks no file system of a root."""

    def __init__(
        self,
        site: Site,
        thread: type[BeamtimeThread] = BeamtimeThread,
        configuration: Configuration | None = None,
    ) -> None:
        """`thread` runs the watch over one beamtime; `configuration` can be read again."""
        self._site, self._thread, self._configuration = site, thread, configuration
        self._reloading = site.serial("reload")
        self._hung_up = threading.Event()
        self._taken: queue.SimpleQueue[Taken] = queue.SimpleQueue()
        self._pauses = Pauses(site.settings.var_dir)
        self._started = site.clock.now().timestamp()
        self._dispatcher, self._late_checking = site.dispatcher(), site.late_checking()
        self._unanswered = UnansweredLog(site.publisher, site.clock)
        self._threads = Watched()
        self._leaving: list[BeamtimeThread] = []
        """Threads of beamtimes that are not to be watched any more, which have not ended yet."""
        self._had_file: set[Path] = set()
        self._first_seen: dict[Path, float] = {}
        """Monotonic time since which a metadata file is expected in a directory."""
        self._unusable: dict[Path, tuple[FileState | None, float]] = {}
        """What metadata files are like that cannot be used, and the monotonic time since which they are."""
        self._broken: dict[Path, str] = {}
        self._silent: dict[Path, Silence] = {}
        self._unsearched: dict[Path, list[Path]] = {}
        """By root that could not be searched, the beamtime directories of which this is reported."""
        self._woken, self._search_now = threading.Event(), True
        self._search_at = -math.inf
        self._search = Search(site.settings.beamtimes.rules(), site.calls, site.serial, self._woken.set)
        self._unreached = Unreached(site, self._pauses, self._search, self._threads, self._woken.set)
        self._events = site.events(self._heard)

    def run(self) -> None:
        """Watch until `site.stopping` is set; then end in an orderly way."""
        self._site.journal.hide()
        while not self._site.stopping.is_set():
            self._turn()
            self._site.clock.wait(min(_CHECK_EVERY, self._search_at - self._site.clock.monotonic()), self._woken)
            self._woken.clear()
        self._end()

    def loops(self) -> list[BeamtimeLoop]:
        """The watches over beamtimes; called by any thread."""
        return self._threads.loops()

    def commands(self) -> Commands:
        """What commands may ask for over the control channel."""
        return Commands(self._site, self.loops, self._dispatcher, self.reload, self._pauses, self._unreached)

    def reload(self, reply: Reply | None = None) -> None:
        """Have the configuration read again, in a thread of its own: it may be on a file system that hangs."""
        self._reloading.put(lambda: self._reload(reply))

    def hang_up(self) -> None:
        """SIGHUP came; called in the signal's handler, which must not wait for a lock."""
        self._hung_up.set()
        self._woken.set()

    def _reload(self, reply: Reply | None) -> None:
        try:
            if self._configuration is None:
                raise ConfigError("this daemon was started without a configuration that could be read again")
            taken = reload(self._site, self._configuration)
        except ConfigError as error:
            log.error("the configuration stays as it was: %s", error)
            if reply is not None:
                reply.error(f"the configuration stays as it was:\n{error}", usage=True)
            return
        self._taken.put(taken)
        self.wake()
        if reply is not None:
            reply.end(changed=taken.changed, later=taken.later)

    def _follow(self, taken: Taken) -> None:
        """Watch by settings that were read again."""
        self._search.follow(taken.settings.beamtimes.rules())
        self._search_now = True
        for (directory, beamtime), thread in list(self._threads.items()):
            if not self._search.names(directory):
                log.info("%s: beamtime %s is not configured any more; no longer watched", directory, beamtime)
                thread.leave()
                self._leaving.append(self._threads.pop((directory, beamtime)))
            elif taken.watches_differently:
                thread.loop.renew()

    def _turn(self) -> None:
        if self._hung_up.is_set():
            self._hung_up.clear()
            self.reload()
        while not self._taken.empty():
            self._follow(self._taken.get())
        now = self._site.clock.monotonic()
        if self._search_now or now >= self._search_at:
            self._search_now = False
            self._search_at = now + min(_FIND_EVERY, self._site.settings.watching.rescan_interval)
            self._beat()
            self._search.begin(self._concerned(), remembered(self._site.journal.places))
        for searched in self._search.results():
            if searched.left:
                self._forget(searched.directory, set())
            elif searched.away and not self._threads.of(searched.directory):
                self._report_away(searched.directory, searched.away)
            elif searched.error is None:
                self._take(searched)
            elif isinstance(searched.error, PermissionError) or not self._is_elsewhere(searched):
                # Absence proves nothing: what is watched stays watched, and its thread reports it.
                self._complain(searched.directory, f"{searched.directory}: cannot be read: {searched.error.strerror}")
        self._forget_ended()
        self._report_silences()
        self._unreached.refresh()
        self._late_checking.step()
        self._unanswered.step()

    def _beat(self) -> None:
        now = self._site.clock.now().timestamp()
        with needed(self._site.settings.var_dir):
            self._site.journal.beat(self._started, now, self._site.host, self._site.catalogue_url)

    def wake(self) -> None:
        """Search for beamtimes now; also called when `site.stopping` was set."""
        self._search_now = True
        self._woken.set()

    def _heard(self, event: Event) -> None:
        directory = event.directory
        for loop in self.loops() if directory is None else self._threads.holding(directory):
            loop.hints.put(event)
        if event.name.startswith(self._site.settings.beamtimes.file_prefix):
            self.wake()

    def _concerned(self) -> set[Path]:
        """The directories that had a metadata file, and of which something is watched or wrong."""
        return self._had_file & ({key[0] for key in self._threads} | {file.parent for file in self._broken})

    def _take(self, searched: Searched) -> None:
        """Watch what was found in a directory, and no longer what is not there any more."""
        directory, found = searched.directory, searched.found
        real = {one.id: one for one in found if isinstance(one, Beamtime) and not one.generated}
        broken = [one for one in found if isinstance(one, BrokenBeamtime)]
        if self._are_being_written(directory, broken):
            return
        for one in broken:
            self._complain(one.file, one.reason)
        if real or broken:
            self._had_file.add(directory)
        elif self._is_elsewhere(searched):
            return  # Its thread reports it.
        elif directory not in self._had_file:
            if self._waits_for_file(searched):
                return
            real = {one.id: one for one in found if isinstance(one, Beamtime)}
        self._settle_complaints(directory, {one.file for one in broken})
        if not broken:
            self._leave_others(directory, set(real))
            self._forget(directory, set(real))
        leaving = any(thread.loop.beamtime.directory == directory for thread in self._leaving)
        for beamtime in real.values():
            known = self._threads.get((directory, beamtime.id))
            if known is None:
                if not leaving:  # Otherwise it is watched as soon as the other one has given its locks back.
                    self._watch(beamtime, searched.known)
            elif not beamtime.generated and known.loop.work.beamtime.metadata != beamtime.metadata:
                log.info("%s: the metadata of beamtime %s changed; new scans get it", directory, beamtime.id)
                known.loop.work.beamtime = beamtime

    def _are_being_written(self, directory: Path, broken: list[BrokenBeamtime]) -> bool:
        """Whether metadata files that cannot be used have changed just now; until they are quiet all stays as it is."""
        now, quiet, before = self._site.clock.monotonic(), self._site.settings.watching.ingestion_delay, self._unusable
        self._unusable = {file: seen for file, seen in before.items() if file.parent != directory}
        for one in broken:
            state, since = before.get(one.file, (None, now))
            self._unusable[one.file] = (one.state, since if state == one.state else now)
        quiet_at = max((self._unusable[one.file][1] + quiet for one in broken), default=now)
        if quiet_at > now:
            self._search_at = min(self._search_at, quiet_at)
        return quiet_at > now

    def _waits_for_file(self, searched: Searched) -> bool:
        """Whether a directory without a metadata file may still get one before its beamtime is generated."""
        directory, clock = searched.directory, self._site.clock
        if searched.expected_by is None or self._threads.of(directory):
            return False
        grace = self._site.settings.beamtimes.grace
        left = self._first_seen.setdefault(directory, clock.monotonic()) + grace - clock.monotonic()
        if left <= 0:
            return False
        if directory not in self._broken:
            until = clock.now() + timedelta(seconds=left)
            self._complain(
                directory,
                f"{directory}: has no beamtime metadata file yet, and {searched.expected_by.name} shows that there "
                f"will be one; without it, a beamtime is generated at {until:%H:%M:%S} UTC",
            )
        return True

    def _is_elsewhere(self, searched: Searched) -> bool:
        """Whether what was searched is not the directory that is watched, such as an empty mount point."""
        elsewhere = False
        for thread in self._threads.of(searched.directory):
            known, found = thread.loop.work.presence.known, searched.known
            if known is not None and (found is None or known[:2] != found[:2]):
                thread.loop.hints.wake()
                elsewhere = True
        return elsewhere

    def _report_away(self, directory: Path, why: str) -> None:
        """Report beamtimes that were there before the start and are not now; otherwise as they were last reported."""
        problem = self._unreached.away(directory, why)
        if self._broken.get(directory) != problem:
            self._broken[directory] = problem
            self._unreached.report(directory, problem)

    def _forget(self, directory: Path, staying: set[str]) -> None:
        """Remember beamtimes no longer that are not in their directory any more, although that is there."""
        places = self._site.journal.places
        for place in remembered(places).get(directory, ()):
            if place.id not in staying and (directory, place.id) not in self._threads:
                places.forget(directory, place.id)
                self._settle_complaints(directory, set())

    def _leave_others(self, directory: Path, staying: set[str]) -> None:
        for thread in self._threads.of(directory):
            if (beamtime := thread.loop.beamtime.id) not in staying:
                why = "the beamtime metadata file has come" if thread.loop.beamtime.generated else "its file is gone"
                log.info("%s: beamtime %s is no longer watched: %s", directory, beamtime, why)
                thread.leave()
                self._leaving.append(self._threads.pop((directory, beamtime)))

    def _forget_ended(self) -> None:
        """Show nothing more of the beamtimes that were left, once their threads have ended."""
        for thread in [one for one in self._leaving if not one.is_alive()]:
            self._leaving.remove(thread)
            directory = thread.loop.beamtime.directory
            self._site.reporter.left(str(directory))
            for other in self._threads.of(directory):
                other.loop.work.report_again()
            self.wake()

    def _report_silences(self) -> None:
        """Report each root that does not answer, and that it answers again."""
        before, self._silent = self._silent, self._site.calls.check()
        for hanging, why in self._silent.items():
            for thread in self._threads.of(hanging):
                thread.loop.give_up(f"{why}; the daemon goes on by itself when it answers")
        for root in before.keys() | self._silent.keys():
            if before.get(root) == (silence := self._silent.get(root)):
                continue
            for thread in (threads := self._threads.of(root)):
                thread.loop.work.report_again()
            if silence is None:
                self._dispatcher.wake()  # Nothing was read there meanwhile.
            if silence is None and root in self._broken:
                del self._broken[root]
                for directory in (root, *self._unsearched.pop(root, ())):
                    self._shown_no_more(directory)
                    for thread in self._threads.of(directory):
                        thread.loop.work.report_again()
                self.wake()
            elif silence is not None and not threads:
                self._report_unsearched(root, str(silence))

    def _report_unsearched(self, root: Path, problem: str) -> None:
        """Report that a root could not be searched; the beamtimes that were there before as they were reported last."""
        found = self._unreached.below(root)
        self._broken[root], self._unsearched[root] = problem, found
        for directory in found:
            self._unreached.report(directory, problem)
        if not found:
            self._site.reporter.beamtime(BeamtimeState(str(root), "?", problems=(problem,)))

    def _watch(self, beamtime: Beamtime, known: Known | None) -> None:
        """`known`: the directory when the beamtime was found in it."""
        if beamtime.generated:
            log.info(
                "%s: has no beamtime metadata file; watched as generated beamtime %s", beamtime.directory, beamtime.id
            )
        else:
            log.info("%s: watching beamtime %s", beamtime.directory, beamtime.id)
        loop = BeamtimeLoop(self._site, beamtime, self._dispatcher, self._events)
        loop.work.presence.known = known
        self._unreached.reached(beamtime.directory)
        thread = self._thread(loop, self._dispatcher)
        with self._pauses.changing:
            if self._pauses.has(beamtime.directory, beamtime.id):
                log.warning("%s: beamtime %s is paused, until scicat-watch resume", beamtime.directory, beamtime.id)
                loop.work.remember(self._unreached.last(beamtime.directory, beamtime.id))
                loop.pause(True)
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
            self._shown_no_more(where)

    def _shown_no_more(self, where: Path) -> None:
        self._unreached.settled(where)
        self._site.reporter.left(str(where))

    def _end(self) -> None:
        log.info("stopping: no new scans; what is under way may take %g s", END_WITHIN)
        until = self._site.clock.monotonic() + END_WITHIN

        def left() -> float:
            return max(0.0, until - self._site.clock.monotonic())

        threads = [*self._threads.values(), *self._leaving]
        for thread in threads:
            thread.loop.hints.wake()
        ended = self._dispatcher.join(END_WITHIN)
        for thread in threads:
            thread.join(left())
        works = [thread.loop.work for thread in threads if not thread.is_alive()]
        if ended:  # Otherwise the locks end with the process, which is when nothing writes any more.
            for work in works:
                work.release(0.0)
        if not (ended and len(works) == len(threads) and all(work.settle(left()) for work in works)):
            log.warning("what was under way was ended; those scans are ingested after the next start")
        self._events.close()


def run(site: Site, configuration: Configuration | None = None, ready: Callable[[], None] = lambda: None) -> None:
    """Run the daemon until SIGTERM or SIGINT. `ready` is called once these are heard.

    At SIGHUP the `configuration` is read again.
    """
    daemon = Daemon(site, configuration=configuration)

    def stop() -> None:
        site.stopping.set()
        daemon.wake()

    ATTENDANT.obey(Orderly(stop, _LONGEST_END, 0, daemon.hang_up, waits=True))
    channel = ControlServer(site.settings.var_dir, daemon.commands())
    channel.start()
    ready()
    site.executor.prepare()
    daemon.run()
    channel.close()
    site.close()
