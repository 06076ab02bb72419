"""The embedded catalogue's file is removed, also in use: who looks at the log or at `status` learns what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.flows.program import PROGRAM, Daemon, Site, eventually
from tests.makers import INGESTED, beamtime_directory, nexus

PIDS = [f"11018765/raw/run_{number}" for number in (1, 2, 3)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    """Two scans."""
    directory = beamtime_directory(tmp_path / "bt")
    for number in (1, 2):
        nexus(directory / "raw" / f"run_{number}.nxs")
    return directory


def _done(beamtime: Path, count: int) -> bool:
    file = beamtime / INGESTED
    return file.exists() and len(file.read_text().splitlines()) == count


def _remove(site: Site) -> None:
    for file in site.var.glob("catalogue.sqlite*"):
        file.unlink()


def _problems(site: Site) -> list[str]:
    found: list[str] = site.status()["problems"]
    return found


def _process(daemon: Daemon) -> psutil.Process:
    """The catalogue process of a daemon."""
    children = psutil.Process(daemon.pid).children()
    return next(child for child in children if "catalogue" in child.cmdline())


def _said(site: Site, *words: str) -> list[str]:
    return [line for line in site.log.read_text().splitlines() if any(word in line for word in words)]


def test_a_file_that_is_removed_in_use_is_missed_before_the_next_scan_and_said_once(
    site: Site, tmp_path: Path, beamtime: Path
) -> None:
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _done(beamtime, 2), "two scans")
        assert site.var.stat().st_mode & 0o077 == 0
        assert _problems(site) == []
        _remove(site)
        (missing,) = eventually(lambda: _problems(site), "status knows")
        assert "2 datasets were published to it before: stop the daemon and restore its backup" in missing
        eventually(lambda: _said(site, "is new, but 2 datasets were published"), "the new one says what it lacks")
        for number in range(3, 13):
            nexus(beamtime / "raw" / f"run_{number}.nxs")
        eventually(lambda: _done(beamtime, 12), "the scans that come meanwhile")
        (lost,) = _problems(site)
        assert "is new, but 2 datasets were published" in lost
        assert "1 problem" in site.run("status").stdout
        assert len(_said(site, " CRITICAL ", " ERROR ")) == 2, site.log.read_text()
        assert len(_said(site, "was removed while in use")) == 1
        assert daemon.stop() == 0
    (lost,) = _problems(site)
    assert "is new" in lost, "it is known without a daemon"
    assert site.ingest(beamtime).returncode == 0
    assert _problems(site) == []
    with site.catalogue() as catalogue:
        assert catalogue.count() == 12


def test_a_file_that_is_missing_at_the_start_is_made_but_not_quietly_until_its_backup_is_back(
    site: Site, tmp_path: Path, beamtime: Path
) -> None:
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _done(beamtime, 2), "two scans")
        assert daemon.stop() == 0
    backup = tmp_path / "backup.sqlite"
    shutil.copy(site.var / "catalogue.sqlite", backup)
    _remove(site)
    (missing,) = _problems(site)
    assert "is not there, but 2 datasets were published" in missing
    with site.daemon(beamtime) as daemon:
        nexus(beamtime / "raw" / "run_3.nxs")
        eventually(lambda: daemon.catalogue().pids() == PIDS[2:], "the third scan in the new file")
        assert _said(site, "is new, but 2 datasets were published")
        assert "is new" in _problems(site)[0]
        assert daemon.stop() == 0
    _remove(site)
    shutil.copy(backup, site.var / "catalogue.sqlite")
    assert _problems(site) == []
    assert site.ingest(beamtime).returncode == 0
    with site.catalogue() as catalogue:
        assert catalogue.pids() == PIDS


def test_what_people_remove_from_a_catalogue_is_not_lost_and_another_catalogue_misses_nothing(
    site: Site, tmp_path: Path, beamtime: Path
) -> None:
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _done(beamtime, 2), "two scans")
        assert daemon.stop() == 0
    other = tmp_path / "other.sqlite"
    command = [PROGRAM, "catalogue", "-c", str(site.config), "--port", "0", "--database", str(other)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "catalogue at" in process.stdout.readline()
        process.terminate()
        assert "published" not in process.communicate(timeout=60)[1]
    assert _problems(site) == []


def test_a_catalogue_process_that_was_killed_is_nobody_s_setting(site: Site, beamtime: Path) -> None:
    site.change(watching={"ingestion_delay": 0.1})
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _done(beamtime, 2), "two scans")
        first = _process(daemon)
        # Its port stays closed until there is another one: a scan that comes now meets nobody.
        with daemon.paused():
            os.kill(first.pid, signal.SIGKILL)
            nexus(beamtime / "raw" / "run_3.nxs")
        eventually(lambda: _done(beamtime, 3), "the third scan")
        assert _problems(site) == []
        assert _said(site, "the embedded catalogue has ended (status -9)")
        assert not _said(site, "catalogue.url")
