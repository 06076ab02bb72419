"""How a beamtime is watched, by mount tables and by what full rescans find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.discovery.events.source import Event
from scicat_watch.service.daemon.hints import HintQueue
from scicat_watch.service.daemon.notices import Notices
from tests.fakes import FakeClock
from tests.service.fakes import FakeEvents

ROOT = Path("/beamline/current")
Watched = Callable[[dict[str, str]], Notices]


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def hints() -> HintQueue:
    return HintQueue(ROOT, "scans.lst", ("nxs",))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, events: FakeEvents, hints: HintQueue, clock: FakeClock) -> Watched:
    def make(kinds: dict[str, str]) -> Notices:
        monkeypatch.setattr(Mounts, "now", lambda: Mounts(kinds))
        return Notices(ROOT, events, hints, clock)

    return make


def test_a_local_file_system_is_watched_by_notifications(watched: Watched, clock: FakeClock) -> None:
    notices = watched({"/": "ext4", "/beamline/other": "nfs4"})
    assert (notices.polled, notices.state(0.0).method, notices.state(0.0).rescanned) == (False, "notifications", "")
    notices.rescanned((), 0.25)
    state = notices.state(clock.monotonic() + 60)
    assert (state.interval, state.seconds, state.rescanned) == (60, 0.25, clock.now().isoformat())


@pytest.mark.parametrize("point", ["/", "/beamline", "/beamline/current", "/beamline/current/raw"])
def test_a_network_file_system_at_the_beamtime_or_below_is_polled(watched: Watched, point: str) -> None:
    notices = watched({"/": "ext4", point: "nfs4"})
    assert notices.polled
    assert f"at {point} (nfs4)" in notices.state(0.0).reason


def test_a_mount_that_comes_later_counts_from_the_next_full_rescan(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices = watched({"/": "ext4"})
    monkeypatch.setattr(Mounts, "now", lambda: Mounts({"/": "ext4", f"{ROOT}/raw": "beegfs"}))
    notices.rescanned((), 0.1)
    assert "(beegfs)" in notices.state(0.0).reason


def test_what_is_missed_three_times_in_a_row_on_one_mount_has_it_polled(watched: Watched) -> None:
    notices = watched({"/": "ext4", "/beamline/current/raw": "overlay"})
    for found in ({ROOT / "raw"}, {ROOT}, {ROOT / "raw", ROOT}, {ROOT / "raw/a", ROOT / "raw/b"}):
        notices.rescanned(found, 0.1)
        assert not notices.polled
    notices.rescanned({ROOT / "raw"}, 0.1)
    assert "at /beamline/current/raw (overlay) sends no change notifications" in notices.state(0.0).reason
    assert notices.state(0.0).missed == 7


def test_what_was_reported_is_not_missed(watched: Watched, hints: HintQueue) -> None:
    notices = watched({"/": "ext4"})
    for _ in range(5):
        hints.put(Event(ROOT / "raw", "a.nxs"))
        notices.rescanned({ROOT / "raw"}, 0.1)
    assert (notices.polled, notices.state(0.0).missed) == (False, 0)


def test_lost_events_and_unwatched_directories_are_counted(
    watched: Watched, hints: HintQueue, events: FakeEvents
) -> None:
    notices = watched({"/": "ext4"})
    hints.put(Event(None))
    hints.put(Event(None))
    events.incomplete = True
    notices.rescanned((), 0.1)
    state = notices.state(0.0)
    assert (state.method, state.overflows, state.unwatched) == ("polling", 2, 1)
    assert state.reason == "some directory cannot be watched"
    events.incomplete = False
    notices.rescanned((), 0.1)
    assert not notices.polled


def _appended(notices: Notices, directory: Path) -> None:
    notices.appending(directory)()


def test_where_not_even_our_own_line_is_reported_it_is_polled_until_something_is(
    watched: Watched, hints: HintQueue, events: FakeEvents, clock: FakeClock
) -> None:
    events.reports_ours = True
    notices = watched({"/": "ext4"})
    done = notices.appending(ROOT / "raw")
    hints.put(Event(ROOT / "raw", "scicat-ingested.lst", closed=True))
    done()
    clock.advance(100)
    assert not notices.grew_silent()
    _appended(notices, ROOT / "raw")
    assert notices.due == clock.monotonic() + 30
    clock.advance(29)
    assert not notices.grew_silent()
    clock.advance(2)
    assert notices.grew_silent()
    assert (notices.polled, notices.due) == (True, float("inf"))
    assert "/beamline/current/raw" in notices.state(0.0).reason
    notices.rescanned((), 0.1)
    assert notices.polled
    hints.put(Event(ROOT / "raw", "other.nxs"))
    assert not notices.grew_silent()
    assert not notices.polled


def test_events_that_were_lost_prove_nothing_and_neither_do_lines_elsewhere(
    watched: Watched, hints: HintQueue, events: FakeEvents, clock: FakeClock
) -> None:
    events.reports_ours = True
    notices = watched({"/": "ext4"})
    _appended(notices, ROOT / "raw")
    _appended(notices, Path("/var/lib/scicat-watch/ingested"))
    hints.put(Event(None))
    clock.advance(100)
    assert not notices.grew_silent()
    events.reports_ours = False
    _appended(notices, ROOT / "raw")
    clock.advance(100)
    assert not notices.grew_silent()


def test_a_limit_that_was_raised_has_everything_watched_anew(
    watched: Watched, hints: HintQueue, events: FakeEvents
) -> None:
    notices = watched({"/": "ext4"})
    notices.rescanned((), 0.1)
    assert not hints.take_renewal()
    events.raised = True
    notices.rescanned((), 0.1)
    assert hints.take_renewal()


def test_a_mount_below_that_goes_away_is_missed_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: FakeEvents, clock: FakeClock
) -> None:
    kinds = {"/": "ext4", str(tmp_path / "raw"): "xfs", str(tmp_path / "auto"): "autofs"}
    kinds[str(tmp_path / "auto/one")] = "xfs"
    for name in ("raw", "auto/one"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(Mounts, "now", lambda: Mounts(dict(kinds)))
    notices = Notices(tmp_path, events, HintQueue(tmp_path, "scans.lst", ("nxs",)), clock)
    notices.rescanned((), 0.1)
    assert notices.away == []
    for point in ("raw", "auto/one"):  # An automounter does that when nobody is interested.
        del kinds[str(tmp_path / point)]
    since = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"
    notices.rescanned((), 0.1)
    clock.advance(60)
    notices.rescanned((), 0.1)
    (why,) = notices.away
    assert why.startswith(f"{tmp_path}/raw: away since {since}")
    kinds[str(tmp_path / "raw")] = "xfs"
    notices.rescanned((), 0.1)
    assert notices.away == []
    del kinds[str(tmp_path / "raw")]
    (tmp_path / "raw").rmdir()
    notices.rescanned((), 0.1)
    assert notices.away == []  # Nobody expects it back.
