"""The work on one beamtime: what is found is ingested once, what fails comes again, what others ingest is left."""

from __future__ import annotations

import errno
import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.discovery.beamtimes import read
from scicat_watch.discovery.watch import Hints
from scicat_watch.errors import ReaderLost, Unavailable
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.progress import Outage, Stages
from scicat_watch.service.calls import Calls
from scicat_watch.service.turns import Urgency
from scicat_watch.service.work import BeamtimeWork
from tests import makers
from tests.fakes import FakeClock
from tests.makers import ID, INGESTED, LIST
from tests.service.conftest import Disk
from tests.service.fakes import FakeSite

RULES = {
    "watching": {"ingestion_delay": 5.0, "rescan_interval": 100.0, "without_files_after": 50.0},
    "retrying": {"first": 30.0, "longest": 200.0, "quarantine_after": 3},
}


class Worked:
    """The work on a beamtime; `run` steps it as a loop does that gets no hints."""

    def __init__(self, disk: Disk, site: FakeSite) -> None:
        self.disk, self.site = disk, site
        self.beamtime = read(disk.root / f"beamtime-metadata-{ID}.json")
        self.start()

    def start(self) -> None:
        """Begin, or begin anew after an end of the process."""
        self.work = BeamtimeWork(self.site, self.beamtime, self.site.dispatcher(), self.site.reporter)

    def restart(self) -> None:
        self.work.ledger.release()
        self.start()

    def run(self, seconds: float, every: float = 1.0) -> None:
        """Full rescans, one each second."""
        for _ in range(int(seconds / every)):
            self.work.step(None)
            self.site.fake.advance(every)

    def other(self) -> BeamtimeLedger:
        """The ledger of another scicat-watch on the same beamtime."""
        return self.site.ledger(self.beamtime)


@pytest.fixture
def worked(disk: Disk, sites: Callable[..., FakeSite]) -> Worked:
    return Worked(disk, sites(**RULES))


@pytest.fixture
def hasty(disk: Disk, sites: Callable[..., FakeSite]) -> Worked:
    """The same, where no file has to be quiet before it is taken."""
    return Worked(disk, sites(**RULES | {"watching": {"ingestion_delay": 0.0}}))


def _intervals(worked: Worked) -> list[int]:
    """Seconds from try to try, without what they are late because of the steps of a second."""
    times = [at for at, _ in worked.site.ingest.tried]
    return [int((later - earlier) / 2) * 2 for earlier, later in itertools.pairwise(times)]


def test_a_scan_is_ingested_once_and_not_again_after_a_restart(worked: Worked) -> None:
    worked.disk.nexus("raw/scan_1.nxs")
    worked.disk.append(f"raw/{LIST}", "scan_1")
    worked.run(20)
    worked.restart()
    worked.run(20)
    assert [pid for _, pid in worked.site.ingest.tried] == [f"{ID}/scan_1"]
    assert (worked.disk.root / "raw" / INGESTED).read_text().startswith("scan_1 ")
    assert [outcome.request.pid for outcome in worked.site.reports.outcomes] == [f"{ID}/scan_1"]
    worked.work.ledger.release()


def test_a_failed_request_comes_again_at_its_next_try_and_not_before(hasty: Worked) -> None:
    hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    hasty.run(400)
    assert _intervals(hasty) == [30, 60, 120]
    del hasty.site.ingest.faults[f"{ID}/scan_1"]
    hasty.run(200)
    assert _intervals(hasty) == [30, 60, 120, 200]  # The longest.
    assert hasty.site.ingest.pids == [f"{ID}/scan_1"]
    assert hasty.site.journal.failed() == []
    hasty.work.ledger.release()


@pytest.mark.parametrize("jump", [-7 * 86400.0, -3600.0, 3600.0, 7 * 86400.0])
def test_a_clock_that_is_set_neither_hurries_nor_delays_a_retry(hasty: Worked, jump: float) -> None:
    hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    hasty.site.fake.at(10, lambda: setattr(hasty.site.fake, "ahead", jump))
    hasty.run(50)
    assert _intervals(hasty) == [30]
    hasty.work.ledger.release()


