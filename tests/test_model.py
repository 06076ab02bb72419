"""The values of a beamline: what they are called, and what tells them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.model import Beamtime, FileState, ListEntry, Outcome, Scan, Status, line_of_found
from tests import makers

ROOT = Path("/gpfs/current")


def test_a_scan_is_named_within_its_directory_and_can_be_seen_from_above() -> None:
    line = ListEntry("scan_1 pilatus", "scan_1", "scan_1", extras=("pilatus",))
    listed = Scan.listed("1", ROOT / "raw", line)
    found = Scan.found("1", ROOT, ROOT / "raw/scan_1.nxs")
    assert (listed.name, listed.pid, listed.master) == ("scan_1", "1/scan_1", None)
    assert (found.name, found.pid, found.master) == ("raw/scan_1", "1/raw/scan_1", ROOT / "raw/scan_1.nxs")
    assert listed.place == found.place == ROOT / "raw/scan_1"
    above = listed.under(ROOT)
    assert (above.name, above.stem, above.extras) == ("raw/scan_1", "raw/scan_1", ("raw/pilatus",))
    assert above.under(ROOT) is above


def test_states_of_a_file_differ_by_content_and_not_by_what_is_not_known() -> None:
    state = FileState(1, 2, 3, 4, 5)
    assert state.agrees(state._replace(device=0))
    assert state._replace(device=0).agrees(state)
    assert state.agrees(state._replace(device=6))  # Mounted anew.
    assert not state.agrees(state._replace(device=0, changed=9))
    assert state.same_file(state._replace(size=99))
    assert not state.same_file(state._replace(inode=99))


@pytest.mark.parametrize(
    ("core", "path"),
    [("/asap3/data/1/", "/asap3/data/1"), (None, "/gpfs/current"), ("", "/gpfs/current"), ("/", "/gpfs/current"),
     (17, "/gpfs/current"), ("  ", "/gpfs/current")],
)  # fmt: skip
def test_the_core_path_is_the_files_or_the_directory_itself(core: object, path: str) -> None:
    assert Beamtime("1", ROOT, {"corePath": core}).core_path == path


def test_only_a_failure_is_not_done() -> None:
    request = makers.request(makers.scan(ROOT, "a"))
    assert {status for status in Status if not Outcome(request, status).done} == {Status.FAILED}


@given(st.text(min_size=1) | st.binary(min_size=1).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_the_line_of_a_found_file_is_one_line_of_text_and_keeps_names_apart(name: str) -> None:
    line = line_of_found(name)
    assert line.isprintable()
    assert line.strip() == line
    line.encode()
    assert line == name or line == ascii(name)
    assert not line.startswith("#")
    assert line_of_found(name + "x") != line


def pid(name: str) -> str:
    return Scan("1", Path("/bt"), name, name).pid


def test_a_name_that_would_steer_a_terminal_makes_a_pid_that_does_not_and_is_its_own() -> None:
    assert pid("raw/scan_7 ü") == "1/raw/scan_7 ü"  # As ever.
    names = ["a\x1bb", "a\x1cb", "a\nb", "a\tb", "a\u202eb", "a\udcffb", "a\ufffdb"]
    pids = {pid(name) for name in names}
    assert len(pids) == len(names)
    assert all(text.isprintable() for text in pids)
    # Nor can a file be given the name that another's pid is made of.
    assert pid(pid("a\x1bb").removeprefix("1/")) not in pids
    assert pid("a\x1bb") == pid("a\x1bb")
