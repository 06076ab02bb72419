"""One daemon for each state directory: the second one says who runs, and ends."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import filelock

from scicat_watch.clock import Clock, SystemClock
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)

NAME = "daemon.lock"


@contextmanager
def alone(var_dir: Path, clock: Clock | None = None) -> Iterator[None]:
    """Hold the lock of a state directory; the kernel gives it back however the process ends.

    `ConfigError` if another daemon runs with it. A directory that cannot be written to, or that has no locks, is used
    without.
    """
    path = var_dir / NAME
    # Never one that is only the existence of a file: that would outlive a kill.
    lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        _sign(path, (clock or SystemClock()).now())
    except filelock.Timeout:
        running = f"another scicat-watch runs with this state directory{_holder(path)}"
        raise ConfigError(f"{running}; stop it first, or set another var_dir", var_dir) from None
    except OSError as error:
        log.warning("%s: no lock can be taken there (%s); make sure that one daemon uses it", var_dir, error.strerror)
    try:
        yield
    finally:
        lock.release()


def _sign(path: Path, now: datetime) -> None:
    """Say who holds the lock, for the message of the next one; not into a full disk, which is no reason to end."""
    with suppress(OSError):
        path.write_text(
            f"pid {os.getpid()} on {socket.gethostname()} since {now:%Y-%m-%d %H:%M:%S} UTC\n", encoding="utf-8"
        )


def _holder(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({text[:200]})" if text else ""
