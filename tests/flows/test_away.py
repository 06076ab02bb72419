"""A daemon that is started while a beamtime is not mounted: nothing is taken for it, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.mounts import Tmpfs
from tests.flows.program import Site, eventually
from tests.makers import ID, INGESTED, LIST, append, beamtime_directory, nexus

PIDS = [f"{ID}/run_1", f"{ID}/run_2"]


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Tmpfs]:
    tmpfs = Tmpfs(tmp_path / "mount")
    tmpfs.mount()
    yield tmpfs
    tmpfs.close()


def _problems(site: Site) -> list[str]:
    return [problem for one in site.status()["beamtimes"] for problem in one["problems"]]


def _away(site: Site) -> list[str]:
    return [problem for problem in _problems(site) if "away since" in problem]


@pytest.mark.parametrize("configured", ["beamtime", "base"])
@pytest.mark.parametrize("left", ["nothing", "a stray file"])
def test_a_beamtime_that_is_not_mounted_at_the_start_is_away_and_goes_on_when_it_is(
    tmpfs: Tmpfs, tmp_path: Path, configured: str, left: str
) -> None:
    place = tmpfs.place / "bt" if configured == "base" else tmpfs.place
    base = {"beamtimes": {"base_directories": [str(tmpfs.place)]}} if configured == "base" else {}
    directories = () if configured == "base" else (tmpfs.place,)
    site = Site(tmp_path, **base)
    _start_over(tmpfs, beamtime_directory(place), left, site, directories)


def test_so_is_one_without_a_metadata_file(tmpfs: Tmpfs, tmp_path: Path) -> None:
    site, copy = Site(tmp_path), tmp_path / "copy"
    nexus(tmpfs.place / "raw/run_1.nxs")
    with site.daemon(tmpfs.place) as daemon:
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan that was there")
        assert daemon.catalogue().pids() == ["mount/raw/run_1"]
        assert daemon.stop() == 0
    shutil.copytree(tmpfs.place, copy)
    tmpfs.unmount()
    nexus(tmpfs.place / "raw/stray.nxs")
    with site.daemon(tmpfs.place) as daemon:
        eventually(lambda: _away(site), "it is away")
        tmpfs.mount()
        shutil.copytree(copy, tmpfs.place, dirs_exist_ok=True)
        nexus(tmpfs.place / "raw/run_2.nxs")
        eventually(lambda: daemon.catalogue().pids() == ["mount/raw/run_1", "mount/raw/run_2"], "it goes on")
        eventually(lambda: _problems(site) == [], "nothing is wrong")
        assert daemon.stop() == 0
    assert site.log.read_text().count("created mount/raw/run_1") == 1


def test_a_one_time_ingest_says_that_a_beamtime_is_away(tmpfs: Tmpfs, tmp_path: Path) -> None:
    site = Site(tmp_path)
    beamtime = beamtime_directory(tmpfs.place)
    nexus(beamtime / "raw/run_1.nxs")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan that was there")
        assert daemon.stop() == 0
    tmpfs.unmount()
    nexus(beamtime / "raw/stray.nxs")
    ended = site.ingest(beamtime)
    assert ended.returncode == 1
    assert "its file system is not mounted" in ended.stdout + ended.stderr
    with site.catalogue() as catalogue:
        assert catalogue.pids() == [f"{ID}/raw/run_1"]


def _start_over(tmpfs: Tmpfs, beamtime: Path, left: str, site: Site, directories: tuple[Path, ...]) -> None:
    raw, copy = beamtime / "raw", site.place / "copy"
    nexus(raw / "run_1.nxs")
    append(raw / LIST, "run_1")
    with site.daemon(*directories) as daemon:
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan that was there")
        assert daemon.stop() == 0
    shutil.copytree(beamtime, copy)
    tmpfs.unmount()
    if left == "a stray file":
        nexus(beamtime / "raw/stray.nxs")
    with site.daemon(*directories) as daemon:
        catalogue = daemon.catalogue()
        (problem,) = eventually(lambda: _away(site), "it is away")
        (shown,) = site.status()["beamtimes"]
        assert (shown["directory"], shown["id"], shown["done"]) == (str(beamtime), ID, 1)
        assert str(beamtime) in problem
        eventually(lambda: "away since" in site.log.read_text(), "the log says so")
        assert catalogue.pids() == PIDS[:1]
        tmpfs.mount()  # Another file system, as when it comes back from a backup.
        shutil.copytree(copy, beamtime, dirs_exist_ok=True)
        eventually(lambda: _problems(site) == [], "it is back")
        nexus(raw / "run_2.nxs")
        append(raw / LIST, "run_2")
        eventually(lambda: catalogue.pids() == PIDS, "the next scan")
        eventually(lambda: len((raw / INGESTED).read_text().splitlines()) == 2, "it is noted there")
        assert daemon.stop() == 0
    assert site.log.read_text().count(f"created {ID}/run_1") == 1
    assert "no longer watched" not in site.log.read_text()
