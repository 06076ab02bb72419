from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scicat_watch.catalogue.silence import LONG, Silence, Unanswered
from tests.fakes import FakeClock

WRITE, ASK, NEXT = "POST datasets/7/origdatablocks", "GET datasets/7", "POST datasets/7/attachments"


@pytest.fixture
def silence(clock: FakeClock) -> Silence:
    return Silence(clock, timeout=30.0)


def test_a_request_without_an_answer_is_known_after_a_while(silence: Silence, clock: FakeClock) -> None:
    silence.begun(WRITE)
    clock.advance(LONG - 1)
    assert silence.longest() is None
    clock.advance(2)
    assert silence.longest() == Unanswered(WRITE, LONG + 1)
    silence.ended(WRITE, answered=True)
    assert silence.longest() is None


def test_it_lasts_over_questions_and_repetitions_until_a_write_is_answered(silence: Silence, clock: FakeClock) -> None:
    for _ in range(2):
        silence.begun(WRITE)
        clock.advance(30)
        silence.ended(WRITE, answered=False)
        silence.begun(ASK)
        clock.advance(1)
        silence.ended(ASK, answered=True)
    assert silence.longest() == Unanswered(WRITE, 62)
    silence.begun(NEXT)
    silence.ended(NEXT, answered=True)
    assert silence.longest() is None


def test_what_was_given_up_long_ago_is_waited_for_by_nobody(silence: Silence, clock: FakeClock) -> None:
    silence.begun(WRITE)
    clock.advance(30)
    silence.ended(WRITE, answered=False)
    clock.advance(40)
    assert silence.longest() == Unanswered(WRITE, 70)
    clock.advance(6)
    assert silence.longest() is None
    silence.begun(ASK)
    clock.advance(6)
    assert silence.longest() == Unanswered(ASK, 6)


def test_the_longest_of_all_threads_is_named(silence: Silence, clock: FakeClock) -> None:
    silence.begun(WRITE)
    clock.advance(10)
    with ThreadPoolExecutor(1) as other:
        other.submit(silence.begun, ASK).result()
        clock.advance(10)
        assert silence.longest() == Unanswered(WRITE, 20)
        silence.ended(WRITE, answered=True)
        assert silence.longest() == Unanswered(ASK, 10)
