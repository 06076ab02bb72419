"""What `status` collects from the journal that a daemon or a one-time ingest leaves."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.plan import Attempt
from scicat_watch.model import Outcome, Stamps, Status
from scicat_watch.progress import WaitingScan
from scicat_watch.service.status import collect
from tests import makers
from tests.fakes import START, FakeClock
from tests.service.conftest import settings


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "var/journal.sqlite")


def _iso(seconds: float) -> str:
    return (START + timedelta(seconds=1000 + seconds)).isoformat(timespec="seconds")


def test_before_anything_ran_there_is_nothing(tmp_path: Path, clock: FakeClock) -> None:
    state = collect(settings(tmp_path), clock)
    assert (state["daemon"], state["beamtimes"], state["failed"]) == (None, [], [])
    assert set(state["totals"].values()) == {0}


def test_a_daemon_runs_as_long_as_its_heart_beats(tmp_path: Path, clock: FakeClock, journal: Journal) -> None:
    now = clock.now().timestamp()
    journal.beat(now - 60, now, "host", "https://catalogue")
    journal.close()
    clock.advance(29)
    daemon = collect(settings(tmp_path), clock)["daemon"]
    assert (daemon["running"], daemon["host"], daemon["catalogue"]) == (True, "host", "https://catalogue")
    assert (daemon["since"], daemon["heartbeat"]) == (_iso(-60), _iso(0))
    clock.advance(2)
    assert not collect(settings(tmp_path), clock)["daemon"]["running"]


def test_beamtimes_and_failures_are_listed_and_added_up(tmp_path: Path, clock: FakeClock, journal: Journal) -> None:
    now = clock.now().timestamp()
    waiting = (WaitingScan("1/x", "just changing"),)
    journal.show(makers.state(tmp_path, "1", done=3, waiting=1, waiting_scans=waiting, problems=("disk full",)))
    journal.show(makers.state(tmp_path, "2", done=4, skipped=2))
    for name, next_try in (("late", now + 60), ("soon", now + 30)):
        outcome = Outcome(makers.request(makers.scan(tmp_path, name)), Status.FAILED, "no schema", Stamps())
        journal.note(outcome, Attempt(2, next_try, "no schema"), now, None)
    hung = Outcome(makers.request(makers.scan(tmp_path, "poison")), Status.FAILED, "hung", Stamps())
    journal.note(hung, Attempt(5, math.inf, "hung", 5), now, None)
    journal.close()
    state = collect(settings(tmp_path), clock)
    ((poison),) = state["quarantined"]
    assert (poison["line"], poison["tries"], poison["next_try"], poison["reason"]) == ("poison", 5, None, "hung")
    assert json.dumps(state, allow_nan=False)
    assert [(one["id"], one["done"]) for one in state["beamtimes"]] == [("1", 3), ("2", 4)]
    assert state["beamtimes"][0]["waiting_scans"] == ({"pid": "1/x", "reason": "just changing"},)
    assert state["totals"] == {
        "done": 7,
        "waiting": 1,
        "skipped": 2,
        "changed": 0,
        "failed": 2,
        "quarantined": 1,
        "problems": 1,
    }
    assert [(one["pid"].rpartition("/")[2], one["tries"], one["next_try"]) for one in state["failed"]] == [
        ("soon", 2, _iso(30)), ("late", 2, _iso(60)),
    ]  # fmt: skip
    assert {one["reason"] for one in state["failed"]} == {"no schema"}
