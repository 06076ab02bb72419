"""Durable writes, and paths that stay where they belong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scicat_watch import files


def test_a_line_is_appended_to_a_new_and_to_a_known_file(tmp_path: Path) -> None:
    path = tmp_path / "a.lst"
    files.append_line(path, "one")
    files.append_line(path, "zw\u00f6lf")
    assert path.read_text(encoding="utf-8") == "one\nzw\u00f6lf\n"


@pytest.mark.timeout(20)
def test_only_ordinary_files_are_appended_to_and_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError):  # noqa: PT011
            files.append_line(tmp_path / name, "line")
    assert (tmp_path / "real").read_text() == "x"
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"regular|directory"):
            files.read_ordinary(path, 100)
    with pytest.raises(OSError, match="more than"):
        files.read_ordinary(tmp_path / "real", 0)
    assert files.read_ordinary(tmp_path / "link", 1) == b"x"


def test_a_file_is_replaced_at_once_with_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with path.open() as reader:
        files.replace(path, "new", 0o600)
        assert reader.read() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    files.replace(path, "newer")
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.replace(path, "\ud800")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_inside_follows_every_link(tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in2").mkdir()
    (tmp_path / "in/away").symlink_to(tmp_path / "in2")
    (tmp_path / "in/back").symlink_to("sub/..")
    (tmp_path / "in/round").symlink_to("round")
    (tmp_path / "mount").symlink_to("in")
    root = tmp_path / "in"
    for name, expected in [(".", True), ("sub/new", True), ("away", False), ("away/x", False), ("back/x", True),
                           ("../in2", False), ("round", False), ("sub/../..", False)]:  # fmt: skip
        assert files.inside(root / name, [root]) is expected, name
    assert files.inside(root / "x", [tmp_path / "mount"])
    assert not files.inside(root / "x", [])
