"""One scan read as a worker reads it: every part by itself, and failures that say what happened."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from scicat_watch.errors import AssemblyError, ReadingError
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.schema.model import Variable
from tests.pipeline.nexus_made import group, job, line_plot, nexus, scan, schema
from tests.recorded import DESY, ROOT


def test_a_reading_holds_all_parts_and_crosses_processes(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs", line_plot)
    variables = [Variable("title", "NXS", "string", path="/entry/title"), Variable("x", "VALUE", "string", value="x")]
    reading = read(job(scan(tmp_path, "scan_1"), schema(variables)))
    assert reading.values == {"title": FieldValue("theta scan")}
    assert reading.trees["tree"]["title"] == {"value": "theta scan", "unit": ""}
    assert [file.path for file in reading.files] == ["scan_1.nxs"]
    assert reading.thumbnail
    modified = (tmp_path / "scan_1.nxs").stat().st_mtime
    assert (reading.first_time, reading.last_time, reading.notes) == (modified, modified, ())
    assert pickle.loads(pickle.dumps(reading)) == reading


def test_the_schema_is_chosen_by_what_the_scan_is(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs", lambda entry: entry.__setitem__("definition", np.bytes_(b"NXsaxs")))
    chosen = [
        schema(selector="definition:equals:NXscan"),
        schema([Variable("a", "NXS", "string", path="/a")], selector="beamline:equals:p99"),
    ]
    reading = read(job(scan(tmp_path, "scan_1"), *chosen))
    assert reading.schema is chosen[1]
    assert "NXsaxs" in reading.passed_over["test"]
    assert read(job(scan(tmp_path, "scan_1"), schema(selector="definition:equals:NXsaxs"))).passed_over == {}
    with pytest.raises(AssemblyError, match=r"scan_1\.nxs.*no metadata schema fits"):
        read(job(scan(tmp_path, "scan_1"), chosen[0]))


@pytest.mark.parametrize(
    ("path", "argument", "fits"),
    [
        ("/entry/number", "5", True),
        ("/entry/half", "0.5", True),
        ("/entry/flag", "true", True),
        ("/entry/list", "[1, 2]", True),
        ("/entry/text", "CODA", True),
        ("/entry/text", "coda", False),
        ("/entry/gone", "", False),
        ("/entry", "", False),
    ],
)
def test_a_value_in_the_file_selects_the_schema(tmp_path: Path, path: str, argument: str, fits: bool) -> None:
    def fill(entry: h5py.Group) -> None:
        for name, value in {"number": 5, "half": 0.5, "flag": True, "list": [1, 2], "text": "CODA"}.items():
            entry[name] = value

    nexus(tmp_path / "scan_1.nxs", fill)
    wanted = schema(selector={"source": f"nxs:{path}", "operator": "equals", "operand_2": argument})
    if fits:
        assert read(job(scan(tmp_path, "scan_1"), wanted)).schema is wanted
        return
    with pytest.raises(AssemblyError, match=f"nxs:{path}"):
        read(job(scan(tmp_path, "scan_1"), wanted))


def test_what_is_missing_or_broken_in_one_part_does_not_stop_the_others(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        line_plot(entry)
        entry["number"] = 5

    path = nexus(tmp_path / "scan_1.nxs", fill)
    (tmp_path / "scan_1.png").write_bytes(b"no thumbnail")
    variables = [Variable(name, "NXS", "string", path=f"/entry/{name}") for name in ("number", "gone", "data")]
    reading = read(job(scan(tmp_path, "scan_1"), schema(variables)))
    assert reading.values["number"] == FieldValue(5)
    assert isinstance(reading.values["gone"], Unread)
    assert isinstance(reading.values["data"], Unread)
    assert reading.thumbnail
    assert "scan_1.png" in reading.notes[0]
    assert path.exists()


@pytest.mark.parametrize("name", ["scan_1.fio", None])
def test_a_scan_without_nexus_file_has_its_file_list(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "scan_1").mkdir()
    (tmp_path / "scan_1/a.tif").write_text("a")
    if name:
        (tmp_path / name).write_text("! a text file")
    reading = read(job(scan(tmp_path, "scan_1", name), schema([Variable("a", "NXS", "string", path="/a")])))
    assert (reading.values, reading.trees, reading.thumbnail) == ({}, {"tree": {}} if name else {}, None)
    assert [file.path for file in reading.files] == ([name] if name else []) + ["scan_1/a.tif"]


def test_a_master_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = nexus(tmp_path / "whole.nxs", line_plot).read_bytes()
    (tmp_path / "cut.nxs").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nxs").write_text("no HDF5")
    (tmp_path / "empty.nxs").write_bytes(b"")
    (tmp_path / "gone.nxs").write_bytes(whole)
    jobs = [job(scan(tmp_path, name)) for name in ("cut", "text", "empty", "gone")]
    (tmp_path / "gone.nxs").unlink()
    for wanted in jobs:
        with pytest.raises(ReadingError, match=str(wanted.scan.master)):
            read(wanted)


def test_thumbnails_can_be_turned_off(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs", line_plot)
    assert read(job(scan(tmp_path, "scan_1"), thumbnails=False)).thumbnail is None


def test_reading_takes_no_lock_so_that_a_writer_goes_on(tmp_path: Path) -> None:
    path = nexus(tmp_path / "scan_1.nxs", line_plot)
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # As HDF5 does in the process that writes.
        assert read(job(scan(tmp_path, "scan_1"))).thumbnail


def test_no_file_stays_open(tmp_path: Path) -> None:
    nexus(tmp_path / "frames.h5", lambda entry: entry.create_dataset("n", data=1))
    nexus(tmp_path / "scan_1.nxs", lambda entry: entry.__setitem__("n", h5py.ExternalLink("frames.h5", "/entry/n")))
    read(job(scan(tmp_path, "scan_1")))
    assert not [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]


def test_the_parts_of_an_entry_are_read_of_that_entry(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "pair.nxs", "w") as file:
        for number in (7, 8):
            group(file, f"scan_{number:05d}", "NXentry")["title"] = f"title {number}"
    variables = [Variable("title", "NXS", "string", path="/:NXentry/title")]
    made = scan(tmp_path, "pair_00008", "pair.nxs", stem="pair", entry="scan_00008")
    reading = read(job(made, schema(variables)))
    assert reading.values["title"] == FieldValue("title 8")
    assert reading.trees["tree"]["name"] == "scan_00008"
    assert [file.path for file in reading.files] == ["pair.nxs"]


def test_the_shared_scans_are_read_without_remarks() -> None:
    root = DESY / "beamtime"
    for name in ("run_00001", "run_00002", "sub/run_00005", "pic_00006"):
        reading = read(job(scan(root / "raw", name), root=root))
        posted = json.loads((DESY / f"expected/payloads/{name.replace('/', '__')}.origdatablock.json").read_text())
        sizes = {file["path"]: file["size"] for file in posted["dataFileList"]}
        assert {file.path: file.size for file in reading.files} == sizes
        assert reading.notes == ()


def test_reading_loads_no_drawing_library_before_it_draws() -> None:
    program = (
        "import sys, scicat_watch.pipeline.reading.read\nassert not {'matplotlib', 'silx', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("named", ["", "entry"])
def test_a_file_without_an_end_time_is_waited_for_where_its_writer_writes_it_last(tmp_path: Path, named: str) -> None:
    master = nexus(tmp_path / "scan_1.nxs", line_plot)
    asked = job(scan(tmp_path, "scan_1", entry=named), schema())
    ended = replace(asked, limits=replace(asked.limits, end_time_within=3600.0))
    assert read(asked).notes == ()
    with pytest.raises(ReadingError, match="no end_time yet"):
        read(ended)
    os.utime(master, (1.7e9, 1.7e9))
    assert any("no end_time" in note for note in read(ended).notes)
    with h5py.File(master, "a") as file:
        file["entry/end_time"] = "2099-05-04T10:07:30Z"
    assert read(ended).notes == ()
