"""Lines without files: little is kept of them, and none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.discovery.lines import LinesWithoutFiles
from scicat_watch.discovery.listfile import entries, parse_list
from scicat_watch.model import ListEntry, RequestKey


def _entries(*lines: str) -> list[ListEntry]:
    return list(entries(parse_list("\n".join(lines).encode())))


def _lines(after: float = 1000.0) -> LinesWithoutFiles:
    return LinesWithoutFiles(lambda waited: 5.0, after, 4096)


def _due(lines: LinesWithoutFiles, now: float) -> list[str]:
    return [one.entry.line for one in lines.take_due(now)]


def test_only_lines_without_files_are_kept_apart(tmp_path: Path) -> None:
    for name in ("a.nxs", "b_0001.tif", "more", "sub/e.nxs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines = _lines()
    given = _entries("a", "b", "c", "d more", "sub/e", "sub/f", "none/g", "multi::/1;multi_1")
    others = lines.take_in(given, tmp_path, 0.0)
    assert [entry.line for entry in others] == ["a", "b", "d more", "sub/e"]
    assert [entry.line for entry, _ in lines.waiting()] == ["c", "sub/f", "none/g", "multi::/1;multi_1"]
    assert RequestKey(tmp_path, "c") in lines
    assert RequestKey(tmp_path, "a") not in lines


def test_what_comes_brings_its_lines_in_the_order_of_their_list(tmp_path: Path) -> None:
    lines = _lines()
    lines.take_in(_entries("c", "b x/y", "a", "never", "multi::/1;multi_1"), tmp_path, 3.0)
    assert (_due(lines, 4.0), lines.next_due()) == ([], 8.0)
    for name in ("a.nxs", "x/y_1.tif", "c", "multi.nxs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines.hurry([tmp_path], 5.0)
    assert lines.next_due() == 5.0
    lines.hurry([tmp_path / "x"], 5.0)
    due = lines.take_due(5.0)
    assert [one.entry.line for one in due] == ["c", "b x/y", "a", "multi::/1;multi_1"]
    assert {(one.directory, one.since, one.late) for one in due} == {(tmp_path, 3.0, False)}
    assert [entry.line for entry, _ in lines.waiting()] == ["never"]


def test_what_the_list_says_no_longer_is_forgotten(tmp_path: Path) -> None:
    lines = _lines()
    lines.take_in(_entries("a", "b", "c d"), tmp_path, 0.0)
    lines.drop(tmp_path, ["a", "c d", "unknown"])
    lines.drop(tmp_path / "other", ["b"])
    assert [entry.line for entry, _ in lines.waiting()] == ["b"]
    (tmp_path / "a.nxs").touch()
    assert _due(lines, 10.0) == []


@pytest.mark.parametrize("count", [1, 1200])
def test_when_the_time_of_many_is_over_they_come_some_at_a_time(tmp_path: Path, count: int) -> None:
    lines = _lines(after=100.0)
    names = [f"scan_{number:04d}" for number in range(count)]
    lines.take_in(_entries(*names), tmp_path, 7.0)
    lines.take_in(_entries("later"), tmp_path, 50.0)
    assert _due(lines, 106.0) == []
    came: list[str] = []
    while len(lines) > 1:
        due = lines.next_due()
        assert due is not None
        assert due <= 107.0
        some = lines.take_due(107.0)
        assert all(one.late for one in some)
        assert 0 < len(some) <= 500
        came += [one.entry.line for one in some]
    assert came == names
    assert _due(lines, 149.0) == []
    assert _due(lines, 150.0) == ["later"]
    assert (len(lines), _due(lines, 1000.0)) == (0, [])
