"""One data file, one dataset: by whichever way it is named, and only once it is complete."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from tests import makers
from tests.flows.program import Site, eventually

INGESTED = "scicat-ingested-datasets-one.lst"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory without a beamtime file, with two scans of which a list names one."""
    made = tmp_path / "one"
    for name in ("listed", "found"):
        makers.nexus(made / "raw" / f"{name}.nxs")
    makers.append(made / "raw" / "scicat-datasets-one.lst", "listed")
    return made


def _counts(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def _lists(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*ingested*.lst"))


def test_without_a_beamtime_file_all_ways_of_naming_a_file_name_one_dataset(site: Site, directory: Path) -> None:
    raw = directory / "raw"
    assert _counts(site.ingest(directory)) == "2 created, 0 updated, 0 unchanged, 0 failed"
    lists = _lists(directory)
    ways = {raw / "listed.nxs": 1, raw / "found.nxs": 1, raw: 2, raw / "scicat-datasets-one.lst": 1}
    for way, number in ways.items():
        assert _counts(site.ingest(way)) == f"0 created, 0 updated, {number} unchanged, 0 failed", way
        assert _lists(directory) == lists
    for name in ("listed", "found"):
        shown = json.loads(site.run("preview", raw / f"{name}.nxs", "--json").stdout)
        assert (shown["pid"], shown["dataset"]["pid"]) == (f"one/{name}", f"one/{name}")
    with site.daemon(directory) as daemon:
        makers.nexus(raw / "later.nxs")
        pids = ["one/found", "one/later", "one/listed"]
        eventually(lambda: daemon.catalogue().pids() == pids, "the scan that came later")
        assert daemon.stop() == 0
    assert _lists(directory) == lists == [f"raw/{INGESTED}"]


def test_without_lists_the_first_ingestion_names_the_files_for_all_later_ones(site: Site, tmp_path: Path) -> None:
    file = makers.nexus(tmp_path / "one/raw/x.nxs")
    assert _counts(site.ingest(tmp_path / "one")).startswith("1 created")
    for way in (file, file.parent, tmp_path / "one/raw/../raw"):
        assert _counts(site.ingest(way)) == "0 created, 0 updated, 1 unchanged, 0 failed"
    assert _lists(tmp_path / "one") == [INGESTED]
    with site.catalogue() as catalogue:
        assert catalogue.pids() == ["one/raw/x"]


def test_two_files_of_one_directory_are_both_ingested(site: Site, tmp_path: Path) -> None:
    files = [makers.nexus(tmp_path / "one" / f"{name}.nxs") for name in "AB"]
    ended = site.ingest(*files)
    assert _counts(ended) == "2 created, 0 updated, 0 unchanged, 0 failed"
    assert "another scicat-watch" not in ended.stderr + ended.stdout
    with site.catalogue() as catalogue:
        assert catalogue.pids() == ["one/A", "one/B"]


@pytest.mark.parametrize("extension", ["cxi", "nx5"])
def test_a_file_that_its_writer_holds_open_is_not_ingested_until_it_is_closed(
    site: Site, tmp_path: Path, extension: str
) -> None:
    directory = makers.beamtime_directory(tmp_path / "bt")
    program = (
        "import sys, h5py\n"
        "with h5py.File(sys.argv[1], 'w', libver='latest') as file:\n"
        "    entry = file.create_group('entry'); entry.attrs['NX_class'] = 'NXentry'\n"
        "    file.flush(); print('open', flush=True); sys.stdin.readline()\n"
        "    entry['title'] = 'complete'\n"
    )
    file = directory / "raw" / f"scan_1.{extension}"
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer,
        site.daemon(directory) as daemon,
    ):
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == "open\n"

        def held() -> bool:
            waiting = [one["reason"] for shown in site.status()["beamtimes"] for one in shown["waiting_scans"]]
            return waiting == [f"{file.name} is marked as being written"]

        eventually(held, "the file waits for its writer")
        time.sleep(1.0)  # Longer than the ingestion delay.
        assert daemon.catalogue().pids() == []
        writer.stdin.write("\n")
        writer.stdin.flush()
        eventually(lambda: daemon.catalogue().pids(), "the file that was closed")
        dataset = daemon.catalogue().dataset(f"{makers.ID}/raw/scan_1")
        assert dataset["scientificMetadata"]["title"]["value"] == "complete"


def test_a_file_of_hdf5_1_6_is_ingested_and_not_called_left_open(site: Site, tmp_path: Path) -> None:
    directory = makers.beamtime_directory(tmp_path / "bt")
    file = directory / "raw/scan_1.nxs"
    with h5py.File(file, "w", libver=("earliest", "v108")) as nexus:
        nexus.create_group("entry").attrs["NX_class"] = "NXentry"
        nexus["entry/title"] = "from the archive"
    with file.open("r+b") as bytes_of:
        assert bytes_of.read(9)[8] == 0  # Superblock of version 0: its flags are the bytes 20 to 23.
        bytes_of.seek(20)
        bytes_of.write(struct.pack("<I", 3))
    assert _counts(site.ingest(file)) == "1 created, 0 updated, 0 unchanged, 0 failed"
    with site.catalogue() as catalogue:
        dataset = catalogue.dataset(f"{makers.ID}/raw/scan_1")
    assert dataset["scientificMetadata"]["title"]["value"] == "from the archive"
    assert "open" not in str(dataset.get("comment", "")) + str(dataset.get("description", ""))
