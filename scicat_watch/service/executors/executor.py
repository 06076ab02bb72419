"""Where data files are read: in a pool of processes of this machine (`local`).

A command that is started for one file has one process for it instead (`single`). An executor only starts what `worker`
does, wherever that is, and gives back what was read; what is read when, and what is tried again, is decided elsewhere
(`service.queues`). Limits of time and memory, and waits for a file that cannot be read yet, come with the job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from scicat_watch.pipeline.handover import Reading, ReadJob


class Running(Protocol):
    """A scan that is being read."""

    def result(self) -> Reading:
        """Wait for what was read.

        Raises `ReadingError` if a fault was found, or reading took too long or ended the process that did it;
        `AssemblyError` if no schema fits; `concurrent.futures.CancelledError` if the executor was closed meanwhile.
        """

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call `callback` once as soon as `result` does not wait any more, for whatever reason; at once if that is so.

        It may be called by any thread, and must return soon: others wait for the same thread.
        """


class Executor(Protocol):
    """Reads scans; used by several threads."""

    def start(self, job: ReadJob, takes_long: Callable[[], object] = lambda: None) -> Running:
        """Begin to read a scan, whatever else is being read. CancelledError if the executor is closed.

        `takes_long`: called, by any thread, when it has been read for a second; must return soon.
        """

    def prepare(self) -> None:
        """Have what the first scan needs made ready, in the background."""

    def close(self) -> None:
        """End all reading now, whatever it does."""
