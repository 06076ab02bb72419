"""Hints on their way from the thread of the file events to the thread of the beamtime that they are about."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from scicat_watch.discovery.events.source import Event
from scicat_watch.discovery.watch import Hints


class HintQueue:
    """Gathers hints for one beamtime until its thread takes them."""

    def __init__(self, root: Path, list_name: str, extensions: tuple[str, ...]) -> None:
        """Files of other names and `extensions` are not worth a rescan."""
        self.root = root
        self._list_name = list_name
        self._extensions = frozenset(extensions)
        self._lock = threading.Lock()
        self._directories: set[Path] = set()
        self._files: set[Path] = set()
        self._full = self._renewed = self._held = False
        self._reported: set[Path] = set()
        self._heard: Counter[Path] = Counter()
        self._lost = 0
        self.overflows = 0
        """How often events were lost."""
        self.filled = threading.Event()

    def expect(self, list_name: str, extensions: tuple[str, ...]) -> None:
        """Take other names as worth a rescan from now on."""
        with self._lock:
            self._list_name, self._extensions = list_name, frozenset(extensions)

    def put(self, event: Event) -> None:
        """Take an event in if it can mean a scan."""
        with self._lock:
            if event.directory is None or event.unmounted:
                self._full = True
                self._renewed |= event.unmounted
                self.overflows += event.directory is None
                self._lost += 1
                self.filled.set()
                return
            self._reported.add(event.directory)
            self._heard[event.directory] += 1
            if event.name and not event.is_directory and event.name != self._list_name:
                if event.name.rpartition(".")[2].lower() not in self._extensions:
                    return
                # A file that was renamed over another one is not closed, and its name may be known.
                self._files.add(event.directory / event.name)
                if not event.closed:
                    self._directories.add(event.directory)
            else:
                self._directories.add(event.directory)
            if not self._held:
                self.filled.set()

    def hold(self) -> None:
        """Set `filled` because of no event any more, unless some were lost, until all hints are taken."""
        with self._lock:
            self._held = True

    def renew(self) -> None:
        """Everything has to be watched and listed anew: it is on another file system than before, or mounted anew."""
        with self._lock:
            self._full = self._renewed = True
        self.filled.set()

    def take_renewal(self) -> bool:
        """Whether that is so; to be asked before `take`."""
        with self._lock:
            renewed, self._renewed = self._renewed, False
        return renewed

    def wake(self) -> None:
        """Let the thread check what is due, without a hint."""
        self.filled.set()

    def take(self, *, held: bool = False) -> tuple[Hints, bool]:
        """All hints so far, and whether a full rescan is needed because events were lost. `held`: none unless it is."""
        with self._lock:
            if held and not self._full:
                self.filled.clear()
                return Hints(), False
            hints, full = Hints(frozenset(self._directories), frozenset(self._files)), self._full
            self._directories, self._files, self._full, self._held = set(), set(), False, False
            self.filled.clear()
        return hints, full

    def heard(self, directory: Path) -> int:
        """How many events came about a directory; those that were lost may have been."""
        with self._lock:
            return self._heard[directory] + self._lost

    def take_reported(self) -> set[Path]:
        """The directories in which anything was reported since this was last asked, worth a rescan or not."""
        with self._lock:
            reported, self._reported = self._reported, set()
        return reported
