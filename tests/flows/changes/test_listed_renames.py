"""Listed scans that are renamed while their lines stay: a line without files never speaks for a dataset again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.flows.changes.conftest import SOON, title_of
from tests.flows.program import Catalogue, Site, eventually
from tests.makers import ID, LIST, append, nexus

PID = f"{ID}/run_1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, watching=SOON | {"without_files_after": 1.0})


def _done(site: Site, number: int) -> bool:
    totals = site.status()["totals"]
    return (totals["done"], totals["waiting"], totals["failed"]) == (number, 0, 0)


def _ingest(site: Site, directory: Path) -> str:
    """What a one-time ingest says that goes well."""
    ended: subprocess.CompletedProcess[str] = site.ingest(directory)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return " ".join(ended.stdout.split())


def _shown(catalogue: Catalogue, pid: str) -> dict[str, Any]:
    """A dataset as people see it, but for when it was changed."""
    dataset = catalogue.dataset(pid)
    return {name: value for name, value in dataset.items() if name not in ("updatedAt", "updatedBy", "history")}


@pytest.mark.parametrize("moved", [False, True], ids=["renamed", "with its directory, too"])
def test_ingest_leaves_the_dataset_of_a_renamed_scan_to_it_though_the_line_of_its_old_name_stays(
    site: Site, raw: Path, moved: bool
) -> None:
    for number in (1, 2):
        nexus(raw / f"run_{number}.nxs", title=f"scan {number}")
    append(raw / LIST, "run_1", "run_2")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _done(site, 2), "two scans")
        (raw / "run_1.nxs").rename(raw / "sample_9.nxs")
        eventually(lambda: catalogue.files(PID) == ["sample_9.nxs"], "the new name")
        folder = raw.with_name("renamed") if moved else raw
        if moved:
            raw.rename(folder)
        eventually(lambda: catalogue.dataset(PID)["sourceFolder"].endswith(f"/{folder.name}"), "the new folder")
        eventually(lambda: _done(site, 2), "all is noted")
        assert daemon.stop() == 0
    with site.catalogue() as catalogue:
        before = _shown(catalogue, PID)
    for _ in range(2):
        said = _ingest(site, raw.parent)
        assert "updated" not in said.replace("0 updated", ""), said
    with site.catalogue() as catalogue:
        assert _shown(catalogue, PID) == before
        assert (title_of(catalogue, PID), catalogue.pids()) == ("scan 1", [PID, f"{ID}/run_2"])


def test_a_scan_that_was_found_then_listed_and_renamed_gets_no_second_dataset(site: Site, raw: Path) -> None:
    nexus(raw / "run_1.nxs", title="found")
    pid = f"{ID}/raw/run_1"
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _done(site, 1), "it is found")
        append(raw / LIST, "run_1")
        eventually(lambda: "run_1 " in _ingested(raw), "it is listed")
        (raw / "run_1.nxs").rename(raw / "sample_9.nxs")
        eventually(lambda: catalogue.files(pid) == ["sample_9.nxs"], "the new name")
        renamed = raw.with_name("renamed")
        raw.rename(renamed)
        eventually(lambda: catalogue.dataset(pid)["sourceFolder"].endswith("/renamed"), "the new folder")
        eventually(lambda: _done(site, 1), "it is one scan")
        assert daemon.stop() == 0
    _ingest(site, raw.parent)
    with site.catalogue() as catalogue:
        assert catalogue.pids() == [pid]
        assert title_of(catalogue, pid) == "found"


@pytest.mark.parametrize("moved", [False, True], ids=["renamed", "with its directory, too"])
@pytest.mark.parametrize("who", ["daemon", "ingest", "again"])
def test_a_new_file_under_the_old_name_of_a_listed_scan_is_another_scan(
    site: Site, raw: Path, who: str, moved: bool
) -> None:
    nexus(raw / "run_1.nxs", title="old")
    append(raw / LIST, "run_1")
    folder = raw.with_name("renamed") if moved else raw
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _done(site, 1), "one scan")
        (raw / "run_1.nxs").rename(raw / "sample_9.nxs")
        eventually(lambda: catalogue.files(PID) == ["sample_9.nxs"], "the new name")
        if moved:
            raw.rename(folder)
        eventually(lambda: catalogue.dataset(PID)["sourceFolder"].endswith(f"/{folder.name}"), "the new folder")
        eventually(lambda: _done(site, 1), "all is noted")
        if who == "ingest":
            assert daemon.stop() == 0
        nexus(folder / "run_1.nxs", title="new")
        if who == "again":
            append(folder / LIST, "run_1:1.5")
        if who != "ingest":
            eventually(lambda: _done(site, 2) and len(catalogue.pids()) == 2, "the new scan")
            assert daemon.stop() == 0
    assert "0 failed" in _ingest(site, raw.parent)
    with site.catalogue() as catalogue:
        found = {pid: (title_of(catalogue, pid), catalogue.files(pid)) for pid in catalogue.pids()}
    assert found == {PID: ("old", ["sample_9.nxs"]), f"{PID}~2": ("new", ["run_1.nxs"])}
    assert _done(site, 2)


def test_a_listed_scan_whose_files_are_gone_or_never_came_is_left_alone_by_ingest(site: Site, raw: Path) -> None:
    file = nexus(raw / "run_1.nxs", title="archived")
    append(raw / LIST, "run_1", "never")
    with site.daemon(raw.parent) as daemon:
        eventually(lambda: _done(site, 2), "both are in the catalogue")
        assert daemon.stop() == 0
    file.unlink()
    with site.catalogue() as catalogue:
        before = {pid: _shown(catalogue, pid) for pid in catalogue.pids()}
    assert list(before) == [f"{ID}/never", PID]
    assert "0 updated" in _ingest(site, raw.parent)
    with site.catalogue() as catalogue:
        assert {pid: _shown(catalogue, pid) for pid in catalogue.pids()} == before


def _ingested(directory: Path) -> str:
    path = directory / f"scicat-ingested-datasets-{ID}.lst"
    return path.read_text() if path.exists() else ""
