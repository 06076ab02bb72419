"""Locks between processes, on one host or several: each is given back however the process that holds it ends.

That is the kernel's doing (`flock`), with one gap: a process that was killed while a file system does not answer keeps
what it has open, and so its locks, also those on other file systems. So whoever holds a lock says in its file which
process it is. If that is one of this host and runs no more, the file is removed, and its lock counts for nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import filelock

from scicat_watch.processes import Mark

log = logging.getLogger(__name__)

_LARGEST = 1000


class ProcessLock:
    """A file that one process at a time has locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Never a lock that is only the existence of a file: it would outlive a kill, and hold up the next start.
        self._lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)

    def acquire(self, now: datetime | None = None) -> bool:
        """Take it; false if somebody else has it. OSError if there can be no such file, or it cannot be locked.

        `now`: to be noted as the time since when.
        """
        if not self._taken():
            if not self._clear() or not self._taken():
                return False
            log.warning("%s: taken over from a process that was killed, and is held by a file system", self._path)
        self._sign(now or datetime.now(UTC))
        return True

    def release(self) -> None:
        """Give it back; the end of the process does so too, however it ends."""
        self._lock.release()

    def holder(self) -> str:
        """Who has it, for people; empty if that is not known."""
        return next(iter(self._text().splitlines()), "")[:200]

    def _taken(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    def _clear(self) -> bool:
        """Remove the file if the process that has it locked runs no more; whether it did."""
        with suppress(OSError):
            before = os.stat(self._path)  # noqa: PTH116
            lines = self._text().splitlines()
            mark = Mark.parse(lines[1]) if len(lines) > 1 else None
            if mark is not None and mark.is_over():
                now = os.stat(self._path)  # noqa: PTH116
                if (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino):
                    self._path.unlink()
                    return True
        return False

    def _sign(self, now: datetime) -> None:
        """Say who holds it. Not on a full disk, which is no reason to do without the lock."""
        with suppress(OSError):
            who = f"pid {os.getpid()} on {socket.gethostname()} since {now:%Y-%m-%d %H:%M:%S} UTC"
            self._path.write_text(f"{who}\n{Mark.own()}\n", encoding="utf-8")

    def _text(self) -> str:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                return file.read(_LARGEST)
        except OSError:
            return ""
