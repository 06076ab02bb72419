"""Directories and files that may not be read, and disks that answer with errors: others are found all the same."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.rules import BeamtimeRules, WatchRules
from scicat_watch.discovery.tree import Tree
from scicat_watch.errors import BeamtimeError
from scicat_watch.model import Beamtime
from tests.faults import failing, somebody, unreadable

FILE = "beamtime-metadata-11018765.json"
METADATA = json.dumps({"beamtimeId": "11018765"})


def _tree(root: Path) -> Tree:
    return Tree(root, "scans.lst", WatchRules())


def _data(tree: Tree) -> list[str]:
    return sorted(file.name for node in tree.nodes.values() for file in node.data)


def _problems(tree: Tree) -> list[str]:
    return sorted(node.path.name for node in tree.nodes.values() if node.problem)


def test_a_metadata_file_that_may_not_be_read_is_broken_and_others_are_read(tmp_path: Path) -> None:
    for name in (FILE, "beamtime-metadata-2.json"):
        (tmp_path / name).write_text(METADATA)
    with unreadable(tmp_path / "beamtime-metadata-2.json", errno.EACCES):
        good, broken = beamtimes.find(tmp_path, BeamtimeRules())
    assert isinstance(good, Beamtime)
    assert isinstance(broken, BrokenBeamtime)
    assert "Permission denied" in broken.reason


def test_a_metadata_file_on_a_broken_disk_is_broken(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(METADATA)
    with unreadable(tmp_path / FILE, errno.EIO):
        with pytest.raises(BeamtimeError, match="Input/output"):
            beamtimes.read(tmp_path / FILE)
        (broken,) = beamtimes.find(tmp_path, BeamtimeRules())
    assert isinstance(broken, BrokenBeamtime)


def test_a_beamtime_directory_that_may_not_be_read_is_an_error_and_gets_no_generated_beamtime(
    fs: FakeFilesystem,
) -> None:
    fs.create_file(f"/bt/{FILE}", contents=METADATA)
    Path("/bt").chmod(0)
    with somebody(), pytest.raises(PermissionError):
        beamtimes.find(Path("/bt"), BeamtimeRules())


def test_a_closed_directory_below_a_base_directory_hides_no_other(fs: FakeFilesystem) -> None:
    base = Path("/base")
    for name in ("a", "closed", "z"):
        fs.create_file(base / name / FILE, contents=METADATA)
    (base / "closed").chmod(0)
    rules = BeamtimeRules(base_directories=(Path("/none"), base))
    with somebody():
        assert list(beamtimes.directories(rules)) == [base / "a", base / "z"]
    (base / "closed").chmod(0o755)
    with somebody():
        assert base / "closed" in list(beamtimes.directories(rules))
    base.chmod(0)
    with somebody():
        assert list(beamtimes.directories(rules)) == []


def test_a_closed_directory_is_a_problem_until_it_opens_and_hides_no_other(fs: FakeFilesystem) -> None:
    root = Path("/bt")
    fs.create_file(root / "closed/a.nxs")
    fs.create_file(root / "open/b.nxs")
    (root / "closed").chmod(0o111)  # The fake file system shows one of mode 000 as no directory.
    tree = _tree(root)
    with somebody():
        tree.rescan(0.0, None)
        assert (_data(tree), _problems(tree)) == (["b.nxs"], ["closed"])
        tree.rescan(10.0, None)
        assert _problems(tree) == ["closed"]
    (root / "closed").chmod(0o755)
    with somebody():
        tree.rescan(20.0, None)
    assert (_data(tree), _problems(tree)) == (["a.nxs", "b.nxs"], [])


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
@pytest.mark.parametrize("function", ["scandir", "stat"])
def test_an_error_of_the_disk_removes_nothing_that_was_found(tmp_path: Path, function: str, number: int) -> None:
    """A file server that restarts: nothing is concluded from what cannot be seen."""
    (tmp_path / "x/y").mkdir(parents=True)
    for name in ("x/a.nxs", "x/y/b.nxs"):
        (tmp_path / name).touch()
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    (tmp_path / "x/c.nxs").touch()
    with failing(function, number, tmp_path / "x"):
        tree.rescan(10.0, None)
        assert (_data(tree), _problems(tree)) == (["a.nxs", "b.nxs"], ["x"])
    tree.rescan(20.0, None)
    assert (_data(tree), _problems(tree)) == (["a.nxs", "b.nxs", "c.nxs"], [])


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EACCES])
def test_a_root_that_does_not_answer_keeps_its_tree(tmp_path: Path, number: int) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.nxs").touch()
    tree = _tree(tmp_path)
    tree.rescan(0.0, None)
    with failing("stat", number, tmp_path):
        tree.rescan(10.0, None)
    assert (_data(tree), len(_problems(tree))) == (["a.nxs"], 1)
    tree.rescan(20.0, None)
    assert (_data(tree), _problems(tree)) == (["a.nxs"], [])
