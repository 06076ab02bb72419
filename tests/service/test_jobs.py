"""What a person asks the daemon for, done by the thread of the beamtime beside the watch over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ConfigError, Unavailable
from scicat_watch.service.control.protocol import Asked, Named
from scicat_watch.service.daemon.commands import Commands
from scicat_watch.service.daemon.jobs import Parts, Rescan, Wish
from scicat_watch.service.daemon.pauses import Pauses
from scicat_watch.service.daemon.search import Search
from scicat_watch.service.daemon.unreached import Unreached
from scicat_watch.service.daemon.watched import Watched as Threads
from tests.makers import ID, LIST
from tests.service.conftest import Disk
from tests.service.fakes import FakeSite
from tests.service.test_beamtime_loop import HOURS, Watched


class Heard:
    """What a command hears."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gone = False

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def end(self, **more: Any) -> None:
        self.send({"event": "end", **more})

    def error(self, message: str, *, usage: bool = False) -> None:
        self.send({"event": "error", "message": message, "usage": usage})

    @property
    def last(self) -> dict[str, Any]:
        return self.messages[-1]

    @property
    def scans(self) -> list[tuple[str, str]]:
        return [(str(one["status"]), one["pid"]) for one in self.messages if one["event"] == "scan"]

    @property
    def ends(self) -> int:
        return sum(one["event"] == "end" for one in self.messages)


class Daemon(Watched):
    """A watched beamtime that takes commands."""

    def __init__(self, disk: Disk, site: FakeSite) -> None:
        super().__init__(disk, site)
        self.loops = [self.loop]
        pauses = Pauses(site.settings.var_dir)
        search = Search(site.settings.beamtimes.rules(), site.calls, site.serial, lambda: None)
        unreached = Unreached(site, pauses, search, Threads(), lambda: None)
        self.commands = Commands(
            site, lambda: self.loops, self.loop._dispatcher, lambda reply: None, pauses, unreached
        )  # fmt: skip

    def ask(
        self, command: Any, *paths: Path, retry: bool = False, folder: bool | None = None, beamtime: str = ""
    ) -> Heard:
        heard = Heard()
        listener: Any = heard
        named = tuple(Named(path=str(path), folder=path.is_dir() if folder is None else folder) for path in paths)
        self.commands(Asked(version=1, command=command, paths=named, retry=retry, beamtime=beamtime), listener)
        return heard

    def asked_at(self, seconds: float, command: str, *paths: Path, **more: Any) -> list[Heard]:
        heard: list[Heard] = []
        self.at(seconds, lambda: heard.append(self.ask(command, *paths, **more)))
        return heard


@pytest.fixture
def daemon(disk: Disk, sites: Callable[..., FakeSite]) -> Daemon:
    return Daemon(disk, sites(**HOURS))


def test_a_full_rescan_is_made_at_once(daemon: Daemon) -> None:
    heard = daemon.asked_at(40, "rescan")
    daemon.run(60)
    assert [round(at) for at in daemon.full] == [0, 40]
    assert (heard[0].last["event"], heard[0].last["failures"], heard[0].ends) == ("end", [], 1)


