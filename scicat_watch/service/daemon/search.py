"""The search for beamtimes: each file system in a thread of its own, so that one that hangs holds up no other.

The daemon's thread begins a search and takes what was found; it never waits for a file system, and asks none.
"""

from __future__ import annotations

import os
import queue
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.discovery.presence import Known
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.files import plain
from scicat_watch.model import Beamtime, FileState
from scicat_watch.service.calls import Calls
from scicat_watch.service.remembered import Remembered, why_away
from scicat_watch.service.serial import SerialThread

_TICK = 2.0  # Seconds: longer than the time stamps of any file system are coarse.


def may_hang(path: Path) -> bool:
    """Whether a call on `path`, or on something below it, may get no answer; asks no file system that may not."""
    mounts = Mounts.now()
    return mounts.holding(path).may_hang or any(mount.may_hang for mount in mounts.below(mounts.follow(path)))


@dataclass(frozen=True, slots=True)
class Searched:
    """What a directory holds."""

    directory: Path
    found: tuple[Beamtime | BrokenBeamtime, ...] = ()
    error: OSError | None = None
    """Why it cannot be read."""
    known: Known | None = None
    """By what the directory is known again, if it could be read."""
    expected_by: Path | None = None
    """What shows that a beamtime metadata file is to come, where there is none."""
    away: str = ""
    """Why the directory is not there, of which a beamtime is remembered; empty if it is, or none is."""
    left: bool = False
    """Whether the beamtimes that are remembered of it were taken away: nothing more is in its place."""


