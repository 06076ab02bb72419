"""States of scans: what counts as a change, and by what a file is known again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.model import FileState
from scicat_watch.scanstate import FilesState, ScanState, change, files_only

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
