"""The directories of a beamtime: what changed is listed again, what did not is not, and nothing is followed out."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.tree import Tree
from scicat_watch.model import FileState
from tests.discovery.child import run_as_nobody

LIST = "scicat-datasets-1.lst"


def _tree(root: Path, **settings: Any) -> Tree:
    return Tree(root, LIST, WatchRules(**settings))


def _make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)


def _data(tree: Tree) -> list[str]:
    return sorted(str(file.relative_to(tree.root)) for node in tree.nodes.values() for file in node.data)


def test_data_files_and_lists_are_found_at_every_depth(tmp_path: Path) -> None:
    _make(tmp_path, "a.nxs", "b.txt", "one/c.H5", f"one/two/{LIST}", "one/two/d.nxs", "one/two/sub/e.nxs")
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    assert _data(tree) == ["a.nxs", "one/c.H5", "one/two/d.nxs"]
    assert [path for path, node in tree.nodes.items() if node.has_list] == [tmp_path / "one/two"]
    assert tree.scan_directory(tmp_path / "one/two/deep/er") == tmp_path / "one/two"
    assert tree.scan_directory(tmp_path / "one") == tmp_path


def _with_inode_of(root: Path, name: str) -> list[str]:
    inode = (root / name).stat().st_ino
    # Also what is in no node: the tree may have been listed before, or only in part.
    found = Tree(root, LIST, WatchRules(), within=(root / "none",)).files_with({inode})
    return sorted(str(file.relative_to(root)) for file in found)


def test_data_files_are_found_by_their_inodes_wherever_they_are_now(tmp_path: Path) -> None:
    names = ("a.nxs", "b.nxs", "raw/c.nxs", "raw/deep/d.nxs", "raw/c/c_1.h5", f"listed/{LIST}", "listed/sub/e.nxs")
    _make(tmp_path, *names)
    os.link(tmp_path / "a.nxs", tmp_path / "raw/deep/also.nxs")
    assert _with_inode_of(tmp_path, "a.nxs") == ["a.nxs", "raw/deep/also.nxs"]
    assert _with_inode_of(tmp_path, "raw/c.nxs") == ["raw/c.nxs"]
    for no_scan in ("raw/c/c_1.h5", f"listed/{LIST}", "listed/sub/e.nxs"):
        assert _with_inode_of(tmp_path, no_scan) == []


def test_where_listing_says_other_inodes_all_data_files_may_be_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path, "a.nxs", "raw/b.nxs", "raw/c.txt")
    lstat = os.lstat

    def other(path: str) -> os.stat_result:
        status = lstat(path)
        return os.stat_result((status.st_mode, status.st_ino + 1, *status[2:]))

    monkeypatch.setattr(os, "lstat", other)
    assert _with_inode_of(tmp_path, "a.nxs") == ["a.nxs", "raw/b.nxs"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"below_lists": True}, ["d.nxs", "raw/s/e.nxs", "x/f.nxs", "x/y/g.nxs"]),
        ({"max_depth": 0}, ["d.nxs"]),
        ({"max_depth": 1}, ["d.nxs", "x/f.nxs"]),
        ({"blacklist": ("x/y",)}, ["d.nxs", "x/f.nxs"]),
        ({"extensions": ("h5",)}, []),
        ({"ignored_names": ("x", "d*")}, []),
    ],
)
def test_where_is_looked_is_a_setting(tmp_path: Path, settings: dict[str, Any], found: list[str]) -> None:
    _make(tmp_path, "d.nxs", f"raw/{LIST}", "raw/s/e.nxs", "x/f.nxs", "x/y/g.nxs")
    tree = _tree(tmp_path, **settings)
    tree.rescan(0.0, None)
    assert _data(tree) == found


def test_the_parts_of_a_scan_are_no_scans_of_their_own(tmp_path: Path) -> None:
    _make(
        tmp_path, "s_1.nxs", "s_1_0001.h5", "s_1.h5", "s_1/det_1.nxs", "s_10.nxs", "_tmp_s.nxs", ".s.nxs", "s_data_1.h5"
    )
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    assert _data(tree) == ["s_1.nxs", "s_10.nxs"]


def test_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    _make(tmp_path / "out", "secret.nxs")
    _make(tmp_path / "in", "a.nxs")
    (tmp_path / "in/away").symlink_to(tmp_path / "out")
    (tmp_path / "in/round").symlink_to(tmp_path / "in")
    tree = _tree(tmp_path / "in")
    tree.rescan(0.0, None)
    assert _data(tree) == ["a.nxs"]


def test_a_quiet_directory_is_listed_once_more_after_the_tick_and_then_left_alone(tmp_path: Path) -> None:
    _make(tmp_path, "a.nxs")
    tree = _tree(tmp_path)
    seen: list[Path] = []
    for now, listed in [(0.0, 1), (1.0, 1), (2.5, 1), (3.0, 0), (60.0, 0)]:
        assert len(tree.rescan(now, None, seen.append)) == listed, now
    _make(tmp_path, "b.nxs")
    assert len(tree.rescan(61.0, None)) == 1
    assert _data(tree) == ["a.nxs", "b.nxs"]


def test_a_name_that_comes_within_the_tick_of_a_look_is_found(tmp_path: Path) -> None:
    """A coarse clock gives the directory the times that it had at the look."""
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    node = tree.nodes[tmp_path]
    _make(tmp_path, "late.nxs")
    status = tmp_path.stat()
    node.state = FileState.of(status)
    tree.rescan(60.0, None)
    assert _data(tree) == ["late.nxs"]


def test_only_directories_that_are_named_are_looked_at(tmp_path: Path) -> None:
    _make(tmp_path, "x/", "y/")
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    _make(tmp_path, "x/a.nxs", "y/b.nxs")
    assert [node.path for node in tree.rescan(1.0, {tmp_path / "x", tmp_path / "elsewhere"})] == [tmp_path / "x"]
    assert _data(tree) == ["x/a.nxs"]


def test_directories_go_come_back_and_change_their_names(tmp_path: Path) -> None:
    _make(tmp_path, "x/y/a.nxs")
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    (tmp_path / "x").rename(tmp_path / "z")
    tree.rescan(10.0, None)
    assert _data(tree) == ["z/y/a.nxs"]
    shutil.rmtree(tmp_path / "z")
    tree.rescan(20.0, {tmp_path / "z/y"})
    assert tree.nodes.keys() == {tmp_path, tmp_path / "z"}
    _make(tmp_path, "x/y/a.nxs")
    tree.rescan(30.0, None)
    assert _data(tree) == ["x/y/a.nxs"]
    assert tree.nodes.keys() == {tmp_path, tmp_path / "x", tmp_path / "x/y"}


def test_a_root_that_is_away_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    _make(tmp_path, "bt/x/a.nxs")
    tree = _tree(tmp_path / "bt")
    tree.rescan(0.0, None)
    (tmp_path / "bt").rename(tmp_path / "away")
    tree.rescan(10.0, None)
    assert "bt" in tree.nodes[tmp_path / "bt"].problem
    (tmp_path / "away").rename(tmp_path / "bt")
    tree.rescan(20.0, None)
    assert _data(tree) == ["x/a.nxs"]
    assert tree.nodes[tmp_path / "bt"].problem == ""


def test_a_file_in_the_place_of_a_directory_drops_it(tmp_path: Path) -> None:
    _make(tmp_path, "x/a.nxs")
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    shutil.rmtree(tmp_path / "x")
    _make(tmp_path, "x")
    tree.rescan(1.0, None)
    assert tree.nodes.keys() == {tmp_path}


def test_a_directory_that_may_not_be_read_is_told_and_hides_no_other(public: Path) -> None:
    _make(public, "closed/a.nxs", "open/b.nxs")
    (public / "closed").chmod(0)
    program = """
        import sys
        from pathlib import Path
        from scicat_watch.discovery.tree import Tree
        from scicat_watch.discovery.rules import WatchRules
        become_nobody()
        tree = Tree(Path(sys.argv[1]), "list", WatchRules())
        tree.rescan(0.0, None)
        for node in tree.nodes.values():
            print(node.path.name, *[file.name for file in node.data], bool(node.problem))
    """
    try:
        told = run_as_nobody(program, public)
    finally:
        (public / "closed").chmod(0o755)
    assert told == [public.name, "False", "closed", "True", "open", "b.nxs", "False"]


def test_a_very_deep_directory_ends_nothing(tmp_path: Path) -> None:
    depth, here = 1500, os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(depth):  # Its path is longer than a system call takes.
            os.mkdir("d", dir_fd=here)
            here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
            os.close(above)
    finally:
        os.close(here)
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    assert len(tree.nodes) > 1000
    shutil.move(tmp_path / "d", tmp_path / "e")
    tree.rescan(10.0, None)
    assert tmp_path / "d" not in tree.nodes
    assert tmp_path / "e" in tree.nodes
    while (tmp_path / "e").exists():  # From the top, because the tools that remove trees go down by recursion.
        inner = tmp_path / "e/d"
        if inner.exists():
            inner.rename(tmp_path / "f")
        (tmp_path / "e").rmdir()
        if (tmp_path / "f").exists():
            (tmp_path / "f").rename(tmp_path / "e")


def test_only_the_way_to_one_directory_is_entered_on_demand(tmp_path: Path) -> None:
    _make(tmp_path, "x/y/w/a.nxs", "z/b.nxs")
    tree = Tree(tmp_path, LIST, WatchRules(), within=(tmp_path / "x/y",))
    tree.rescan(0.0, None)
    assert tree.nodes.keys() == {tmp_path, tmp_path / "x", tmp_path / "x/y", tmp_path / "x/y/w"}
    to_a_file = Tree(tmp_path, LIST, WatchRules(), within=(tmp_path / "z/b.nxs",))
    to_a_file.rescan(0.0, None)
    assert to_a_file.nodes.keys() == {tmp_path, tmp_path / "z"}


class Watching:
    """A tree with what it asks to be watched."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.tree = _tree(root, **settings)
        self.watched: set[Path] = set()
        self.listed: list[str] = []

    def rescan(self, now: float, *hinted: Path) -> None:
        nodes = self.tree.rescan(now, hinted or None, self.watched.add, self.watched.discard)
        self.listed = sorted(node.path.name for node in nodes)


