"""What to do next: nothing is done twice, and nothing waits for ever."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.ledger.plan import Action, Attempt, Past, failed, plan
from scicat_watch.ledger.rules import RetryRules
from scicat_watch.model import Fault, Origin, Request
from tests import makers

ROOT = Path("/bt")
RULES = RetryRules(first=30.0, longest=200.0)


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
        (_request(), Past(changed=True, attempt=Attempt(3, 1001.0)), Action.INGEST),
        (_request(), Past(attempt=Attempt(5, math.inf)), Action.HOLD),
        (_request(), Past(changed=True, attempt=Attempt(5, math.inf)), Action.INGEST),
        (_request(), Past(done=True, attempt=Attempt(3, 1001.0)), Action.NOTHING),
    ],
)
def test_the_plan_for_one_request(asked: Request, past: Past, action: Action) -> None:
    assert plan(asked, past, 1000.0, RULES).action is action


@pytest.mark.parametrize(
    ("tries", "ahead", "action"),
    [
        (1, 30.0, Action.WAIT), (1, 31.0, Action.INGEST), (2, 120.0, Action.WAIT), (2, 121.0, Action.INGEST),
        (50, 200.0, Action.WAIT), (50, 201.0, Action.INGEST), (1, 7 * 86400.0, Action.INGEST), (1, 2e9, Action.INGEST),
    ],
)  # fmt: skip
def test_a_time_that_is_farther_away_than_any_wait_is_not_believed(tries: int, ahead: float, action: Action) -> None:
    """It was noted while the clock was days ahead, or the clock was set back since."""
    assert plan(_request(), Past(attempt=Attempt(tries, 1e9 + ahead)), 1e9, RULES).action is action


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault.OTHER, [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1000.0, 1000.0]),
        (Fault.STORAGE, [30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0, 300.0]),
        (Fault.READER, [30.0, 120.0, 480.0, math.inf]),
    ],
)
def test_the_waits_grow_by_what_is_at_fault(fault: Fault, waits: list[float]) -> None:
    assert _waits([fault] * len(waits)) == waits


def test_a_scan_that_fails_for_ever_is_tried_for_ever() -> None:
    assert _waits([Fault.OTHER] * 10_000)[-1] == 1000.0


def test_only_attempts_that_lost_their_reader_count_for_the_quarantine() -> None:
    faults = [Fault.READER, Fault.OTHER, Fault.STORAGE, Fault.READER, Fault.OTHER, Fault.READER, Fault.READER]
    assert [math.isinf(wait) for wait in _waits(faults)] == [False] * 6 + [True]


def _waits(faults: list[Fault]) -> list[float]:
    """How long is waited after each failure."""
    attempts: list[Attempt] = []
    for fault in faults:
        attempts.append(failed(attempts[-1] if attempts else None, fault, "why", 100.0, RetryRules(30.0, 1000.0, 4)))
    return [attempt.next_try - 100.0 for attempt in attempts]


_TRIES = st.lists(st.tuples(st.sampled_from([None, *Fault]), st.booleans(), st.floats(-1e6, 1e6)), max_size=30)


@given(_TRIES, st.floats(1.0, 1e4), st.integers(1, 6))
def test_a_scan_comes_until_it_is_done_or_quarantined_and_then_never_again(
    tries: list[tuple[Fault | None, bool, float]], longest: float, quarantine_after: int
) -> None:
    """Whatever is at fault, whether its file changes, and wherever the clock jumps: one interval is the most."""
    request, past, now = _request(), Past(), 1.7e9
    lost, rules = 0, RetryRules(1.0, longest, quarantine_after)
    for fault, changes, jump in tries:
        now += jump
        if changes and past.attempt is not None:
            lost = 0
            assert plan(request, replace(past, changed=True), now, rules).action is Action.INGEST
            past = Past()
        assert (plan(request, past, now, rules).action is Action.HOLD) == (lost >= quarantine_after)
        if lost >= quarantine_after:
            continue
        decision = plan(request, past, now, rules)
        if past.done:
            assert decision.action is Action.NOTHING
            continue
        waited = 0.0
        while decision.action is Action.WAIT:
            assert now < decision.until
            waited, now = waited + decision.until - now, decision.until
            decision = plan(request, past, now, rules)
        assert decision.action is Action.INGEST
        assert waited <= longest + 1e-3
        if fault is None:
            past = Past(done=True)
            continue
        lost += fault is Fault.READER
        past = Past(attempt=failed(past.attempt, fault, "why", now, rules))
