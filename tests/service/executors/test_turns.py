"""Whose turn it is: nobody waits for a bad file, or for a beamtime whose files hang."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.service.executors.turns import SPARE, Turn, choose

A, B, C = (Turn(Path(name)) for name in ("/a", "/b", "/c"))


def slow(turn: Turn) -> Turn:
    return replace(turn, slow=True)


def suspect(turn: Turn) -> Turn:
    return replace(turn, suspect=True)


@pytest.mark.parametrize(
    ("waiting", "running", "workers", "chosen"),
    [
        ([], [], 2, None),
        ([A, B], [], 2, 0),
        ([A], [A], 2, 0),
        ([A], [A, A], 2, None),
        ([A, A, B], [A], 2, 2),  # The root with the fewest readers.
        ([A, B], [A, A], 2, None),
        ([A, B], [slow(A), slow(A)], 2, 1),
        ([A], [slow(A), slow(A)], 2, None),
        ([A, B], [slow(A)], 1, 1),
        ([A, B, C], [slow(A), B], 1, None),
        ([A], [slow(B)] * (2 + SPARE), 2, None),
        ([suspect(A)], [A, A], 2, 0),
        ([suspect(A), B], [], 2, 1),
        ([suspect(A)], [suspect(B)], 2, None),
        ([A], [suspect(A)], 1, 0),
    ],
)
def test_who_is_next(waiting: list[Turn], running: list[Turn], workers: int, chosen: int | None) -> None:
    assert choose(waiting, running, workers) == chosen


def test_suspect_scans_of_two_roots_take_turns() -> None:
    waiting = [suspect(A), suspect(A), suspect(B)]
    assert choose(waiting, [], 1) == 0
    assert choose(waiting, [], 1, A.root) == 2
    assert choose(waiting[:2], [], 1, A.root) == 0


_TURNS = st.lists(st.builds(Turn, st.sampled_from([A.root, B.root, C.root]), st.booleans()), max_size=40)


@given(_TURNS, st.integers(1, 5), st.data())
def test_everybody_is_read_in_the_end_and_never_too_many_at_a_time(
    waiting: list[Turn], workers: int, data: st.DataObject
) -> None:
    """Whatever becomes slow, and in whatever order readings end."""
    running: list[Turn] = []
    while waiting or running:
        if (number := choose(waiting, running, workers)) is not None:
            running.append(waiting.pop(number))
            clean = [one for one in running if not one.suspect]
            assert len(running) - len(clean) <= 1
            assert len(clean) <= workers + SPARE
            assert sum(not one.slow for one in clean) <= workers
            continue
        assert running, "somebody waits, and nobody is read"
        event = data.draw(st.integers(0, 2 * len(running) - 1))
        if event < len(running):
            running.pop(event)
        else:
            running[event - len(running)] = slow(running[event - len(running)])


@given(st.lists(st.sampled_from([A, slow(A)]), max_size=20), st.integers(1, 5))
def test_a_root_whose_readings_all_hang_keeps_no_other_waiting(hanging: list[Turn], workers: int) -> None:
    running = [slow(one) for one in hanging[: workers + SPARE - 1]]
    assert choose([A, A, B], running, workers) == (2 if running else 0)
