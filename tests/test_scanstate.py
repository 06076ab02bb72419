"""States of scans: what counts as a change, and by what a file is known again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.model import FileState
from scicat_watch.scanstate import FilesState, ScanState, change, files_only, needs_more

MASTER = Path("/bt/raw/x.nxs")
FILE = FileState(10, 1, 2, 3, 4)
STATE = ScanState(MASTER, FILE, FilesState(3, "abc"), "head")

numbers = st.integers(0, 2**63)
states = st.builds(
    ScanState,
    st.none() | st.just(MASTER),
    st.none() | st.builds(FileState, numbers, numbers, numbers, numbers, numbers),
    st.builds(FilesState, st.integers(0, 10**6), st.text("abcdef0123456789", max_size=32)),
    st.text("abcdef0123456789", max_size=32),
    st.sampled_from(["", "0 0 100644"]),
    st.text("abcdef0123456789", max_size=32),
)


@given(states)
def test_a_state_is_kept_as_text_and_comes_back_equal(state: ScanState) -> None:
    assert ScanState.from_json(state.as_json()) == state
    assert not change(state, state)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[null, [1], [1], null]", "7", '["/x", [1, 2, 3, 4, 5, 6], [], ""]'])
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ScanState.from_json(text)


@pytest.mark.parametrize(
    ("file", "files", "said"),
    [
        (FILE._replace(size=11), STATE.files._replace(digest="d"), "x.nxs was written to"),
        (FILE._replace(modified=2), STATE.files._replace(digest="d"), "x.nxs was written to"),
        (FILE._replace(inode=9), STATE.files._replace(digest="d"), "x.nxs was replaced"),
        (FILE, FilesState(4, "d"), "1 file has come"),
        (FILE, FilesState(25, "d"), "22 files have come"),
        (FILE, FilesState(3, "d"), "files have changed"),
        (FILE, FilesState(2, "d"), "1 file is not there any more"),
        (FILE._replace(size=9), FilesState(1, "d"), "x.nxs was written to, 2 files are not there any more"),
        (FILE._replace(device=77), STATE.files, ""),  # Mounted anew.
        (FILE._replace(changed=9), STATE.files, ""),  # Another mode, owner or number of links.
    ],
)
def test_what_has_changed_is_said_in_words(file: FileState, files: FilesState, said: str) -> None:
    found = change(STATE, ScanState(MASTER, file, files))
    assert str(found) == said
    assert bool(found) == bool(said) or found.touched


def test_states_of_before_are_understood() -> None:
    assert ScanState.from_json('["/bt/raw/x.nxs", [10, 1, 2, 3, 4], [3, "abc"], "head"]') == STATE


@pytest.mark.parametrize(
    ("file", "head", "said"),
    [
        (FILE._replace(inode=9), "head", ""),  # Numbered anew, as by a mount.
        (FILE._replace(inode=9), "other", "x.nxs was replaced"),
        (FILE._replace(changed=9), "head", ""),
        (FILE._replace(changed=9), "other", "x.nxs was written to"),
        (FILE._replace(inode=9, size=11), "head", "x.nxs was replaced"),
    ],
)
def test_where_size_and_time_are_the_same_the_head_decides(file: FileState, head: str, said: str) -> None:
    assert str(change(STATE, ScanState(MASTER, file, STATE.files, head))) == said
    assert needs_more(STATE, ScanState(MASTER, file, STATE.files)) == (file.size == FILE.size)


def test_another_owner_or_mode_is_a_change_and_another_link_is_none() -> None:
    before = replace(STATE, access="0 0 100644")
    for access, touched in (("0 0 100644", False), ("0 0 100444", True), ("", False)):
        found = change(before, ScanState(MASTER, FILE._replace(changed=9), STATE.files, "head", access))
        assert (found.touched, bool(found)) == (touched, touched)


NAMES = {"x.nxs": "3 10", "x/1": "11 1", "x/2": "12 1", "x/3": "", "x/.4.Xa3k": "14 1"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (NAMES | {"x/5": "15 1"}, "1 file has come"),
        (
            {"x.nxs": "3 10", "x/5": "11 2", "x/6": "12 2", "x/7": ""},
            "3 files have come, 3 files are not there any more",
        ),
        ({"x.nxs": "3 10", "x/1": "11 1"}, "2 files are not there any more"),
        ({"x.nxs": "3 10", "x/a": "11 1", "x/2": "12 1", "x/3": ""}, "1 file has come"),  # Renamed.
        ({"x.nxs": "3 10", "x/1": "11 1", "x/2": "12 1", "x/c": ""}, "1 file has come, 1 file is not there any more"),
        (
            {"x.nxs": "3 10", "x/1": "11 1", "x/2": "12 1", "x/3": "", "x/4": "14 9"},
            "1 file has come",
        ),  # It was copied.
        (NAMES, "files have changed"),
    ],
)
def test_files_that_are_gone_show_also_where_others_have_come(names: dict[str, str], said: str) -> None:
    before = replace(STATE, files=FilesState(5, "abc"), names=NAMES)
    now = ScanState(MASTER, FILE, FilesState(len(names), "d"), "head", names=names)
    assert str(change(before, now)) == said
    assert not needs_more(before, now)
    assert needs_more(before, replace(now, names=None))


def test_a_scan_without_a_master_file_is_known_by_all_its_files() -> None:
    folder = ScanState(None, None, STATE.files, contents="of three")
    assert folder.identity == ScanState(None, None, FilesState(3, "z"), contents="of three").identity != ""
    assert ScanState(None, None, STATE.files).identity == ""


def test_a_master_file_that_comes_later_is_a_change_and_one_that_is_not_there_proves_nothing() -> None:
    folder = ScanState(None, None, STATE.files)
    assert str(change(folder, STATE)) == "x.nxs has come"
    assert not change(STATE, folder)


def test_a_file_is_known_again_by_what_a_rename_or_a_mount_leaves_as_it_is() -> None:
    renamed = ScanState(Path("/bt/new/y.nxs"), FILE._replace(changed=99, device=5), FilesState(1, "z"), "head")
    assert renamed.identity == STATE.identity != ""
    for other in (FILE._replace(inode=9), FILE._replace(size=9), FILE._replace(modified=9)):
        assert ScanState(MASTER, other, STATE.files, "head").identity != STATE.identity
    assert ScanState(MASTER, FILE, STATE.files, "other").identity != STATE.identity
    assert ScanState(MASTER, FILE, STATE.files).identity == ScanState(None, None, STATE.files, "head").identity == ""


def test_after_only_the_file_list_was_updated_a_changed_master_file_still_counts_as_changed() -> None:
    written = ScanState(MASTER, FILE._replace(size=11), FilesState(4, "d"), "new head")
    assert str(change(files_only(STATE, written), written)) == "x.nxs was written to"
    touched = ScanState(MASTER, FILE._replace(changed=9), FilesState(4, "d"), "head")
    assert not change(files_only(STATE, touched), touched)
