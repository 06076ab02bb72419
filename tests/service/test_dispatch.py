"""The threads that ingest: what is read and published side by side; a fault, a stop or an end forgets no scan."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.clock import SystemClock
from scicat_watch.discovery.completeness import Ready
from scicat_watch.errors import Unavailable
from scicat_watch.model import Beamtime, Fault, Outcome, Status
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.ingest import Read, UnderWay
from scicat_watch.service.queues import Load
from tests import makers
from tests.flows.program import eventually

BEAMTIME = Beamtime("11018765", Path("/bt"), {})


class Reader:
    """A reading that ends when it is told to."""

    def __init__(self) -> None:
        self._answer: Future[Any] = Future()

    def end(self) -> None:
        self._answer.set_result(None)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        self._answer.add_done_callback(lambda answer: callback())

    def result(self) -> Any:
        assert self._answer.done(), "it is waited for"
        return self._answer.result()


class Gate:
    """An ingestor that reads at once, but for scans whose names begin with "slow", and publishes when it is let go."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.readers: dict[str, Reader] = {}
        self.unreadable: set[str] = set()
        self.published: list[str] = []
        self.entered: queue.SimpleQueue[str] = queue.SimpleQueue()
        """Each request whose publishing has begun."""
        self.open = threading.Event()
        self.raises: dict[str, BaseException] = {}
        self.apart: list[str] = []
        """Those that were read with all the time there is."""
        self.costly: set[str] = set()
        """Those that cost each reader."""
        self.long: dict[str, Callable[[], object]] = {}

    def start(
        self, ready: Ready, beamtime: Beamtime, takes_long: Callable[[], object], *, suspect: bool = False
    ) -> UnderWay:
        name = ready.request.scan.name
        reader, self.long[name] = Reader(), takes_long
        self.apart += [name] if suspect else []
        self.started.append(name)
        self.readers[name] = reader
        if f"start {name}" in self.raises:
            raise self.raises[f"start {name}"]
        if not name.startswith("slow"):
            reader.end()
        return UnderWay(ready, beamtime, reader, 0.0)

    def read(self, under_way: UnderWay) -> Read | Outcome:
        reading = under_way.running.result()
        if under_way.ready.request.scan.name in self.costly:
            return Outcome(under_way.ready.request, Status.FAILED, "it hung", fault=Fault.READER)
        if under_way.ready.request.scan.name in self.unreadable:
            return Outcome(under_way.ready.request, Status.FAILED, "cannot be read")
        return Read(under_way, reading)

    def publish(self, read: Read) -> Outcome:
        request = read.under_way.ready.request
        self.entered.put(request.scan.name)
        assert self.open.wait(120)
        if request.scan.name in self.raises:
            raise self.raises[request.scan.name]
        self.published.append(request.scan.name)
        return Outcome(request, Status.CREATED)


