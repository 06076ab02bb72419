"""What the files of a scan look like: every name counts, sizes where a detector may still write."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.discovery import scanfiles
from scicat_watch.discovery.scanfiles import EXAMINED, ScanFiles
from scicat_watch.model import Scan
from scicat_watch.scanstate import FilesState
from tests import makers


def _belonging(stem: str) -> Callable[[str], bool]:
    return lambda name: name == stem or name.startswith((f"{stem}.", f"{stem}_"))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in ("x.nxs", "x_0001.tif", "x10.nxs", "y.nxs", "x/pilatus/a.cbf", "x/pilatus/b.cbf", "extra/e.h5"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "raw"


@pytest.fixture
def files() -> ScanFiles:
    return ScanFiles(("nxs",), _belonging, lambda name: fnmatch.fnmatch(name, "*~"))


def _files(files: ScanFiles, scan: Scan) -> FilesState:
    files.forget()  # The tests are faster than a clock's tick.
    found = files.compared(scan, None)
    assert found is not None
    return found.files


def test_all_files_of_the_scan_count_and_no_others(raw: Path, files: ScanFiles) -> None:
    scan = makers.scan(raw, "x", None)
    before = _files(files, scan)
    assert before.number == 4
    assert _files(files, makers.scan(raw, "x", None, extras=("extra",))).number == 5
    for name in ("x10_1.tif", "y_1.tif", "x/note~"):
        (raw / name).write_text("of another scan, or skipped")
    assert _files(files, scan) == before


@pytest.mark.parametrize("name", ["x_0002.tif", "x/new.cbf", "x/pilatus/c.cbf", "x/other/d.cbf"])
def test_a_new_file_shows_wherever_it_comes(raw: Path, files: ScanFiles, name: str) -> None:
    scan = makers.scan(raw, "x", None)
    before = _files(files, scan)
    (raw / name).parent.mkdir(exist_ok=True)
    (raw / name).write_text("new")
    after = _files(files, scan)
    assert after.number == before.number + 1
    assert after.digest != before.digest


@pytest.mark.parametrize("name", ["x.nxs", "x_0001.tif", "x/pilatus/b.cbf"])
def test_a_file_that_grows_or_is_written_anew_shows(raw: Path, files: ScanFiles, name: str) -> None:
    scan = makers.scan(raw, "x", None)
    before = _files(files, scan)
    with (raw / name).open("a") as file:
        file.write("more")
    grown = _files(files, scan)
    assert grown.number == before.number
    assert grown.digest != before.digest
    os.utime(raw / name, ns=(1, 1))
    assert _files(files, scan).digest not in (before.digest, grown.digest)


def test_owners_and_modes_do_not_show(raw: Path, files: ScanFiles) -> None:
    scan = makers.scan(raw, "x", None)
    before = _files(files, scan)
    (raw / "x_0001.tif").chmod(0o600)
    assert _files(files, scan) == before


def test_of_a_large_folder_all_names_count_and_the_sizes_of_the_last_files(raw: Path, files: ScanFiles) -> None:
    scan = makers.scan(raw, "x", None)
    for number in range(EXAMINED + 10):
        (raw / f"x/f_{number:05d}.tif").write_text("x")
    before = _files(files, scan)
    (raw / "x/f_00000.tif").write_text("longer than it was")
    assert _files(files, scan) == before
    (raw / f"x/f_{EXAMINED + 9:05d}.tif").write_text("longer than it was")
    grown = _files(files, scan)
    assert grown != before
    (raw / "x/f_00000.tif").rename(raw / "x/f_00000.old")
    assert _files(files, scan) != grown


def test_of_a_folder_with_too_many_names_its_times_count(
    raw: Path, files: ScanFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanfiles, "MOST_NAMES", 1)
    scan = makers.scan(raw, "x", None)
    before = _files(files, scan)
    (raw / "x/pilatus/c.cbf").write_text("x")
    assert _files(files, scan) != before


def test_the_names_of_a_directory_are_listed_once_as_long_as_it_is_the_same(
    raw: Path, files: ScanFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    listdir = os.listdir

    def counted(path: str) -> list[str]:
        listed.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", counted)
    for name in ("x", "x10", "y"):
        assert files.compared(makers.scan(raw, name, None), None) is not None
    assert listed == [str(raw)]


def test_a_master_file_that_is_not_there_proves_nothing_and_a_listed_one_is_searched(
    raw: Path, files: ScanFiles
) -> None:
    scan = makers.scan(raw, "x", None)
    found = files.state(scan, None)
    assert found is not None
    assert (found.master, bool(found.head)) == (raw / "x.nxs", True)
    assert files.state(scan, raw / "gone.nxs") is None
    nothing = files.state(makers.scan(raw, "never", None), None)
    assert nothing is not None
    assert (nothing.master, nothing.file, nothing.files.number, nothing.identity) == (None, None, 0, "")


def test_what_is_no_regular_file_is_never_waited_for(raw: Path, files: ScanFiles) -> None:
    os.mkfifo(raw / "p.nxs")
    found = files.state(makers.scan(raw, "p", None), raw / "p.nxs")
    assert found is not None
    assert (found.files.number, found.head) == (0, "")
