"""One process that reads data files, one after the other, and may hang or crash without harm to anybody else.

It comes from a clean server process (forkserver) that has the reading code loaded, so that a new one is there at once,
and is stripped of secrets and network (`reading.sandbox`). Nobody waits for one without an end: a process that hangs in
a dead file system is beyond the reach of any signal, and is left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import signal
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scicat_watch.pipeline.handover import ReadJob
from scicat_watch.service.executors import answers, processes, stopwatch, worker
from scicat_watch.service.executors.channel import Channel
from scicat_watch.service.executors.stopwatch import Stopwatch

_PROMPT = 60.0  # Seconds for what touches no data file, however much the machine has to do.
_STEP = 0.1  # Seconds after which it is asked again, at the earliest, whether a process has had its time.
_GONE_WITHIN = 1.0
"""Seconds that an ended process may take to be gone; one that hangs beyond a signal's reach takes longer."""
_ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that somebody sends to a process; no file is at fault."""


class ProcessEnded(Exception):
    """The process is no more; `how` says it for people."""

    def __init__(self, code: int | None) -> None:
        self.asked = code is not None and -code in _ASKED
        """Whether somebody ended it with a signal that asks for that, as a service manager does."""
        super().__init__(_manner(code))


class ReadingProcess:
    """A process that is there to read. Used by one thread, but for `kill`."""

    def __init__(self, memory_limit: int) -> None:
        """Start it, and wait until it is ready. OSError, EOFError or TimeoutError if it does not come up."""
        context = processes.context()
        self._channel, theirs = Channel.pair()
        with theirs:
            self._process: Any = context.Process(target=worker.serve, args=(theirs, memory_limit), daemon=True)
            try:
                self._process.start()
            except BaseException:
                self._channel.close()
                raise
        _disown(self._process)
        self._readers: list[int] = []
        """Descriptors of the processes that it had started, once it is ended: it may be gone, and one of them hang."""
        self.orders = 0
        """How many it was given."""
        try:
            self._channel.receive(0, time.monotonic() + _PROMPT)
        except (OSError, EOFError):
            self.end()
            raise

    def begin(self, order: ReadJob | tuple[Path, ...]) -> Stopwatch:
        """Have a scan read, or directories tried; what counts the time since the process has begun with it.

        `ProcessEnded` if it is no more, TimeoutError if it does not begin, which is no fault of any file.
        """
        self.orders += 1
        try:
            self._channel.send(pickle.dumps(order), time.monotonic() + _PROMPT)
        except OSError:
            raise ProcessEnded(self._code()) from None
        return Stopwatch(self._process.pid, self._received(stopwatch.LARGEST))

    def answers_within(self, seconds: float, since: Stopwatch) -> bool:
        """Whether there is an answer, or the process is no more, before it has been at work for so many seconds."""
        while not self._channel.readable(time.monotonic() + max(_STEP, seconds - since.seconds())):
            since.update()
            if since.seconds() >= seconds:
                return False
        return True

    def answer(self, seconds: float, since: Stopwatch) -> bytes:
        """What became of it. `ProcessEnded` if the process is no more, TimeoutError if it takes longer."""
        if not self.answers_within(seconds, since):
            raise TimeoutError
        return self._received(answers.LARGEST)

    def _received(self, largest: int) -> bytes:
        try:
            return self._channel.receive(largest, time.monotonic() + _PROMPT)
        except TimeoutError:
            raise
        except (OSError, EOFError):
            raise ProcessEnded(self._code()) from None

    def end(self) -> bool:
        """End it, whatever it does; whether it is gone."""
        self._readers = _held(stopwatch.children(self._process.pid))
        self.kill()
        gone = self.gone(_GONE_WITHIN)
        self._channel.close()
        return gone

    def kill(self) -> None:
        """Begin to end it; any thread may."""
        if self._process.exitcode is None:
            self._process.kill()

    def gone(self, seconds: float = 0.0) -> bool:
        """Whether it is no more within so many seconds, and neither are the readers that it had when it was ended."""
        until = time.monotonic() + seconds
        self._process.join(seconds)
        while self._readers and _ends_until(self._readers[-1], until):
            os.close(self._readers.pop())
        return self._process.exitcode is not None and not self._readers

    def forget(self) -> None:
        """Ask no more whether it is gone."""
        while self._readers:
            os.close(self._readers.pop())

    def _code(self) -> int | None:
        self._process.join(_GONE_WITHIN)
        code: int | None = self._process.exitcode
        return code


def _held(processes: list[int]) -> list[int]:
    """A descriptor for each process that is there, as far as the system has them."""
    found = []
    with suppress(OSError, AttributeError):
        for one in processes:
            with suppress(ProcessLookupError):
                found.append(os.pidfd_open(one))
    return found


def _ends_until(descriptor: int, until: float) -> bool:
    """Whether a process ends before that monotonic time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))


def _disown(process: BaseProcess) -> None:
    """Let `multiprocessing` not wait for a process at the end of the program, which one that hangs would hold up.

    Processes of a fork server are not our children, so that none becomes a zombie; the kernel ends them with us.
    """
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def _manner(code: int | None) -> str:
    if code is None:
        return "without a trace"
    if code >= 0:
        return f"with status {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
