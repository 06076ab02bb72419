"""The threads of the beamtimes that are watched, found by directory: each file event asks which of them it concerns."""

from __future__ import annotations

import os
from collections import UserDict
from pathlib import Path

from scicat_watch.service.daemon.beamtime import BeamtimeLoop, BeamtimeThread


class Watched(UserDict[tuple[Path, str], BeamtimeThread]):
    """The threads by directory and beamtime id. Changed by one thread; `loops` and `holding` are called by any."""

    def __init__(self) -> None:
        self._by_directory: dict[str, tuple[BeamtimeThread, ...]] = {}
        super().__init__()

    def __setitem__(self, key: tuple[Path, str], thread: BeamtimeThread) -> None:
        super().__setitem__(key, thread)
        self._index(key[0])

    def __delitem__(self, key: tuple[Path, str]) -> None:
        super().__delitem__(key)
        self._index(key[0])

    def of(self, directory: Path) -> tuple[BeamtimeThread, ...]:
        """Those of a directory."""
        return self._by_directory.get(os.fspath(directory), ())

    def loops(self) -> list[BeamtimeLoop]:
        """What all of them run."""
        return [thread.loop for thread in list(self.data.values())]

    def holding(self, directory: Path) -> list[BeamtimeLoop]:
        """What those of a directory and of the directories above it run."""
        found: list[BeamtimeThread] = []
        path = os.fspath(directory)
        while path:
            found += self._by_directory.get(path, ())
            path = path.rpartition("/")[0]
        return [thread.loop for thread in (*found, *self._by_directory.get("/", ()))]

    def _index(self, directory: Path) -> None:
        if threads := tuple(thread for key, thread in self.data.items() if key[0] == directory):
            self._by_directory[os.fspath(directory)] = threads
        else:
            self._by_directory.pop(os.fspath(directory), None)
