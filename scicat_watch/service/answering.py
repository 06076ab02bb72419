"""What a command cannot do without: where a file system does not answer, the command names it, and ends.

A call that is not answered cannot be ended, nor can its thread; and only the main thread hears of signals. So each
command, the daemon's too, runs in a thread of its own and says what its calls are about (`needed`). The main thread
asks no file system: it waits for the end of the command, for signals, and for calls that get no answer. The process is
a child of the one that was started (`daemon.guard`), which is gone although a thread may stay.

What a command can do without, such as one of several beamtimes, is not needed: see `calls` and `bulkheads`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from scicat_watch.clock import SystemClock
from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.service.calls import Calls, Silence, Work
from scicat_watch.service.daemon import guard
from scicat_watch.words import printable

log = logging.getLogger(__name__)

_CHECK_EVERY = 0.5
_GONE_WITHIN = 1.0
"""Seconds that threads may take to end after the command; those that wait for a file system do not end."""
_STANDS = 2.0
"""Seconds without an answer after which a command that was stopped is waited for no longer."""
_AT_ONCE = 1.0
"""Seconds after a first Ctrl-C after which a second one is another wish: the first may come more than once."""
_THEN = "call this again once it answers"


@dataclass(frozen=True, slots=True)
class Orderly:
    """A command that ends by itself when it is stopped."""

    stop: Callable[[], object]
    """Called at SIGINT and SIGTERM, by the main thread, which must not wait for a lock."""
    within: float
    """Seconds that it may take."""
    status: int
    """The exit status if it takes longer."""
    hang_up: Callable[[], object] = lambda: None
    """The same as `stop` at SIGHUP."""
    waits: bool = False
    """Whether it waits for what it needs and does not answer; that is named only."""


class Attendant:
    """The main thread of a command."""

    def __init__(self) -> None:
        self.calls = Calls(SystemClock())
        """Those that the command cannot do without."""
        self._orderly: Orderly | None = None
        self._stopped_at: float | None = None
        self._impatient = False
        self._named: dict[Path, Silence] = {}
        self._error: BaseException | None = None

    def obey(self, orderly: Orderly) -> None:
        """From now on the command ends by itself; called by the command."""
        self._orderly = orderly

    def attend(self, command: Callable[[], object]) -> None:
        """Have the command run in another thread, and raise what it raises; end the process if it cannot end.

        Called by the main thread.
        """
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.getsignal(signal.SIGHUP)
        if before[signal.SIGHUP] is signal.SIG_IGN:  # The daemon's, which may obey it later.
            signal.signal(signal.SIGHUP, self._heard)
        thread = threading.Thread(target=self._run, args=(command,), name="command", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_CHECK_EVERY)
            self._check()
        self._leave_none()
        for number, handler in before.items():
            signal.signal(number, handler)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, command: Callable[[], object]) -> None:
        try:
            command()
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread.
            self._error = error

    def _heard(self, number: int, frame: Any) -> None:
        if number == signal.SIGHUP:
            if self._orderly is not None:
                self._orderly.hang_up()
            return
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        elif number == signal.SIGINT and now - self._stopped_at > _AT_ONCE:
            self._impatient = True
        if self._orderly is not None:
            self._orderly.stop()

    def _check(self) -> None:
        if self._stopped_at is not None:
            self._check_end(time.monotonic() - self._stopped_at)
        silences = self.calls.check()
        for root, silence in silences.items():
            waits = self._orderly is not None and self._orderly.waits
            if self._named.get(root) != silence:
                _say(str(silence) if waits else f"{silence}; {_THEN}")
            if not waits:
                _end(1)
        self._named = silences

    def _check_end(self, waited: float) -> None:
        """End the process if the command does not end by itself after a stop."""
        if (orderly := self._orderly) is None:
            _end(1)
        if self._impatient or waited > orderly.within or self.calls.check(_STANDS):
            _end(orderly.status)

    def _leave_none(self) -> None:
        """End the process here and now if there are threads that do not end."""
        until = time.monotonic() + _GONE_WITHIN
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join(max(0.0, until - time.monotonic()))
        if threading.active_count() > 1:
            if self._error is not None and not isinstance(self._error, SystemExit):
                traceback.print_exception(self._error)
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            _end(_status(self._error))


ATTENDANT = Attendant()
"""That of this process."""


def needed(path: Path) -> AbstractContextManager[Work]:
    """Around calls on a file system without whose answer the command cannot go on."""
    return ATTENDANT.calls.on(path)


def named_directories(rules: BeamtimeRules) -> list[Path]:
    """The beamtime directories of the configuration, all of which are needed."""
    with needed(Path()):
        return list(beamtimes.directories(rules, entered=ATTENDANT.calls.about))


def _status(error: BaseException | None) -> int:
    """The exit status of a command that ended with an error, or without."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return int(error is not None)


def _say(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"{printable(f'scicat-watch: {text}')}\n".encode())


def _end(status: int) -> NoReturn:
    """End the process although threads of it may wait for a file system."""
    # What is left of the process keeps its descriptors, and others would wait for the end of what they read from them.
    # Files are not closed: their file system may be the one that does not answer.
    for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):  # noqa: PTH208
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith(("pipe:", "socket:", "/dev/")):  # noqa: PTH115
                guard.close(int(name))
    guard.end(status)