@pytest.mark.parametrize("jump", [-3 * 86400.0, 3 * 86400.0])
def test_after_a_restart_no_retry_waits_longer_than_its_interval(hasty: Worked, jump: float) -> None:
    hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    hasty.site.fake.ahead = jump
    hasty.run(10)
    hasty.site.fake.ahead = 0.0  # The clock is right again, and what was noted is days off.
    hasty.restart()
    hasty.run(31)
    assert len(hasty.site.ingest.tried) == 2
    hasty.work.ledger.release()


def test_neither_does_a_restart_bring_it_before_its_time(hasty: Worked) -> None:
    hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    hasty.run(10)
    hasty.restart()
    hasty.run(10)
    due = hasty.work.watch.next_due()
    assert due == pytest.approx(hasty.site.ingest.tried[0][0] + 30, abs=0.01)  # Until then nothing is checked.
    hasty.run(40)
    assert _intervals(hasty) == [30]
    (failed,) = hasty.site.journal.failed()
    assert (failed.pid, failed.tries, failed.reason) == (f"{ID}/scan_1", 2, "no schema fits")
    hasty.work.ledger.release()


def test_a_failure_while_the_file_system_does_not_answer_is_no_attempt(hasty: Worked) -> None:
    """Otherwise a night without a file server would quarantine scans that are in order."""
    hasty.site.calls = Calls(hasty.site.fake, lambda thread: "waits")
    hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "reading took longer than 30 s"
    with hasty.site.calls.on(hasty.disk.root):
        hasty.site.calls.check()
        hasty.site.fake.advance(20)
        hasty.site.calls.check()
        hasty.run(100)
    assert len(hasty.site.ingest.tried) > 1
    assert hasty.site.journal.failed() == []
    hasty.site.calls.check()
    hasty.run(100)
    assert [entry.pid for entry in hasty.site.journal.failed()] == [f"{ID}/scan_1"]
    hasty.work.ledger.release()


def test_a_request_that_failed_is_shown_as_failed_and_not_as_waiting(worked: Worked) -> None:
    worked.disk.nexus("scan_1.nxs")
    worked.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    worked.run(2)
    assert [one.reason for one in worked.work.state().waiting_scans] == [
        "waits until none of its files has changed for 5 s (watching.ingestion_delay)"
    ]
    worked.run(15)
    assert worked.work.state().waiting == 0
    worked.work.ledger.release()


def test_a_quarantined_scan_comes_again_when_its_file_changed_and_not_before(hasty: Worked) -> None:
    file = hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = ReaderLost("hung")
    hasty.run(1000)
    assert _intervals(hasty) == [30, 120]
    hasty.restart()
    hasty.run(300)
    assert len(hasty.site.ingest.tried) == 3
    assert [one.quarantined for one in hasty.site.journal.failed()] == [True]
    assert hasty.work.state().waiting == 0
    file.touch()
    hasty.run(101)
    assert _intervals(hasty)[3:] == [30]  # Another file, of which nothing is known, begins anew.
    hasty.work.ledger.release()


def test_scans_in_the_queues_are_counted_and_while_the_catalogue_is_unavailable_as_waiting_for_it(
    hasty: Worked,
) -> None:
    for name in ("scan_1", "scan_2", "scan_3"):
        hasty.disk.nexus(f"{name}.nxs")
    hasty.site.seconds = 100.0
    hasty.work.step(None)
    assert (hasty.work.state().waiting, hasty.work.state().stages) == (3, Stages(queued=3))
    since = hasty.site.clock.now().isoformat(timespec="seconds")
    hasty.site.availability.report(Unavailable("no answer"))
    hasty.site.fake.advance(7.0)
    hasty.work.report()
    for state in (hasty.site.reports.last, hasty.site.journal.shown()[0]):
        assert (state.waiting, state.stages) == (3, Stages(catalogue=3))
        assert state.outage == Outage(since, "no answer")
    hasty.site.fake.advance(93.0)  # One of them is done.
    assert hasty.work.state().stages == Stages(catalogue=2)
    hasty.site.fake.advance(200.0)
    hasty.work.take_results()
    assert (hasty.work.state().waiting, hasty.work.state().outage) == (0, None)
    hasty.work.ledger.release()


