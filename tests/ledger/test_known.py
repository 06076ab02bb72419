"""What the journal holds of published scans, and whether their files are still where they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.known import KnownScan, KnownScans
from scicat_watch.ledger.whereabouts import is_there
from scicat_watch.model import FileState
from scicat_watch.scanstate import FilesState, ScanState


@pytest.fixture
def known() -> Iterator[KnownScans]:
    journal = Journal(None)
    yield journal.known
    journal.close()


def scan(place: Path, *, names: tuple[str, ...] | None = None) -> KnownScan:
    """A scan of the one file that is at `place`."""
    master = place.with_suffix(".nxs")
    listed = None if names is None else dict.fromkeys(names, "")
    state = ScanState(master, FileState.of(master.stat()), FilesState(1, "digest"), "head", names=listed)
    return KnownScan(os.fspath(place), "1", f"1/{place.name}", "", "/core", state)


def test_a_file_is_there_as_long_as_its_inode_or_its_size_and_time_are_the_same(tmp_path: Path) -> None:
    """Some file systems number their files anew when they are mounted; others are written to in place."""
    file = tmp_path / "a.nxs"
    file.write_text("content")
    here = scan(tmp_path / "a")
    before = here.state.file
    assert before is not None
    renumbered = replace(here, state=replace(here.state, file=before._replace(inode=before.inode + 1)))
    assert is_there(here)
    assert is_there(renumbered)
    file.write_text("another content")
    assert is_there(here), "the same file, which was written to"
    assert not is_there(renumbered), "another file"
    file.unlink()
    assert not is_there(here)


def test_names_of_files_are_not_those_of_the_scan_that_comes_to_their_place(tmp_path: Path, known: KnownScans) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.nxs").write_text(name)
        known.note(scan(tmp_path / name, names=(f"{name}.nxs", f"{name}_frame.cbf")))
    moved = known.at(tmp_path / "b")
    assert moved is not None
    (tmp_path / "b.nxs").replace(tmp_path / "a.nxs")
    known.move([(moved, tmp_path / "a", tmp_path / "a.nxs")])
    there = known.at(tmp_path / "a")
    assert there is not None
    assert (there.pid, there.state.master) == ("1/b", tmp_path / "a.nxs")
    assert known.names(tmp_path / "a") is None, "those of the scan that was there"
    assert known.is_orphan("1/a", ("1",))
    assert known.left(tmp_path / "b")
