"""What to do next: nothing is done twice, and nothing waits for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.ledger.plan import Action, Attempt, Past, next_try, plan
from scicat_watch.model import Origin, Request
from tests import makers

ROOT = Path("/bt")


def _request(origin: Origin = Origin.LISTED) -> Request:
    return makers.request(makers.scan(ROOT, "a"), origin)


@pytest.mark.parametrize(
    ("asked", "past", "action"),
    [
        (_request(), Past(), Action.INGEST),
        (_request(), Past(done=True), Action.NOTHING),
        (_request(), Past(done=True, changed=True), Action.NOTHING),
        (_request(Origin.FOUND), Past(done=True, changed=True), Action.INGEST),
        (_request(Origin.FOUND), Past(done=True), Action.NOTHING),
        (_request(), Past(attempt=Attempt(3, 1001.0)), Action.WAIT),
        (_request(), Past(attempt=Attempt(3, 1000.0)), Action.INGEST),
        (_request(), Past(done=True, attempt=Attempt(3, 1001.0)), Action.NOTHING),
    ],
)
def test_the_plan_for_one_request(asked: Request, past: Past, action: Action) -> None:
    assert plan(asked, past, 1000.0).action is action


def test_a_clock_that_was_set_back_puts_no_scan_off_for_ever() -> None:
    assert plan(_request(), Past(attempt=Attempt(1, 2e9)), 1e9).action is Action.INGEST


def test_the_waits_double_up_to_the_longest() -> None:
    waits = [next_try(tries, 100.0, 30.0, 200.0) - 100.0 for tries in (1, 2, 3, 4, 5, 10_000)]
    assert waits == [30.0, 60.0, 120.0, 200.0, 200.0, 200.0]


@given(st.lists(st.tuples(st.booleans(), st.floats(-1e6, 1e6)), max_size=30), st.floats(1.0, 1e4))
def test_a_scan_comes_until_it_is_done_and_then_never_again(tries: list[tuple[bool, float]], longest: float) -> None:
    """Whatever the outcomes, and wherever the clock jumps in between."""
    request, past, now = _request(), Past(), 1.7e9
    for succeeded, jump in tries:
        now += jump
        decision = plan(request, past, now)
        if past.done:
            assert decision.action is Action.NOTHING
            continue
        waited = 0.0
        while decision.action is Action.WAIT:
            assert now < decision.until
            waited, now = waited + decision.until - now, decision.until
            decision = plan(request, past, now)
        assert decision.action is Action.INGEST
        assert waited <= 7 * 86400.0
        count = past.attempt.tries + 1 if past.attempt else 1
        past = Past(done=True) if succeeded else Past(attempt=Attempt(count, next_try(count, now, 1.0, longest)))