def test_what_was_there_at_the_start_or_is_tried_again_is_the_backlog_and_what_costs_readers_a_suspect(
    worked: Worked,
) -> None:
    for name in ("there", "written", "broken", "hangs"):
        worked.disk.nexus(f"{name}.nxs")
    worked.disk.append(f"raw/{LIST}", "listed", "late")
    worked.disk.nexus("raw/listed.nxs")
    worked.site.ingest.faults |= {f"{ID}/broken": "no schema fits", f"{ID}/hangs": ReaderLost("hung")}
    worked.work.step(None)
    worked.work.step(Hints(files=frozenset({worked.disk.root / "written.nxs"})))  # An event: it is still being written.
    worked.disk.nexus("new.nxs")
    worked.disk.append(f"raw/{LIST}", "appended")
    worked.disk.nexus("raw/appended.nxs")
    worked.run(10)
    worked.disk.nexus("raw/late.nxs")
    worked.run(60)
    first = dict(reversed(worked.site.urgencies))
    assert {name for name, one in first.items() if one is Urgency.LIVE} == {"written", "new", "appended", "late"}
    assert {name for name, one in first.items() if one is Urgency.BACKLOG} == {"there", "listed", "broken", "hangs"}
    again = [one for one in worked.site.urgencies if one[0] in ("broken", "hangs")][2:]
    assert sorted(again) == [("broken", Urgency.BACKLOG), ("hangs", Urgency.SUSPECT)]
    worked.work.ledger.release()


def test_a_failed_scan_whose_file_changed_does_not_wait_for_its_next_try(hasty: Worked) -> None:
    file = hasty.disk.nexus("scan_1.nxs")
    hasty.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    hasty.run(3)
    file.touch()
    hasty.work.step(Hints(files=frozenset({file})))
    hasty.site.fake.advance(1.0)
    assert len(hasty.site.ingest.tried) == 2
    hasty.work.ledger.release()


def test_a_directory_that_another_ledger_has_locked_is_left_and_taken_over_later(
    worked: Worked, caplog: pytest.LogCaptureFixture
) -> None:
    worked.disk.nexus("raw/scan_1.nxs")
    worked.disk.nexus("raw/scan_2.nxs")
    worked.disk.append(f"raw/{LIST}", "scan_1", "scan_2")
    worked.disk.nexus("found.nxs")
    other = worked.other()
    assert other.ours(worked.disk.root / "raw")
    with caplog.at_level(logging.WARNING):
        worked.run(150)
    assert worked.site.ingest.pids == [f"{ID}/found"]
    assert worked.work.foreign() == {worked.disk.root / "raw"}
    assert worked.work.state().elsewhere == (str(worked.disk.root / "raw"),)
    assert len([one for one in caplog.records if "another scicat-watch" in one.message]) == 1
    (worked.disk.root / "raw" / INGESTED).write_text("scan_1 1700000000.0 1700000000.0 0\n")  # What the other did.
    other.release()
    worked.run(100)
    assert worked.site.ingest.pids == [f"{ID}/found", f"{ID}/scan_2"]
    assert worked.work.state().elsewhere == ()
    assert worked.work.state().done == 3
    worked.work.ledger.release()


def test_the_state_names_what_is_done_what_waits_and_what_cannot_be_used(worked: Worked) -> None:
    worked.disk.nexus("raw/scan_1.nxs")
    worked.disk.append(f"raw/{LIST}", "scan_1", "../out", "scan_3")
    worked.run(20)
    state = worked.work.state("something is wrong")
    assert (state.directory, state.id, state.title) == (str(worked.disk.root), ID, "Spin waves in garnets")
    assert (state.generated, state.done, state.waiting, state.skipped) == (False, 1, 1, 1)
    assert [(one.pid, one.reason) for one in state.waiting_scans] == [
        (f"{ID}/scan_3", "no file or folder of its name is there")
    ]
    (skipped,) = state.skipped_lines
    assert (skipped.list, skipped.line, skipped.number) == (str(worked.disk.root / "raw" / LIST), "../out", 3)
    assert state.problems == ("something is wrong",)
    worked.work.ledger.release()


