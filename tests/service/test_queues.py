"""Which request is where: whatever happens in whatever order, each has one end, and no limit is exceeded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from scicat_watch.discovery.pending import Ready
from scicat_watch.model import Beamtime
from scicat_watch.service.queues import Item, Queues, Stage
from scicat_watch.service.turns import Urgency
from tests import makers

READ: Any = object()
BEAMTIMES = [Beamtime(number, Path("/bt"), {}) for number in ("1", "2", "3")]
READERS, CONNECTIONS, APART = 2, 2, 10.0


def item(
    directory: str = "a", name: str = "scan", beamtime: Beamtime = BEAMTIMES[0], urgency: Urgency = Urgency.LIVE
) -> Item:
    ready = Ready(makers.request(makers.scan(Path("/bt", directory), name)))
    return Item(ready, beamtime, lambda outcome: None, urgency)


def made() -> Queues:
    return Queues(readers=READERS, connections=CONNECTIONS, apart_after=APART)


def put(queues: Queues, *items: Item) -> tuple[Item, ...]:
    for one in items:
        queues.put(one)
    return items


def test_the_earliest_of_a_directory_that_has_been_read_is_published_next() -> None:
    queues = made()
    first, second, third = put(queues, *(item(name=name) for name in "xyz"))
    assert [queues.to_read(0.0) for _ in range(3)] == [first, second, third]
    for one in (third, second):
        assert queues.was_read(one, READ)
    assert queues.to_publish() == (second, READ)
    assert queues.to_publish() is None  # One of a directory at a time.
    assert queues.was_read(first, READ)
    queues.end(second)
    assert queues.to_publish() == (first, READ)


def test_what_is_on_a_file_system_that_does_not_answer_is_not_read_until_it_does() -> None:
    silent = {Path("/bt/a")}
    queues = Queues(readers=READERS, connections=CONNECTIONS, apart_after=APART, hangs=silent.__contains__)
    held, suspect = put(queues, item("a", "x"), item("a", "y", urgency=Urgency.SUSPECT))
    (other,) = put(queues, item("b", "z", BEAMTIMES[1]))
    assert (queues.to_read(0.0), queues.to_read(0.0)) == (other, None)
    silent.clear()
    assert {queues.to_read(0.0), queues.to_read(0.0)} == {held, suspect}


def test_one_suspect_is_read_at_a_time_beside_the_others() -> None:
    queues = made()
    suspects = put(queues, *(item(str(number), f"s{number}", urgency=Urgency.SUSPECT) for number in range(3)))
    assert (queues.to_read(0.0), queues.to_read(0.0)) == (suspects[0], None)
    others = put(queues, *(item(str(number), f"x{number}") for number in range(9)))
    assert [queues.to_read(0.0) for _ in range(4)] == [*others[:3], None]
    queues.was_read(suspects[0], None)
    assert queues.to_read(0.0) is suspects[1]


def test_a_beamtime_whose_files_hang_keeps_no_other_one_waiting() -> None:
    queues = made()
    hanging = put(queues, *(item(str(number), f"h{number}") for number in range(20)))
    assert [queues.to_read(0.0) for _ in range(4)] == [*hanging[:3], None]
    others = put(queues, *(item("b", f"b{number}", BEAMTIMES[1]) for number in range(9)))
    assert queues.to_read(0.9) is None
    assert queues.may_read_later
    assert [queues.to_read(1.1) for _ in range(4)] == [*others[:3], None]
    put(queues, third := item("c", "c", BEAMTIMES[2]))
    assert [queues.to_read(2.2) for _ in range(2)] == [third, None]  # By now those of the second one hang as well.


def test_files_that_hang_keep_those_of_their_own_directory_waiting_only_until_they_are_set_apart() -> None:
    queues = made()
    put(queues, *(item(name=f"h{number}") for number in range(30)))
    times = [now for now in range(100) for _ in range(30) if queues.to_read(float(now)) is not None]
    assert times == [0] * 3 + [10] * 3 + [20] * 3 + [30] * 3 + [40] * 3 + [50] * 3  # Then it is too much.


def test_a_beamtime_that_is_dropped_leaves_its_place_to_the_same_dataset_of_another() -> None:
    queues = made()
    first, same, last = put(queues, item(), item(beamtime=BEAMTIMES[0]), item("b", beamtime=BEAMTIMES[1]))
    assert (queues.to_read(0.0), queues.to_read(0.0)) == (first, None)
    queues.drop(BEAMTIMES[0])
    assert (first.dropped, same.stage, last.stage) == (True, Stage.ENDED, Stage.QUEUED)
    assert not queues.was_read(first, READ)
    assert queues.to_read(0.0) is last


class Work(RuleBasedStateMachine):
    """All that may happen to the queues, beside a simple model of them."""

    reading: Bundle[Item] = Bundle("reading")
    publishing: Bundle[Item] = Bundle("publishing")

    def __init__(self) -> None:
        super().__init__()
        self.queues = made()
        self.all: list[Item] = []
        self.ended: Counter[int] = Counter()
        self.began: list[Item] = []
        self.now = 0.0
        self.concluded: list[Item] = []

    @rule(
        directory=st.sampled_from("abc"), name=st.sampled_from("xyz"),
        beamtime=st.sampled_from(BEAMTIMES), urgency=st.sampled_from(Urgency),
    )  # fmt: skip
    def comes(self, directory: str, name: str, beamtime: Beamtime, urgency: Urgency) -> None:
        self.all += put(self.queues, item(directory, name, beamtime, urgency))

    @rule(seconds=st.sampled_from([0.5, 2.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=reading)
    def is_read(self) -> Any:
        one = self.queues.to_read(self.now)
        if one is None:
            return multiple()
        self.began.append(one)
        return one

    @rule(one=consumes(reading), readable=st.booleans())
    def was_read(self, one: Item, readable: bool) -> None:
        if self.queues.was_read(one, READ if readable else None) and not readable:
            self.conclude(one)

    @rule(target=publishing)
    def is_published(self) -> Any:
        chosen = self.queues.to_publish()
        return multiple() if chosen is None else chosen[0]

    @rule(one=consumes(publishing))
    def was_published(self, one: Item) -> None:
        self.conclude(one)

    @rule(beamtime=st.sampled_from(BEAMTIMES))
    def is_left(self, beamtime: Beamtime) -> None:
        self.queues.drop(beamtime)
        load = self.queues.load(beamtime)
        assert load.queued == 0

    def conclude(self, one: Item) -> None:
        assert one.stage in (Stage.PUBLISHING, Stage.FAILED)
        self.concluded.append(one)
        self.queues.end(one)

    @invariant()
    def limits_hold(self) -> None:
        stages = Counter(one.stage for one in self.all)
        reading = [one for one in self.all if one.stage is Stage.READING]
        assert len(reading) <= 16 + READERS + 1
        suspects = [one for one in reading if one.urgency is Urgency.SUSPECT]
        assert len(suspects) <= 1
        quick = [one for one in reading if one not in suspects and self.now - one.began < 1.0]
        assert len(quick) <= READERS + 1
        of_one = Counter(one.beamtime for one in reading if one not in suspects and self.now - one.began < APART)
        assert all(count <= READERS + 1 for count in of_one.values())
        assert stages[Stage.READ] + stages[Stage.PUBLISHING] <= READERS + 1 + 2 * CONNECTIONS + 16
        publishing = [one.queue for one in self.all if one.stage is Stage.PUBLISHING]
        assert len(publishing) == len(set(publishing))
        assert self.queues.empty == all(one.stage is Stage.ENDED for one in self.all)
        loads = [self.queues.load(beamtime) for beamtime in BEAMTIMES]
        assert sum(load.total for load in loads) == sum(one.stage is not Stage.ENDED for one in self.all)
        assert sum(load.reading for load in loads) == len(reading)

    @invariant()
    def one_dataset_is_worked_on_once_at_a_time(self) -> None:
        busy = [one.pid for one in self.all if one.stage not in (Stage.QUEUED, Stage.ENDED)]
        assert len(busy) == len(set(busy))

    def teardown(self) -> None:
        """Without anything else, all that is left comes to its end; each once, and those of one queue in order."""
        for one in [one for one in self.all if one.stage is Stage.READING]:
            self.was_read(one, readable=True)
        for one in [one for one in self.all if one.stage is Stage.PUBLISHING]:
            self.conclude(one)
        while not self.queues.empty:
            if (to_read := self.queues.to_read(self.now)) is not None:
                self.began.append(to_read)
                self.was_read(to_read, readable=True)
            chosen = self.queues.to_publish()
            assert to_read is not None or chosen is not None, "nothing goes on"
            if chosen is not None:
                self.conclude(chosen[0])
        assert len(set(map(id, self.concluded))) == len(self.concluded)
        assert all(one.stage is Stage.ENDED for one in self.all)
        # Of one dataset, within one queue and urgency, they were begun in the order in which they came.
        for one in self.all:
            alike = [
                other.number for other in self.began
                if (other.pid, other.queue, other.urgency, other.beamtime)
                == (one.pid, one.queue, one.urgency, one.beamtime)
            ]  # fmt: skip
            assert alike == sorted(alike)


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
