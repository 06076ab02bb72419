"""File events that cannot be had, or come to nothing, under the installed daemon."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.flows.compiled import library
from tests.flows.program import Site, eventually
from tests.makers import beamtime_directory, nexus

_SPACE = ("unshare", "--user", "--map-root-user")


def _watch(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = (site.status()["beamtimes"] or [{}])[0].get("watch") or {"method": "", "reason": ""}
    return found


@pytest.mark.parametrize(
    ("limit", "few", "says"), [("watches", 4, "max_user_watches"), ("instances", 0, "max_user_instances")]
)
def test_a_limit_that_is_raised_is_used_without_a_restart(tmp_path: Path, limit: str, few: int, says: str) -> None:
    file = f"/proc/sys/user/max_inotify_{limit}"
    set_to = f'echo {few} > {file} && exec "$0" "$@"'
    try:
        tried = subprocess.run([*_SPACE, "sh", "-c", set_to, "true"], capture_output=True, check=False)
        allowed = tried.returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("no limit of inotify can be set here")
    # Full rescans are so rare, once events come, that these alone can find the last scan.
    site = Site(tmp_path, watching={"ingestion_delay": 0.3, "rescan_interval": 900.0, "poll_interval": 1.0})
    site.wrapper = (*_SPACE, "sh", "-c", set_to)
    beamtime = beamtime_directory(tmp_path / "bt", "1")
    for number in range(10):
        (beamtime / f"more_{number}").mkdir()
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _watch(site)["method"] == "polling" and says in _watch(site)["reason"], "it is polled")
        inside = ["nsenter", "--user", "--preserve-credentials", "--target", str(daemon.pid), "--"]
        subprocess.run([*inside, "sh", "-c", f"echo 1000 > {file}"], check=True)
        eventually(lambda: _watch(site)["method"] == "notifications", "events are used")
        nexus(beamtime / "more_9" / "scan.nxs")
        eventually(lambda: daemon.catalogue().pids() == ["1/more_9/scan"], "they report the scan")
        assert daemon.stop() == 0


def test_a_file_system_that_does_not_even_report_our_own_lines_is_polled(tmp_path: Path) -> None:
    site = Site(tmp_path, watching={"ingestion_delay": 0.3, "rescan_interval": 900.0, "poll_interval": 1.0})
    beamtime = beamtime_directory(tmp_path / "bt", "1")
    nexus(beamtime / "raw" / "before.nxs")
    with site.daemon(beamtime, LD_PRELOAD=str(library("deaf", tmp_path))) as daemon:
        eventually(lambda: daemon.catalogue().pids() == ["1/raw/before"], "the scan that was there")
        nexus(beamtime / "raw" / "later.nxs")
        eventually(
            lambda: daemon.catalogue().pids() == ["1/raw/before", "1/raw/later"], "the scan that nothing reports"
        )
        assert _watch(site)["method"] == "polling"
        assert "no event came" in _watch(site)["reason"]
        assert daemon.stop() == 0
