"""A process that ends when it is asked to, before a daemon that perhaps cannot.

A thread whose call a file system does not answer stays in the kernel, beyond the reach of any signal, and a process is
gone only when its last thread is. Which file systems will be used is not known at the start: directories come with a
reload, and are mounted later. So the daemon always runs in a child process, and the process that was started waits for
it: it passes signals on, ends as the child ends, and ends at the latest `ENDS_WITHIN` after a stop, whatever became of
the child. What is left of that has run its last instruction; the kernel clears it away when the file system answers.
The same is done for commands that use directories of beamtimes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
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


COMMAND_ENDS_WITHIN = 3.0
"""The same for a command that has nothing to bring to an end."""
_FROM_TERMINAL = 0x80  # SI_KERNEL of <asm-generic/siginfo.h>: all processes of the terminal got the signal.


def guard(ends_within: float | None = None, stuck: int | None = None) -> None:
    """Go on in a child process; only that one returns. To be called before there are threads.

    `ends_within`: instead of `ENDS_WITHIN`. `stuck`: the exit status if the child does not go, instead of the daemon's.
    """
    if sys.platform != "linux":
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # From now on none of them is missed.
    sys.stdout.flush()
    kernel.hide_memory()  # It has the daemon's environment.
    parent = os.getpid()
    child = os.fork()
    if child:
        _end_as(_wait_for(child, ENDS_WITHIN if ends_within is None else ends_within, stuck))
    kernel.end_with(parent)  # The daemon does not outlive who guards it.
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for(child: int, ends_within: float, stuck: int | None) -> int:
    """Pass signals on until the child has ended; its exit status, negative for a signal.

    Where it runs no more but does not go, it is `stuck`; without that 0 if the child was stopped, and else -SIGKILL.
    """
    until, dead_since = None, None
    while True:
        heard = signal.sigtimedwait(_HEARD, _CHECK_RARELY if until is dead_since is None else _CHECK_EVERY)
        if heard is not None and heard.si_signo in _PASSED and not _came_to_all(heard):
            os.kill(child, heard.si_signo)
        if heard is not None and heard.si_signo in _STOPS and until is None:
            until = time.monotonic() + ends_within
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        now = time.monotonic()
        dead_since = (dead_since or now) if is_over(child) else None
        late = until is not None and now > until
        if late or (dead_since is not None and now - dead_since >= _LEFT_AFTER):
            os.kill(child, signal.SIGKILL)
            if stuck is None or until is not None:  # Otherwise the command has said it already.
                sys.stderr.write("scicat-watch: a file system does not answer; what waits for it ends when it does\n")
            if stuck is not None:
                return stuck
            return -signal.SIGKILL if until is None else 0


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
