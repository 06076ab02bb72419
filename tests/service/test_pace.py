"""Rescans take their share of one core, however many directories there are."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from scicat_watch.service.daemon.pace import FirstRescans, Pace


def test_what_is_cheap_is_rescanned_at_the_shortest_interval() -> None:
    pace = Pace(0.02, 600.0)
    assert [pace.interval("a", 0.1, 0.1, 10.0) for _ in range(3)] == [10.0, 10.0, 10.0]


@pytest.mark.parametrize("beamtimes", [1, 10, 100])
def test_all_beamtimes_together_take_no_more_than_the_share(beamtimes: int) -> None:
    pace, used = Pace(0.02, 600.0), 8.0 / beamtimes
    for who in range(beamtimes):
        pace.interval(who, used, used, 10.0)
    intervals = [pace.interval(who, used, used, 10.0) for who in range(beamtimes)]
    assert sum(used / interval for interval in intervals) == pytest.approx(0.02)
    for who in range(1, beamtimes):
        pace.leave(who)
    assert pace.interval(0, used, used, 10.0) == pytest.approx(max(10.0, used / 0.02))


def test_a_slow_file_system_is_rescanned_a_tenth_of_the_time_and_stops_no_other() -> None:
    pace = Pace(0.02, 600.0)
    pace.interval("slow", 0.0, 30.0, 10.0)
    assert pace.interval("slow", 0.01, 30.0, 10.0) == 300.0
    pace.interval("quick", 0.0, 0.0, 10.0)
    assert pace.interval("quick", 0.01, 0.01, 10.0) == 10.0


def test_no_cost_makes_an_interval_longer_than_the_longest() -> None:
    assert Pace(0.02, 600.0).interval("a", 1e6, 1e6, 10.0) == 600.0
    assert Pace(0.02, 60.0).interval("a", 1e6, 1e6, 100.0) == 100.0


def test_the_first_intervals_of_many_differ() -> None:
    pace = Pace(0.02, 600.0)
    assert [pace.interval(who, 0.0, 0.0, 64.0) for who in range(4)] == [64.0, 62.0, 60.0, 58.0]
    assert [pace.interval(who, 0.0, 0.0, 64.0) for who in range(4)] == [64.0] * 4


LONG = 1000.0


class _Rescanning:
    """First rescans in threads of their own, each of which goes on until it may end."""

    def __init__(self, counts_for: float) -> None:
        self.first = FirstRescans(counts_for)
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._may_end: dict[str, threading.Event] = {}

    def begin(self, name: str) -> Callable[[], None]:
        """Begin one; what ends it."""
        may_end = self._may_end[name] = threading.Event()

        def rescan() -> None:
            with self.first.one(self.over.is_set):
                self.begun.put(name)
                assert may_end.wait(120)

        self._threads.append(threading.Thread(target=rescan))
        self._threads[-1].start()
        return may_end.set

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()


def test_first_rescans_come_one_after_the_other() -> None:
    rescans = _Rescanning(LONG)
    ends = {name: rescans.begin(name) for name in "abcd"}
    begun = ""
    for _ in range(4):
        name = rescans.begun.get(timeout=120)
        assert rescans.begun.empty()
        begun += name
        ends[name]()
    assert sorted(begun) == ["a", "b", "c", "d"]
    rescans.join()


def test_a_first_rescan_that_takes_long_holds_up_no_other() -> None:
    rescans = _Rescanning(0.01)
    ends = [rescans.begin(name) for name in "abcd"]
    assert sorted(rescans.begun.get(timeout=120) for _ in range(4)) == ["a", "b", "c", "d"]  # None of them has ended.
    for end in ends:
        end()
    rescans.join()


def test_who_is_to_stop_waits_for_no_turn() -> None:
    rescans = _Rescanning(LONG)
    ends = [rescans.begin("a")]
    assert rescans.begun.get(timeout=120) == "a"
    ends += [rescans.begin(name) for name in "bc"]
    rescans.over.set()
    assert sorted(rescans.begun.get(timeout=120) for _ in range(2)) == ["b", "c"]
    for end in ends:
        end()
    rescans.join()