class Search:
    """Searches all directories that the configuration names. All methods are called by one thread."""

    def __init__(
        self,
        rules: BeamtimeRules,
        calls: Calls,
        serial: Callable[[str], SerialThread],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called, from any thread, when there are results to be taken."""
        self._rules, self._calls, self._serial, self._wake = rules, calls, serial, wake
        self._threads: dict[Path, SerialThread] = {}
        """By the place where a file system is mounted."""
        self._results: queue.SimpleQueue[Searched | tuple[Path, Path]] = queue.SimpleQueue()
        """Also directories that are on another file system than their base directory, each with its mount."""
        self._known: frozenset[Path] = frozenset()
        self._kept: dict[Path, _Kept] = {}
        """What was found in directories with metadata files: they are read again when something has changed."""
        self._remembered: Remembered = {}

    def follow(self, rules: BeamtimeRules) -> None:
        """Search by other rules from the next search on."""
        self._rules = rules
        self._kept = {}

    def names(self, directory: Path) -> bool:
        """Whether the rules name a directory, or the one that it is in as a base; no file system is asked."""
        named = map(Path.absolute, self._rules.directories)
        return directory in named or directory.parent in map(Path.absolute, self._rules.base_directories)

    def begin(self, known: set[Path], remembered: Remembered) -> None:
        """Begin to search everywhere but where the search before has not ended; `known`: see `_search_base`.

        `remembered`: directories that were there before, also before the start.
        """
        self._known, self._remembered, mounts = frozenset(known), remembered, Mounts.now()
        calls: dict[Path, list[Callable[[], None]]] = defaultdict(list)
        for directory in self._rules.directories:
            point = mounts.holding(directory).point
            calls[point].append(lambda directory=directory: self._search(directory))  # type: ignore[misc]
        for base in self._rules.base_directories:
            point = mounts.holding(base).point
            calls[point].append(lambda base=base: self._search_base(base, mounts))  # type: ignore[misc]
        for point, some in calls.items():
            self._put(point, some)

    def results(self) -> Iterator[Searched]:
        """What was found since this was last called."""
        elsewhere: dict[Path, list[Callable[[], None]]] = defaultdict(list)
        while True:
            while not self._results.empty():
                match self._results.get():
                    case Searched() as searched:
                        yield searched
                    case point, directory:
                        elsewhere[point].append(lambda child=directory: self._search_child(child))  # type: ignore[misc]
            if not elsewhere:
                return
            for point, calls in elsewhere.items():
                self._put(point, calls)
            elsewhere.clear()

    def _put(self, point: Path, calls: list[Callable[[], None]]) -> None:
        thread = self._threads.get(point)
        if thread is None:
            thread = self._threads[point] = self._serial(f"search {point}")
        if thread.settle(0.0):
            for call in (*calls, self._wake):
                thread.put(call)

    def _search(self, directory: Path) -> None:
        """A directory that the configuration names."""
        with self._calls.on(directory):
            place = plain(directory)
            try:
                self._results.put(self._found(place))
            except OSError as error:
                self._results.put(Searched(place, error=error, away=self._why_away(place)))

    def _search_base(self, base: Path, mounts: Mounts) -> None:
        """The directories in a base directory that hold a metadata file, or that are `known` to have had one."""
        with self._calls.on(base) as work:
            place = plain(base)
            own = mounts.holding(place).point
            try:
                below = {path for path in place.iterdir() if not path.name.startswith(".")}
            except OSError:
                below = set()  # The base directory may come later, or come back: absence is no end.
            known = self._known | self._remembered.keys()
            for directory in sorted(below | {path for path in known if path.parent == place}):
                point = mounts.holding(directory).point
                if point != own:
                    self._results.put((point, directory))
                else:
                    work.path = directory
                    self._examine(directory)

    def _search_child(self, directory: Path) -> None:
        """A directory in a base directory that is on another file system."""
        with self._calls.on(directory):
            self._examine(directory)

    def _examine(self, directory: Path) -> None:
        with suppress(OSError):  # Absence proves nothing: what is watched stays watched.
            if (searched := self._unchanged(directory)) is not None:
                self._results.put(searched)
            elif directory in self._known or beamtimes.metadata_files(directory, self._rules):
                self._results.put(self._found(directory))
            elif directory in self._remembered:
                away = self._why_away(directory)
                self._results.put(Searched(directory, away=away, left=not away))

    def _unchanged(self, directory: Path) -> Searched | None:
        """What is known of a directory if neither it nor its metadata files have changed."""
        kept = self._kept.get(directory)
        try:
            return kept.searched if kept is not None and kept.settled and kept.state == _states(kept.paths) else None
        except OSError:
            return None

    def _why_away(self, directory: Path) -> str:
        """Why a directory that was there before is not; in a base directory, only that it is not mounted counts."""
        places = self._remembered.get(directory, ())
        if directory.parent in map(plain, self._rules.base_directories) and not os.path.lexists(directory):
            mount = Mounts.now().holding(directory).point
            places = tuple(place for place in places if place.mount != mount and place.mount.is_relative_to(mount))
        return why_away(places)

    def _found(self, directory: Path) -> Searched:
        if (searched := self._unchanged(directory)) is not None:
            return searched
        kept, rules = self._kept, self._rules  # In this order: `follow` sets them in the other one.
        paths = (directory, *beamtimes.metadata_files(directory, rules))
        state = _states(paths)  # Before the files are read.
        known = Known.of(directory)  # First: what is missing is believed only of the directory that it was in.
        found = tuple(beamtimes.find(directory, rules))
        is_generated = any(isinstance(one, Beamtime) and one.generated for one in found)
        expected_by = beamtimes.expects_file(directory, rules) if is_generated and rules.grace else None
        away = self._why_away(directory) if is_generated or not found else ""
        searched = Searched(directory, found, known=known, expected_by=expected_by, away=away)
        if len(paths) > 1 and not is_generated:
            before, now = kept.get(directory), time.monotonic()
            since = before.since if before is not None and before.state == state else now
            kept[directory] = _Kept(searched, paths, state, since, now - since > _TICK)
        else:
            kept.pop(directory, None)
        return searched


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a search found, and what it depends on."""

    searched: Searched
    paths: tuple[Path, ...]
    """The directory and its metadata files."""
    state: tuple[FileState, ...]
    """What these were like."""
    since: float
    """Monotonic time since which they have been so."""
    settled: bool
    """Whether they were read after they had been so for longer than a tick of the file system's clock."""


def _states(paths: tuple[Path, ...]) -> tuple[FileState, ...]:
    return tuple(FileState.of(os.stat(path)) for path in paths)  # noqa: PTH116 - fast
