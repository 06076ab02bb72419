"""The process that ends when asked, with children that do as a daemon does, or as one that cannot end."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import psutil
import pytest

from tests.flows.program import eventually

LONG = 30.0
_PROGRAM = """
import signal, sys, threading, time
from scicat_watch.service.daemon import guard
guard.ENDS_WITHIN = {within}
guard.guard()
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
signal.signal(signal.SIGHUP, lambda number, frame: print("reloaded", flush=True))
print("runs", flush=True)
{then}
"""


class Guarded:
    """A program under a guard."""

    def __init__(self, then: str, within: float = LONG) -> None:
        program = textwrap.dedent(_PROGRAM).format(then=textwrap.dedent(then), within=within)
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert self.line() == "runs"
        (self.child,) = psutil.Process(self.process.pid).children()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def gone(self) -> bool:
        """Whether the child has ended; in a container, there may be nobody who clears it away."""
        try:
            return self.child.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=LONG)
        eventually(self.gone, "the child does not outlive its guard")


@pytest.fixture
def end() -> Iterator[list[Guarded]]:
    started: list[Guarded] = []
    yield started
    for one in started:
        one.end()


def test_a_stop_is_passed_on_and_the_status_of_the_child_is_that_of_the_process(end: list[Guarded]) -> None:
    end.append(guarded := Guarded("stopped.wait(); sys.exit(3)"))
    guarded.process.send_signal(signal.SIGHUP)
    assert guarded.line() == "reloaded"
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.process.wait(LONG) == 3


def test_a_child_that_does_not_end_is_left(end: list[Guarded]) -> None:
    end.append(guarded := Guarded("while True: time.sleep(1)", within=0.5))
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.process.wait(LONG) == 0
    eventually(guarded.gone, "it was killed")


def test_a_child_that_ends_by_itself_ends_the_process(end: list[Guarded]) -> None:
    end.append(guarded := Guarded("sys.stdin.readline(); sys.exit(0)"))
    assert guarded.process.wait(LONG) == 0
    end.append(killed := Guarded("stopped.wait()"))
    killed.child.kill()
    assert killed.process.wait(LONG) == -signal.SIGKILL


def test_a_guard_that_is_killed_takes_its_child_with_it(end: list[Guarded]) -> None:
    end.append(guarded := Guarded("stopped.wait()"))
    guarded.process.kill()
    guarded.process.wait(LONG)
    eventually(guarded.gone, "the child is gone")
