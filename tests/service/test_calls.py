"""Which roots do not answer: on a clock that tests turn, and in a thread of this system."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_watch.service.calls import Calls, activity_of
from tests.fakes import FakeClock
from tests.flows.program import eventually

ONE, OTHER = Path("/beamline/one"), Path("/beamline/other")


class Threads:
    """What the system says of the threads; all of this test's are one."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, thread: int) -> str:
        return str(self.steps)


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def calls(clock: FakeClock, threads: Threads) -> Calls:
    return Calls(clock, threads)


def _after(clock: FakeClock, calls: Calls, seconds: int) -> list[Path]:
    """The roots that do not answer after so many seconds, with a check every other second."""
    for _ in range(seconds // 2):
        calls.check()
        clock.advance(2)
    return sorted(calls.check())


def test_a_root_whose_call_does_not_return_does_not_answer_after_ten_seconds(calls: Calls, clock: FakeClock) -> None:
    with calls.on(ONE) as work, calls.on(OTHER):
        work.path = ONE / "raw"
        assert _after(clock, calls, 8) == []
        assert (calls.silence(ONE), calls.silence(OTHER)) == (None, None)
        assert _after(clock, calls, 2) == [ONE, OTHER]
        assert str(calls.check()[ONE]).startswith(f"{ONE}/raw: its file system has not answered since 2026-05-04 ")
        assert calls.silence(ONE) is not None
        assert (calls.hangs(ONE / "raw/deep"), calls.hangs(Path("/beamline"))) == (True, False)
    assert calls.check() == {}
    assert calls.silence(ONE) is None


def test_a_thread_that_goes_on_is_answered_however_long_its_work_takes(
    calls: Calls, clock: FakeClock, threads: Threads
) -> None:
    with calls.on(ONE):
        for _ in range(100):
            assert _after(clock, calls, 8) == []
            threads.steps += 1
            calls.check()


def test_a_silence_keeps_its_words_while_it_lasts(calls: Calls, clock: FakeClock) -> None:
    with calls.on(ONE):
        _after(clock, calls, 12)
        first = str(calls.check()[ONE])
        _after(clock, calls, 1000)
        assert str(calls.check()[ONE]) == first


def test_a_silence_ends_with_the_calls_that_got_no_answer_and_not_with_the_next_check(
    calls: Calls, clock: FakeClock
) -> None:
    with calls.on(ONE):
        with calls.on(ONE):
            assert _after(clock, calls, 12) == [ONE]
        assert calls.silence(ONE) is not None  # One of the two stands still.
    assert calls.silence(ONE) is None
    with calls.on(ONE):
        assert calls.silence(ONE) is None


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe, whose reader waits in a system call as one of a file system does that does not answer."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_the_system_says_of_a_thread_whether_it_goes_on(pipe: tuple[int, int], clock: FakeClock) -> None:
    reading, writing = pipe
    calls = Calls(clock)
    goes_on = threading.Event()

    def work() -> None:
        with calls.on(ONE):
            os.read(reading, 1)
            while not goes_on.wait(0.001):
                pass

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: _after(clock, calls, 12), "a thread that waits is seen to wait")
    before = activity_of(thread.native_id or 0)
    os.write(writing, b"x")
    eventually(lambda: activity_of(thread.native_id or 0) != before, "the thread goes on")
    assert calls.check() == {}
    goes_on.set()
    thread.join()
    eventually(lambda: activity_of(thread.native_id or 0) == "", "the system has forgotten the thread")