def _detector_files(directory: Path, count: int = 30, first: int = 0) -> None:
    _make(directory, *(f"frame_{number:05d}.cbf" for number in range(first, first + count)))


def test_a_directory_of_detector_files_is_neither_watched_nor_listed_again_and_again(tmp_path: Path) -> None:
    _make(tmp_path, "raw/s.nxs", "raw/few/")
    _detector_files(tmp_path / "raw/pilatus")
    _detector_files(tmp_path / "raw/few", 20)
    watching = Watching(tmp_path)
    watching.rescan(0.0)
    assert {path.name for path in watching.watched} == {tmp_path.name, "raw", "few"}
    for number, now in enumerate((3.0, 5.0, 7.0, 9.9)):
        _detector_files(tmp_path / "raw/pilatus", first=1000 + number)
        watching.rescan(now)
        assert "pilatus" not in watching.listed
    at = []
    for now in range(10, 3000):
        if now % 100 == 0:
            _detector_files(tmp_path / "raw/pilatus", first=now, count=1)
        watching.rescan(float(now))
        at += [now] if "pilatus" in watching.listed else []
    assert 5 < len(at) <= 20
    assert tmp_path / "raw/pilatus" not in watching.watched


@pytest.mark.parametrize("name", ["late.nxs", LIST, "sub/late.nxs"])
def test_what_comes_late_into_a_directory_of_detector_files_is_found_and_watched(tmp_path: Path, name: str) -> None:
    _detector_files(tmp_path / "raw/pilatus")
    watching = Watching(tmp_path)
    watching.rescan(0.0)
    watching.rescan(100.0)
    assert tmp_path / "raw/pilatus" not in watching.watched
    _make(tmp_path / "raw/pilatus", name)
    watching.rescan(101.0)
    watching.rescan(401.0)
    assert tmp_path / "raw/pilatus" in watching.watched
    if name == LIST:
        assert watching.tree.nodes[tmp_path / "raw/pilatus"].has_list
    else:
        assert _data(watching.tree) == [f"raw/pilatus/{name}"]


