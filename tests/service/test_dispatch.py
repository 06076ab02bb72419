"""Queues: order within a directory, side by side across them; a fault, a stop or an end forgets no scan."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.clock import SystemClock
from scicat_watch.discovery.pending import Ready
from scicat_watch.errors import Unavailable
from scicat_watch.model import Beamtime, Outcome, Status
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.ingest import UnderWay
from tests import makers

BEAMTIME = Beamtime("11018765", Path("/bt"), {})


class FaultyIngestor:
    """Cannot start the second scan of each queue."""

    def __init__(self) -> None:
        self._started = 0

    def start(self, ready: Ready, beamtime: Beamtime) -> UnderWay:
        self._started += 1
        if self._started == 2:
            raise BrokenPipeError("no process")
        running: Any = None
        return UnderWay(ready, beamtime, running, 0.0)

    def finish(self, under_way: UnderWay) -> Outcome:
        return Outcome(under_way.ready.request, Status.CREATED)


def test_what_a_fault_keeps_from_an_outcome_counts_as_failed_and_the_queue_goes_on() -> None:
    stopping = threading.Event()
    ingestor: Any = FaultyIngestor()
    dispatcher = Dispatcher(ingestor, SystemClock(), stopping, side_by_side=1, read_ahead=2)
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    names = [f"scan_{number}" for number in range(5)]
    for name in names:
        ready = Ready(makers.request(makers.scan(Path("/bt"), name)))
        dispatcher.put(ready, BEAMTIME, outcomes.put)
    ended = {outcome.request.scan.name: outcome.status for outcome in (outcomes.get(timeout=120) for _ in names)}
    stopping.set()
    assert dispatcher.join(120)
    assert sorted(ended) == names
    assert ended["scan_1"] is Status.FAILED
    assert ended["scan_4"] is Status.CREATED


class Gate:
    """An ingestor whose finishing waits until it is let go, and that remembers the order of things."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.entered: queue.SimpleQueue[str] = queue.SimpleQueue()
        """Each request whose finishing has begun."""
        self.open = threading.Event()
        self.raises: dict[str, BaseException] = {}

    def start(self, ready: Ready, beamtime: Beamtime) -> UnderWay:
        self.started.append(ready.request.scan.name)
        running: Any = None
        return UnderWay(ready, beamtime, running, 0.0)

    def finish(self, under_way: UnderWay) -> Outcome:
        name = under_way.ready.request.scan.name
        self.entered.put(name)
        assert self.open.wait(120)
        if name in self.raises:
            raise self.raises[name]
        self.finished.append(name)
        return Outcome(under_way.ready.request, Status.CREATED)


Opened = tuple[Gate, Dispatcher, threading.Event]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Two queues side by side, one scan read ahead."""
    gate, stopping = Gate(), threading.Event()
    ingestor: Any = gate
    dispatcher = Dispatcher(ingestor, SystemClock(), stopping, side_by_side=2, read_ahead=1)
    yield gate, dispatcher, stopping
    gate.open.set()
    stopping.set()
    assert dispatcher.join(120)


def _put(dispatcher: Dispatcher, directory: str, *names: str) -> queue.SimpleQueue[Outcome]:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for name in names:
        dispatcher.put(Ready(makers.request(makers.scan(Path(directory), name))), BEAMTIME, outcomes.put)
    return outcomes


def test_requests_of_one_directory_go_one_after_the_other_and_others_side_by_side(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    _put(dispatcher, "/bt/b", "b1")
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a1", "b1"}
    assert gate.entered.empty()
    assert "a3" not in gate.started  # Only one is read ahead.
    assert not dispatcher.idle.is_set()
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert [name for name in gate.finished if name != "b1"] == ["a1", "a2", "a3"]


def test_no_more_directories_are_worked_on_than_are_allowed(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    for directory in "abc":
        _put(dispatcher, f"/bt/{directory}", directory)
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a", "b"}
    assert sorted(gate.started) == ["a", "b"]
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert sorted(gate.finished) == ["a", "b", "c"]


def test_what_comes_while_its_directory_is_worked_on_goes_after_it(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    _put(dispatcher, "/bt/a", "a1")
    assert gate.entered.get(timeout=120) == "a1"
    _put(dispatcher, "/bt/a", "a2")
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert gate.finished == ["a1", "a2"]


def test_a_stop_lets_what_is_under_way_end_and_begins_nothing_new(opened: Opened) -> None:
    gate, dispatcher, stopping = opened
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    assert gate.entered.get(timeout=120) == "a1"
    stopping.set()
    assert not dispatcher.join(0.0)
    gate.open.set()
    assert dispatcher.join(120)
    assert (gate.finished, outcomes.get(timeout=120).request.scan.name, outcomes.empty()) == (["a1"], "a1", True)


def test_what_is_dropped_is_forgotten_once_what_is_under_way_has_ended(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    dropped = _put(dispatcher, "/bt/a", "a1", "a2", "a3", "a4")
    kept = _put(dispatcher, "/other", "b1")
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a1", "b1"}
    dispatcher.drop(BEAMTIME, 0.0)  # Before the gate opens, so that none of the others can be done already.
    ending = threading.Thread(target=dispatcher.drop, args=(BEAMTIME, 20.0))
    ending.start()
    assert ending.is_alive()
    gate.open.set()
    ending.join(120)
    assert not ending.is_alive()
    assert "a1" in gate.finished
    assert "a4" not in gate.started
    assert {outcome.request.scan.name for outcome in _all(dropped)} <= {"a1", "a2"}  # The second was being read.
    assert kept.get(timeout=120).done
    assert dispatcher.idle.wait(120)


def test_an_unavailable_catalogue_ends_all_queues_and_notes_nothing(opened: Opened) -> None:
    gate, dispatcher, stopping = opened
    gate.raises["a1"] = Unavailable("no answer")
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2")
    gate.open.set()
    assert stopping.wait(120)
    assert dispatcher.join(120)
    assert str(dispatcher.unavailable) == "no answer"
    assert outcomes.empty()


def test_a_fault_in_who_hears_of_the_outcome_costs_no_other_request(opened: Opened) -> None:
    gate, dispatcher, _ = opened

    def faulty(outcome: Outcome) -> None:
        raise RuntimeError("a fault")

    dispatcher.put(Ready(makers.request(makers.scan(Path("/bt"), "a1"))), BEAMTIME, faulty)
    outcomes = _put(dispatcher, "/bt", "a2")
    gate.open.set()
    assert outcomes.get(timeout=120).request.scan.name == "a2"


def _all(outcomes: queue.SimpleQueue[Outcome]) -> list[Outcome]:
    return [outcomes.get() for _ in range(outcomes.qsize())]


def test_a_beamtime_that_is_left_takes_no_request_of_another_one_with_it(opened: Opened) -> None:
    """A directory may have several metadata files, and what is forgotten here comes again after a restart only."""
    gate, dispatcher, _ = opened
    other = Beamtime("11018766", BEAMTIME.directory, {})
    _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    assert gate.entered.get(timeout=120) == "a1"
    for directory, name in (("/bt/a", "a4"), ("/bt/b", "b1"), ("/bt/c", "c1")):
        dispatcher.put(Ready(makers.request(makers.scan(Path(directory), name))), other, lambda outcome: None)
    dispatcher.drop(BEAMTIME, 0.1)
    gate.open.set()
    assert dispatcher.idle.wait(120)
    # The second was read ahead if it came before the queue began with the first one.
    assert sorted(set(gate.finished) - {"a2"}) == ["a1", "a4", "b1", "c1"]
