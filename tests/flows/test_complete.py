"""Files that are not what they seem yet: a daemon waits for them, says why, and has the whole scan in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import pytest

from tests.flows.program import Site, eventually
from tests.makers import ID, LIST, append, beamtime_directory, nexus


def _shown(site: Site) -> str:
    """What `status` says of scans that are not done."""
    state = site.status()
    return f"{state['beamtimes']} {state['failed']}"


def _site(place: Path, *complete_when: str) -> Site:
    watching = {"trigger": "lists", "ingestion_delay": 3.0, "rescan_interval": 2.0}
    return Site(place, watching=watching | {"complete_when": list(complete_when)})


def test_detector_files_that_come_after_the_data_file_are_waited_for(tmp_path: Path) -> None:
    site, beamtime = _site(tmp_path, "siblings"), beamtime_directory(tmp_path / "bt")
    frames = beamtime / "raw/run_1/pilatus"
    frames.mkdir(parents=True)
    writer = """
        import itertools, pathlib, sys, time
        for number in itertools.count():
            if pathlib.Path(sys.argv[2]).exists():
                print(number)
                break
            pathlib.Path(sys.argv[1], f"frame_{number:05d}.cbf").write_text("x" * 1000)
            time.sleep(0.02)
    """
    with site.daemon(beamtime) as daemon:
        nexus(beamtime / "raw/run_1.nxs")
        command = [sys.executable, "-c", textwrap.dedent(writer), str(frames), str(tmp_path / "enough")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                append(beamtime / "raw" / LIST, "run_1")
                eventually(lambda: "none of its files has changed" in _shown(site), "is shown as waiting")
            finally:
                (tmp_path / "enough").touch()
            written = int(process.communicate()[0])
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [f"{ID}/run_1"], "ingested")
        wanted = ["run_1.nxs", *(f"run_1/pilatus/frame_{number:05d}.cbf" for number in range(written))]
        eventually(lambda: catalogue.files(f"{ID}/run_1") == sorted(wanted), "all files")


def test_a_copy_that_got_its_size_and_name_first_is_waited_for(tmp_path: Path) -> None:
    site, beamtime = _site(tmp_path, "allocated"), beamtime_directory(tmp_path / "bt")
    with h5py.File(tmp_path / "whole.nxs", "w") as file:
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        file["entry/data"] = os.urandom(1 << 20).hex()
    whole, copy = (tmp_path / "whole.nxs").read_bytes(), beamtime / "raw/run_1.nxs"
    copy.write_bytes(whole[:4096])
    os.truncate(copy, len(whole))
    if copy.stat().st_blocks * 512 > len(whole) // 2:
        pytest.skip("this file system stores what was never written")
    with site.daemon(beamtime) as daemon:
        append(beamtime / "raw" / LIST, "run_1")
        eventually(lambda: "not written yet" in _shown(site), "is shown as waiting")
        catalogue = daemon.catalogue()
        assert catalogue.pids() == []
        with copy.open("r+b") as file:
            for begin in range(0, len(whole), 1 << 17):
                file.seek(begin)
                file.write(whole[begin : begin + (1 << 17)])
                file.flush()
        eventually(lambda: catalogue.pids() == [f"{ID}/run_1"], "ingested")
        assert "incomplete" not in str(catalogue.dataset(f"{ID}/run_1"))


def test_a_file_without_an_end_time_is_waited_for(tmp_path: Path) -> None:
    site, beamtime = _site(tmp_path, "end_time"), beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime) as daemon:
        file = nexus(beamtime / "raw/run_1.nxs")
        with h5py.File(file, "a") as opened:
            (entry,) = opened
            del opened[entry]["end_time"]
        append(beamtime / "raw" / LIST, "run_1")
        eventually(lambda: "no end_time yet" in _shown(site), "is shown as failed")
        catalogue = daemon.catalogue()
        assert catalogue.pids() == []
        with h5py.File(file, "a") as opened:
            opened[f"{entry}/end_time"] = "2099-05-04T10:07:30Z"
        eventually(lambda: catalogue.pids() == [f"{ID}/run_1"], "ingested")