Opened = tuple[Gate, Dispatcher, threading.Event]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Two scans are published at a time, and two are read."""
    gate, stopping = Gate(), threading.Event()
    ingestor: Any = gate
    dispatcher = Dispatcher(ingestor, SystemClock(), stopping, connections=2, readers=2)
    yield gate, dispatcher, stopping
    gate.open.set()
    stopping.set()
    assert dispatcher.join(120)


def _put(
    dispatcher: Dispatcher, directory: str, *names: str, beamtime: Beamtime = BEAMTIME, **more: Any
) -> queue.SimpleQueue[Outcome]:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for name in names:
        ready = Ready(makers.request(makers.scan(Path(directory), name)), **more)
        dispatcher.put(ready, beamtime, outcomes.put)
    return outcomes


def _names(outcomes: queue.SimpleQueue[Outcome]) -> list[str]:
    return [outcomes.get().request.scan.name for _ in range(outcomes.qsize())]


def test_scans_of_one_directory_are_published_one_after_the_other_and_others_side_by_side(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    _put(dispatcher, "/bt/b", "b1")
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a1", "b1"}
    assert not dispatcher.idle.is_set()
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert [name for name in gate.published if name != "b1"] == ["a1", "a2", "a3"]


def test_no_more_scans_are_published_at_a_time_than_there_are_connections(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    for directory in "abc":
        _put(dispatcher, f"/bt/{directory}", directory)
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a", "b"}
    eventually(lambda: dispatcher.load(BEAMTIME).publishing == 3, "the third was read")
    assert gate.entered.empty()
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert sorted(gate.published) == ["a", "b", "c"]


def test_a_scan_that_takes_long_to_read_holds_up_none_of_its_directory(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    gate.open.set()
    first = _put(dispatcher, "/bt/a", "slow")
    after = _put(dispatcher, "/bt/a", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8")
    assert [after.get(timeout=120).request.scan.name for _ in range(8)] == [f"a{number}" for number in range(1, 9)]
    eventually(lambda: dispatcher.load(BEAMTIME) == Load(reading=1), "only the slow one is left")
    gate.readers["slow"].end()
    assert first.get(timeout=120).done
    assert dispatcher.idle.wait(120)


def test_scans_that_take_long_hold_up_no_other_beamtime_and_say_so_themselves(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    gate.open.set()
    _put(dispatcher, "/bt/a", "slow1", "slow2", "a1")
    other = _put(dispatcher, "/bt/b", "b1", beamtime=Beamtime("2", Path("/bt/b"), {}))
    assert gate.started == ["slow1", "slow2"]
    gate.long["slow1"]()
    assert other.get(timeout=120).done
    assert gate.started == ["slow1", "slow2", "b1"]
    for name in ("slow1", "slow2"):
        gate.readers[name].end()
    assert dispatcher.idle.wait(120)


def test_a_scan_that_costs_its_reader_is_read_once_more_apart_and_then_reported(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    gate.open.set()
    gate.costly = {"bad"}
    outcomes = _put(dispatcher, "/bt/a", "bad")
    assert outcomes.get(timeout=120).fault is Fault.READER
    assert (gate.started, gate.apart) == (["bad", "bad"], ["bad"])
    assert dispatcher.idle.wait(120)
    assert outcomes.empty()


def test_while_nothing_can_be_published_reading_stops_after_a_while_and_failures_are_still_reported(
    opened: Opened,
) -> None:
    gate, dispatcher, _ = opened
    gate.unreadable = {"a2"}
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2")
    assert outcomes.get(timeout=120).reason == "cannot be read"
    for number in range(1000):
        _put(dispatcher, f"/bt/{number % 10}", f"x{number}")
    waiting = eventually(lambda: (load := dispatcher.load(BEAMTIME)).publishing == 7 and load, "seven are read")
    assert waiting == Load(queued=994, reading=0, publishing=7)
    assert len(gate.started) == 8
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert len(gate.published) == 1001


def test_requests_for_one_dataset_go_one_after_the_other_in_their_order(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    first = _put(dispatcher, "/bt/a", "slow")
    again = _put(dispatcher, "/bt/a", "slow", "slow")
    other = _put(dispatcher, "/bt/a", "a1")
    gate.open.set()
    assert other.get(timeout=120).done
    eventually(lambda: dispatcher.load(BEAMTIME) == Load(reading=1), "only the slow dataset is left, counted once")
    assert gate.started.count("slow") == 1
    gate.readers["slow"].end()
    assert first.get(timeout=120).done
    for count in (2, 3):
        eventually(lambda: gate.started.count("slow") == count, "the next one is read")  # noqa: B023
        gate.readers["slow"].end()
        assert again.get(timeout=120).done
    assert dispatcher.idle.wait(120)


def test_what_comes_while_its_directory_is_worked_on_goes_after_it(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    _put(dispatcher, "/bt/a", "a1")
    assert gate.entered.get(timeout=120) == "a1"
    _put(dispatcher, "/bt/a", "a2")
    gate.open.set()
    assert dispatcher.idle.wait(120)
    assert gate.published == ["a1", "a2"]


def test_a_stop_lets_what_is_under_way_end_and_begins_nothing_new(opened: Opened) -> None:
    gate, dispatcher, stopping = opened
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    assert gate.entered.get(timeout=120) == "a1"
    stopping.set()
    assert not dispatcher.join(0.0)
    gate.open.set()
    assert dispatcher.join(120)
    assert (gate.published, _names(outcomes)) == (["a1"], ["a1"])


def test_what_is_dropped_is_forgotten_once_what_is_being_published_has_ended(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    dropped = _put(dispatcher, "/bt/a", "a1", "slow", "a2", "a3")
    other = Beamtime("11018766", BEAMTIME.directory, {})
    kept = _put(dispatcher, "/bt/b", "b1", "b2", beamtime=other)
    assert {gate.entered.get(timeout=120) for _ in range(2)} == {"a1", "b1"}
    eventually(lambda: "slow" in gate.started, "the slow one is being read")
    dispatcher.drop(BEAMTIME, 0.0)  # Before the gate opens, so that none of the others can be done already.
    # One whose reading has just ended counts as being read until the thread that takes it has its turn.
    eventually(lambda: dispatcher.load(BEAMTIME) == Load(reading=1, publishing=1), "only the slow one is being read")
    ending = threading.Thread(target=dispatcher.drop, args=(BEAMTIME, 120.0))
    ending.start()
    gate.open.set()
    ending.join(120)
    assert dispatcher.load(BEAMTIME) == Load(reading=1)
    gate.readers["slow"].end()
    assert dispatcher.idle.wait(120)
    assert (_names(dropped), _names(kept)) == (["a1"], ["b1", "b2"])


def test_an_unavailable_catalogue_ends_the_work_and_notes_nothing(opened: Opened) -> None:
    gate, dispatcher, stopping = opened
    gate.raises["a1"] = Unavailable("no answer")
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2")
    gate.open.set()
    assert stopping.wait(120)
    assert dispatcher.join(120)
    assert str(dispatcher.unavailable) == "no answer"
    assert outcomes.empty()


@pytest.mark.parametrize("where", ["a1", "start a1"])
def test_a_fault_counts_as_a_failure_and_costs_no_other_request(opened: Opened, where: str) -> None:
    gate, dispatcher, _ = opened
    gate.raises[where] = BrokenPipeError("no process")
    gate.open.set()
    outcomes = _put(dispatcher, "/bt/a", "a1", "a2", "a3")
    ended = {outcome.request.scan.name: outcome for outcome in (outcomes.get(timeout=120) for _ in range(3))}
    assert {name: outcome.status for name, outcome in ended.items()} == {
        "a1": Status.FAILED, "a2": Status.CREATED, "a3": Status.CREATED,
    }  # fmt: skip
    assert "no process" in ended["a1"].reason


def test_a_fault_in_who_hears_of_the_outcome_costs_no_other_request(opened: Opened) -> None:
    gate, dispatcher, _ = opened

    def faulty(outcome: Outcome) -> None:
        raise RuntimeError("a fault")

    dispatcher.put(Ready(makers.request(makers.scan(Path("/bt"), "a1"))), BEAMTIME, faulty)
    outcomes = _put(dispatcher, "/bt", "a2")
    gate.open.set()
    assert outcomes.get(timeout=120).request.scan.name == "a2"


def test_a_live_scan_goes_before_a_backlog(opened: Opened) -> None:
    gate, dispatcher, _ = opened
    for directory in "abcd":
        _put(dispatcher, f"/bt/{directory}", *(f"{directory}{number}" for number in range(100)), backlog=True)
    eventually(lambda: dispatcher.load(BEAMTIME).publishing == 7, "no more can be read")
    live = _put(dispatcher, "/live", "live", beamtime=Beamtime("2", Path("/live"), {}))
    gate.open.set()
    assert live.get(timeout=120).done
    assert gate.started.index("live") <= 8  # At most one turn was the backlog's.
    assert dispatcher.idle.wait(120)
