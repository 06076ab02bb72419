"""The one-time ingest: what is there is ingested once, and the summary says what was not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.discovery.completeness import Completeness
from scicat_watch.errors import ReaderLost, Unavailable
from scicat_watch.model import Outcome, Status
from scicat_watch.service.oneshot import OneShot, Summary
from scicat_watch.service.targets import targets
from tests import makers
from tests.catalogue.conftest import Site as Catalogue
from tests.fakes import FakeClock
from tests.makers import ID, INGESTED, LIST
from tests.service.conftest import Disk, at
from tests.service.fakes import FakeSite

QUIET = {"ingestion_delay": 5.0, "without_files_after": 3600.0}


@pytest.fixture
def written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files are complete at the same moment, however long it took to write them."""
    monkeypatch.setattr(Completeness, "age", lambda self, changed_at, now: 0.0)


@pytest.fixture
def site(sites: Callable[..., FakeSite]) -> FakeSite:
    return sites(watching=QUIET)


def _run(site: FakeSite, *paths: Path) -> Summary:
    return OneShot(site).run(targets(paths, site.settings))


def _lines(ingested_list: Path) -> list[str]:
    return [line.rsplit(" ", 3)[0] for line in ingested_list.read_text().splitlines()]


def test_all_scans_of_a_beamtime_are_ingested_once(site: FakeSite, disk: Disk) -> None:
    for name in ("raw/scan_1", "raw/scan_2", "found"):
        disk.nexus(f"{name}.nxs")
    disk.append(f"raw/{LIST}", "scan_1", "scan_2")
    summary = _run(site, disk.root)
    assert (summary.counts[Status.CREATED], summary.failures, summary.left, summary.exit_status) == (3, [], 0, 0)
    assert sorted(site.ingest.pids) == [f"{ID}/found", f"{ID}/scan_1", f"{ID}/scan_2"]
    assert _lines(disk.root / "raw" / INGESTED) == ["scan_1", "scan_2"]
    assert site.reports.last.done == 3
    assert [state.done for state in site.journal.shown()] == [3]


def test_a_second_run_tries_all_of_it_again(site: FakeSite, disk: Disk, sites: Callable[..., FakeSite]) -> None:
    disk.nexus("raw/scan_1.nxs")
    disk.append(f"raw/{LIST}", "scan_1")
    _run(site, disk.root)
    second = sites(watching=QUIET)
    second.ingest.titles |= site.ingest.titles
    assert _run(second, disk.root).counts[Status.UNCHANGED] == 1