def test_of_paths_only_the_beamtimes_are_concerned_that_they_are_in_or_that_are_below(
    daemon: Daemon, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    inside = daemon.asked_at(20, "rescan", daemon.disk.root / "raw")
    below = daemon.asked_at(40, "rescan", tmp_path)
    neither = daemon.asked_at(60, "rescan", tmp_path / "elsewhere")
    daemon.run(80)
    assert [round(at) for at in daemon.full] == [0, 20, 40]
    assert [one[0].messages[0]["unwatched"] for one in (inside, below, neither)] == [[], [], [f"{tmp_path}/elsewhere"]]
    assert neither[0].ends == 1


def test_scans_that_are_done_are_ingested_again_beside_the_watch(daemon: Daemon) -> None:
    for name in ("raw/scan_1", "raw/scan_2", "found"):
        daemon.disk.nexus(f"{name}.nxs")
    daemon.disk.append(f"raw/{LIST}", "scan_1", "scan_2")
    all_of_it = daemon.asked_at(50, "ingest")
    a_file = daemon.asked_at(60, "ingest", daemon.disk.root / "raw/scan_1.nxs")
    a_list = daemon.asked_at(70, "ingest", daemon.disk.root / "raw" / LIST)
    two = daemon.asked_at(80, "ingest", daemon.disk.root / "raw", daemon.disk.root / "found.nxs")
    daemon.run(95)
    everything = [("unchanged", f"{ID}/{name}") for name in ("found", "scan_1", "scan_2")]
    assert sorted(all_of_it[0].scans) == everything
    assert all_of_it[0].last["counts"] == {"created": 0, "updated": 0, "unchanged": 3, "failed": 0}
    assert all_of_it[0].messages[1]["total"] == 3
    assert a_file[0].scans == everything[1:2]
    assert a_list[0].scans == everything[1:]
    assert sorted(two[0].scans) == everything
    assert [one[0].ends for one in (all_of_it, a_file, a_list, two)] == [1, 1, 1, 1]
    assert daemon.site.reports.last.done == 3


def test_a_file_that_the_watch_does_not_take_is_ingested_by_its_name(
    disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    daemon = Daemon(disk, sites(watching={**HOURS["watching"], "trigger": "lists"}))
    file = disk.nexus("raw/by_hand.nxs")
    heard = daemon.asked_at(20, "ingest", file)
    daemon.run(60)
    assert heard[0].scans == [("created", f"{ID}/raw/by_hand")]


def test_a_scan_that_is_still_changing_is_waited_for(daemon: Daemon) -> None:
    file = daemon.disk.root / "late.nxs"
    daemon.at(20, lambda: daemon.disk.nexus("late.nxs"))
    heard = daemon.asked_at(20.1, "ingest", file, folder=False)
    daemon.run(60)
    assert heard[0].scans == [("created", f"{ID}/late")]
    assert heard[0].last["counts"]["failed"] == 0


def test_only_what_failed_is_tried_again(daemon: Daemon) -> None:
    daemon.disk.nexus("good.nxs")
    daemon.disk.nexus("bad.nxs")
    daemon.site.ingest.faults[f"{ID}/bad"] = "no schema fits"
    daemon.at(15, daemon.site.ingest.faults.clear)
    heard = daemon.asked_at(16, "ingest", retry=True)
    again = daemon.asked_at(30, "ingest", retry=True)
    daemon.run(35)
    assert heard[0].scans == [("created", f"{ID}/bad")]
    assert (again[0].scans, again[0].ends) == ([], 1)


def test_what_cannot_be_ingested_is_said_with_its_reason(daemon: Daemon) -> None:
    daemon.disk.text("notes.txt")
    daemon.disk.nexus("bad.nxs")
    daemon.disk.append(f"raw/{LIST}", "../out")
    daemon.site.ingest.faults[f"{ID}/bad"] = "no schema fits"
    heard = daemon.asked_at(20, "ingest", daemon.disk.root, daemon.disk.root / "notes.txt")
    gone = daemon.asked_at(21, "ingest", daemon.disk.root / "gone.nxs", folder=False)
    daemon.run(40)
    failures = dict(heard[0].last["failures"])
    assert failures[f"{ID}/bad"] == "no schema fits"
    assert "neither a data file" in failures[str(daemon.disk.root / "notes.txt")]
    assert any("../out" in why for why in failures.values())
    assert heard[0].last["counts"]["failed"] == 3
    assert "no such file" in gone[0].last["failures"][0][1]


def test_who_waits_is_let_go_when_the_catalogue_is_unreachable_for_long(
    disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    daemon = Daemon(disk, sites(**HOURS, catalogue={"patience": {"give_up_after": 100.0}}))
    for number in range(3):
        disk.nexus(f"scan_{number}.nxs")
    daemon.at(20, lambda: daemon.site.availability.report(Unavailable("no answer")))
    daemon.at(20, lambda: setattr(daemon.site, "seconds", 500.0))
    heard = daemon.asked_at(21, "ingest")
    daemon.run(300)
    assert "no answer" in heard[0].last["unavailable"]
    waiting = [message for message in heard[0].messages if message["event"] == "waiting"]
    assert [message["reason"] for message in waiting] == ["no answer"]
    assert (heard[0].last["left"], heard[0].ends) == (3, 1)


def test_what_was_asked_for_is_abandoned_with_a_reason_when_the_daemon_stops(daemon: Daemon) -> None:
    daemon.disk.nexus("scan_1.nxs")
    daemon.at(20, lambda: setattr(daemon.site, "seconds", 500.0))
    heard = daemon.asked_at(30, "ingest")
    daemon.run(40)
    late = daemon.ask("rescan")
    assert heard[0].last["failures"] == [(str(daemon.disk.root), "the daemon is stopping")]
    assert late.last["failures"] == [(str(daemon.disk.root), "the daemon is stopping")]


def test_a_job_that_fails_costs_the_watch_nothing(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("scicat_watch.service.daemon.jobs.OnceWork", fail)
    heard = daemon.asked_at(20, "ingest")
    daemon.at(30, lambda: daemon.site.source.named(daemon.disk.nexus("scan_1.nxs")))
    daemon.run(60)
    assert "a bug" in heard[0].last["failures"][0][1]
    assert daemon.site.ingest.pids == [f"{ID}/scan_1"]


def test_what_a_failure_is_about_is_said_once(daemon: Daemon) -> None:
    silence = f"{daemon.disk.root}: its file system has not answered since noon"
    heard = Heard()
    reply: Any = heard
    wish, parts = Wish(daemon.site, 1, reply), Parts(1, reply)
    for one in (wish, parts):
        Rescan(one, daemon.disk.root).abandon(silence)
    assert [message["failures"] for message in heard.messages] == [
        [(str(daemon.disk.root), "its file system has not answered since noon")]
    ] * 2


def test_the_status_is_that_of_now(daemon: Daemon) -> None:
    daemon.disk.nexus("scan_1.nxs")
    heard = daemon.asked_at(40, "status")
    daemon.run(50)
    assert heard[0].last["state"]["totals"]["done"] == 1


def test_the_status_names_the_last_rescan_also_if_nothing_was_found_in_it(
    disk: Disk, sites: Callable[..., FakeSite]
) -> None:
    daemon = Daemon(disk, sites(watching={"rescan_interval": 10.0}))
    shown = [daemon.asked_at(seconds, "status") for seconds in (25, 45)]
    daemon.run(50)
    before, after = (heard[0].last["state"]["beamtimes"][0]["watch"]["rescanned"] for heard in shown)
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds() == 20


def test_of_a_paused_beamtime_nothing_new_is_read_or_published_until_it_is_resumed(daemon: Daemon) -> None:
    for number in range(5):
        daemon.disk.nexus(f"scan_{number}.nxs")
    daemon.site.seconds = 2.0  # When the beamtime is paused, some are done and some are in the queue.
    paused = daemon.asked_at(10, "pause", beamtime=ID)
    count: list[int] = []
    daemon.at(12, lambda: count.append(len(daemon.site.ingest.tried)))
    daemon.at(20, lambda: daemon.site.source.named(daemon.disk.nexus("late.nxs")))
    asked = daemon.asked_at(30, "ingest")
    daemon.at(199, lambda: count.append(len(daemon.site.ingest.tried)))
    states = daemon.site.reports.states
    daemon.at(199, lambda: count.append(states[-1][1].paused))
    resumed = daemon.asked_at(200, "resume", daemon.disk.root)
    daemon.run(240)
    assert 0 < count[0] < 5
    assert count[1:] == [count[0], True]
    assert "resume" in asked[0].last["failures"][0][1]
    assert paused[0].last["beamtimes"] == resumed[0].last["beamtimes"] == [[ID, str(daemon.disk.root)]]
    assert sorted(daemon.site.ingest.pids) == sorted([*(f"{ID}/scan_{number}" for number in range(5)), f"{ID}/late"])
    assert not states[-1][1].paused


def test_a_beamtime_stays_paused_over_a_restart(daemon: Daemon) -> None:
    daemon.asked_at(1, "pause", beamtime=ID)
    daemon.run(5)
    assert Pauses(daemon.site.settings.var_dir).has(daemon.disk.root, ID)
    daemon.ask("resume", beamtime=ID)
    assert not Pauses(daemon.site.settings.var_dir).has(daemon.disk.root, ID)


def test_to_pause_what_is_not_watched_is_a_mistake_that_names_what_is(daemon: Daemon) -> None:
    with pytest.raises(ConfigError, match=ID):
        daemon.ask("pause", beamtime=f"{ID}0")
    assert not Pauses(daemon.site.settings.var_dir).has(daemon.disk.root, f"{ID}0")
