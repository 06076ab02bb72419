"""Roots that are unmounted, or do not answer, under the installed daemon."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scicat_watch.processes import is_over
from tests.flows.mounts import Hanging, Tmpfs
from tests.flows.program import Catalogue, Site, eventually
from tests.makers import INGESTED, LIST, append, beamtime_directory, nexus


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Tmpfs]:
    tmpfs = Tmpfs(tmp_path / "mount")
    tmpfs.mount()
    yield tmpfs
    tmpfs.close()


def test_a_beamtime_that_is_unmounted_is_away_and_goes_on_when_it_is_back(tmpfs: Tmpfs, tmp_path: Path) -> None:
    # Full rescans are so rare that what comes after the return is found by events alone.
    site = Site(tmp_path, watching={"ingestion_delay": 0.3, "rescan_interval": 600.0})
    beamtime, copy = beamtime_directory(tmpfs.place / "bt"), tmp_path / "copy"
    nexus(beamtime / "raw" / "run_1.nxs")
    append(beamtime / "raw" / LIST, "run_1")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan that was there")
        shutil.copytree(beamtime, copy)
        tmpfs.unmount()
        (shown,) = eventually(
            lambda: [one for one in site.status()["beamtimes"] if "away since" in "".join(one["problems"])],
            "the directory is away",
        )
        assert (shown["directory"], shown["done"]) == (str(beamtime), 1)
        tmpfs.mount()  # Another file system, as when it comes back from a backup.
        shutil.copytree(copy, beamtime)
        eventually(lambda: site.status()["totals"]["problems"] == 0, "the directory is back")
        nexus(beamtime / "raw" / "run_2.nxs")
        append(beamtime / "raw" / LIST, "run_2")
        eventually(lambda: catalogue.pids() == ["11018765/run_1", "11018765/run_2"], "the next scan")
        eventually(lambda: len((beamtime / "raw" / INGESTED).read_text().splitlines()) == 2, "it is noted there")
        assert site.log.read_text().count("created 11018765/run_1") == 1
        assert "no longer watched" not in site.log.read_text()
        assert daemon.stop() == 0


def test_a_paused_beamtime_can_be_unmounted_and_goes_on_after_it(site: Site, tmpfs: Tmpfs, tmp_path: Path) -> None:
    beamtime, copy = beamtime_directory(tmpfs.place / "bt", "1"), tmp_path / "copy"
    nexus(beamtime / "raw" / "run_1.nxs")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan that was there")
        assert site.run("pause", "1").returncode == 0
        shutil.copytree(beamtime, copy)

        def unmounted() -> bool:
            return subprocess.run(["umount", tmpfs.place], capture_output=True, check=False).returncode == 0

        eventually(unmounted, "nothing keeps it busy")
        assert [(one["paused"], one["done"]) for one in site.status()["beamtimes"]] == [(True, 1)]
        tmpfs.mount()
        shutil.copytree(copy, beamtime)
        nexus(beamtime / "raw" / "run_2.nxs")
        assert site.run("resume", "1").returncode == 0
        eventually(lambda: catalogue.pids() == ["1/raw/run_1", "1/raw/run_2"], "the next scan")
        assert daemon.stop() == 0


def test_a_mount_below_a_beamtime_that_goes_away_is_shown_and_nothing_counts_as_deleted(
    tmpfs: Tmpfs, tmp_path: Path
) -> None:
    site = Site(tmp_path, retrying={"first": 3000.0, "longest": 3600.0})
    beamtime = beamtime_directory(tmp_path, "1")  # The mount point is below it.
    (tmpfs.place / "bad.nxs").write_text("no HDF5")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: site.status()["totals"]["failed"] == 1, "the scan that was there")
        tmpfs.unmount()
        named = f"{tmpfs.place}: away since"
        eventually(lambda: named in "".join(_problems(site)), "it is shown")
        assert site.status()["totals"]["failed"] == 1
        tmpfs.mount()
        nexus(tmpfs.place / "good.nxs")
        eventually(lambda: daemon.catalogue().pids() == ["1/mount/good"], "it is worked on again")
        eventually(lambda: _problems(site) == [], "and away no more")
        assert daemon.stop() == 0


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    hanging = Hanging(tmp_path)
    yield hanging
    hanging.close()


def test_what_could_not_be_noted_is_noted_when_that_is_possible_again(hanging: Hanging, tmp_path: Path) -> None:
    # Without another full rescan, or another scan.
    watching = {"ingestion_delay": 0.3, "rescan_interval": 600.0, "poll_interval": 600.0}
    site, beamtime = Site(tmp_path, watching=watching), hanging.place / "bt"
    nexus((under := beamtime_directory(hanging.under / "bt")) / "raw" / "run_1.nxs")
    append(under / "raw" / LIST, "run_1")
    with contextlib.ExitStack() as stack:
        with hanging.full(INGESTED):
            daemon = stack.enter_context(site.daemon(beamtime))
            eventually(lambda: "No space left" in "".join(_problems(site)), "there is no room")
            assert daemon.catalogue().pids() == ["11018765/run_1"]
        eventually(lambda: _problems(site) == [], "it is noted")
        assert (under / "raw" / INGESTED).read_text().startswith("run_1 ")
        assert daemon.stop() == 0


def test_a_root_that_hangs_at_the_start_is_named_and_holds_up_no_other(
    site: Site, hanging: Hanging, tmp_path: Path
) -> None:
    nexus(beamtime_directory(hanging.under / "bt", "1") / "raw" / "run_1.nxs")
    nexus(beamtime_directory(tmp_path / "good", "2") / "raw" / "run_1.nxs")
    hanging.hang()
    with site.daemon(hanging.place / "bt", tmp_path / "good") as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["2/raw/run_1"], "the other root is watched")
        assert site.status()["daemon"]["running"]
        named = f"{hanging.place}/bt: its file system has not answered since"
        eventually(lambda: named in "".join(_problems(site)), "it is named in status")
        assert named in site.log.read_text()
        hanging.answer()
        eventually(lambda: catalogue.pids() == ["1/raw/run_1", "2/raw/run_1"], "the work goes on by itself")
        eventually(lambda: _problems(site) == [], "the problem is over")
        assert daemon.stop() == 0


def test_a_paused_beamtime_whose_root_hangs_at_the_start_stays_known_and_paused(
    site: Site, hanging: Hanging, tmp_path: Path
) -> None:
    under, good = beamtime_directory(hanging.under / "bt", "1"), beamtime_directory(tmp_path / "good", "3")
    nexus(under / "raw" / "run_1.nxs")
    root = hanging.place / "bt"

    def shown() -> tuple[int, bool, bool]:
        """Of the beamtime that does not answer: how many are done, whether that may be old, whether it is paused."""
        (one,) = eventually(lambda: [one for one in site.status()["beamtimes"] if one["problems"]], "it is named")
        assert (one["id"], one["directory"]) == ("1", str(root))
        return one["done"], one["stale"], one["paused"]

    with site.daemon(root, good) as daemon:
        eventually(lambda: site.status()["totals"]["done"] == 1, "the scan")
        assert site.run("pause", "1").returncode == 0
        eventually(lambda: [one["paused"] for one in site.status()["beamtimes"]] == [False, True], "the pause")
        hanging.hang()
        daemon.kill()
    with site.daemon(root, good) as daemon:
        assert shown() == (1, True, True)
        said = site.run("status").stdout
        assert ("\npaused  " in said, "1 done, 0 waiting, 0 skipped, as of" in said) == (True, True), said
        mistaken = site.run("resume", "2")
        assert (mistaken.returncode, "did you mean" in mistaken.stderr) == (2, False)
        assert site.run("resume", "1").stdout == f"resumed beamtime 1 in {root}\n"
        eventually(lambda: shown() == (1, True, False), "it is resumed")
        assert site.run("pause", root).stdout == f"paused beamtime 1 in {root}\n"
        eventually(lambda: shown() == (1, True, True), "it is paused by its directory")
        named = site.log.read_text().count(f"ERROR   {root}: its file system has not answered since")
        hanging.answer()
        nexus(under / "raw" / "run_2.nxs")
        eventually(lambda: _problems(site) == [], "it answers")
        eventually(lambda: [one["paused"] for one in site.status()["beamtimes"]] == [False, True], "it is paused still")
        assert site.run("resume", root).stdout == f"resumed beamtime 1 in {root}\n"
        eventually(lambda: site.status()["totals"]["done"] == 2, "what came meanwhile")
        assert site.log.read_text().count(f"ERROR   {root}: its file system has not answered since") == named > 0
        assert daemon.stop() == 0


def test_a_root_that_hangs_while_it_is_watched_holds_up_neither_others_nor_the_end(
    site: Site, hanging: Hanging, tmp_path: Path
) -> None:
    beamtime, good = beamtime_directory(hanging.under / "bt", "1"), beamtime_directory(tmp_path / "good", "2")
    nexus(beamtime / "raw" / "run_1.nxs")
    with site.daemon(good, hanging.place / "bt") as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/raw/run_1"], "both roots are watched")
        eventually(lambda: site.status()["totals"]["done"] == 1, "it is noted")
        hanging.hang()
        nexus(beamtime / "raw" / "run_2.nxs")
        eventually(lambda: _problems(site), "it is named")
        (shown,) = [one for one in site.status()["beamtimes"] if one["problems"]]
        assert (shown["id"], shown["done"], shown["stale"]) == ("1", 1, True)  # Otherwise as it was.
        assert f"1 done, 0 waiting, 0 skipped, as of {shown['counted']}" in site.run("status").stdout
        nexus(good / "raw" / "run_1.nxs")
        eventually(lambda: catalogue.pids() == ["1/raw/run_1", "2/raw/run_1"], "the other root goes on")
        assert daemon.stop() == 0  # Although a thread of it is still in the kernel.
        hanging.answer()
        with site.daemon(good, hanging.place / "bt") as again:
            every = ["1/raw/run_1", "1/raw/run_2", "2/raw/run_1"]
            eventually(lambda: again.catalogue().pids() == every, "what was left is done at the next start")
            assert again.stop() == 0
    assert site.log.read_text().count("created 1/raw/run_1") == 1


def test_a_daemon_that_is_killed_while_a_root_hangs_leaves_everything_else_to_the_next(
    site: Site, hanging: Hanging, tmp_path: Path
) -> None:
    beamtime, good = beamtime_directory(hanging.under / "bt", "1"), beamtime_directory(tmp_path / "good", "2")
    nexus(beamtime / "raw" / "run_1.nxs")
    nexus(good / "raw" / "run_1.nxs")
    with site.daemon(good, hanging.place / "bt") as killed:
        catalogue = killed.catalogue()
        eventually(lambda: catalogue.pids() == ["1/raw/run_1", "2/raw/run_1"], "both roots are watched")
        eventually(lambda: site.status()["totals"]["done"] == 2, "that is noted")
        hanging.hang()
        eventually(lambda: _problems(site), "a thread stands in the kernel")
        (stored,) = [one for one in psutil.Process(killed.pid).children() if "catalogue" in one.cmdline()]
        killed.kill()
        eventually(lambda: is_over(stored.pid), "its catalogue process ended")
        assert psutil.pid_exists(killed.pid), "it is not gone, and keeps what it had open"
        command = site.run("rescan", timeout=60)
        assert (command.returncode, "no daemon runs" in command.stderr) == (1, True), command.stderr
    with site.daemon(good, hanging.place / "bt") as again:
        catalogue = again.catalogue()
        nexus(good / "raw" / "run_2.nxs")
        eventually(lambda: "2/raw/run_2" in catalogue.pids(), "the root that answers is worked on")
        assert [one["elsewhere"] for one in site.status()["beamtimes"] if one["id"] == "2"] == [[]]
        eventually(lambda: _problems(site), "it is named")
        (shown,) = [one for one in site.status()["beamtimes"] if one["problems"]]
        assert (shown["id"], shown["done"], shown["stale"]) == ("1", 1, True)  # As the daemon before reported it.
        assert site.run("rescan", good).returncode == 0
        hanging.answer()
        nexus(beamtime / "raw" / "run_2.nxs")
        every = ["1/raw/run_1", "1/raw/run_2", "2/raw/run_1", "2/raw/run_2"]
        eventually(lambda: catalogue.pids() == every, "and the other one when it answers")
        eventually(lambda: not psutil.pid_exists(killed.pid) or is_over(killed.pid), "what was left is gone")
        assert again.stop() == 0


def test_the_daemon_ends_although_a_root_hangs_that_was_mounted_after_its_start(
    site: Site, hanging: Hanging, tmp_path: Path
) -> None:
    nexus(beamtime_directory(hanging.under / "bt", "1") / "raw" / "run_1.nxs")
    good = beamtime_directory(tmp_path / "good", "2")
    site.change(beamtimes={"directories": [str(good)]})
    with site.daemon() as daemon:
        catalogue = daemon.catalogue()
        site.change(beamtimes={"directories": [str(good), str(hanging.place / "bt")]})
        assert site.run("reload").returncode == 0
        eventually(lambda: catalogue.pids() == ["1/raw/run_1"], "the new root is watched")
        hanging.hang()
        eventually(lambda: _problems(site), "a thread stands in the kernel")
        assert daemon.stop() == 0


def test_a_file_system_that_numbers_its_files_anew_has_nothing_read_again(hanging: Hanging, tmp_path: Path) -> None:
    site = Site(tmp_path, watching={"ingestion_delay": 0.3, "rescan_interval": 1.0, "poll_interval": 1.0})
    raw = beamtime_directory(hanging.under / "bt", "1") / "raw"
    for number in range(1, 6):
        nexus(raw / f"run_{number}.nxs")
    append(raw / "listed" / "scicat-datasets-1.lst", "run_6")
    nexus(raw / "listed" / "run_6.nxs")
    with site.daemon(hanging.place / "bt") as daemon:
        eventually(lambda: site.status()["totals"]["done"] == 6, "all six")
        assert daemon.stop() == 0
    hanging.close()
    hanging.mount(1_000_000)
    before = site.log.read_text()
    with site.daemon(hanging.place / "bt") as daemon:
        catalogue = daemon.catalogue()
        for points in (5000, 9000):  # Noticed by comparing only: when it was twice, all others were compared.
            file = nexus(raw / "listed/run_6.nxs", points=points)
            size = file.stat().st_size
            eventually(functools.partial(_has_size, catalogue, "1/run_6", size), "the turn has come to it")
        assert daemon.stop() == 0
    said = site.log.read_text()[len(before) :]
    assert set(re.findall(r"(?:created|updated|unchanged) (1/[\w/]+)", said)) == {"1/run_6"}


def _has_size(catalogue: Catalogue, pid: str, size: int) -> bool:
    return [file["size"] for block in catalogue.blocks(pid) for file in block["dataFileList"]] == [size]


def _problems(site: Site) -> list[str]:
    return [problem for one in site.status()["beamtimes"] for problem in one["problems"]]