def test_the_state_names_the_first_fifty_of_each_and_counts_all(worked: Worked) -> None:
    worked.disk.append(f"raw/{LIST}", *(f"scan_{number}" for number in range(60)), *(f"/{n}" for n in range(55)))
    worked.run(2)
    state = worked.work.state()
    assert (state.waiting, len(state.waiting_scans), state.skipped, len(state.skipped_lines)) == (60, 50, 55, 50)


def test_a_directory_without_room_for_a_lock_is_a_problem_and_the_others_go_on(worked: Worked) -> None:
    worked.disk.nexus("raw/scan_1.nxs")
    worked.disk.append(f"raw/{LIST}", "scan_1")
    worked.disk.nexus("found.nxs")
    lock = worked.disk.root / "raw" / f".{INGESTED}.lock"
    lock.mkdir()
    worked.run(20)
    assert worked.site.ingest.pids == [f"{ID}/found"]
    (problem,) = worked.work.problems()
    assert problem.startswith(f"{worked.disk.root / 'raw'}: its scans wait, because the ingested list cannot be used: ")
    lock.rmdir()
    worked.run(120)
    assert worked.site.ingest.pids == [f"{ID}/found", f"{ID}/scan_1"]
    assert worked.work.problems() == []
    worked.work.ledger.release()


def test_an_ingested_list_that_cannot_be_read_is_a_problem_and_hides_no_state(worked: Worked) -> None:
    worked.disk.nexus("found.nxs")
    worked.disk.nexus("raw/scan_1.nxs")
    worked.disk.append(f"raw/{LIST}", "scan_1")
    blocked = worked.disk.root / "raw" / INGESTED
    blocked.mkdir()
    worked.run(20)
    state = worked.work.state()
    assert (state.id, state.done) == (ID, 1)
    assert any("what was ingested cannot be read" in problem for problem in state.problems)
    blocked.rmdir()
    worked.run(20)
    assert worked.work.state().problems == ()
    assert worked.work.state().done == 2
    worked.work.ledger.release()


