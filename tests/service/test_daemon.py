"""The daemon's search for beamtimes, and its end: in one thread, on a clock that tests turn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.service.daemon.beamtime import BeamtimeLoop, BeamtimeThread
from scicat_watch.service.daemon.daemon import Daemon
from scicat_watch.service.dispatch import Dispatcher
from tests import makers
from tests.fakes import FakeClock
from tests.makers import ID, LIST
from tests.service.conftest import Disk
from tests.service.fakes import FakeSite

METADATA = f"beamtime-metadata-{ID}.json"


class Planned(BeamtimeThread):
    """Not a thread: its turns are planned on the clock, one after the other."""

    def __init__(self, loop: BeamtimeLoop, dispatcher: Dispatcher) -> None:
        super().__init__(loop, dispatcher)
        clock: Any = loop._clock
        self.clock: FakeClock = clock
        self.joined = 0
        self.ended = False

    def start(self) -> None:
        self.clock.at(0.0, self._turn)

    def is_alive(self) -> bool:
        return not self.ended

    def join(self, timeout: float | None = None) -> None:
        self.joined += 1
        self.ended = True
        self.loop.work.report()

    def _turn(self) -> None:
        if not self.loop._over():
            self.loop.turn()
            self.clock.at(0.25, self._turn)
        elif self.loop.left:
            self.give_back()
            self.ended = True


class Running:
    """A daemon of which `run` tells the story from its start to its stop."""

    def __init__(self, site: FakeSite) -> None:
        self.site = site
        self.daemon = Daemon(site, Planned)

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        self.site.fake.at(seconds, action)

    def shown_at(self, seconds: float) -> dict[float, list[str]]:
        """Which beamtimes are watched at that time."""
        found: dict[float, list[str]] = {}
        self.at(seconds, lambda: found.update({seconds: self.watched()}))
        return found

    def watched(self) -> list[str]:
        return sorted(f"{key[0].name}:{key[1]}" for key in self.daemon._threads)

    def run(self, until: float) -> None:
        def stop() -> None:
            self.site.stopping.set()
            self.daemon.wake()

        self.at(until, stop)
        self.daemon.run()


Daemons = Callable[..., Running]


@pytest.fixture
def daemons(sites: Callable[..., FakeSite]) -> Daemons:
    """Makes daemons that watch the directories given, or those below the base directories."""

    def make(*directories: Path, base: tuple[Path, ...] = ()) -> Running:
        return Running(sites(beamtimes={"directories": directories, "base_directories": base}))

    return make


def _metadata(directory: Path, **changes: Any) -> None:
    known = dict(makers.beamtime(directory).metadata) | changes
    (directory / f"beamtime-metadata-{known['beamtimeId']}.json").write_text(json.dumps(known))


def test_scans_become_datasets_from_the_start_until_the_stop(disk: Disk, daemons: Daemons) -> None:
    disk.nexus("raw/before.nxs")
    daemon = daemons(disk.root)
    daemon.at(20, lambda: daemon.site.source.named(disk.nexus("raw/scan_1.nxs")))
    daemon.at(20, lambda: daemon.site.source.named(disk.append(f"raw/{LIST}", "scan_1")))
    daemon.run(60)
    assert daemon.site.ingest.pids == [f"{ID}/raw/before", f"{ID}/scan_1"]
    assert daemon.site.reports.last.done == 2


def test_the_heart_beats_for_status(disk: Disk, daemons: Daemons) -> None:
    daemon = daemons(disk.root)
    daemon.run(61)
    pulse = daemon.site.journal.pulse()
    assert pulse is not None
    assert pulse["pulse"] - pulse["started"] == 60
    assert pulse["catalogue"] == daemon.site.catalogue_url


def test_what_an_earlier_daemon_left_for_status_is_not_shown(disk: Disk, daemons: Daemons, tmp_path: Path) -> None:
    daemon = daemons(disk.root)
    daemon.site.journal.show(makers.state(tmp_path / "elsewhere", "1"))
    daemon.run(10)
    assert [state.id for state in daemon.site.journal.shown()] == [ID]


def test_a_directory_without_a_metadata_file_is_a_beamtime_until_the_file_comes(
    tmp_path: Path, daemons: Daemons
) -> None:
    disk = Disk(tmp_path / "my data")
    disk.nexus("scan_1.nxs")
    daemon = daemons(disk.root)
    first, second = daemon.shown_at(20), daemon.shown_at(40)
    daemon.at(30, lambda: _metadata(disk.root))
    daemon.at(42, lambda: daemon.site.source.named(disk.nexus("scan_2.nxs")))
    daemon.run(60)
    assert (first, second) == ({20: ["my data:my-data"]}, {40: [f"my data:{ID}"]})
    # What was made before the file came is brought up to date with it, and stays one dataset.
    assert [pid for _, pid in daemon.site.ingest.tried] == ["my-data/scan_1", "my-data/scan_1", f"{ID}/scan_2"]
    assert str(disk.root) in daemon.site.reports.gone
    assert [state.id for state in daemon.site.journal.shown()] == [ID]


def test_new_scans_get_what_the_metadata_file_says_now(disk: Disk, daemons: Daemons) -> None:
    daemon = daemons(disk.root)
    daemon.at(10, lambda: daemon.site.source.named(disk.nexus("scan_1.nxs")))
    daemon.at(30, lambda: _metadata(disk.root, title="Another title"))
    daemon.at(40, lambda: daemon.site.source.named(disk.nexus("scan_2.nxs")))
    daemon.run(60)
    assert daemon.site.ingest.titles == {f"{ID}/scan_1": "Spin waves in garnets", f"{ID}/scan_2": "Another title"}


def test_an_event_about_a_metadata_file_is_followed_at_once(disk: Disk, daemons: Daemons) -> None:
    daemon = daemons(disk.root)

    def renamed() -> None:
        _metadata(disk.root, title="Another title")
        daemon.site.source.written(disk.root / METADATA)

    daemon.at(11, renamed)
    titles: list[object] = []
    daemon.at(
        11.1, lambda: titles.append(next(iter(daemon.daemon._threads.values())).loop.work.beamtime.metadata["title"])
    )
    daemon.run(12)
    assert titles == ["Another title"]


def test_a_metadata_file_that_breaks_is_a_problem_once_and_its_beamtime_stays_watched(
    disk: Disk, daemons: Daemons
) -> None:
    daemon = daemons(disk.root)
    daemon.at(10, lambda: (disk.root / METADATA).write_text("{"))
    daemon.at(20, lambda: daemon.site.source.named(disk.nexus("scan_1.nxs")))
    broken = daemon.shown_at(39)
    daemon.at(40, lambda: _metadata(disk.root))
    daemon.run(60)
    assert broken == {39: [f"bt:{ID}"]}
    assert daemon.site.ingest.titles == {f"{ID}/scan_1": "Spin waves in garnets"}
    problems = [state for _, state in daemon.site.reports.states if state.id == "?"]
    assert [(state.directory, len(state.problems)) for state in problems] == [(str(disk.root / METADATA), 1)]
    assert "is not JSON" in problems[0].problems[0]
    assert daemon.site.reports.gone == [str(disk.root / METADATA)]


def test_a_metadata_file_that_is_being_written_is_no_problem_and_is_used_when_it_is_whole(
    disk: Disk, daemons: Daemons
) -> None:
    daemon, file, lost = daemons(disk.root), disk.root / METADATA, disk.root / "beamtime-metadata-2.json"
    for number in range(8):
        daemon.at(10 + 2 * number, lambda: file.write_text(file.read_text() + "{"))
    daemon.at(10, lambda: lost.write_text("{"))
    during = daemon.shown_at(24)
    daemon.at(12, lost.unlink)
    daemon.at(26, lambda: _metadata(disk.root, title="Whole again"))
    daemon.run(60)
    assert during == {24: [f"bt:{ID}"]}
    assert [state for _, state in daemon.site.reports.states if state.id == "?"] == []
    assert next(iter(daemon.daemon._threads.values())).loop.work.beamtime.metadata["title"] == "Whole again"


def test_a_metadata_file_that_is_broken_from_the_start_is_a_problem_until_it_is_fixed(
    disk: Disk, daemons: Daemons
) -> None:
    (disk.root / METADATA).write_text('{"title": "without an id"}')
    disk.nexus("scan_1.nxs")
    daemon = daemons(disk.root)
    before = daemon.shown_at(19)
    daemon.at(20, lambda: _metadata(disk.root))
    daemon.run(60)
    assert before == {19: []}  # Not taken for a directory without a metadata file.
    assert daemon.site.ingest.pids == [f"{ID}/scan_1"]
    assert [state.id for state in daemon.site.journal.shown()] == [ID]


def test_a_beamtime_whose_metadata_file_goes_is_watched_no_longer(disk: Disk, daemons: Daemons) -> None:
    daemon = daemons(disk.root)
    daemon.at(20, (disk.root / METADATA).unlink)
    after = daemon.shown_at(30)
    daemon.run(40)
    assert after == {30: []}  # Nor is it taken for one without a file.
    assert daemon.site.journal.shown() == []


def test_neither_is_one_below_a_base_directory(tmp_path: Path, daemons: Daemons) -> None:
    one = makers.beamtime_directory(tmp_path / "base/one", "1")
    makers.beamtime_directory(tmp_path / "base/two", "2")
    daemon = daemons(base=(tmp_path / "base",))
    before, after = daemon.shown_at(10), daemon.shown_at(30)
    daemon.at(20, (one / "beamtime-metadata-1.json").unlink)
    daemon.run(40)
    assert (before, after) == ({10: ["one:1", "two:2"]}, {30: ["two:2"]})
    assert [state.id for state in daemon.site.journal.shown()] == ["2"]


def test_the_problem_of_a_broken_file_below_a_base_directory_goes_with_the_file(
    tmp_path: Path, daemons: Daemons
) -> None:
    one = makers.beamtime_directory(tmp_path / "base/one", "1")
    (one / "beamtime-metadata-1.json").write_text("{")
    daemon = daemons(base=(tmp_path / "base",))
    daemon.at(20, (one / "beamtime-metadata-1.json").unlink)
    daemon.run(40)
    assert daemon.site.reports.states[0][1].problems
    assert daemon.site.journal.shown() == []


def test_a_base_directory_and_its_beamtimes_may_come_later(tmp_path: Path, daemons: Daemons) -> None:
    base = tmp_path / "base"
    daemon = daemons(base=(base,))
    daemon.at(20, lambda: makers.beamtime_directory(base / "one", "1"))
    daemon.at(30, lambda: makers.nexus(base / "one/scan_1.nxs"))
    daemon.at(40, lambda: makers.beamtime_directory(base / "two", "2"))
    first, second = daemon.shown_at(29), daemon.shown_at(49)
    daemon.run(100)
    assert (first, second) == ({29: ["one:1"]}, {49: ["one:1", "two:2"]})
    assert daemon.site.ingest.pids == ["1/scan_1"]


def test_a_base_directory_that_goes_takes_no_beamtime_with_it(tmp_path: Path, daemons: Daemons) -> None:
    """An unmounted file system looks just so."""
    base = tmp_path / "base"
    one = Disk(makers.beamtime_directory(base / "one", "1"))
    daemon = daemons(base=(base,))
    daemon.at(20, lambda: base.rename(tmp_path / "away"))
    away = daemon.shown_at(90)
    daemon.at(100, lambda: (tmp_path / "away").rename(base))
    daemon.at(110, lambda: one.nexus("scan_1.nxs"))
    daemon.run(200)
    assert away == {90: ["one:1"]}
    assert daemon.site.ingest.pids == ["1/scan_1"]


def test_a_directory_that_cannot_be_read_is_a_problem_and_stays_watched(
    disk: Disk, daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = daemons(disk.root)
    iterdir, unreadable = Path.iterdir, [False]

    def guarded(path: Path) -> Any:
        if unreadable[0] and path == disk.root:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    daemon.at(10, lambda: unreadable.__setitem__(0, True))
    during = daemon.shown_at(30)
    daemon.at(40, lambda: unreadable.__setitem__(0, False))
    daemon.run(60)
    assert during == {30: [f"bt:{ID}"]}
    problems = [state.problems for _, state in daemon.site.reports.states if state.id == "?"]
    assert problems == [(f"{disk.root}: cannot be read: Permission denied",)]
    assert str(disk.root) in daemon.site.reports.gone


@pytest.mark.parametrize("in_its_place", ["nothing", "an empty directory", "another directory"])
def test_a_beamtime_directory_that_is_away_is_shown_as_it_was_until_it_is_back(
    disk: Disk, daemons: Daemons, in_its_place: str
) -> None:
    disk.nexus("raw/scan_1.nxs")
    disk.append(f"raw/{LIST}", "scan_1", "scan_2")
    daemon = daemons(disk.root)
    elsewhere = disk.root.parent / "elsewhere"

    def unmount() -> None:
        disk.root.rename(elsewhere)
        if in_its_place != "nothing":
            disk.root.mkdir()
        if in_its_place == "another directory":
            (disk.root / "scan_3.nxs").write_text("of somebody else")
        daemon.site.source.named(disk.root)

    def mount() -> None:
        if in_its_place != "nothing":
            disk.root.rename(disk.root.parent / "place")
        elsewhere.rename(disk.root)

    daemon.at(130, unmount)
    watched = daemon.shown_at(400)
    shown: list[Any] = []
    daemon.at(400, lambda: shown.extend(daemon.site.journal.shown()))
    daemon.at(409, daemon.site.source.watched.clear)
    daemon.at(410, mount)
    anew: set[Path] = set()
    daemon.at(420, lambda: anew.update(daemon.site.source.watched))
    daemon.at(430, lambda: daemon.site.source.named(disk.nexus("raw/scan_2.nxs")))
    daemon.run(500)
    assert watched == {400: [f"bt:{ID}"]}
    ((state, problem),) = [(one, one.problems[0]) for one in shown]
    assert (state.id, state.done, state.waiting) == (ID, 1, 1)
    assert problem.startswith(f"{disk.root}: away since 2026-")
    assert {disk.root, disk.root / "raw"} <= anew  # The watches of before may be dead.
    assert daemon.site.ingest.pids == [f"{ID}/scan_1", f"{ID}/scan_2"]
    assert daemon.site.journal.shown()[0].problems == ()


def test_private_and_skipped_beamtimes_are_not_watched(tmp_path: Path, daemons: Daemons) -> None:
    base = tmp_path / "base"
    makers.beamtime_directory(base / "one", "1", proposalType="P")
    makers.beamtime_directory(base / "two", "2")
    daemon = daemons(base=(base,))
    before, after = daemon.shown_at(10), daemon.shown_at(30)
    daemon.at(20, lambda: _metadata(base / "two", beamtimeId="2", proposalType="P"))
    daemon.run(40)
    assert (before, after) == ({10: ["two:2"]}, {30: []})


def test_two_beamtimes_of_one_directory_are_both_watched(disk: Disk, daemons: Daemons) -> None:
    _metadata(disk.root, beamtimeId="2")
    disk.nexus("scan_1.nxs")
    disk.append("scicat-datasets-2.lst", "scan_1")
    daemon = daemons(disk.root)
    both = daemon.shown_at(10)
    daemon.run(30)
    assert both == {10: [f"bt:{ID}", "bt:2"]}
    assert "2/scan_1" in daemon.site.ingest.pids


def test_lost_events_are_passed_to_all_beamtimes_and_others_to_their_own(tmp_path: Path, daemons: Daemons) -> None:
    roots = [makers.beamtime_directory(tmp_path / name, name) for name in ("1", "2")]
    daemon = daemons(*roots)
    filled: dict[str, list[str]] = {}

    def who(what: str) -> None:
        threads = daemon.daemon._threads.values()
        filled[what] = [one.loop.beamtime.id for one in threads if one.loop.hints.filled.is_set()]
        for one in threads:
            one.loop.hints.take()

    def send(what: str, event: Callable[[], None]) -> None:
        event()
        who(what)

    daemon.at(10.1, lambda: send("its own", lambda: daemon.site.source.named(roots[1] / "raw/x.nxs")))
    daemon.at(10.2, lambda: send("lost", daemon.site.source.lost))
    daemon.run(12)
    assert filled == {"its own": ["2"], "lost": ["1", "2"]}


def test_a_stop_ends_everything_and_gives_the_locks_back(disk: Disk, daemons: Daemons) -> None:
    disk.nexus("scan_1.nxs")
    daemon = daemons(disk.root)
    locked: list[bool] = []

    def try_the_lock() -> None:
        (thread,) = daemon.daemon._threads.values()
        locked.append(daemon.site.ledger(thread.loop.beamtime).ours(disk.root))

    daemon.at(20, try_the_lock)
    daemon.run(30)
    assert locked == [False]
    (thread,) = daemon.daemon._threads.values()
    assert isinstance(thread, Planned)
    assert thread.joined == 1
    assert daemon.site.source.closed
    free = daemon.site.ledger(thread.loop.beamtime)
    assert free.ours(disk.root)
    free.release()
    assert daemon.site.clock.monotonic() == pytest.approx(1030)  # Nothing is waited for.


def test_locks_of_what_does_not_end_stay_until_the_process_ends(
    disk: Disk, daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.nexus("scan_1.nxs")
    daemon = daemons(disk.root)
    monkeypatch.setattr(daemon.daemon._dispatcher, "join", lambda seconds: False)
    daemon.run(20)
    (thread,) = daemon.daemon._threads.values()
    other = daemon.site.ledger(thread.loop.beamtime)
    assert not other.ours(disk.root)
    assert daemon.site.source.closed
    thread.loop.work.ledger.release()
