"""A dataset list on disk, in every way that lists change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_watch.discovery.datasetlist import DatasetList


def _list(directory: Path, text: str = "") -> DatasetList:
    (directory / "scans.lst").write_text(text)
    return DatasetList(directory, "scans.lst", 4096)


def _claimed(known: DatasetList, *names: str) -> list[str]:
    return [name for name in names if known.claims(known.path.parent / name)]


def test_a_list_is_read_when_it_changed_and_only_then(tmp_path: Path) -> None:
    known = _list(tmp_path, "\na")
    assert known.refresh(tmp_path)
    assert not known.refresh(tmp_path)
    with known.path.open("a") as file:
        file.write("\nb x")
    assert known.refresh(tmp_path)
    assert known.lines == ["a", "b x"]
    assert _claimed(known, "a", "b", "b x", "c") == ["a", "b"]


def test_what_was_done_of_a_list_that_is_written_anew_with_the_same_lines_is_asked_anew(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\nb\n")
    known.refresh(tmp_path)
    known.open = []  # Both are done.
    with known.path.open("r+") as file:
        file.write("a\nb\n")
    os.utime(known.path, (1.7e9, 1.7e9))
    assert known.refresh(tmp_path)
    assert [entry.line for entry in known.open] == ["a", "b"]


def test_a_last_line_that_goes_on_speaks_for_another_scan(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\nscan_1")
    known.refresh(tmp_path)
    with known.path.open("a") as file:
        file.write("2\n")
    known.refresh(tmp_path)
    assert known.lines == ["a", "scan_12"]
    assert _claimed(known, "a", "scan_1", "scan_12") == ["a", "scan_12"]
    assert [entry.name for entry in known.open] == ["a", "scan_12"]


def test_what_was_handled_is_not_open_again_when_lines_are_appended(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\nb\n")
    known.refresh(tmp_path)
    known.open = [entry for entry in known.open if entry.name == "b"]
    with known.path.open("a") as file:
        file.write("c\na\n")
    known.refresh(tmp_path)
    assert [entry.name for entry in known.open] == ["b", "c"]


def test_a_list_that_was_replaced_truncated_or_edited_is_open_from_the_start(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\nb\nc\n")
    known.refresh(tmp_path)
    known.open = []
    (tmp_path / "new").write_text("a\nB\nc\nd\n")
    (tmp_path / "new").replace(known.path)
    known.refresh(tmp_path)
    assert [entry.name for entry in known.open] == ["a", "B", "c", "d"]
    known.open = []
    known.path.write_text("a\n")
    known.refresh(tmp_path)
    assert ([entry.name for entry in known.open], _claimed(known, "a", "B", "c")) == (["a"], ["a"])


def test_line_numbers_go_on_over_looks(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\n../b\n")
    known.refresh(tmp_path)
    with known.path.open("a") as file:
        file.write("\n# c\n../d\nb")
    known.refresh(tmp_path)
    assert [(bad.number, bad.line) for bad in known.bad] == [(2, "../b"), (5, "../d")]


def test_nul_after_a_power_cut_spoils_its_own_line_only(tmp_path: Path) -> None:
    known = _list(tmp_path)
    known.path.write_bytes(b"a\n" + b"\0" * 5000 + b"\nb\n")
    known.refresh(tmp_path)
    assert known.lines == ["a", "b"]
    assert len(known.bad) == 1


def test_a_list_that_cannot_be_read_keeps_what_it_said_and_is_read_when_it_can(tmp_path: Path) -> None:
    known = _list(tmp_path, "a\n")
    known.refresh(tmp_path)
    known.path.rename(tmp_path / "kept")
    assert not known.refresh(tmp_path)
    assert "cannot be read" in known.problem
    assert known.lines == ["a"]
    (tmp_path / "kept").rename(known.path)
    assert known.refresh(tmp_path)
    assert known.problem == ""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["pipe", "directory", "device", "link out", "circle", "gigabytes"])
def test_what_is_not_an_ordinary_file_of_the_beamtime_is_not_read(tmp_path: Path, kind: str) -> None:
    path, root = tmp_path / "bt/scans.lst", tmp_path / "bt"
    root.mkdir()
    (tmp_path / "secret").write_text("secret_scan\n")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "link out":
            path.symlink_to(tmp_path / "secret")
        case "circle":
            path.symlink_to(path)
        case "gigabytes":
            with path.open("wb") as file:
                file.truncate(1 << 40)
    known = DatasetList(path.parent, path.name, 4096)
    assert not known.refresh(root)
    assert str(path) in known.problem
    assert known.lines == []


def test_a_link_within_the_beamtime_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a\n")
    (tmp_path / "scans.lst").symlink_to("real")
    known = DatasetList(tmp_path, "scans.lst", 4096)
    assert known.refresh(tmp_path)


def test_the_dataset_of_a_measurement_is_told_as_not_made(tmp_path: Path) -> None:
    known = _list(tmp_path, "__command__ start m\na\n__command__ stop\nm:170.5\n")
    known.refresh(tmp_path)
    assert known.lines == ["a"]
    assert [bad.line for bad in known.bad] == ["m:170.5"]


_chunks = st.lists(
    st.sampled_from([b"a", b"b\n", b"\n", b" ", b"a:1\n", b"../x\n", b"\0", b"\xff\n", b"c d\n", b"# e\n"])
)


@settings(max_examples=60, deadline=None)
@given(_chunks, st.lists(st.integers(0, 30), max_size=4))
def test_a_list_that_grew_in_any_steps_says_what_it_says_at_once(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], stops: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("lists")
    grown, whole = DatasetList(directory, "grown", 4096), DatasetList(directory, "whole", 4096)
    for number, chunk in enumerate(chunks):
        with grown.path.open("ab") as file:
            file.write(chunk)
        if number in stops:
            grown.refresh(directory)
    if not chunks:
        grown.path.touch()
    whole.path.write_bytes(b"".join(chunks))
    grown.refresh(directory)
    whole.refresh(directory)
    assert (grown.lines, grown.bad) == (whole.lines, whole.bad)
    assert _claimed(grown, "a", "b", "c", "a:1", "c d") == _claimed(whole, "a", "b", "c", "a:1", "c d")
    assert {entry.line for entry in grown.open} == {entry.line for entry in whole.open}
