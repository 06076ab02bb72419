"""File systems that do not answer a command: it names the path that it waits for, and ends.

A call that is not answered cannot be ended, nor can its thread. So commands that use directories of beamtimes run in a
child of the process that was started (`daemon.guard`), say what their calls are about (`calls`), and a thread here ends
the command where no answer comes for as long as the daemon waits for one.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from scicat_watch.clock import SystemClock
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.files import plain
from scicat_watch.service.calls import Calls
from scicat_watch.words import printable

_CHECK_EVERY = 1.0
_THEN = "call this again once it answers, or for other paths"


class Answering:
    """Within this context, a call that is not answered ends the program with status 1 and a message."""

    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls or Calls(SystemClock())
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._check, name="answering", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()

    def try_paths(self, *paths: Path) -> None:
        """Return when the file systems of all paths have answered; it does not matter what."""
        for path in paths:
            with self.calls.on(path):
                _ask(path)

    def try_beamtimes(self, rules: BeamtimeRules, *paths: Path) -> None:
        """The same for `paths`, or all directories that the rules name, and for those in their base directories."""
        self.try_paths(*(paths or rules.directories))
        for base in rules.base_directories:
            with self.calls.on(base) as work, suppress(OSError):
                for directory in plain(base).iterdir():
                    work.path = directory
                    _ask(directory)

    def _check(self) -> None:
        while not self._over.wait(_CHECK_EVERY):
            for silence in self.calls.check().values():
                sys.stderr.write(printable(f"scicat-watch: {silence}; {_THEN}") + "\n")
                sys.stderr.flush()
                sys.stdout.flush()
                for descriptor in (0, 1, 2):
                    os.close(descriptor)  # What is left of the process keeps open what it has: others read from these.
                os._exit(1)


def _ask(path: Path) -> None:
    """Ask a file system what it cannot answer from what the kernel remembers."""
    with suppress(OSError):
        os.statvfs(path)
        with os.scandir(path) as entries:
            next(entries, None)
