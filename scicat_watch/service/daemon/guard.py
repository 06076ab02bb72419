"""A process that ends when it is asked to, before a daemon that perhaps cannot.

A thread whose call a file system does not answer stays in the kernel, beyond the reach of any signal, and a process is
gone only when its last thread is. So where a directory of the configuration is on a network file system, on FUSE or
under an automounter, the daemon runs in a child process, and the process that was started waits for it: it passes
signals on, and ends at the latest `ENDS_WITHIN` after a stop, whatever became of the child. What is left of that has
run its last instruction; the kernel clears it away when the file system answers.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from scicat_watch import kernel
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.settings.model import Settings

ENDS_WITHIN = 14.0
"""Seconds after a stop after which the process ends in any case."""
_CHECK_EVERY = 0.5
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_PASSED = _STOPS | {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_HEARD = _PASSED | {signal.SIGCHLD}


def may_hang(path: Path) -> bool:
    """Whether a call on `path`, or on something below it, may get no answer; asks no file system that may not."""
    mounts = Mounts.now()
    return mounts.holding(path).may_hang or any(mount.may_hang for mount in mounts.below(mounts.follow(path)))


def guard(settings: Settings) -> None:
    """Go on in a child process if a directory of the configuration may hang; then only that one returns."""
    beamtimes = settings.beamtimes
    if sys.platform == "linux" and any(map(may_hang, (*beamtimes.directories, *beamtimes.base_directories))):
        _go_on_in_a_child()


def _go_on_in_a_child() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # From now on none of them is missed.
    sys.stdout.flush()
    kernel.hide_memory()  # It has the daemon's environment.
    parent = os.getpid()
    child = os.fork()
    if child:
        os._exit(_wait_for(child))
    kernel.end_with(parent)  # The daemon does not outlive who guards it.
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for(child: int) -> int:
    """Pass signals on until the child has ended; its exit status, 0 if it was stopped and did not end in time."""
    until: float | None = None
    while True:
        heard = _next_signal(_HEARD, _CHECK_EVERY if until is not None else None)
        if heard in _PASSED:
            os.kill(child, heard)
        if heard in _STOPS and until is None:
            until = time.monotonic() + ENDS_WITHIN
        over = until is not None and (time.monotonic() > until or _is_over(child))
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if over:
            os.kill(child, signal.SIGKILL)
            sys.stderr.write("scicat-watch: a file system does not answer; what waits for it ends when it does\n")
            return 0


def _next_signal(signals: Iterable[int], seconds: float | None) -> int | None:
    if seconds is None:
        return signal.sigwait(signals)
    found = signal.sigtimedwait(signals, seconds)
    return None if found is None else found.si_signo


def _is_over(child: int) -> bool:
    """Whether the child has ended but for threads that the kernel does not let go."""
    try:
        status = Path(f"/proc/{child}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"
