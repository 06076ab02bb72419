"""Scans that are renamed keep their datasets: also when they change as well, have no master file, or are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.flows.program import Catalogue, Site, eventually
from tests.makers import ID, LIST, append, beamtime_directory, nexus

SOON = {"ingestion_delay": 0.3, "rescan_interval": 1.0, "recheck_after": [1.0, 2.0, 4.0]}
PID = f"{ID}/run_1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, watching=SOON)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return beamtime_directory(tmp_path / "bt") / "raw"


def _title(catalogue: Catalogue, pid: str) -> Any:
    return catalogue.dataset(pid)["scientificMetadata"]["title"]["value"]


def _changed(site: Site) -> list[str]:
    return [one["reason"] for beamtime in site.status()["beamtimes"] for one in beamtime["changed_scans"]]


def _rename(directory: Path, old: str, new: str) -> None:
    """Rename a scan together with its line in the list."""
    for path in directory.glob(f"{old}*"):
        path.rename(directory / path.name.replace(old, new, 1))
    text = (directory / LIST).read_text().replace(old, new)
    (directory / f".{LIST}.new").write_text(text)
    (directory / f".{LIST}.new").rename(directory / LIST)


@pytest.mark.parametrize("policy", ["files", "report"])
def test_a_listed_scan_that_was_edited_keeps_its_dataset_when_it_is_renamed_with_its_line(
    tmp_path: Path, raw: Path, policy: str
) -> None:
    site = Site(tmp_path, watching=SOON | {"changed_after": policy})
    file = nexus(raw / "run_1.nxs", title="first")
    append(raw / LIST, "run_1")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID], "the first content")
        nexus(file, title="second", points=5000)
        eventually(lambda: _changed(site) == ["run_1.nxs was written to"], "it is reported")
        _rename(raw, "run_1", "sample_7")
        eventually(lambda: catalogue.files(PID) == ["sample_7.nxs"], "the new name")
        assert catalogue.pids() == [PID]
        eventually(lambda: _changed(site) == [], "nothing of the old place is reported any more")
        eventually(lambda: site.status()["totals"]["done"] == 1, "it is one scan")


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_that_is_replaced_after_its_directory_was_renamed_keeps_its_dataset(
    site: Site, raw: Path, listed: bool
) -> None:
    for name in ("run_1", "run_2"):
        nexus(raw / f"{name}.nxs", title="first")
    append(raw / LIST, "run_1", "run_2") if listed else append(raw / LIST, "# none yet")
    pids = [PID, f"{ID}/run_2"]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == pids and site.status()["totals"]["done"] == 2, "two datasets")
        renamed = raw.with_name("renamed")
        with daemon.paused():
            raw.rename(renamed)
            nexus(renamed / ".run_1.nxs.Xa3k", title="second", points=5000).rename(renamed / "run_1.nxs")
        eventually(
            lambda: [catalogue.dataset(pid)["sourceFolder"] for pid in pids] == [f"/core/{ID}/renamed"] * 2,
            "the new folder",
        )
        if listed:
            eventually(lambda: _changed(site) == ["run_1.nxs was replaced"], "what differs is reported")
        else:
            eventually(lambda: _title(catalogue, PID) == "second", "what differs is updated")
        assert catalogue.pids() == pids
        assert daemon.stop() == 0
    ended = site.ingest(raw.parent)
    assert "0 created" in ended.stdout, ended.stdout
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_scans_are_counted_once_whatever_they_were_called(site: Site, raw: Path) -> None:
    for number in (1, 2, 3):
        nexus(raw / "first" / f"run_{number}.nxs")
    pids = [f"{ID}/raw/first/run_{number}" for number in (1, 2, 3)]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["done"] == 3, "three scans")
        (raw / "first").rename(raw / "second")
        eventually(lambda: all(catalogue.files(pid) == [f"raw/second/{pid[-5:]}.nxs"] for pid in pids), "the new paths")
        nexus(raw / "listed" / "run_4.nxs")
        append(raw / "listed" / LIST, "run_4")
        eventually(lambda: site.status()["totals"]["done"] >= 4, "a listed one")
        append(raw / "listed" / LIST, "run_4:1.5", "run_4:2.5")
        eventually(lambda: "run_4:2.5" in _ingested(raw / "listed"), "it is ingested again")
        eventually(lambda: site.status()["totals"]["waiting"] == 0, "all is noted")
        assert site.status()["totals"]["done"] == 4
        assert daemon.stop() == 0
    assert site.status()["totals"]["done"] == 4


def test_a_scan_without_a_master_file_keeps_its_dataset_when_it_is_renamed(site: Site, raw: Path) -> None:
    images = raw / "run_1" / "pilatus"
    images.mkdir(parents=True)
    for number in range(5):
        (images / f"{number:05d}.cbf").write_bytes(b"image %d" % number)
    append(raw / LIST, "run_1")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID] and len(catalogue.files(PID)) == 5, "its dataset")
        _rename(raw, "run_1", "sample_7")
        expected = [f"sample_7/pilatus/{number:05d}.cbf" for number in range(5)]
        eventually(lambda: catalogue.files(PID) == expected, "the new paths")
        raw.rename(raw.with_name("renamed"))
        eventually(lambda: catalogue.dataset(PID)["sourceFolder"] == f"/core/{ID}/renamed", "the new folder")
        assert catalogue.pids() == [PID]


def test_a_renamed_file_is_previewed_and_ingested_as_the_dataset_that_it_has(site: Site, raw: Path) -> None:
    nexus(raw / "run_1.nxs", title="first")
    pid = f"{ID}/raw/run_1"
    with site.daemon(raw.parent) as daemon:
        eventually(lambda: daemon.catalogue().pids() == [pid], "its dataset")
        eventually(lambda: site.status()["totals"]["done"] == 1, "it is noted")
        assert daemon.stop() == 0
    (raw / "run_1.nxs").rename(raw / "sample_7.nxs")
    before = _journal(site)
    shown = site.run("preview", raw / "sample_7.nxs")
    assert pid in shown.stdout, shown.stdout + shown.stderr
    assert f"{ID}/raw/sample_7" not in shown.stdout
    assert _journal(site) == before  # A preview changes nothing.
    ended = site.ingest(raw / "sample_7.nxs")
    assert f"updated {pid}" in " ".join(ended.stdout.split()), ended.stdout
    with site.catalogue() as catalogue:
        assert catalogue.pids() == [pid]
        assert catalogue.files(pid) == ["raw/sample_7.nxs"]
    assert pid in site.run("preview", raw / "sample_7.nxs").stdout


def _ingested(directory: Path) -> str:
    path = directory / f"scicat-ingested-datasets-{ID}.lst"
    return path.read_text() if path.exists() else ""


def _journal(site: Site) -> list[tuple[str, int]]:
    return sorted((path.name, os.stat(path).st_mtime_ns) for path in site.var.glob("journal.sqlite"))  # noqa: PTH116
