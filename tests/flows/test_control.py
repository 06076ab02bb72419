"""Commands beside a running daemon: it does what they ask for, and they say what came of it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.program import PROGRAM, Site, eventually
from tests.makers import ID, LIST, append, beamtime_directory, nexus


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_daemon_does_a_one_time_ingest_and_the_command_says_how_it_ended(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for name in ("raw/scan_1.nxs", "found.nxs"):
        nexus(beamtime / name)
    append(beamtime / "raw" / LIST, "scan_1")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: len(catalogue.pids()) == 2, "both scans")
        ended = site.ingest()
        assert (ended.returncode, ended.stderr) == (0, "")
        assert sorted(ended.stdout.splitlines()) == [
            "0 created, 0 updated, 2 unchanged, 0 failed", f"unchanged {ID}/found", f"unchanged {ID}/scan_1",
        ]  # fmt: skip
        (beamtime / "raw" / "scan_1_frame.cbf").write_bytes(b"x")
        ended = site.ingest(beamtime / "raw" / LIST)
        assert ended.returncode == 0, ended.stderr
        # The daemon sees the new file as well; whoever was first, now it is in the catalogue.
        assert ended.stdout.splitlines()[0] in (f"updated {ID}/scan_1", f"unchanged {ID}/scan_1")
        assert catalogue.files(f"{ID}/scan_1") == ["scan_1.nxs", "scan_1_frame.cbf"]
        (beamtime / "bad.nxs").write_text("no HDF5")
        ended = site.ingest(beamtime / "bad.nxs")
        assert ended.returncode == 1
        assert f"failed {ID}/bad: " in ended.stderr
        assert site.ingest(beamtime / "nowhere").returncode == 2
        assert len(catalogue.pids()) == 2


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The command lines of all Python programs that were started since."""
    noted, place = tmp_path / "programs.txt", tmp_path / "startup"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        f"import sys\nwith open({str(noted)!r}, 'a') as file:\n    print(*sys.orig_argv, file=file)\n"
    )

    def started() -> list[str]:
        monkeypatch.setenv("PYTHONPATH", str(place))
        return noted.read_text().splitlines() if noted.exists() else []

    return started


def test_what_the_daemon_does_not_watch_the_command_ingests_itself_and_says_so(
    site: Site, tmp_path: Path, programs: Callable[[], list[str]]
) -> None:
    watched, other = beamtime_directory(tmp_path / "bt"), beamtime_directory(tmp_path / "other", "222")
    for beamtime in (watched, other):
        nexus(beamtime / "scan_1.nxs")
    with site.daemon(watched) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [f"{ID}/scan_1"], "the scan that is watched")
        assert programs() == []
        ended = site.ingest(watched / "scan_1.nxs", other)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] == "1 created, 0 updated, 1 unchanged, 0 failed"
        assert f"{other}: the daemon does not watch it" in ended.stderr
        assert catalogue.pids() == [f"{ID}/scan_1", "222/scan_1"]
        assert any(" ingest " in line for line in programs())
        # Two that write to one database file would hold each other up.
        assert not [line for line in programs() if " catalogue " in line], "the daemon's catalogue is used"


def test_a_command_that_is_interrupted_leaves_the_daemon_working(site: Site, tmp_path: Path) -> None:
    """These scans are ingested only because the command asked for them: the daemon takes listed ones."""
    beamtime = beamtime_directory(tmp_path / "bt")
    files = [nexus(beamtime / f"scan_{number}.nxs") for number in range(20)]
    site.change(watching={"trigger": "lists"})
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        command = [PROGRAM, "ingest", *map(str, files), "-c", str(site.config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline().startswith("created ")
            client.send_signal(signal.SIGINT)
            said, _ = client.communicate()
            # If nothing of it was left when the signal came, it ended by itself.
            assert client.returncode != 0 or "20 created" in said
        eventually(lambda: len(catalogue.pids()) == 20, "all that was asked for")
        assert daemon.stop() == 0


def test_what_failed_is_tried_again_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, retrying={"first": 3000.0, "longest": 3600.0})
    beamtime = beamtime_directory(tmp_path / "bt")
    good, bad = nexus(beamtime / "good.nxs"), nexus(beamtime / "bad.nxs")
    whole = bad.read_bytes()
    bad.write_bytes(whole[:100] + bytes(1000) + whole[1100:])
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["failed"] == 1, "the failure")
        ended = site.run("ingest", "--retry", good)
        assert (ended.returncode, ended.stdout) == (0, "0 created, 0 updated, 0 unchanged, 0 failed\n")
        ended = site.run("ingest", "--retry")
        assert (ended.returncode, ended.stdout.splitlines()[0]) == (1, f"failed {ID}/bad")
        bad.write_bytes(whole)
        ended = site.run("ingest", "--retry", beamtime)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert catalogue.pids() == [f"{ID}/bad", f"{ID}/good"]
        assert site.status()["totals"]["failed"] == 0


