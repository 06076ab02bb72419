"""The data files that were found and are done, for the watch that lists thousands of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Set

from scicat_watch.ledger.ingested import IngestedList
from scicat_watch.model import FileState, line_of_found


class DoneFiles:
    """The data files that were found under one scan directory and are done, as they are known at one moment."""

    def __init__(self, ingested: IngestedList, states: Callable[[], Mapping[str, str]], left: Set[str]) -> None:
        """`states` asks the journal for what the files were like; called if that is asked for.

        `left`: names of scans that have moved away: what has such a name now is another scan.
        """
        ingested.follow()
        self._ingested, self._ask, self._left = ingested, states, left

    def has(self, name: str) -> bool:
        """Whether a file of this name, without its extension, is among them."""
        return self._ingested.has_name(name) and name not in self._left

    def agrees(self, name: str, path: str) -> bool:
        """Whether one that is among them is at `path`, with the size and time of when it was ingested.

        Its inode may be another one since the file system was mounted anew: what that means is left to comparing.
        """
        known = self._states.get(line_of_found(name))
        if known is None:
            return True
        try:
            state = FileState.of(os.stat(path))  # noqa: PTH116  # Asked for each file of a beamtime.
        except OSError:
            return False
        return known.startswith(f"[{state.size}, {state.modified}, ")

    @functools.cached_property
    def _states(self) -> Mapping[str, str]:
        return self._ask()
