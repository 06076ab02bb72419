"""Beamtimes that were there before the start and could not be reached since: known as they were last reported.

So a root that hangs at the start, or is not mounted, loses neither its numbers nor its pause. No file system of a root
is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from scicat_watch.progress import BeamtimeState, Stages
from scicat_watch.service.daemon.pauses import Pauses
from scicat_watch.service.daemon.search import Search
from scicat_watch.service.daemon.watched import Watched
from scicat_watch.service.remembered import remembered
from scicat_watch.service.site import Site


class Unreached:
    """Used by the daemon's thread; `beamtimes` and `switched` also by that of the control channel."""

    def __init__(
        self, site: Site, pauses: Pauses, search: Search, watched: Watched, wake: Callable[[], object]
    ) -> None:
        """`wake` has the daemon call `refresh`."""
        self._site, self._pauses, self._search, self._watched, self._wake = site, pauses, search, watched, wake
        self._last = {(Path(state.directory), state.id): state for state in site.journal.shown()}
        """What the daemon before reported last."""
        self._away_since: dict[Path, datetime] = {}
        """Since when a directory is not there that was there before the start."""
        self._problems: dict[Path, str] = {}
        """By directory, what is reported of its beamtimes."""
        self._switched = threading.Event()

    def last(self, directory: Path, beamtime: str) -> BeamtimeState | None:
        """How a beamtime was reported last before the start, but for what cannot hold any more."""
        if (state := self._last.get((directory, beamtime))) is None:
            return None
        return replace(state, problems=(), stale=False, outage=None, watch=None, stages=Stages())

    def beamtimes(self) -> list[tuple[Path, str]]:
        """Directory and id of each that was there before, is configured still, and is not watched (yet)."""
        places = self._site.journal.places.all()
        known = [(place.directory, place.id) for place in places if self._search.names(place.directory)]
        return [one for one in known if one not in self._watched]

    def below(self, root: Path) -> list[Path]:
        """The directories of such beamtimes that are a root, or in it."""
        known = remembered(self._site.journal.places)
        return [one for one in known if root in (one, one.parent) and not self._watched.of(one)]

    def away(self, directory: Path, why: str) -> str:
        """The problem that a directory is not there that was there before the start."""
        since = self._away_since.setdefault(directory, self._site.clock.now())
        return f"{directory}: away since {since:%Y-%m-%d %H:%M:%S} UTC, or before the start: {why}"

    def report(self, directory: Path, problem: str) -> None:
        """Report why the beamtimes of a directory cannot be reached."""
        self._problems[directory] = problem
        for place in remembered(self._site.journal.places).get(directory, ()):
            last = self.last(directory, place.id) or BeamtimeState(str(directory), place.id)
            paused = self._pauses.has(directory, place.id)
            self._site.reporter.beamtime(replace(last, problems=(problem,), stale=True, paused=paused))

    def settled(self, directory: Path) -> None:
        """What was reported of a directory is shown no more."""
        self._problems.pop(directory, None)

    def reached(self, directory: Path) -> None:
        """A directory is there, and watched."""
        self.settled(directory)
        self._away_since.pop(directory, None)

    def switched(self) -> None:
        """Somebody paused or resumed one of them."""
        self._switched.set()
        self._wake()

    def refresh(self) -> None:
        """Report anew what a command has changed."""
        if self._switched.is_set():
            self._switched.clear()
            for directory, problem in list(self._problems.items()):
                self.report(directory, problem)