def test_a_retry_takes_only_what_failed_quarantined_or_not(
    site: FakeSite, disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    for name in ("good", "bad", "poison"):
        disk.nexus(f"{name}.nxs")
    disk.nexus("raw/listed.nxs")
    disk.append(f"raw/{LIST}", "listed")
    site = sites(watching=QUIET, retrying={"quarantine_after": 1})
    site.ingest.faults |= {f"{ID}/bad": "no schema", f"{ID}/listed": "refused", f"{ID}/poison": ReaderLost("hung")}
    assert _run(site, disk.root).counts[Status.FAILED] == 3
    second = sites(watching=QUIET)
    summary = OneShot(second, retry=True).run(targets((disk.root,), second.settings))
    assert sorted(second.ingest.pids) == [f"{ID}/bad", f"{ID}/listed", f"{ID}/poison"]
    assert (summary.counts[Status.CREATED], summary.exit_status) == (3, 0)
    third = sites(watching=QUIET)
    assert OneShot(third, retry=True).run(targets((disk.root / "bad.nxs",), third.settings)).exit_status == 0
    assert third.ingest.tried == []


def test_progress_is_said_with_each_outcome(site: FakeSite, disk: Disk) -> None:
    for number in range(3):
        disk.nexus(f"scan_{number}.nxs")
    said: list[tuple[Outcome, int]] = []
    OneShot(site, lambda outcome, total: said.append((outcome, total))).run(targets((disk.root,), site.settings))
    assert [(outcome.request.pid, total) for outcome, total in said] == [(f"{ID}/scan_{n}", 3) for n in range(3)]


def test_a_file_that_changes_is_waited_for(site: FakeSite, disk: Disk, clock: FakeClock) -> None:
    file = disk.text("scan_1.nxs", "x")
    for second in range(1, 8):
        clock.at(second, lambda second=second: file.write_text("x" * (second + 1)))  # type: ignore[misc]
    assert _run(site, disk.root).exit_status == 0
    ((tried, _),) = site.ingest.tried
    assert tried - 1000 >= 12.0


def test_one_that_stopped_changing_and_is_not_complete_counts_as_failed(site: FakeSite, disk: Disk) -> None:
    disk.nexus("good.nxs")
    disk.text("empty.nxs", "")
    disk.append(f"raw/{LIST}", "to_come")
    summary = _run(site, disk.root)
    assert dict(summary.failures) == {
        f"{ID}/empty": "not complete: empty.nxs is empty",
        f"{ID}/to_come": "not complete: no file or folder of its name is there",
    }
    assert (summary.counts[Status.CREATED], summary.counts[Status.FAILED], summary.exit_status) == (1, 2, 1)
    assert site.clock.monotonic() < 1060  # Not the hour after which a scan without files is taken.


def test_a_line_that_cannot_be_used_counts_as_failed(site: FakeSite, disk: Disk) -> None:
    disk.append(f"raw/{LIST}", "../out")
    summary = _run(site, disk.root)
    ((where, why),) = summary.failures
    assert where == f"{disk.root / 'raw' / LIST}:2"
    assert "could lead out" in why
    assert summary.exit_status == 1


def test_a_failure_is_in_the_summary_with_its_reason_and_is_not_tried_again(site: FakeSite, disk: Disk) -> None:
    disk.nexus("scan_1.nxs")
    site.ingest.faults[f"{ID}/scan_1"] = "no schema fits"
    summary = _run(site, disk.root)
    assert (summary.failures, summary.exit_status) == ([(f"{ID}/scan_1", "no schema fits")], 1)
    assert len(site.ingest.tried) == 1
    assert [entry.pid for entry in site.journal.failed()] == [f"{ID}/scan_1"]


def test_files_a_and_b_of_one_directory_are_both_ingested(site: FakeSite, disk: Disk) -> None:
    files = [disk.nexus(f"raw/{name}.nxs") for name in "abc"]
    summary = _run(site, *files[:2])
    assert (site.ingest.pids, summary.failures) == ([f"{ID}/raw/a", f"{ID}/raw/b"], [])
    assert _lines(disk.root / INGESTED) == ["raw/a", "raw/b"]


def test_a_list_and_a_file_share_one_lock(site: FakeSite, disk: Disk) -> None:
    disk.nexus("raw/a.nxs")
    listed = disk.append(f"raw/{LIST}", "a")
    found = disk.nexus("raw/b.nxs")
    summary = _run(site, listed, found)
    assert (sorted(site.ingest.pids), summary.failures) == ([f"{ID}/a", f"{ID}/b"], [])


def test_a_directory_and_a_file_in_it_are_ingested_once_each(site: FakeSite, disk: Disk) -> None:
    file = disk.nexus("raw/a.nxs")
    disk.nexus("raw/b.nxs")
    summary = _run(site, disk.root, file)
    assert sorted(pid for _, pid in site.ingest.tried) == [f"{ID}/raw/a", f"{ID}/raw/b"]
    assert summary.failures == []


def test_a_file_that_no_rule_finds_is_ingested_because_it_was_named(site: FakeSite, disk: Disk) -> None:
    hidden = disk.nexus("raw/.hidden.nxs")
    assert _run(site, disk.root).counts[Status.CREATED] == 0
    site.stopping.clear()
    assert _run(site, hidden).exit_status == 0
    assert site.ingest.pids == [f"{ID}/raw/.hidden"]


def test_a_named_file_beside_an_unreadable_ingested_list_is_a_failure_and_no_crash(site: FakeSite, disk: Disk) -> None:
    hidden = disk.nexus(".hidden.nxs")
    (disk.root / INGESTED).mkdir()
    summary = _run(site, hidden)
    assert "what was ingested cannot be read" in "".join(why for _, why in summary.failures)
    assert (summary.exit_status, site.ingest.tried) == (1, [])


def test_beside_another_scicat_watch_nothing_is_done_and_its_state_is_left(site: FakeSite, disk: Disk) -> None:
    disk.nexus("scan_1.nxs")
    daemon = site.ledger(makers.beamtime(disk.root))
    assert daemon.ours(disk.root)
    site.journal.show(makers.state(disk.root, title="what the daemon says"))
    summary = _run(site, disk.root)
    assert dict(summary.failures).keys() == {str(disk.root)}
    assert "another scicat-watch" in summary.failures[0][1]
    assert (site.ingest.tried, summary.exit_status) == ([], 1)
    assert [state.title for state in site.journal.shown()] == ["what the daemon says"]
    daemon.release()


def test_the_locks_are_given_back_at_the_end(site: FakeSite, disk: Disk) -> None:
    disk.nexus("scan_1.nxs")
    _run(site, disk.root)
    other = site.ledger(makers.beamtime(disk.root))
    assert other.ours(disk.root)
    other.release()


@pytest.mark.usefixtures("written_together")
def test_an_unavailable_catalogue_ends_it_and_what_was_not_tried_is_counted(site: FakeSite, disk: Disk) -> None:
    for number in range(5):
        disk.nexus(f"scan_{number}.nxs")
    site.ingest.faults[f"{ID}/scan_2"] = Unavailable("no answer from the catalogue")
    summary = _run(site, disk.root)
    assert (summary.counts[Status.CREATED], summary.left) == (2, 3)
    assert (summary.unavailable, summary.exit_status) == ("no answer from the catalogue", 3)
    assert site.journal.failed() == []  # It is not the scan's failure.


@pytest.mark.usefixtures("written_together")
def test_a_stop_leaves_the_rest(site: FakeSite, disk: Disk, clock: FakeClock) -> None:
    for number in range(50):
        disk.nexus(f"scan_{number:02}.nxs")
    clock.at(6.0, site.stopping.set)
    summary = _run(site, disk.root)
    assert summary.left == 50 - summary.counts[Status.CREATED] > 30
    assert (summary.unavailable, summary.exit_status) == ("", 1)


def test_a_stop_while_a_file_changes_ends_it_at_once(site: FakeSite, disk: Disk, clock: FakeClock) -> None:
    file = disk.text("scan_1.nxs", "x")
    for second in range(1, 100):
        clock.at(second, lambda second=second: file.write_text("x" * (second + 1)))  # type: ignore[misc]
    clock.at(20.5, site.stopping.set)
    _run(site, disk.root)
    assert site.ingest.tried == []
    assert clock.monotonic() == pytest.approx(1020.5)


def test_a_broken_metadata_file_is_a_failure_and_the_other_beamtimes_are_ingested(
    site: FakeSite, disk: Disk, tmp_path: Path
) -> None:
    broken = makers.beamtime_directory(tmp_path / "two", "2")
    (broken / "beamtime-metadata-2.json").write_text("{")
    makers.nexus(broken / "scan_1.nxs")
    disk.nexus("scan_1.nxs")
    summary = _run(site, broken, disk.root)
    ((where, why),) = summary.failures
    assert (where, "is not JSON" in why) == (str(broken / "beamtime-metadata-2.json"), True)
    assert (site.ingest.pids, summary.exit_status) == ([f"{ID}/scan_1"], 1)


@pytest.mark.parametrize(
    ("summary", "status"),
    [
        (Summary(), 0),
        (Summary(counts=dict.fromkeys(Status, 1)), 0),
        (Summary(failures=[("x", "why")]), 1),
        (Summary(left=1), 1),
        (Summary(failures=[("x", "why")], left=1, unavailable="no answer"), 3),
    ],
)
def test_the_exit_status_says_to_a_script_what_the_summary_says(summary: Summary, status: int) -> None:
    assert summary.exit_status == status


def test_it_gives_up_after_the_time_for_which_a_catalogue_may_be_unreachable(
    sites: Callable[..., FakeSite], disk: Disk, clock: FakeClock
) -> None:
    site = sites(
        # Without a delay all are known before the first is tried: who waits for the catalogue turns the clock as well.
        watching=QUIET | {"ingestion_delay": 0.0},
        reading={"thumbnails": False},
        catalogue={"patience": {"give_up_after": 300.0, "longest_wait": 20.0}},
    )
    site.read_and_publish()
    for number in range(3):
        disk.nexus(f"scan_{number}.nxs")
    summary = _run(site, disk.root)
    assert (summary.left, summary.exit_status) == (3, 3)
    assert "stayed unreachable" in summary.unavailable
    assert 1300 <= clock.monotonic() < 1330
    assert not (disk.root / INGESTED).exists()


@pytest.mark.leaves("the catalogue keeps threads and connections for the session")
def test_with_a_real_catalogue_a_second_run_finds_it_unchanged_and_a_changed_file_is_brought_up_to_date(
    sites: Callable[..., FakeSite], disk: Disk, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = disk.nexus("raw/scan_1.nxs")
    disk.append(f"raw/{LIST}", "scan_1")
    counts = []
    for content in (None, None, b"frames"):
        if content is not None:
            disk.text("raw/scan_1/frames.tif", "frames")
        site = sites(watching=QUIET, reading={"thumbnails": False}, catalogue=at(catalogue, tmp_path))
        site.read_and_publish()
        summary = _run(site, file)
        assert summary.failures == []
        counts.append(next(status for status, count in summary.counts.items() if count))
    assert counts == [Status.CREATED, Status.UNCHANGED, Status.UPDATED]
