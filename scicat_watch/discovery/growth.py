"""Whether the files of a scan besides its data file are still coming: detector files beside it and in its folder.

A program that writes detector files writes one after the other, so the names and the last files of each group show it.
What is examined is bounded: a folder may hold a million files.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scicat_watch.model import FileState

_MOST_NAMES = 10_000  # Of a folder with more only the times count, which say whether names come.
_MOST_FOLDERS = 16
_EXAMINED = 8  # Files of a group, the last by name.
_LAST = "\U0010ffff"


class Growth(NamedTuple):
    """The files of a scan at one moment; as long as they come, no two are equal."""

    signature: tuple[object, ...] = ()
    changed: float = 0.0
    """When the newest of them changed, in seconds since 1970."""


def growth(beginnings: Iterable[str], names: Callable[[str], Sequence[str]]) -> Growth:
    """The files whose paths begin so, with `_` or `.` after it, and what is in folders of that name.

    `names`: the sorted names in a directory. What cannot be examined does not count. Paths are text here: thousands of
    scans may come at once.
    """
    found: list[object] = []
    states: list[FileState] = []
    for beginning in beginnings:
        directory, _, start = beginning.rpartition("/")
        beside = names(directory)
        for separator in "._":
            low = bisect.bisect_left(beside, start + separator)
            high = bisect.bisect_left(beside, start + separator + _LAST)
            found.append(high - low)
            for name in beside[max(low, high - _EXAMINED) : high]:
                _add(found, states, directory, name)
        place = bisect.bisect_left(beside, start)
        if place < len(beside) and beside[place] == start:
            _add_folder(found, states, beginning, deeper=True)
    newest = max((max(state.modified, state.changed) for state in states), default=0)
    return Growth((*found, *states), newest / 1e9)


def _add(found: list[object], states: list[FileState], directory: str, name: str) -> None:
    try:
        states.append(FileState.of(os.lstat(f"{directory}/{name}")))
    except OSError:
        return
    found.append(name)


def _add_folder(found: list[object], states: list[FileState], path: str, *, deeper: bool) -> None:
    """A folder, its last file, and the same of the folders in it."""
    try:
        states.append(FileState.of(os.lstat(path)))
        with os.scandir(path) as entries:
            inside = list(itertools.islice(entries, _MOST_NAMES))
    except OSError:
        return
    found.append(len(inside))
    if len(inside) < _MOST_NAMES:
        for name in heapq.nlargest(_EXAMINED, (entry.name for entry in inside)):
            _add(found, states, path, name)
    if deeper:
        folders = sorted(entry.name for entry in inside if entry.is_dir(follow_symlinks=False))
        for name in folders[:_MOST_FOLDERS]:
            _add_folder(found, states, f"{path}/{name}", deeper=False)
