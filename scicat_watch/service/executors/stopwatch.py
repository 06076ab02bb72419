"""How long a process has been at its work, on a machine that may have no processor for it.

Seconds in which it, or a process that it started, could have run but waited for a processor are not counted. Those in
which it computes are, and those in which it sleeps, as it does in a file system that hangs. The kernel says how long
each process has waited (2nd field of `/proc/PID/schedstat`); where it does not, all seconds count.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

LARGEST = 1 << 16
"""Bytes of the longest notice of a beginning."""
_PROC = Path("/proc")


class Stopwatch:
    """Counts from the moment at which it is made."""

    def __init__(self, process: int, notice: bytes) -> None:
        """`notice`: what the process sent when it began (`notice_of`)."""
        self._process = process
        self._before = {int(one): int(waited) for one, waited in json.loads(notice).items()}
        self._began = time.monotonic()
        self._lost: dict[int, int] = {}

    def seconds(self) -> float:
        """How long it has been at work, by what was last known of its waiting; cheap."""
        return time.monotonic() - self._began - sum(self._lost.values()) / 1e9

    def update(self) -> None:
        """Ask the kernel how long it has waited."""
        for process, waited in _waits(self._process).items():
            self._lost[process] = max(0, waited - self._before.get(process, 0))


def notice_of(process: int) -> bytes:
    """What a process sends when it begins: how long it, and those that it started, have waited so far.

    It says so itself, as that costs the daemon nothing for scans that are read soon, which are nearly all.
    """
    return json.dumps(_waits(process)).encode()


def _waits(process: int) -> dict[int, int]:
    """By process: the nanoseconds for which it has waited for a processor since its start, if the kernel says so."""
    found = {}
    for one in (process, *children(process)):
        with suppress(OSError, ValueError, IndexError):
            found[one] = int((_PROC / str(one) / "schedstat").read_text().split()[1])
    return found


def children(process: int) -> list[int]:
    """The processes that a process has started and that run, as far as the system says."""
    try:
        return list(map(int, (_PROC / str(process) / "task" / str(process) / "children").read_text().split()))
    except (OSError, ValueError):
        return []
