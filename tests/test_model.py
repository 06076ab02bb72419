"""The values of a beamline: what they are equal by, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.model import Beamtime, Outcome, Scan, Status, line_of_found

ROOT = Path("/gpfs/current")


def test_a_scan_is_where_its_files_begin_whatever_names_it() -> None:
    listed = Scan("1", ROOT / "raw/scan_1", ROOT / "raw", "scan_1 pilatus", "scan_1", extras=("pilatus",))
    found = Scan("1", ROOT / "raw/scan_1", ROOT, "raw/scan_1", "raw/scan_1", listed=False)
    assert listed == found
    assert len({listed, found}) == 1
    assert (listed.name, listed.pid) == ("scan_1", "1/scan_1")
    assert (found.name, found.pid) == ("raw/scan_1", "1/raw/scan_1")
    assert Scan("2", listed.place, ROOT, "", "") != listed


@pytest.mark.parametrize(
    ("core", "path"),
    [("/asap3/data/1/", "/asap3/data/1"), (None, "/gpfs/current"), ("", "/gpfs/current"), ("/", "/gpfs/current"),
     (17, "/gpfs/current"), ("  ", "/gpfs/current")],
)  # fmt: skip
def test_the_core_path_is_the_files_or_the_directory_itself(core: object, path: str) -> None:
    assert Beamtime("1", ROOT, {"corePath": core}).core_path == path


def test_only_a_failure_is_not_done() -> None:
    scan = Scan("1", ROOT / "a", ROOT, "a", "a")
    assert {status for status in Status if not Outcome(scan, status).done} == {Status.FAILED}


@given(st.text(min_size=1) | st.binary(min_size=1).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_the_line_of_a_found_file_is_one_line_of_text_and_tells_names_apart(name: str) -> None:
    line = line_of_found(name)
    assert line.isprintable()
    assert line.strip() == line
    line.encode()
    assert line == name or line == ascii(name)
    assert not line.startswith("#")
    assert line_of_found(name + "x") != line
