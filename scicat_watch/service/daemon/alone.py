"""One daemon for each state directory: the second one says who runs, and ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scicat_watch.clock import Clock, SystemClock
from scicat_watch.errors import ConfigError
from scicat_watch.locks import ProcessLock
from scicat_watch.service.answering import needed

log = logging.getLogger(__name__)

NAME = "daemon.lock"


@contextmanager
def alone(var_dir: Path, clock: Clock | None = None) -> Iterator[None]:
    """Hold the lock of a state directory; the kernel gives it back however the process ends.

    `ConfigError` if another daemon runs with it. A directory that cannot be written to, or that has no locks, is used
    without.
    """
    path = var_dir / NAME
    lock = ProcessLock(path)
    try:
        with needed(var_dir):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            acquired = lock.acquire((clock or SystemClock()).now())
        if not acquired:
            who = lock.holder()
            running = f"another scicat-watch runs with this state directory{f' ({who})' if who else ''}"
            raise ConfigError(f"{running}; stop it first, or set another var_dir", var_dir)
    except OSError as error:
        log.warning("%s: no lock can be taken there (%s); make sure that one daemon uses it", var_dir, error.strerror)
    try:
        yield
    finally:
        lock.release()
