"""A process that ends when it is asked to, before one that perhaps cannot: a daemon's, or that of a command.

A thread whose call a file system does not answer stays in the kernel, beyond the reach of any signal, and a process is
gone only when its last thread is. Which file systems will be used is not known at the start: directories come with a
reload, and are mounted later. So the program always runs in a child process, and the process that was started waits for
it: it passes signals on, ends as the child ends, and ends at the latest `ENDS_WITHIN` after a stop, whatever became of
the child. What is left of that has run its last instruction; the kernel clears it away when the file system answers.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from contextlib import suppress
from typing import NoReturn

from scicat_watch import kernel
from scicat_watch.processes import is_over

ENDS_WITHIN = 14.0
"""Seconds after a stop after which the process ends in any case."""
_CHECK_EVERY = 0.5
_CHECK_RARELY = 2.0  # While nothing was stopped: one that was killed and hangs is not reported by the kernel.
_LEFT_AFTER = 1.0
"""Seconds that the end of all threads of a child may take; those of one that hangs do not end."""
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_PASSED = _STOPS | {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_HEARD = _PASSED | {signal.SIGCHLD}
_FROM_TERMINAL = 0x80  # SI_KERNEL of <asm-generic/siginfo.h>: all processes of the terminal got the signal.

_said: list[int] = []
"""The descriptor through which the child says with which status it ends, as the kernel may not be able to."""


def guard() -> None:
    """Go on in a child process; only that one returns. To be called before there are threads."""
    if sys.platform != "linux":
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # From now on none of them is missed.
    sys.stdout.flush()
    kernel.hide_memory()  # It has the daemon's environment.
    parent, (reading, writing) = os.getpid(), os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os.set_blocking(reading, False)
        _end_as(_wait_for(child, reading))
    os.close(reading)
    _said.append(writing)
    kernel.end_with(parent)  # The daemon does not outlive who guards it.
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(status: int) -> NoReturn:
    """End this process now, although threads of it may be left; whoever guards it ends with this status."""
    for descriptor in _said:
        with suppress(OSError):
            os.write(descriptor, bytes([status]))
            os.kill(os.getppid(), signal.SIGCHLD)
    os._exit(status)


def close(descriptor: int) -> None:
    """Close a descriptor before the end, unless it is the one that the end is said through. OSError if it is none."""
    if descriptor not in _said:
        os.close(descriptor)


def _wait_for(child: int, said: int) -> int:
    """Pass signals on until the child has ended; its exit status, negative for a signal.

    Where it runs no more but does not go, it is what it `said`; without that 0 if it was stopped, and else -SIGKILL.
    """
    until = dead_since = status = None
    while True:
        idle = until is dead_since is status is None
        heard = signal.sigtimedwait(_HEARD, _CHECK_RARELY if idle else _CHECK_EVERY)
        if heard is not None and heard.si_signo in _PASSED and not _came_to_all(heard):
            os.kill(child, heard.si_signo)
        if heard is not None and heard.si_signo in _STOPS and until is None:
            until = time.monotonic() + ENDS_WITHIN
        pid, waited = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(waited)
        now, status = time.monotonic(), _heard_from(said, status)
        dead_since = (dead_since or now) if is_over(child) else None
        left = dead_since is not None and (status is not None or now - dead_since >= _LEFT_AFTER)
        if left or (until is not None and now > until):
            os.kill(child, signal.SIGKILL)
            if status is not None:
                return status
            sys.stderr.write("scicat-watch: a file system does not answer; what waits for it ends when it does\n")
            return -signal.SIGKILL if until is None else 0


def _heard_from(said: int, before: int | None) -> int | None:
    """With which status the child ends, as far as it has said so."""
    with suppress(BlockingIOError):
        return next(iter(os.read(said, 1)), before)
    return before


def _came_to_all(heard: signal.struct_siginfo) -> bool:
    """Whether a signal is a Ctrl-C, which the child has got as well: twice, it would disturb the end."""
    return heard.si_signo == signal.SIGINT and heard.si_code == _FROM_TERMINAL


def _end_as(status: int) -> NoReturn:
    """End with an exit status, or by a signal, as the child did."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-status})
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)
