"""Whose turn it is: no beamtime, directory or urgency waits for the end of another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.model import Beamtime
from scicat_watch.service.turns import Turns, Urgency

ALL = LIVE, BACKLOG, SUSPECT = tuple(Urgency)


@dataclass(slots=True, eq=False)
class Item:
    beamtime: Beamtime
    queue: Path
    urgency: Urgency = LIVE
    number: int = 0


def item(beamtime: str, directory: str = "raw", urgency: Urgency = LIVE, number: int = 0) -> Item:
    root = Path("/", beamtime)
    return Item(Beamtime(beamtime, root, {}), root / directory, urgency, number)


def no(where: object) -> bool:
    return False


def taken(turns: Turns[Item], count: int, *urgencies: Urgency) -> list[Item]:
    return [one for _ in range(count) if (one := turns.take(urgencies or ALL, no, no))]


def filled(*items: Item) -> Turns[Item]:
    turns: Turns[Item] = Turns()
    for one in items:
        turns.put(one)
    return turns


def test_beamtimes_take_turns_however_many_directories_one_of_them_has() -> None:
    turns = filled(*(item("a", f"d{number}") for number in range(50)), item("b"), item("b"))
    assert [one.beamtime.id for one in taken(turns, 6)] == ["a", "b", "a", "b", "a", "a"]


def test_directories_of_a_beamtime_take_turns_and_keep_their_order() -> None:
    turns = filled(*(item("a", "d1", number=number) for number in range(4)), item("a", "d2"))
    assert [(one.queue.name, one.number) for one in taken(turns, 9)] == [
        ("d1", 0), ("d2", 0), ("d1", 1), ("d1", 2), ("d1", 3),
    ]  # fmt: skip


def test_a_full_queue_is_passed_over() -> None:
    turns = filled(item("a", "d1"), item("a", "d2"), item("b", "d1"))
    full = Path("/a/d1")
    order = [turns.take(ALL, no, lambda queue: queue == full) for _ in range(3)]
    assert [one and one.queue for one in order] == [Path("/a/d2"), Path("/b/d1"), None]
    assert [one.queue for one in taken(turns, 2)] == [full]


def test_a_beamtime_that_is_held_is_passed_over_but_for_its_suspects() -> None:
    turns = filled(item("a"), item("b"), item("a", urgency=SUSPECT))
    order = [turns.take(ALL, lambda beamtime: beamtime.id == "a", no) for _ in range(3)]
    assert [one and one.urgency for one in order] == [LIVE, SUSPECT, None]
    assert [one.beamtime.id for one in taken(turns, 2)] == ["a"]
    assert turns.empty


def test_live_scans_come_first_and_every_fourth_turn_is_the_backlogs() -> None:
    turns = filled(*(item("a", urgency=BACKLOG) for _ in range(20)), *(item("b") for _ in range(20)))
    assert [one.urgency for one in taken(turns, 12)] == [LIVE, LIVE, LIVE, BACKLOG] * 3


def test_suspects_come_last_but_every_eighth_turn_and_only_if_they_may() -> None:
    turns = filled(*(item("a", urgency=urgency) for urgency in Urgency for _ in range(20)))
    assert [one.urgency for one in taken(turns, 16)] == ([LIVE] * 3 + [BACKLOG] + [LIVE] * 3 + [SUSPECT]) * 2
    assert SUSPECT not in {one.urgency for one in taken(turns, 60, LIVE, BACKLOG)}
    assert [one.urgency for one in taken(turns, 60)] == [SUSPECT] * 18


def test_what_is_put_back_is_the_first_of_its_queue() -> None:
    turns = filled(item("a", number=1), item("a", number=2))
    first = taken(turns, 1)[0]
    turns.put_back(first)
    assert [one.number for one in taken(turns, 3)] == [1, 2]


def test_all_of_a_beamtime_is_dropped_and_nothing_else() -> None:
    turns = filled(item("a", "d1"), item("a", "d2", BACKLOG), item("b"), item("a", "d1", SUSPECT))
    assert {one.beamtime.id for one in turns.drop(item("a").beamtime)} == {"a"}
    assert [one.beamtime.id for one in taken(turns, 4)] == ["b"]


items = st.builds(item, st.sampled_from("abcd"), st.sampled_from(["d1", "d2"]), st.sampled_from([LIVE, BACKLOG]))


@given(st.lists(items, max_size=60))
def test_between_two_turns_of_a_beamtime_each_other_one_has_few(put: list[Item]) -> None:
    """One of each urgency that is waiting; so a beamtime waits as long as there are beamtimes, not as long as work."""
    order = taken(filled(*put), len(put))
    assert Counter(map(id, order)) == Counter(map(id, put))
    for urgency in (LIVE, BACKLOG):
        of_one = [one for one in order if one.urgency is urgency]
        for start, first in enumerate(of_one):
            rest = of_one[start + 1 :]
            until = next((end for end, one in enumerate(rest) if one.beamtime == first.beamtime), len(rest))
            between = Counter(one.beamtime.id for one in rest[:until] if one.beamtime != first.beamtime)
            if until < len(rest):
                assert all(count == 1 for count in between.values())


@given(st.lists(items, max_size=60))
def test_neither_live_scans_nor_the_backlog_wait_for_the_end_of_the_other(put: list[Item]) -> None:
    order = [one.urgency for one in taken(filled(*put), len(put))]
    for start in range(len(order) - 3):
        if BACKLOG in order[start:] and LIVE in order[start:]:
            four = order[start : start + 4]
            if BACKLOG in order[start + 4 :] and LIVE in order[start + 4 :]:
                assert four.count(BACKLOG) == 1
