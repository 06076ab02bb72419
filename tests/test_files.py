"""Durable writes, and paths that stay where they belong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from scicat_watch import files
from tests.faults import failing, full_disk, somebody


def test_a_line_is_appended_to_a_new_and_to_a_known_file(tmp_path: Path) -> None:
    path = tmp_path / "a.lst"
    files.append_line(path, "one")
    files.append_line(path, "zw\u00f6lf")
    assert path.read_text(encoding="utf-8") == "one\nzw\u00f6lf\n"


@pytest.mark.timeout(120)
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


def test_of_many_files_of_one_directory_each_link_is_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "raw").mkdir(parents=True)
    elsewhere.mkdir()
    for file in (root / "raw" / "a.nxs", root / "raw" / "b.nxs", elsewhere / "c.nxs"):
        file.touch()
    (root / "raw" / "out.nxs").symlink_to(elsewhere / "c.nxs")
    (root / "raw" / "in.nxs").symlink_to(root / "raw" / "a.nxs")
    (root / "linked").symlink_to(elsewhere)
    held = files.Inside([root])
    for _ in range(2):
        names = ("raw/a.nxs", "raw/b.nxs", "raw/in.nxs", "raw/out.nxs", "linked/c.nxs")
        assert [held.holds(f"{root}/{name}") for name in names] == [True, True, True, False, False]


def test_a_line_that_a_full_disk_does_not_take_is_an_error_and_lines_before_it_stay(fs: FakeFilesystem) -> None:
    path = Path("/data/a.lst")
    fs.create_dir(path.parent)
    files.append_line(path, "one")
    with full_disk(fs, path.parent, free=3), pytest.raises(OSError, match="No space"):
        files.append_line(path, "two")
    assert path.read_text().startswith("one\n")
    assert not path.read_text().endswith("two\n")


def test_a_line_of_which_only_a_part_is_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a real kernel fills a disk: the first bytes fit."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    with pytest.raises(OSError, match="only a part"):
        files.append_line(tmp_path / "a.lst", "one")


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(fs: FakeFilesystem) -> None:
    path = Path("/data/a.json")
    fs.create_file(path, contents="old")
    with full_disk(fs, path.parent, free=20):
        with pytest.raises(OSError, match="No space"):
            files.replace(path, "new" * 100, 0o600)
        assert [file.name for file in path.parent.iterdir()] == ["a.json"]
        assert path.read_text() == "old"


def test_what_does_not_reach_the_disk_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old\n")
    with failing("fsync", errno.EIO):
        with pytest.raises(OSError, match="Input/output"):
            files.replace(path, "new")
        with pytest.raises(OSError, match="Input/output"):
            files.append_line(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text().startswith("old\n")


def test_a_directory_that_cannot_be_synced_is_no_error(tmp_path: Path) -> None:
    with failing("fsync", errno.EINVAL):
        files.sync_directory(tmp_path)
    with failing("open", errno.EIO, tmp_path), pytest.raises(OSError, match="Input/output"):
        files.sync_directory(tmp_path)


def test_what_this_account_may_not_read_or_write_is_an_error_and_stays_as_it_was(fs: FakeFilesystem) -> None:
    """A file of mode 000, one of mode 444, and a directory of mode 555."""
    closed, fixed, inside = Path("/data/closed"), Path("/data/fixed"), Path("/fixed/a.json")
    for path, mode in ((closed, 0o000), (fixed, 0o444), (inside, 0o644)):
        fs.create_file(path, contents="old", st_mode=0o100000 | mode)
    inside.parent.chmod(0o555)
    with somebody():
        with pytest.raises(PermissionError):
            files.read_ordinary(closed, 100)
        for path in (closed, fixed, Path("/fixed/new")):
            with pytest.raises(PermissionError):
                files.append_line(path, "new")
        with pytest.raises(PermissionError):
            files.replace(inside, "new", 0o600)
        assert files.read_ordinary(fixed, 100) == b"old"
    assert [path.read_text() for path in (closed, fixed, inside)] == ["old"] * 3
    assert [file.name for file in inside.parent.iterdir()] == ["a.json"]
