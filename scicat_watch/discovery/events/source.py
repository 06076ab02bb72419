"""What a source of file events is.

Events are hints: one says that a directory should be scanned, and nothing is concluded from it. A source that
misses changes, or has to leave out a directory, says so by `incomplete`; then rescans at the poll interval find
what it does not report. Called by the daemon, which passes the events on to its beamtimes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed in a directory."""

    directory: Path | None
    """The directory, as it was named to `EventSource.watch`. None: events were lost, any directory may have changed."""
    name: str = ""
    """Name in the directory; empty: the directory itself, or its list."""
    is_directory: bool = False
    closed: bool = False
    """Whether a file was closed after writing."""
    unmounted: bool = False
    """Whether the watch on it ended because its file system was unmounted."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """What a source does not report of a directory and what is below it."""

    why: str = ""
    """Why changes there may not be reported, for people; empty if all are."""
    unwatched: int = 0
    """How many directories and lists cannot be watched."""


Sink = Callable[[Event], None]
"""Takes an event; called in the thread of the source, so it should return soon."""


class EventSource(Protocol):
    """Reports what changes in directories and lists."""

    reports_ours: bool
    """Whether what this process writes is reported as well, wherever that works at all."""

    @property
    def incomplete(self) -> bool:
        """Whether changes in some path that was given to `watch` may not be reported."""

    def gaps(self, root: Path) -> Gaps:
        """What is not reported of `root` and of what is below it."""

    def watch(self, directory: Path, name: str = "") -> None:
        """Report changes in a directory, or of the list of a `name` in it, until it is gone or renamed.

        Never fails: what is not there is left out, what is there and cannot be watched makes the source `incomplete`.
        Watching something twice reports nothing twice. After `close` it has no effect.
        """

    def retry(self, root: Path) -> bool:
        """Whether a limit that left something of `root` unwatched has been raised; then all is to be watched anew."""

    def unwatch(self, path: Path) -> None:
        """Report nothing more of the directory `path`; of one that is not watched there is nothing to do."""

    def close(self) -> None:
        """Report nothing more, end all threads and close all descriptors."""
