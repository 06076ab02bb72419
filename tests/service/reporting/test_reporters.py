"""Reporters: the log says each problem once when it comes and once when it goes; none stops the work or the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal
from scicat_watch.model import Outcome, Status
from scicat_watch.progress import BeamtimeState
from scicat_watch.service.reporting.journal import JournalReporter
from scicat_watch.service.reporting.log import LogReporter
from scicat_watch.service.reporting.reporter import Reporters
from tests import makers
from tests.fakes import FakeClock
from tests.service.fakes import FakeReporter

HERE = Path("/bt")
DONE = Outcome(makers.request(makers.scan(HERE)), Status.CREATED, notes=("the title is missing",), seconds=1.5)
FAILED = Outcome(makers.request(makers.scan(HERE)), Status.FAILED, "no schema fits")


class Broken:
    """A reporter with a fault."""

    def outcome(self, outcome: Outcome) -> None:
        raise RuntimeError("a fault")

    def beamtime(self, state: BeamtimeState) -> None:
        raise RuntimeError("a fault")

    def left(self, directory: str) -> None:
        raise RuntimeError("a fault")


@pytest.fixture
def journal() -> Iterator[Journal]:
    made = Journal(None)
    yield made
    made.close()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """What was logged since this was last asked."""
    caplog.set_level(logging.DEBUG)

    def since() -> list[tuple[str, str]]:
        lines = [(record.levelname, record.getMessage()) for record in caplog.records]
        caplog.clear()
        return lines

    return since


Said = Callable[[], list[tuple[str, str]]]


def test_one_that_raises_stops_neither_the_work_nor_the_others(clock: FakeClock, said: Said) -> None:
    before, after = FakeReporter(clock), FakeReporter(clock)
    reporters = Reporters(before, Broken(), after)
    reporters.outcome(DONE)
    reporters.beamtime(makers.state(HERE))
    reporters.left("/bt")
    for one in (before, after):
        assert (one.outcomes, one.last, one.gone) == ([DONE], makers.state(HERE), ["/bt"])
    assert [level for level, _ in said()] == ["ERROR"] * 3


def test_the_log_has_a_line_for_each_outcome(said: Said) -> None:
    reporter = LogReporter()
    reporter.outcome(DONE)
    reporter.outcome(FAILED)
    (done, _), (note, _), (failed, text) = said()
    assert (done, note, failed) == ("INFO", "DEBUG", "ERROR")
    assert "no schema fits" in text


def test_a_problem_is_logged_once_when_it_comes_and_once_when_it_goes(said: Said) -> None:
    reporter = LogReporter()
    states = [(), ("disk full",), ("disk full",), ("disk full", "a bad list"), ("a bad list",), (), ()]
    levels = []
    for problems in states:
        reporter.beamtime(makers.state(HERE, problems=problems))
        levels.append([(level, text.rpartition(": ")[2]) for level, text in said()])
    assert levels == [
        [], [("ERROR", "disk full")], [], [("ERROR", "a bad list")], [("INFO", "disk full")], [("INFO", "a bad list")],
        [],
    ]  # fmt: skip


def test_problems_of_different_beamtimes_are_different(said: Said) -> None:
    reporter = LogReporter()
    for name in ("1", "2"):
        reporter.beamtime(makers.state(HERE, name, problems=("disk full",)))
    assert len(said()) == 2
    reporter.beamtime(makers.state(HERE, "1"))
    assert len(said()) == 1


def test_a_beamtime_that_comes_back_has_its_problems_anew(said: Said) -> None:
    reporter = LogReporter()
    reporter.beamtime(makers.state(HERE, problems=("disk full",)))
    reporter.left(str(HERE))
    reporter.beamtime(makers.state(HERE, problems=("disk full",)))
    assert [level for level, _ in said()] == ["ERROR", "ERROR"]


def test_the_journal_keeps_the_last_state_of_each_beamtime_until_it_is_left(journal: Journal) -> None:
    reporter = JournalReporter(journal)
    for done in (1, 2):
        reporter.beamtime(makers.state(HERE, "1", done=done))
    reporter.beamtime(makers.state(Path("/other"), "2"))
    reporter.outcome(FAILED)
    assert [(state.id, state.done) for state in journal.shown()] == [("1", 2), ("2", 0)]
    assert journal.failed() == []  # The ledger notes outcomes itself.
    reporter.left(str(HERE))
    assert [state.id for state in journal.shown()] == ["2"]
