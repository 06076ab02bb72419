"""One reading process for one file, for commands that a file costs a whole start of the program.

It is forked off before the command has read its configuration, so that it holds no token, and loads
the reading code while the command gets on with its own. It is stripped of secrets and network like
the other reading processes (`reading.sandbox`), and what it sends back is checked as theirs (`answers`). This module
itself must stay quick to import.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from scicat_watch.service.executors import answers

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from scicat_watch.pipeline.handover import Reading, ReadJob

MEMORY_LIMIT = 1 << 30
"""Bytes of address space that the reading process may use beside what the command has, of which it is a copy.

It is limited before it knows any settings."""
_OURS = ("files", "thumbnail", "first_time", "last_time")
"""Members of a reading that the command makes itself."""
_LEFT_BEHIND = 5.0  # Seconds that an ended process may take to be gone.


@dataclass(frozen=True, slots=True)
class _Order:
    job: ReadJob
    unlocked: bool
    """Whether a file that another process has locked counts as one that cannot be read yet."""


class SingleReader:
    """A reading process that is started at once and reads one file. A context manager."""

    def __init__(self) -> None:
        self._unlocked = os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() not in ("FALSE", "0")
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._connection), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self, job: ReadJob) -> Self:
        """Begin to read; `result` waits for it."""
        self._job = job
        with suppress(BrokenPipeError):  # It ended already; `result` says so.
            self._connection.send(_Order(job, self._unlocked))
        return self

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join(_LEFT_BEHIND)
        self._connection.close()

    def result(self) -> Reading:
        """What was read.

        Raises `ReadingError` if the file cannot be read, takes too long or kills the process that reads it,
        `AssemblyError` if no schema fits.
        """
        from scicat_watch.errors import ReaderLost

        what = self._job.scan.master
        limit = self._job.limits.longest
        # Not only a wait for the answer's beginning: one that never ends must not keep us either.
        too_late = threading.Event()
        watch = threading.Timer(limit, self._end, (too_late,))
        watch.start()
        try:
            answer = self._connection.recv_bytes(answers.LARGEST)
        except (EOFError, OSError):
            if too_late.is_set():
                raise ReaderLost(f"{what}: reading took longer than {limit:g} s and was ended") from None
            raise ReaderLost(f"{what}: the process that read it ended; the file may be damaged") from None
        finally:
            watch.cancel()
        return answers.understood(self._job, answer)

    def _end(self, too_late: threading.Event) -> None:
        too_late.set()
        self._process.kill()


def _serve(connection: Connection, not_ours: Connection) -> None:
    """What the reading process does."""
    not_ours.close()
    from scicat_watch.service.executors import worker

    worker.prepare(MEMORY_LIMIT + _address_space())
    try:
        request: _Order = connection.recv()
    except EOFError:
        return  # The command ended before it had something to read.
    read = partial(worker.read, request.job, unlocked=request.unlocked)
    connection.send_bytes(answers.made(request.job, read, MEMORY_LIMIT, _OURS))


def _address_space() -> int:
    """Bytes of address space that this process has; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
