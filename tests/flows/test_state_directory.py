"""A state directory that takes nothing: the work goes on, and `status` says what is wrong until it is well again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.program import PROGRAM, Catalogue, Daemon, Site, eventually
from tests.makers import ID, beamtime_directory, nexus

_SPACE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
_SAME = ("--mount",) if os.geteuid() == 0 else ("--user", "--preserve-credentials", "--mount")


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    if subprocess.run([*_SPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here, not even in a namespace of our own")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[tuple[Catalogue, dict[str, Any]]]:
    """A catalogue that does not need the state directory, and the section of the configuration for it."""
    (tmp_path / "elsewhere").mkdir()
    other = Site(tmp_path / "elsewhere")
    with other.catalogue() as found:
        yield found, {"url": found.api, "credential_file": str(other.credentials())}


def _in(daemon: Daemon, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that sees the file systems that the daemon sees."""
    whole = ["nsenter", *_SAME, "--target", str(daemon.process.pid), "--", *map(str, command)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)


def _status(daemon: Daemon) -> dict[str, Any]:
    answer = _in(daemon, PROGRAM, "status", "--json", "-c", daemon.site.config)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _failed_on_disk(daemon: Daemon) -> list[str]:
    """The scans that failed, by the file of the journal."""
    query = "select pid from scans where status='failed'"
    script = f"import sqlite3, sys; print(*(row[0] for row in sqlite3.connect(sys.argv[1]).execute({query!r})))"
    known = _in(daemon, sys.executable, "-c", script, daemon.site.var / "journal.sqlite")
    assert known.returncode == 0, known.stderr
    return known.stdout.split()


@pytest.mark.parametrize("option", ["size=16k", "ro"], ids=["full", "read-only"])
def test_a_state_directory_that_takes_nothing_at_the_start_stops_no_work(
    tmp_path: Path, catalogue: tuple[Catalogue, dict[str, Any]], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    stored, section = catalogue
    site = Site(tmp_path, catalogue=section)
    site.var.mkdir()
    site.wrapper = (*_SPACE, "sh", "-c", f"mount -t tmpfs -o {option} none '{site.var}' && exec \"$@\"", "sh")
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "scan_1.nxs")
    (beamtime / "bad.nxs").write_text("no HDF5")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: stored.pids() == [f"{ID}/scan_1"], "the scan")
        eventually(lambda: _status(daemon)["totals"]["failed"] == 1, "the failure, kept in memory")
        state = _status(daemon)
        assert state["daemon"]["running"]
        assert str(site.var / "journal.sqlite") in state["problems"][0]
        assert _in(daemon, "mount", "-o", "remount,rw,size=100m", site.var).returncode == 0
        eventually(lambda: _status(daemon)["problems"] == [], "the journal on the disk")
        assert _failed_on_disk(daemon) == [f"{ID}/bad"]
        nexus(beamtime / "scan_2.nxs")
        eventually(lambda: len(stored.pids()) == 2, "the next scan")
        assert daemon.stop() == 0


def test_one_that_fills_while_the_daemon_runs_is_used_again_when_there_is_space(
    tmp_path: Path, catalogue: tuple[Catalogue, dict[str, Any]]
) -> None:
    stored, section = catalogue
    site = Site(tmp_path, catalogue=section, retrying={"first": 3000.0, "longest": 3600.0})
    site.var.mkdir()
    mount = f"mount -t tmpfs -o size=2m none '{site.var}' && exec \"$@\""
    site.wrapper = (*_SPACE, "sh", "-c", mount, "sh")
    beamtime = beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _status(daemon)["beamtimes"], "the beamtime")
        assert _in(daemon, "sh", "-c", f"cat /dev/zero > '{site.var}/filler'").returncode != 0
        (beamtime / "bad.nxs").write_text("no HDF5")
        for number in range(30):
            nexus(beamtime / f"scan_{number}.nxs")
        eventually(lambda: len(stored.pids()) == 30, "all scans")
        eventually(lambda: _status(daemon)["problems"], "the problem")
        assert _status(daemon)["totals"]["failed"] == 1
        assert _in(daemon, "rm", site.var / "filler").returncode == 0
        eventually(lambda: _status(daemon)["problems"] == [], "the end of the problem")
        assert _failed_on_disk(daemon) == [f"{ID}/bad"]
        assert daemon.stop() == 0