def test_an_outcome_that_cannot_be_noted_is_tried_again(hasty: Worked, monkeypatch: pytest.MonkeyPatch) -> None:
    note, times = hasty.work.ledger.note, []

    def broken(*given: object) -> object:
        times.append(1)
        if len(times) == 1:
            raise RuntimeError("a fault")
        return note(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(hasty.work.ledger, "note", broken)
    hasty.disk.nexus("scan_1.nxs")
    hasty.run(60)
    assert _intervals(hasty) == [30]
    assert hasty.work.state().done == 1
    hasty.work.ledger.release()


def test_somebody_is_woken_when_there_is_an_outcome(disk: Disk, site: FakeSite, clock: FakeClock) -> None:
    woken: list[float] = []
    beamtime = read(disk.root / f"beamtime-metadata-{ID}.json")
    dispatcher = site.dispatcher()
    work = BeamtimeWork(
        site, beamtime, dispatcher, site.reporter, wake=lambda: woken.append(clock.monotonic())
    )  # fmt: skip
    disk.nexus("scan_1.nxs")
    work.step(None)
    clock.advance(5.0)
    work.step(Hints())
    assert woken == []
    clock.advance(1.0)
    assert woken == [pytest.approx(1005.1)]
    work.ledger.release()


def test_once_takes_what_is_meant_also_what_is_done_and_nothing_again(worked: Worked) -> None:
    for number in (1, 2):
        worked.disk.nexus(f"scan_{number}.nxs")
    worked.run(20)
    worked.work.ledger.release()
    worked.site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    once = BeamtimeWork(
        worked.site, worked.beamtime, worked.site.dispatcher(), worked.site.reporter,
        once=lambda request: request.pid == f"{ID}/scan_1",
    )  # fmt: skip
    before = len(worked.site.ingest.tried)
    for _ in range(100):
        once.step(None if _ == 0 else Hints())
        worked.site.fake.advance(1.0)
    assert [pid for _, pid in worked.site.ingest.tried[before:]] == [f"{ID}/scan_1"]
    once.ledger.release()


def test_a_beamtime_that_was_renamed_in_its_file_gives_new_scans_its_new_title(worked: Worked) -> None:
    worked.disk.nexus("scan_1.nxs")
    worked.run(10)
    worked.work.beamtime = makers.beamtime(worked.disk.root, title="Another title")
    worked.disk.nexus("scan_2.nxs")
    worked.run(10)
    assert worked.site.ingest.titles == {f"{ID}/scan_1": "Spin waves in garnets", f"{ID}/scan_2": "Another title"}
    worked.work.ledger.release()


def test_queues_are_those_of_the_directory_that_names_the_scan(worked: Worked, tmp_path: Path) -> None:
    """A scan that was found before its list came is queued with its directory, whose order it keeps."""
    worked.disk.nexus("raw/scan_1.nxs")
    worked.site.ingest.faults[f"{ID}/raw/scan_1"] = "no schema fits"
    worked.run(10)
    worked.disk.append(f"raw/{LIST}", "scan_1")
    del worked.site.ingest.faults[f"{ID}/raw/scan_1"]
    worked.run(60)
    assert worked.site.ingest.pids == [f"{ID}/raw/scan_1"]
    assert "\nscan_1 " in (worked.disk.root / "raw" / INGESTED).read_text()
    assert (worked.disk.root / INGESTED).read_text().startswith("raw/scan_1 ")
    worked.work.ledger.release()


def test_a_scan_whose_list_goes_before_its_file_is_quiet_has_one_name(worked: Worked) -> None:
    """The line's request and the file's are both pending then, each by its own name."""
    worked.disk.nexus("raw/scan_1.nxs")
    dataset_list = worked.disk.append(f"raw/{LIST}", "scan_1")
    worked.run(2)
    dataset_list.unlink()
    worked.disk.changed(dataset_list)
    worked.run(30)
    assert worked.site.ingest.pids == [f"{ID}/scan_1"]
    assert worked.work.state().waiting == 0
    worked.work.ledger.release()


def test_a_request_waits_while_another_has_the_directory_that_names_its_scan(worked: Worked) -> None:
    """Its dataset may be under way there, and its end is noted there as well."""
    worked.disk.nexus("raw/scan_1.nxs")
    worked.site.ingest.faults[f"{ID}/raw/scan_1"] = "no schema fits"
    worked.run(10)
    worked.restart()
    other = worked.other()
    assert other.ours(worked.disk.root)
    del worked.site.ingest.faults[f"{ID}/raw/scan_1"]
    worked.disk.append(f"raw/{LIST}", "scan_1")
    worked.run(60)
    assert worked.site.ingest.pids == []
    assert worked.work.foreign() == {worked.disk.root}
    other.release()
    worked.run(100)
    assert worked.site.ingest.pids == [f"{ID}/raw/scan_1"]
    worked.work.ledger.release()


def test_what_was_ingested_cannot_be_read_just_as_a_scan_is_complete(worked: Worked) -> None:
    worked.disk.nexus("raw/scan_1.nxs")
    worked.run(3)
    blocked = worked.disk.root / INGESTED
    blocked.mkdir()
    worked.run(10)
    assert worked.site.ingest.pids == []
    assert any(problem.startswith(f"{worked.disk.root}: its scans wait") for problem in worked.work.problems())
    blocked.rmdir()
    worked.run(40)
    assert worked.site.ingest.pids == [f"{ID}/raw/scan_1"]
    assert worked.work.problems() == []
    worked.work.ledger.release()


def test_a_directory_without_locks_is_worked_on_and_noted(hasty: Worked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    hasty.disk.nexus("scan_1.nxs")
    hasty.run(5)
    state = hasty.work.state()
    assert (state.done, state.problems) == (1, ())
    (note,) = state.notes
    assert str(hasty.disk.root) in note
    hasty.work.ledger.release()