def test_a_full_rescan_is_made_at_once(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime):
        eventually(lambda: site.status()["beamtimes"], "the beamtime")
        ended = site.run("rescan")
        assert (ended.returncode, ended.stdout) == (0, "beamtimes rescanned: 1\n")
        ended = site.run("rescan", tmp_path / "var")
        assert ended.returncode == 1
        assert "does not watch" in ended.stderr
    ended = site.run("rescan")
    assert ended.returncode == 1
    assert "no daemon runs" in ended.stderr


def test_commands_reach_the_daemon_that_follows_one_that_was_killed(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: site.status()["beamtimes"], "the beamtime")
        daemon.kill()
    assert (site.var / "control.sock").exists()
    state = site.status()
    assert json.dumps(state)  # What the journal says, as no daemon can be asked.
    with site.daemon(beamtime) as second:
        assert site.run("rescan").returncode == 0
        assert site.status()["daemon"]["pid"] == second.pid


def test_the_configuration_is_read_again_and_a_mistake_changes_nothing(site: Site, tmp_path: Path) -> None:
    one, two = beamtime_directory(tmp_path / "one", "1"), beamtime_directory(tmp_path / "two", "2")
    nexus(one / "scan_1.nxs")
    nexus(two / "scan_2.nxs")
    site.change(beamtimes={"directories": [str(one)]})
    with site.daemon() as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/scan_1"], "the scan of the first beamtime")
        whole = site.config.read_text()
        site.config.write_text(whole.replace("ingestion_delay", "ingestion_dely"))
        ended = site.run("reload", "--var-dir", site.var)
        assert ended.returncode == 2
        assert "ingestion_dely" in ended.stderr
        site.config.write_text(whole)
        site.change(beamtimes={"directories": [str(one), str(two)]}, reading={"workers": 3})
        ended = site.run("reload")
        assert ended.returncode == 0, ended.stderr
        assert "in effect now: beamtimes.directories" in ended.stdout
        assert "in effect after a restart: reading.workers" in ended.stdout
        eventually(lambda: catalogue.pids() == ["1/scan_1", "2/scan_2"], "the scan of the second beamtime")
        assert daemon.stop() == 0


def test_an_ingest_during_which_the_configuration_is_read_again_ends_and_says_what_is_left(
    site: Site, tmp_path: Path
) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for number in range(60):
        nexus(beamtime / f"scan_{number}.nxs")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: len(daemon.catalogue().pids()) == 60, "all scans")
        command = [PROGRAM, "ingest", str(beamtime), "-c", str(site.config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ingest:
            assert ingest.stdout is not None
            assert ingest.stdout.readline().startswith("unchanged")
            site.change(watching={"ingestion_delay": 0.4})
            assert site.run("reload").returncode == 0
            out, err = ingest.communicate(timeout=120)
            # Either it was done before, or it says what to do.
            assert ingest.returncode == 0 or "ask for it once more" in err, out + err


def test_a_hang_up_makes_the_daemon_read_its_configuration_again(site: Site, tmp_path: Path) -> None:
    one, two = beamtime_directory(tmp_path / "one", "1"), beamtime_directory(tmp_path / "two", "2")
    site.change(beamtimes={"directories": [str(one)]})
    with site.daemon() as daemon:
        eventually(lambda: len(site.status()["beamtimes"]) == 1, "the first beamtime")
        whole = site.config.read_text()
        site.config.write_text("nonsense: [")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "stays as it was" in site.log.read_text(), "the mistake in the log")
        site.config.write_text(whole)
        site.change(beamtimes={"directories": [str(one), str(two)]})
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(site.status()["beamtimes"]) == 2, "the second beamtime")
        assert daemon.stop() == 0


def test_a_beamtime_is_paused_until_it_is_resumed_also_over_a_kill(site: Site, tmp_path: Path) -> None:
    one, two = beamtime_directory(tmp_path / "one", "1"), beamtime_directory(tmp_path / "two", "2")
    nexus(one / "scan_1.nxs")
    with site.daemon(one, two) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/scan_1"], "the scan that was there")
        ended = site.run("pause", "1")
        assert (ended.returncode, ended.stdout) == (0, f"paused beamtime 1 in {one}\n")
        assert site.run("pause", "3").returncode == 2
        eventually(lambda: [state["paused"] for state in site.status()["beamtimes"]] == [True, False], "the pause")
        daemon.kill()
    nexus(one / "scan_2.nxs")
    with site.daemon(one, two) as daemon:
        catalogue = daemon.catalogue()
        nexus(two / "scan_3.nxs")
        eventually(lambda: catalogue.pids() == ["1/scan_1", "2/scan_3"], "the scan of the other beamtime")
        eventually(lambda: [state["paused"] for state in site.status()["beamtimes"]] == [True, False], "the pause")
        assert site.run("rescan").returncode == 1
        assert catalogue.pids() == ["1/scan_1", "2/scan_3"]
        assert site.run("resume", one).returncode == 0
        eventually(lambda: catalogue.pids() == ["1/scan_1", "1/scan_2", "2/scan_3"], "what came meanwhile")
        assert daemon.stop() == 0
