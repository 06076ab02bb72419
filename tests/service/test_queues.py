"""Which request is where: whatever happens in whatever order, each has one end, and no limit is exceeded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from scicat_watch.discovery.completeness import Ready
from scicat_watch.model import Beamtime
from scicat_watch.service.queues import _MOST_LONG, Item, Load, Queues, Stage
from scicat_watch.service.turns import Urgency
from tests import makers

READ: Any = object()
BEAMTIMES = [Beamtime(number, Path("/bt"), {}) for number in ("1", "2", "3")]
READERS, CONNECTIONS = 2, 2


def item(
    directory: str = "a", name: str = "scan", beamtime: Beamtime = BEAMTIMES[0], urgency: Urgency = Urgency.LIVE
) -> Item:
    ready = Ready(makers.request(makers.scan(Path("/bt", directory), name)))
    return Item(ready, beamtime, lambda outcome: None, urgency)


def made() -> Queues:
    return Queues(readers=READERS, connections=CONNECTIONS)


def put(queues: Queues, *items: Item) -> tuple[Item, ...]:
    for one in items:
        queues.put(one)
    return items


def taken(queues: Queues) -> list[Item]:
    """All that may be read now."""
    found = []
    while (one := queues.to_read()) is not None:
        found.append(one)
    return found


def take_long(queues: Queues, *items: Item) -> None:
    for one in items:
        queues.takes_long(one)


def test_the_earliest_of_a_directory_that_has_been_read_is_published_next() -> None:
    queues = made()
    first, second, third = put(queues, *(item(name=name) for name in "xyz"))
    assert taken(queues) == [first, second]
    assert queues.was_read(second, READ)
    assert taken(queues) == [third]
    assert queues.was_read(third, READ)
    assert queues.to_publish() == (second, READ)
    assert queues.to_publish() is None  # One of a directory at a time.
    assert queues.was_read(first, READ)
    queues.end(second)
    assert queues.to_publish() == (first, READ)


def test_what_is_on_a_file_system_that_does_not_answer_is_not_read_until_it_does() -> None:
    silent = {Path("/bt/a")}
    queues = Queues(readers=READERS, connections=CONNECTIONS, hangs=silent.__contains__)
    held, suspect = put(queues, item("a", "x"), item("a", "y", urgency=Urgency.SUSPECT))
    (other,) = put(queues, item("b", "z", BEAMTIMES[1]))
    assert (queues.to_read(), queues.to_read()) == (other, None)
    silent.clear()
    assert {queues.to_read(), queues.to_read()} == {held, suspect}


def test_one_suspect_is_read_at_a_time_beside_the_others() -> None:
    queues = made()
    suspects = put(queues, *(item(str(number), f"s{number}", urgency=Urgency.SUSPECT) for number in range(3)))
    assert (queues.to_read(), queues.to_read()) == (suspects[0], None)
    others = put(queues, *(item(str(number), f"x{number}") for number in range(9)))
    assert taken(queues) == [*others[:READERS]]
    queues.was_read(suspects[0], None)
    assert taken(queues) == [suspects[1]]


def test_two_requests_for_one_dataset_count_once_wherever_the_first_is() -> None:
    queues = made()
    first, _, _ = put(queues, item(name="x"), item(name="x"), item(name="y"))
    assert queues.load(BEAMTIMES[0]) == Load(queued=2)
    taken(queues)
    assert queues.load(BEAMTIMES[0]) == Load(reading=2)
    queues.was_read(first, READ)
    assert queues.load(BEAMTIMES[0]) == Load(reading=1, publishing=1)
    queues.to_publish()
    queues.end(first)
    assert queues.load(BEAMTIMES[0]) == Load(queued=1, reading=1)


def test_a_scan_that_cost_its_reader_is_read_once_more_as_a_suspect_with_its_place_in_its_queue() -> None:
    queues = made()
    hung, other = put(queues, item(name="hung"), item(name="other"))
    same = put(queues, item(name="hung"))[0]
    assert taken(queues) == [hung, other]
    assert queues.set_apart(hung)
    assert (hung.urgency, hung.stage) == (Urgency.SUSPECT, Stage.QUEUED)
    assert taken(queues) == [hung]  # Not the other request for the same dataset.
    assert not queues.set_apart(hung), "it was tried among the suspects already"
    queues.was_read(hung, None)
    queues.end(hung)
    assert taken(queues) == [same]


def test_what_was_dropped_is_not_tried_among_the_suspects() -> None:
    queues = made()
    put(queues, hung := item())
    assert taken(queues) == [hung]
    queues.drop(BEAMTIMES[0])
    assert not queues.set_apart(hung)
    assert not queues.was_read(hung, None)
    assert queues.empty


def test_a_beamtime_whose_files_hang_keeps_no_other_one_waiting() -> None:
    queues = made()
    hanging = put(queues, *(item(str(number), f"h{number}") for number in range(20)))
    assert taken(queues) == [*hanging[:READERS]]
    others = put(queues, *(item("b", f"b{number}", BEAMTIMES[1]) for number in range(9)))
    assert taken(queues) == []
    take_long(queues, *hanging[:READERS])
    assert taken(queues) == [*others[:READERS]]
    put(queues, third := item("c", "c", BEAMTIMES[2]))
    assert taken(queues) == []
    take_long(queues, *others[:READERS])  # By now those of the second one hang as well.
    assert taken(queues) == [third]


def test_ten_files_that_hang_delay_nobody_wherever_they_are() -> None:
    queues, beamtimes = made(), [Beamtime(str(number), Path("/bt"), {}) for number in range(11)]
    hanging = put(queues, *(item(str(number), f"h{number}", beamtimes[number]) for number in range(10)))
    while begun := taken(queues):
        take_long(queues, *begun)
    assert all(one.stage is Stage.READING for one in hanging)
    put(queues, good := item("good", "good", beamtimes[10]))
    assert taken(queues) == [good]


def test_files_that_hang_keep_those_of_their_own_beamtime_waiting_only_until_they_are_set_apart() -> None:
    queues = made()
    put(queues, *(item(name=f"h{number}") for number in range(30)))
    for _ in range(10):
        begun = taken(queues)
        assert len([one for one in begun if one.urgency is Urgency.LIVE]) == READERS
        take_long(queues, *begun)
        assert taken(queues) == []
        assert [queues.set_apart(one) for one in begun if one.urgency is Urgency.LIVE] == [True, True]


def test_a_beamtime_that_is_dropped_leaves_its_place_to_the_same_dataset_of_another() -> None:
    queues = made()
    first, same, last = put(queues, item(), item(beamtime=BEAMTIMES[0]), item("b", beamtime=BEAMTIMES[1]))
    assert (queues.to_read(), queues.to_read()) == (first, None)
    queues.drop(BEAMTIMES[0])
    assert (first.dropped, same.stage, last.stage) == (True, Stage.ENDED, Stage.QUEUED)
    assert not queues.was_read(first, READ)
    assert queues.to_read() is last


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
        self.came: dict[int, Urgency] = {}
        """By number: how urgent each item was before any cost its reader."""
        self.concluded: list[Item] = []

    @rule(
        directory=st.sampled_from("abc"), name=st.sampled_from("xyz"),
        beamtime=st.sampled_from(BEAMTIMES), urgency=st.sampled_from(Urgency),
    )  # fmt: skip
    def comes(self, directory: str, name: str, beamtime: Beamtime, urgency: Urgency) -> None:
        self.all += put(self.queues, one := item(directory, name, beamtime, urgency))
        self.came[one.number] = urgency

    @rule(number=st.integers(0, 20))
    def takes_long(self, number: int) -> None:
        if reading := [one for one in self.all if one.stage is Stage.READING]:
            self.queues.takes_long(reading[number % len(reading)])

    @rule(target=reading)
    def is_read(self) -> Any:
        one = self.queues.to_read()
        if one is None:
            return multiple()
        self.began.append(one)
        return one

    @rule(one=consumes(reading), readable=st.booleans())
    def was_read(self, one: Item, readable: bool) -> None:
        if self.queues.was_read(one, READ if readable else None) and not readable:
            self.conclude(one)

    @rule(one=consumes(reading))
    def cost_its_reader(self, one: Item) -> None:
        if not self.queues.set_apart(one):
            self.was_read(one, readable=False)

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
        suspects = [one for one in reading if one.urgency is Urgency.SUSPECT]
        assert len(suspects) <= 1
        assert len(reading) <= READERS + _MOST_LONG + len(suspects)
        quick = [one for one in reading if one not in suspects and not one.takes_long]
        assert len(quick) <= READERS
        of_one = Counter(one.beamtime for one in reading if one not in suspects)
        assert all(count <= READERS for count in of_one.values())
        assert stages[Stage.READ] + stages[Stage.PUBLISHING] <= READERS + 1 + 2 * CONNECTIONS + _MOST_LONG
        publishing = [one.queue for one in self.all if one.stage is Stage.PUBLISHING]
        assert len(publishing) == len(set(publishing))
        assert self.queues.empty == all(one.stage is Stage.ENDED for one in self.all)
        loads = [self.queues.load(beamtime) for beamtime in BEAMTIMES]
        left = [one for one in self.all if one.stage is not Stage.ENDED]
        assert sum(load.total for load in loads) == len({(one.beamtime, one.pid) for one in left})
        assert all(min(load.queued, load.reading, load.publishing) >= 0 for load in loads)
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
            if (to_read := self.queues.to_read()) is not None:
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
                if (other.pid, other.queue, self.came[other.number], other.beamtime)
                == (one.pid, one.queue, self.came[one.number], one.beamtime)
            ]  # fmt: skip
            assert alike == sorted(alike)


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
