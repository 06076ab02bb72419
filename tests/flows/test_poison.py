"""Files that hang or crash the processes that read them cost their own scans, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil
import pytest

from tests.flows.program import Catalogue, Daemon, Site, eventually
from tests.makers import ID, LIST, append, beamtime_directory, nexus
from tests.recorded import POISON

GOOD = "22222222"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return beamtime_directory(tmp_path / "bad")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return beamtime_directory(tmp_path / "good", GOOD)


def poison(kind: str, file: Path) -> Path:
    """A file that hangs or crashes its reader, as it comes by a rename."""
    arriving = file.with_name(f".{file.name}.part")
    shutil.copyfile(POISON / f"{kind}.nxs", arriving)
    return arriving.rename(file)


def of(catalogue: Catalogue, beamtime: str) -> int:
    return sum(pid.startswith(f"{beamtime}/") for pid in catalogue.pids())


def test_ten_files_that_hang_delay_no_scan_of_another_beamtime(tmp_path: Path, bad: Path, good: Path) -> None:
    # One bad file after the other would keep both readers for ten minutes.
    site = Site(tmp_path, reading={"first_time_limit": 120.0, "time_limit": 120.0, "thumbnails": False})
    for number in range(10):
        poison("hangs", bad / "raw" / f"scan_{number}.nxs")
    append(bad / "raw" / LIST, *(f"scan_{number}" for number in range(10)))
    with site.daemon(bad, good) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _busy(daemon), "a reader hangs")
        for number in range(20):
            nexus(good / "raw" / f"scan_{number}.nxs")
        eventually(lambda: of(catalogue, GOOD) == 20, "all scans of the other beamtime", 100)
        assert of(catalogue, ID) == 0
        assert daemon.stop() == 0


def test_a_file_that_crashes_its_reader_is_quarantined_until_it_is_replaced(tmp_path: Path, bad: Path) -> None:
    site = Site(tmp_path, retrying={"first": 0.2, "longest": 0.5, "quarantine_after": 3})
    poison("crashes", bad / "raw" / "scan_1.nxs")
    nexus(bad / "raw" / "scan_2.nxs")
    append(bad / "raw" / LIST, "scan_1", "scan_2")
    with site.daemon(bad) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [f"{ID}/scan_2"], "the scan after it")
        (shown,) = eventually(lambda: site.status()["quarantined"], "the quarantine")
        assert (shown["pid"], shown["tries"], shown["next_try"]) == (f"{ID}/scan_1", 3, None)
        assert "ended by SIG" in shown["reason"]
        assert site.status()["totals"]["quarantined"] == 1
        assert "until the file changes" in site.run("status").stdout
        assert daemon.stop() == 0
    with site.daemon(bad) as daemon:  # It is remembered, and noticed without an event of its closing.
        catalogue = daemon.catalogue()
        assert [one["pid"] for one in site.status()["quarantined"]] == [f"{ID}/scan_1"]
        os.replace(nexus(tmp_path / "whole.nxs"), bad / "raw" / "scan_1.nxs")  # noqa: PTH105
        eventually(lambda: catalogue.pids() == [f"{ID}/scan_1", f"{ID}/scan_2"], "the file that took its place")
        eventually(lambda: site.status()["quarantined"] == [], "and no quarantine any more")


def test_a_quarantined_scan_is_tried_again_by_hand(tmp_path: Path, bad: Path) -> None:
    site = Site(tmp_path, retrying={"quarantine_after": 1})
    file = poison("crashes", bad / "raw" / "scan_1.nxs")
    nexus(bad / "raw" / "scan_2.nxs")
    ended = site.ingest(bad)
    assert (ended.returncode, "1 created" in ended.stdout, "1 failed" in ended.stdout) == (1, True, True)
    ended = site.run("ingest", "--retry", bad)
    assert (ended.returncode, "0 unchanged, 1 failed" in ended.stdout) == (1, True)  # Only the one that failed.
    assert site.status()["quarantined"][0]["tries"] == 2
    shutil.copyfile(nexus(tmp_path / "whole.nxs"), file)
    ended = site.run("ingest", "--retry")
    assert ended.returncode == 2  # Nothing is configured, and no path is named.
    ended = site.run("ingest", "--retry", bad)
    assert (ended.returncode, "1 created" in ended.stdout) == (0, True)
    assert site.status()["totals"]["quarantined"] == 0


def _busy(daemon: Daemon) -> bool:
    """Whether a process of the daemon has used three seconds of a core, as none does that reads a good file."""
    try:
        below = psutil.Process(daemon.pid).children(recursive=True)
        return any(one.cpu_times().user > 3.0 for one in below)
    except psutil.Error:
        return False
