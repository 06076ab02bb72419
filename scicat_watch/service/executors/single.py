"""One reading process for one file, for commands that a file costs a whole start of the program.

It is started before the command has read its configuration, with a clean environment, and loads the reading code while
the command gets on with its own. It is a worker as those of a pool are, with a reader of its own (`confined`). What it
sends back is checked. This module itself must stay quick to import.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from scicat_watch import kernel
from scicat_watch.pipeline.reading import environment
from scicat_watch.service.executors import answers
from scicat_watch.service.executors.confined import Order

if TYPE_CHECKING:
    from scicat_watch.pipeline.handover import Reading, ReadJob

MEMORY_LIMIT = 1 << 30
"""Bytes of address space that the reading process may use; it is limited before it knows any settings."""
_OURS = ("files", "thumbnail", "first_time", "last_time")
"""Members of a reading that the command makes itself."""
_LEFT_BEHIND = 5.0  # Seconds that an ended process may take to be gone.


class SingleReader:
    """A reading process that is started at once and reads one file. A context manager."""

    program = f"from {__name__} import serve; serve()"
    """What the process runs."""

    def __init__(self) -> None:
        self._unlocked = os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() not in ("FALSE", "0")
        kernel.hide_memory()
        command = [sys.executable, "-c", self.program, str(os.getpid())]
        kept = environment.clean(os.environ)
        self._process = subprocess.Popen(command, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self, job: ReadJob) -> Self:
        """Begin to read; `result` waits for it."""
        self._job = job
        orders = self._process.stdin
        with suppress(BrokenPipeError):  # It ended already; `result` says so.
            if orders is not None:
                pickle.dump(Order(job, self._unlocked), orders)
                orders.flush()
        return self

    def prepare(self) -> None:
        """Nothing: the process was started with this."""

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEFT_BEHIND)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

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
            return answers.understood(self._job, self._answer())
        except (EOFError, OSError):
            if too_late.is_set():
                raise ReaderLost(f"{what}: reading took longer than {limit:g} s and was ended") from None
            raise ReaderLost(f"{what}: the process that read it ended; the file may be damaged") from None
        finally:
            watch.cancel()

    def _answer(self) -> bytes:
        """All that the process writes until it ends."""
        pipe = self._process.stdout
        answer = pipe.read(answers.LARGEST) if pipe is not None else b""
        if not answer or self._process.wait(_LEFT_BEHIND) != 0:
            raise EOFError
        return answer

    def _end(self, too_late: threading.Event) -> None:
        too_late.set()
        self._process.kill()


def serve() -> None:
    """What the process does: read the file that its standard input names, and write the answer."""
    kernel.end_with(int(sys.argv[1]))
    answered = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no answer.
    from scicat_watch.service.executors import worker

    worker.prepare(MEMORY_LIMIT)
    try:
        order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - the command's
    except EOFError:
        return  # The command ended before it had something to read.
    with answered:
        read = partial(worker.read, order.job, unlocked=order.unlocked)
        answered.write(answers.made(order.job, read, MEMORY_LIMIT, _OURS))
    worker.READERS.close()
