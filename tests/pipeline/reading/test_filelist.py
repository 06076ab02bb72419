"""Which files belong to a scan, and how they are described."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.pipeline.reading.filelist import list_files, with_names
from scicat_watch.pipeline.reading.notes import Notes
from tests.pipeline.nexus_made import scan
from tests.recorded import DESY


def _make(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def _paths(
    directory: Path, name: str, *, notes: Notes | None = None, root: Path | None = None, **more: Any
) -> list[str]:
    settings = ReadLimits(file_list=more.pop("rule", "exact"))
    found = list_files(scan(directory, name, **more), settings, (root or directory,), notes or Notes())
    return [file.path for file in found.files]


def test_exact_takes_the_name_and_what_goes_on_with_a_dot_or_underscore(tmp_path: Path) -> None:
    mine = [
        "scan_1.nxs",
        "scan_1.png",
        "scan_1/deep/.hidden",
        "scan_1/x.tif",
        "scan_1_0001.tif",
        "scan_1_pilatus/a.cbf",
    ]
    others = ["scan_10.nxs", "scan_10/a.tif", "scan_2.nxs", "a_scan_1.nxs", "scan_1b.nxs"]
    _make(tmp_path, *mine, *others)
    assert _paths(tmp_path, "scan_1") == sorted(mine)
    assert set(_paths(tmp_path, "scan_1", rule="prefix")) == {*mine, "scan_10.nxs", "scan_10/a.tif", "scan_1b.nxs"}


def test_a_file_without_extension_belongs_too(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1")
    assert _paths(tmp_path, "scan_1") == ["scan_1"]


def test_a_stem_is_no_pattern(tmp_path: Path) -> None:
    _make(tmp_path, "scan_[1].nxs", "scan_1.nxs")
    assert _paths(tmp_path, "scan_[1]") == ["scan_[1].nxs"]


def test_extras_are_listed_once_and_relative_to_the_scan_directory(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    _make(tmp_path, "raw/scan_1.nxs", "raw/lambda_1/a.tif", "scratch/lambda_1/b.tif", "raw/sub/scan_2.nxs")
    extras = ("lambda_1", "lambda_1/", "../scratch/lambda_1", "scan_1")
    paths = _paths(raw, "scan_1", extras=extras, root=tmp_path)
    assert paths == ["../scratch/lambda_1/b.tif", "lambda_1/a.tif", "scan_1.nxs"]
    assert _paths(raw, "sub/scan_2", root=tmp_path) == ["sub/scan_2.nxs"]


def test_an_extra_outside_of_the_beamtime_is_not_listed(tmp_path: Path) -> None:
    _make(tmp_path, "beamtime/scan_1.nxs", "secret/a.txt")
    notes = Notes()
    extras = ("../secret/a", str(tmp_path / "secret/a"))
    assert _paths(tmp_path / "beamtime", "scan_1", extras=extras, notes=notes) == ["scan_1.nxs"]
    assert len(notes.all()) == 2


def test_skipped_files_are_left_out(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1.nxs", "scan_1.nxs~", "scan_1.scan.json", "scan_1/a.pyc", "scan_1/a.py", "scan_1.json")
    assert _paths(tmp_path, "scan_1") == ["scan_1.json", "scan_1.nxs", "scan_1/a.py"]


def test_files_are_described_as_the_catalogue_takes_them(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1.nxs")
    path = tmp_path / "scan_1.nxs"
    path.chmod(0o4640)
    os.utime(path, (1000.5, 1000.5))
    status = path.stat()
    (file,) = list_files(scan(tmp_path, "scan_1"), ReadLimits(), (tmp_path,), Notes()).files
    moment = datetime.fromtimestamp(status.st_ctime_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert file.time == f"{moment}.{status.st_ctime_ns // 1_000_000 % 1000:03d}Z"
    assert (file.size, file.perm) == (10, "-rw-r-----")
    assert (file.uid, file.gid) == (str(status.st_uid), str(status.st_gid))
    (named,) = with_names([file])
    assert (named.uid, named.gid) == (pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name)
    assert replace(named, uid=file.uid, gid=file.gid) == file
    found = list_files(scan(tmp_path, "scan_1"), ReadLimits(), (tmp_path,), Notes())
    assert (found.first_time, found.last_time) == (1000.5, 1000.5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator may give files to nobody")
def test_an_unknown_owner_is_a_number(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1.nxs")
    os.chown(tmp_path / "scan_1.nxs", 4_000_001, 4_000_002)
    (file,) = list_files(scan(tmp_path, "scan_1"), ReadLimits(), (tmp_path,), Notes()).files
    assert with_names([file]) == (file,)
    assert (file.uid, file.gid) == ("4000001", "4000002")


def test_links_count_as_what_they_lead_to_if_that_is_in_the_beamtime(tmp_path: Path) -> None:
    root = tmp_path / "beamtime"
    _make(tmp_path, "beamtime/store/frame.tif", "beamtime/raw/scan_1.nxs", "outside/secret.txt")
    (root / "raw/scan_1.tif").symlink_to(root / "store/frame.tif")
    (root / "raw/scan_1_frames").symlink_to(root / "store")
    (root / "raw/scan_1_gone").symlink_to(root / "nothing")
    (root / "raw/scan_1_secret").symlink_to(tmp_path / "outside/secret.txt")
    (root / "raw/scan_1_outside").symlink_to(tmp_path / "outside")
    notes = Notes()
    found = list_files(scan(root / "raw", "scan_1"), ReadLimits(), (root,), notes)
    sizes = {file.path: file.size for file in found.files}
    frame = len("beamtime/store/frame.tif")  # Files hold their names here.
    assert sizes == {
        "scan_1.nxs": len("beamtime/raw/scan_1.nxs"),
        "scan_1.tif": frame,
        "scan_1_frames/frame.tif": frame,
    }
    assert len(notes.all()) == 2


def test_folders_that_link_round_in_circles_are_entered_once(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1/a.tif", "scan_1/z/b.tif")
    (tmp_path / "scan_1/again").symlink_to(tmp_path / "scan_1")
    (tmp_path / "scan_1/latest").symlink_to(tmp_path / "scan_1/z")
    assert _paths(tmp_path, "scan_1") == ["scan_1/a.tif", "scan_1/z/b.tif"]


def test_only_regular_files_are_listed(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1/a.tif")
    os.mkfifo(tmp_path / "scan_1/pipe")
    assert _paths(tmp_path, "scan_1") == ["scan_1/a.tif"]


def test_a_name_that_is_not_utf8_has_a_form_all_the_same(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"scan_1_\xff.tif")).write_text("x")
    assert _paths(tmp_path, "scan_1") == ["scan_1_\N{REPLACEMENT CHARACTER}.tif"]


def test_a_scan_without_files_has_an_empty_list(tmp_path: Path) -> None:
    found = list_files(scan(tmp_path, "sub/scan_1"), ReadLimits(), (tmp_path,), Notes())
    assert (found.files, found.first_time, found.last_time) == ((), None, None)


def test_the_shared_scans_have_the_files_that_the_reference_posts() -> None:
    raw = DESY / "beamtime/raw"
    assert _paths(raw, "run_00003") == ["run_00003.fio", "run_00003/run_00003_0000.tif"]
    assert _paths(raw, "run_00002", extras=("lambda_extra",)) == [
        "lambda_extra/extra_0000.tif",
        "lambda_extra/extra_0001.tif",
        "run_00002.nxs",
        "run_00002/run_00002_0000.tif",
        "run_00002/run_00002_0001.tif",
    ]
    assert _paths(raw, "sub/run_00005") == ["sub/run_00005.nxs", "sub/run_00005/run_00005_0000.cbf"]


def test_a_link_in_circles_is_not_listed_and_does_not_hold_the_scan_up(tmp_path: Path) -> None:
    _make(tmp_path, "scan_1.nxs")
    (tmp_path / "scan_1_round").symlink_to("scan_1_round")
    notes = Notes()
    assert _paths(tmp_path, "scan_1", notes=notes) == ["scan_1.nxs"]
    assert "scan_1_round" in notes.all()[0]