def test_a_directory_of_detector_files_is_watched_where_those_beside_it_hold_scans(tmp_path: Path) -> None:
    """The data file of a scan may come last, after thousands of detector files."""
    _detector_files(tmp_path / "raw/scan_1")
    watching = Watching(tmp_path)
    watching.rescan(0.0)
    assert tmp_path / "raw/scan_1" not in watching.watched
    _make(tmp_path, "raw/scan_2/")
    _detector_files(tmp_path / "raw/scan_2")
    _make(tmp_path, "raw/scan_2/scan_2.nxs")
    watching.rescan(3.0)
    watching.rescan(6.0)
    assert {tmp_path / "raw/scan_1", tmp_path / "raw/scan_2"} <= watching.watched
    _detector_files(tmp_path / "raw/scan_3")
    watching.rescan(9.0)
    assert tmp_path / "raw/scan_3" in watching.watched


def test_with_a_detector_interval_of_0_all_directories_are_watched(tmp_path: Path) -> None:
    _detector_files(tmp_path / "raw/pilatus")
    watching = Watching(tmp_path, detector_interval=0.0)
    watching.rescan(0.0)
    assert tmp_path / "raw/pilatus" in watching.watched


def test_what_changed_lately_is_live_with_the_directories_on_the_way_to_it(tmp_path: Path) -> None:
    _make(tmp_path, "a/b/c/x.nxs", "old/y.nxs", f"lists/{LIST}")
    long_ago = time.time() - 1000.0
    os.utime(tmp_path / "old", (long_ago, long_ago))
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    assert tree.live(-500.0) == tree.nodes.keys() - {tmp_path / "old"}
    assert tree.live(1.0) == set()
    _make(tmp_path, "a/b/c/z.nxs", "old/z.nxs")
    assert [node.path.name for node in tree.rescan(50.0, (), turn=[tmp_path / "a/b", tmp_path / "a/b/c"])] == ["b", "c"]
    assert _data(tree) == ["a/b/c/x.nxs", "a/b/c/z.nxs", "old/y.nxs"]
    assert tree.live(50.0) == {tmp_path, tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"}
    assert tree.rescan(60.0, (), turn=[tmp_path / "a/b/c", tmp_path / "gone"]) != []  # Once more after the tick.
    assert tree.rescan(70.0, (), turn=[tmp_path / "a/b/c"]) == []