@pytest.mark.parametrize("option", ["size=16k", "ro"], ids=["full", "read-only"])
def test_the_check_of_the_configuration_finds_it(tmp_path: Path, option: str) -> None:
    site = Site(tmp_path)
    site.var.mkdir()
    assert site.run("config", "check").returncode == 0
    assert list(site.var.iterdir()) == []
    mount = f"mount -t tmpfs -o {option} none '{site.var}' && exec \"$@\""
    command = [*_SPACE, "sh", "-c", mount, "sh", PROGRAM, "config", "check", "-c", str(site.config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert f"wrong: var_dir {site.var}" in ended.stderr
    assert "all well" not in ended.stdout


def test_the_embedded_catalogue_cannot_work_there_and_the_daemon_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.var.mkdir()
    mount = f"mount -t tmpfs -o ro none '{site.var}' && exec \"$@\""
    command = [*_SPACE, "sh", "-c", mount, "sh", PROGRAM, "run", str(beamtime_directory(tmp_path / "bt")), "-c"]
    ended = subprocess.run([*command, str(site.config)], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "embedded catalogue" in ended.stderr
    assert str(site.var) in ended.stderr


@pytest.mark.parametrize("option", ["size=16k", "ro"], ids=["full", "read-only"])
def test_an_embedded_catalogue_on_another_disk_works_on(
    tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (other := tmp_path / "other").mkdir()
    files = {"database": str(other / "catalogue.sqlite"), "accounts": str(other / "accounts.json")}
    site = Site(tmp_path, embedded=files)
    site.var.mkdir()
    fill = f"cat /dev/zero 2>/dev/null > '{site.var}/filler'" if option != "ro" else "true"
    site.wrapper = (
        *_SPACE, "sh", "-c", f"mount -t tmpfs -o {option} none '{site.var}' && {{ {fill}; exec \"$@\"; }}", "sh"
    )  # fmt: skip
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "scan_1.nxs")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _status(daemon)["totals"]["done"] == 1, "the scan")
        assert str(site.var) in _status(daemon)["problems"][0]
        assert daemon.stop() == 0


def test_the_embedded_catalogue_waits_for_room_on_a_full_disk(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.var.mkdir()
    mount = f"mount -t tmpfs -o size=20m none '{site.var}' && exec \"$@\""
    site.wrapper = (*_SPACE, "sh", "-c", mount, "sh")
    beamtime = beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime) as daemon:
        nexus(beamtime / "scan_0.nxs")
        eventually(lambda: _status(daemon)["totals"]["done"] == 1, "the first scan")
        assert _in(daemon, "sh", "-c", f"cat /dev/zero > '{site.var}/filler'").returncode != 0
        for number in range(1, 60):  # More than what there is room for in the files that are there.
            nexus(beamtime / f"scan_{number}.nxs", title="long" * 2000)
        said = "GET /api/v3/health: the database cannot be used"
        eventually(lambda: site.log.read_text().count(said) > 10, "the catalogue says that it has no room")
        totals = _status(daemon)["totals"]
        assert totals["failed"] == 0
        assert totals["waiting"] > 0
        outage = _status(daemon)["beamtimes"][0]["outage"]
        assert outage["full"], outage
        said = _in(daemon, PROGRAM, "status", "-c", site.config).stdout
        assert f"for the catalogue since {outage['since']}, which is full or read-only: " in said
        assert _in(daemon, "rm", site.var / "filler").returncode == 0
        eventually(lambda: _status(daemon)["totals"]["done"] == 60, "all scans, now that there is room")
        assert daemon.stop() == 0
        assert f"failed {ID}" not in site.log.read_text()


@pytest.mark.parametrize("option", ["full", "ro"])
def test_a_pause_lasts_over_a_restart_and_everybody_says_what_is_wrong(
    tmp_path: Path, catalogue: tuple[Catalogue, dict[str, Any]], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    stored, section = catalogue
    site = Site(tmp_path, catalogue=section)
    site.var.mkdir()
    mount = f"mount -t tmpfs -o size=4m none '{site.var}' && exec \"$@\""
    site.wrapper = (*_SPACE, "sh", "-c", mount, "sh")
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "scan_1.nxs")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _status(daemon)["totals"]["done"] == 1, "the scan")
        assert _in(daemon, PROGRAM, "config", "check", "-c", site.config).returncode == 0
        if option == "ro":
            assert _in(daemon, "mount", "--bind", site.var, site.var).returncode == 0
            assert _in(daemon, "mount", "-o", "remount,bind,ro", site.var).returncode == 0
        else:
            assert _in(daemon, "sh", "-c", f"cat /dev/zero > '{site.var}/filler'").returncode != 0
        eventually(lambda: str(site.var) in "".join(_status(daemon)["problems"]), "status says it")
        checked = _in(daemon, PROGRAM, "config", "check", "-c", site.config)
        assert (checked.returncode, f"var_dir {site.var}" in checked.stderr + checked.stdout) == (2, True), checked
        paused = _in(daemon, PROGRAM, "pause", ID, "-c", site.config)
        assert (paused.returncode, paused.stderr) == (0, "")
        eventually(lambda: [one["paused"] for one in _status(daemon)["beamtimes"]] == [True], "it is paused")
        with Path(f"/proc/{daemon.pid}/ns/mnt").open() as kept:
            site.wrapper = ("nsenter", f"--mount=/proc/{os.getpid()}/fd/{kept.fileno()}")
            assert daemon.stop() == 0
            with site.daemon(beamtime) as again:
                nexus(beamtime / "scan_2.nxs")
                (shown,) = eventually(lambda: _status(again)["beamtimes"], "the beamtime")
                assert (shown["paused"], shown["done"]) == (True, 1)
                assert _in(again, PROGRAM, "resume", ID, "-c", site.config).stderr == ""
                eventually(lambda: len(stored.pids()) == 2, "the scan that came meanwhile")
                assert again.stop() == 0
