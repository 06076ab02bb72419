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
