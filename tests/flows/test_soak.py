"""Chaos: scans come in every way while the daemon is killed and its catalogue goes away, again and again.

The short form is a part of the tests; `make soak` lets it run for hours (SCICAT_WATCH_SOAK_HOURS).
In the end every scan has one dataset with one file list that holds its files, and nothing else is there.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.program import PROGRAM, Catalogue, Site, eventually, free_port
from tests.makers import ID, LIST, append, beamtime_directory, nexus

SECONDS = 3600 * float(os.environ.get("SCICAT_WATCH_SOAK_HOURS", "0")) or 20.0


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_through_kills_and_outages_every_scan_becomes_one_dataset(tmp_path: Path) -> None:
    dice = random.Random(int(os.environ.get("SCICAT_WATCH_SOAK_SEED", "1")))
    beamtime = beamtime_directory(tmp_path / "bt")
    (beamtime / "raw" / LIST).touch()  # From the start: it decides what the scans beside it are called.
    (tmp_path / "catalogue").mkdir()
    server = _Switched(Site(tmp_path / "catalogue"))
    with server.running():
        pass
    site = Site(
        tmp_path,
        watching={"ingestion_delay": 0.3, "rescan_interval": 1.0, "trigger": "both"},
        catalogue={
            "url": f"http://127.0.0.1:{server.port}/api/v3", "credential_file": str(server.site.credentials()),
            "patience": {"first_wait": 0.1, "longest_wait": 0.5},
        },
    )  # fmt: skip
    expected: dict[str, set[str]] = {}
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with contextlib.ExitStack() as stack:
            if dice.random() < 0.8:
                stack.enter_context(server.running())
            daemon = stack.enter_context(site.daemon(beamtime))
            for _ in range(dice.randrange(1, 12)):
                _scan(beamtime, len(expected), dice, expected)
                time.sleep(dice.choice([0, 0, 0.05, 0.3]))
            time.sleep(dice.uniform(0, 2))
            if dice.random() < 0.7:
                daemon.kill()
            else:
                assert daemon.stop() == 0
    with server.running() as catalogue, site.daemon(beamtime) as daemon:
        eventually(lambda: set(catalogue.pids()) >= set(expected), "all datasets", 60 + len(expected) / 10)
        eventually(lambda: all(catalogue.blocks(pid) for pid in expected), "all file lists")
        time.sleep(2)
        assert daemon.stop() == 0
        assert catalogue.pids() == sorted(expected)
        assert {pid: set(catalogue.files(pid)) for pid in expected} == expected
        assert all(len(catalogue.blocks(pid)) == 1 for pid in expected)
    with server.running():
        ended = site.ingest(beamtime)
    assert ended.stdout.splitlines()[-1] == f"0 created, 0 updated, {len(expected)} unchanged, 0 failed", ended.stderr


def _scan(beamtime: Path, number: int, dice: random.Random, expected: dict[str, set[str]]) -> None:
    """One more scan: named by a list, or only found; with and without a folder of detector files."""
    name = f"run_{number:05d}"
    listed = dice.random() < 0.6
    folder = beamtime / ("raw" if listed else "found")
    files = {f"{name}.nxs"}
    if dice.random() < 0.4:
        (folder / name).mkdir(parents=True)
        (folder / name / "frame_0.tif").write_bytes(b"x" * dice.randrange(1, 3000))
        files.add(f"{name}/frame_0.tif")
    nexus(folder / f"{name}.nxs", title=f"scan {number}")
    if listed:
        append(folder / LIST, name)
        expected[f"{ID}/{name}"] = files
    else:
        expected[f"{ID}/found/{name}"] = {f"found/{file}" for file in files}


class _Switched:
    """A catalogue that is on for a while; always at the same address."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = free_port()

    @contextlib.contextmanager
    def running(self) -> Iterator[Catalogue]:
        command = [PROGRAM, "catalogue", "-c", str(self.site.config), "--port", str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            yield Catalogue(address, self.site.credentials())
        finally:
            process.kill()
            process.wait()
