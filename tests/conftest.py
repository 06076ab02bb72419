"""What all tests share: a clock that they turn, and a check that nothing of them stays behind."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

from tests.fakes import FakeClock

# A run in the background of a shell ignores SIGINT, and so would every program that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LINGER = 30.0  # Seconds that a thread, process or descriptor may take to go after a test.

# The same examples in each run: a new one that fails belongs to the person who searches for it, not to the next change.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("soak", hypothesis.settings.get_profile("tests"), derandomize=False)
hypothesis.settings.load_profile("soak" if "SCICAT_WATCH_SOAK_HOURS" in os.environ else "tests")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def _leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a file descriptor behind.

    A test that starts something for the rest of the session (a library's helper process, say) is marked `leaves`,
    with the reason.
    """
    if request.node.get_closest_marker("leaves"):
        yield
        return
    threads, children, descriptors = set(threading.enumerate()), _children(), _descriptors()
    yield
    until = time.monotonic() + _LINGER
    while left := _left(threads, children, descriptors):
        if time.monotonic() > until:
            pytest.fail(f"left behind: {', '.join(left)}")
        gc.collect()
        time.sleep(0.01)


def _left(threads: set[threading.Thread], children: set[int], descriptors: dict[str, str]) -> list[str]:
    new_threads = [f"thread {one.name!r}" for one in threading.enumerate() if one not in threads]
    new_children = [f"process {pid}" for pid in _children() - children]
    new_files = [f"descriptor {number} ({to})" for number, to in _descriptors().items() if number not in descriptors]
    return new_threads + new_children + new_files


def _children() -> set[int]:
    alive = psutil.Process().children()
    return {child.pid for child in alive if child.status() != psutil.STATUS_ZOMBIE and not _shared(child)}


def _shared(child: psutil.Process) -> bool:
    """Whether a process serves the rest of the session: those of `multiprocessing`."""
    try:
        command = " ".join(child.cmdline())
    except psutil.Error:
        return True
    return "multiprocessing.forkserver" in command or "multiprocessing.resource_tracker" in command


def _descriptors() -> dict[str, str]:
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            to = os.fspath(link.readlink())
        except OSError:
            continue
        # matplotlib keeps each of its fonts open from the first text that it draws.
        ours = not to.startswith(("/dev/", "pipe:", "anon_inode:[eventpoll]")) and "/matplotlib/mpl-data/" not in to
        if ours and "/proc/" not in to:
            found[link.name] = to
    return found
