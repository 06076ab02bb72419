"""The watch over one beamtime, as a story on a clock that tests turn."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from scicat_watch.discovery.beamtimes import read
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.discovery.watch import Findings, Hints
from scicat_watch.service.daemon.beamtime import BeamtimeLoop, BeamtimeThread
from tests.makers import ID, INGESTED, LIST
from tests.service.conftest import Disk
from tests.service.fakes import FakeSite

HOURS = {"watching": {"rescan_interval": 100.0, "poll_interval": 10.0, "ingestion_delay": 5.0}}


class Watched:
    """A beamtime and the loop that watches it."""

    def __init__(self, disk: Disk, site: FakeSite) -> None:
        self.disk, self.site = disk, site
        beamtime = read(disk.root / f"beamtime-metadata-{ID}.json")
        self.loop = BeamtimeLoop(site, beamtime, site.dispatcher(), site.events(self.hear))
        self.full: list[float] = []
        """When everything was rescanned."""
        self.turns: list[float] = []
        self._begun = site.clock.monotonic()
        step = self.loop.work.step

        def noting(hints: Hints | None) -> Findings:
            self.turns.append(self.since)
            if hints is None:
                self.full.append(self.since)
            return step(hints)

        self.loop.work.step = noting  # type: ignore[method-assign]

    @property
    def since(self) -> float:
        return round(self.site.clock.monotonic() - self._begun, 3)

    def hear(self, event: Any) -> None:
        self.loop.hints.put(event)

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        self.site.fake.at(seconds, action)

    def run(self, until: float) -> None:
        """The loop from its beginning until it is stopped."""

        def stop() -> None:
            self.site.stopping.set()
            self.loop.hints.wake()

        self.at(until, stop)
        self.loop.run()
        self.loop.work.ledger.release()


@pytest.fixture
def watched(disk: Disk, sites: Callable[..., FakeSite]) -> Watched:
    return Watched(disk, sites(**HOURS))


@pytest.fixture
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    """All directories are on a file system without change notifications."""
    monkeypatch.setattr(Mounts, "now", lambda: Mounts({"/": "nfs4"}))


def test_everything_is_rescanned_at_the_interval_and_nothing_in_between(watched: Watched) -> None:
    watched.run(350)
    assert watched.full == [0, 100, 200, 300]
    assert len(watched.turns) < 12  # Besides, one turn reports what each rescan found.


@pytest.mark.usefixtures("_network")
def test_without_notifications_everything_is_rescanned_at_the_poll_interval(
    disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    watched = Watched(disk, sites(**HOURS))
    watched.at(12, lambda: disk.nexus("raw/scan_1.nxs"))
    watched.run(45)
    assert watched.full == [0, 10, 20, 30, 40]
    assert watched.site.ingest.pids == [f"{ID}/raw/scan_1"]


def test_directories_that_cannot_be_watched_are_polled(watched: Watched) -> None:
    watched.site.source.incomplete = True
    watched.run(25)
    assert watched.full == [0, 10, 20]


def test_what_no_event_reported_is_found_by_the_next_full_rescan(watched: Watched) -> None:
    watched.at(30, lambda: watched.disk.nexus("raw/scan_1.nxs"))
    watched.run(90)
    assert watched.site.ingest.pids == []
    watched.site.stopping.clear()
    watched.run(30)
    ((at, _),) = watched.site.ingest.tried
    assert at == pytest.approx(1000 + 105.1)  # Found at 100 s, then quiet for the ingestion delay.


def test_an_event_brings_a_scan_as_soon_as_its_file_is_quiet(watched: Watched) -> None:
    watched.at(30, lambda: watched.site.source.named(watched.disk.nexus("raw/scan_1.nxs")))
    watched.run(60)
    ((at, pid),) = watched.site.ingest.tried
    assert pid == f"{ID}/raw/scan_1"
    assert at == pytest.approx(1000 + 35, abs=0.3)
    assert watched.full == [0]


def test_a_list_line_is_ingested_and_noted(watched: Watched) -> None:
    def measured() -> None:
        watched.site.source.named(watched.disk.nexus("raw/scan_1.nxs"))
        watched.site.source.named(watched.disk.append(f"raw/{LIST}", "scan_1"))

    watched.at(30, measured)
    watched.at(60, lambda: watched.site.source.appended(watched.disk.append(f"raw/{LIST}", "scan_2")))
    watched.at(61, lambda: watched.site.source.named(watched.disk.nexus("raw/scan_2.nxs")))
    watched.run(90)
    assert watched.site.ingest.pids == [f"{ID}/scan_1", f"{ID}/scan_2"]
    noted = (watched.disk.root / "raw" / INGESTED).read_text().splitlines()
    assert [line.split()[0] for line in noted] == ["scan_1", "scan_2"]


def test_events_that_come_together_are_one_turn(watched: Watched) -> None:
    def measured() -> None:
        for number in range(20):
            watched.at(number * 0.0005, lambda: watched.site.source.named(watched.disk.root / "raw/scan_1.nxs"))

    watched.at(30, measured)
    watched.run(40)
    assert len([at for at in watched.turns if 30 <= at < 31]) == 1


def test_lost_events_bring_a_full_rescan_at_once(watched: Watched) -> None:
    watched.at(30, lambda: watched.disk.nexus("raw/scan_1.nxs"))
    watched.at(40, watched.site.source.lost)
    watched.run(60)
    assert watched.full == [0, pytest.approx(40.02)]
    assert watched.site.ingest.pids == [f"{ID}/raw/scan_1"]


def _every_interval(watched: Watched, action: Callable[[int], object], times: int = 4) -> None:
    for number in range(times):
        watched.at(50 + 100 * number, lambda number=number: action(number))  # type: ignore[misc]


def test_three_full_rescans_in_a_row_that_find_what_no_event_reported_switch_to_polling(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    _every_interval(watched, lambda number: watched.disk.nexus(f"raw/scan_{number}.nxs"))
    with caplog.at_level(logging.WARNING):
        watched.run(345)
    assert watched.full == [0, 100, 200, 300, 310, 320, 330, 340]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_two_do_not_and_one_in_between_without_a_find_begins_anew(watched: Watched) -> None:
    for at in (50, 150, 350, 450):
        watched.at(at, lambda at=at: watched.disk.nexus(f"raw/scan_{at}.nxs"))  # type: ignore[misc]
    watched.run(650)
    assert watched.full == [0, 100, 200, 300, 400, 500, 600]


def test_what_an_event_reported_is_not_missed_although_a_full_rescan_finds_it(watched: Watched) -> None:
    """The event comes just before the full rescan, which takes its hint in."""
    for at in (99.99, 199.99, 299.99, 399.99):
        watched.at(at, lambda at=at: watched.site.source.named(watched.disk.nexus(f"raw/s_{at:.0f}.nxs")))  # type: ignore[misc]
    watched.run(450)
    assert [round(at) for at in watched.full] == [0, 100, 200, 300, 400]


def test_a_known_file_that_is_closed_just_before_a_full_rescan_is_brought_up_to_date(watched: Watched) -> None:
    """The full rescan takes the hint in, and finds nothing new itself."""

    def rewrite() -> None:
        watched.site.source.written(watched.disk.text("raw/scan_1.nxs", "other contents"))

    watched.at(30, lambda: watched.site.source.named(watched.disk.nexus("raw/scan_1.nxs")))
    watched.at(99.99, rewrite)
    watched.run(150)
    assert [round(at) for at in watched.full] == [0, 100]
    assert [pid for _, pid in watched.site.ingest.tried] == [f"{ID}/raw/scan_1"] * 2


def test_an_event_that_is_worth_no_rescan_was_an_event_all_the_same(watched: Watched) -> None:
    """Detector frames beside the scans change their directory, and are reported."""
    _every_interval(watched, lambda number: watched.site.source.named(watched.disk.text(f"raw/frame_{number}.tif")))
    watched.run(450)
    assert watched.full == [0, 100, 200, 300, 400]


def test_lost_events_are_no_sign_of_a_file_system_without_notifications(watched: Watched) -> None:
    def lose(number: int) -> None:
        watched.disk.nexus(f"raw/scan_{number}.nxs")
        watched.site.source.lost()

    _every_interval(watched, lose)
    watched.run(500)
    assert watched.full == [0, *(pytest.approx(at + 0.02) for at in (50, 150, 250, 350, 450))]


def test_an_ingested_list_that_cannot_be_read_is_no_sign_of_it_either(watched: Watched) -> None:
    watched.disk.nexus("scan_1.nxs")
    (watched.disk.root / INGESTED).mkdir()
    watched.run(450)
    assert watched.full == [0, 100, 200, 300, 400]
    assert "cannot be read" in watched.site.reports.last.problems[0]


def test_a_rescan_that_raises_is_reported_and_the_loop_goes_on(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = watched.loop.work.watch.step

    def broken(now: float, hints: Hints | None) -> Findings:
        if 99 < watched.since < 101:
            raise RuntimeError("a strange directory")
        return step(now, hints)

    monkeypatch.setattr(watched.loop.work.watch, "step", broken)
    watched.at(50, lambda: watched.disk.nexus("raw/scan_1.nxs"))
    watched.run(250)
    problems = [state.problems for _, state in watched.site.reports.states]
    assert ("a rescan failed: a strange directory",) in problems
    failed = next(at for at, state in watched.site.reports.states if state.problems) - 1000
    over = next(at for at, state in watched.site.reports.states if at > 1000 + failed and not state.problems) - 1000
    assert failed == 100
    assert over == pytest.approx(200, abs=1.1)  # Until a full rescan has caught up.
    assert problems[-1] == ()
    assert watched.site.ingest.pids == [f"{ID}/raw/scan_1"]


def test_the_state_is_reported_within_a_second_of_a_change_and_not_more_often(watched: Watched) -> None:
    def measured(number: int) -> None:
        watched.site.source.named(watched.disk.nexus(f"raw/scan_{number}.nxs"))

    for number in range(100):  # One every 0.1 s, for 10 s.
        watched.at(30 + number / 10, lambda number=number: measured(number))  # type: ignore[misc]
    watched.run(60)
    states = watched.site.reports.states
    times = [at - 1000 for at, _ in states]
    assert states[0][1].waiting == 0
    assert min(at for at, state in states if state.waiting) - 1000 <= 31.1
    assert min(at for at, state in states if state.done) - 1000 <= 36.3
    assert states[-1][1].done == 100
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times[:-1]))
    assert len(times) < 25
    shown = watched.site.journal.shown()
    assert [(state.id, state.done, state.waiting) for state in shown] == [(ID, 100, 0)]


def test_a_failing_rescan_at_each_event_is_not_reported_at_each_event(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(now: float, hints: Hints | None) -> Findings:
        raise RuntimeError("a strange directory")

    monkeypatch.setattr(watched.loop.work.watch, "step", broken)
    for number in range(100):
        watched.at(10 + number / 10, lambda: watched.site.source.named(watched.disk.root / "raw/scan_1.nxs"))
    watched.run(30)
    assert len(watched.site.reports.states) < 20
    assert all(state.problems for _, state in watched.site.reports.states[:-1])


@pytest.mark.parametrize("busy", ["our thread", "the host"])
def test_rescans_take_no_more_than_their_share_while_events_stream_in(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, busy: str
) -> None:
    step, during = watched.loop.work.watch.step, []

    def slow(now: float, hints: Hints | None) -> Findings:
        if hints != Hints():
            during.append(watched.since)
            watched.site.fake.advance(0.2)
        return step(now, hints)

    monkeypatch.setattr(watched.loop.work.watch, "step", slow)
    if busy == "our thread":
        monkeypatch.setattr(time, "thread_time", watched.site.clock.monotonic)
    for number in range(1000):
        watched.at(10 + number / 100, lambda: watched.site.source.named(watched.disk.root / "raw/scan_1.nxs"))
    watched.run(25)
    rescans = [at for at in during if 10 <= at < 20]
    # Of 0.2 s each: at most a fifth of the time.
    assert 3 <= len(rescans) <= 10 if busy == "our thread" else len(rescans) > 30
    assert len([at for at in watched.turns if 10 <= at < 20]) < 2 * len(rescans) + 10


def test_after_a_rescan_that_cost_much_only_events_wait(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    step, rescans = watched.loop.work.watch.step, []

    def slow(now: float, hints: Hints | None) -> Findings:
        if hints is None or hints.directories:
            rescans.append((int(watched.since), "all" if hints is None else "hinted"))
            watched.site.fake.advance(0.4)
        return step(now, hints)

    monkeypatch.setattr(watched.loop.work.watch, "step", slow)
    monkeypatch.setattr(time, "thread_time", watched.site.clock.monotonic)
    for at, number in ((10, 1), (11, 2), (20, 3), (21, 4)):
        watched.at(at, lambda number=number: watched.site.source.named(watched.disk.nexus(f"raw/scan_{number}.nxs")))  # type: ignore[misc]
    watched.at(22, watched.site.source.lost)
    waiting: list[int] = []
    watched.at(13, lambda: waiting.append(watched.site.reports.states[-1][1].waiting))
    watched.run(23)
    assert rescans == [(0, "all"), (10, "hinted"), (14, "hinted"), (20, "hinted"), (22, "all")]
    assert waiting == [1]  # It was reported.
    assert watched.site.ingest.pids[:1] == [f"{ID}/raw/scan_1"]


def test_all_directories_and_lists_are_watched_before_they_are_read(watched: Watched) -> None:
    dataset_list = watched.disk.append(f"raw/{LIST}", "scan_1")
    watched.run(1)
    root = watched.disk.root
    assert list(dict.fromkeys(watched.site.source.watched)) == [root, root / "raw", dataset_list]


def test_a_thread_that_leaves_ends_its_loop_drops_its_queue_and_gives_its_locks_back(watched: Watched) -> None:
    watched.disk.nexus("raw/scan_1.nxs")
    watched.site.seconds = 50.0  # What is queued does not come to its turn.
    loop = watched.loop
    for _ in range(3):
        loop.turn()
        watched.site.fake.advance(3)
    assert loop.work.ledger.ours(watched.disk.root)
    other = watched.site.ledger(loop.beamtime)
    assert not other.ours(watched.disk.root)
    dispatcher = loop.work._dispatcher
    assert not dispatcher.idle.is_set()
    thread = BeamtimeThread(loop, dispatcher)
    thread.start()
    thread.leave()
    thread.join()
    assert dispatcher.idle.is_set()
    assert other.ours(watched.disk.root)
    other.release()
    assert watched.site.reports.states


@pytest.mark.usefixtures("_network")
def test_where_a_full_rescan_costs_much_only_what_changed_lately_is_rescanned_at_the_poll_interval(
    disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    watched = Watched(disk, sites(**HOURS))
    watched.site.paces.all.interval("another beamtime", 0.375, 0.0, 10.0)  # 75 s for 0.5 % of a core.
    watched.at(95, lambda: disk.nexus("raw/scan_1.nxs"))
    watched.run(170)
    assert watched.full[0] == 0
    assert watched.full[1] == pytest.approx(75 * (1 - 1 / 32), abs=0.1)
    assert len(watched.full) <= 3
    ((at, _),) = watched.site.ingest.tried
    assert at - 1000 < 95 + 10 + 5 + 5
