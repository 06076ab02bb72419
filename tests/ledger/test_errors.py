"""The ingested list on a full, broken or closed disk: what is done stays known, what is said to be stored is."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from scicat_watch.ledger.ingested import IngestedList, ListLock, Record, repair
from scicat_watch.model import Stamps
from tests.faults import failing, full_disk, somebody

GOOD = Stamps(1795223410.1822, 1795223410.3967, 0.0)
LIST = Path("/data/done.lst")


def _loaded(path: Path) -> IngestedList:
    known = IngestedList(path)
    known.load()
    return known


def _lines(*names: str) -> str:
    return "".join(f"{Record(name, GOOD)}\n" for name in names)


@pytest.mark.parametrize("free", [0, 1, 20, 44])
def test_what_a_full_disk_does_not_take_is_noted_when_it_has_room_again(fs: FakeFilesystem, free: int) -> None:
    fs.create_dir(LIST.parent)
    known = _loaded(LIST)
    known.note("a", GOOD)
    with full_disk(fs, LIST.parent, free):
        for name in ("b", "c"):
            with pytest.raises(OSError, match="No space"):
                known.note(f"{name}{'_' * 40}", GOOD)
        with pytest.raises(OSError, match="No space"):
            known.catch_up()
        known.load()  # As after somebody edited it.
    assert known.done(f"b{'_' * 40}")
    known.catch_up()
    known.catch_up()
    known.note("d", GOOD)
    assert LIST.read_text() == _lines("a", f"b{'_' * 40}", f"c{'_' * 40}", "d")


def test_a_note_that_does_not_reach_the_disk_is_an_error_and_is_made_whole_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    known = _loaded(path)
    known.note("a", GOOD)
    with failing("fsync", errno.EIO), pytest.raises(OSError, match="Input/output"):
        known.note("b", GOOD)
    known.note("c", GOOD)
    # Nobody knows whether the first note of it is on the disk; a second one costs nothing.
    assert path.read_text() == _lines("a", "b", "b", "c")
    assert _loaded(path).contents().names == {"a", "b", "c"}


def test_a_torn_line_stays_where_it_may_not_be_repaired(fs: FakeFilesystem) -> None:
    torn = f"{_lines('a')}scan_1 17952"
    fs.create_file(LIST, contents=torn, st_mode=0o100444)
    with somebody():
        known = _loaded(LIST)
        with pytest.raises(PermissionError):
            repair(LIST)
        with pytest.raises(PermissionError):
            known.note("b", GOOD)
    assert LIST.read_text() == torn


def test_a_torn_line_is_followed_by_no_note_until_its_repair_is_on_the_disk(tmp_path: Path) -> None:
    """A note after the torn line would make one line of two scans."""
    path = tmp_path / "done.lst"
    path.write_text(f"{_lines('a')}scan_1 17952")
    known = _loaded(path)
    with failing("fsync", errno.EIO), pytest.raises(OSError, match="Input/output"):
        known.note("b", GOOD)
    assert path.read_text() == _lines("a")
    known.note("c", GOOD)
    assert path.read_text() == _lines("a", "b", "c")


def test_a_list_that_may_not_be_read_is_an_error_and_not_an_empty_list(fs: FakeFilesystem) -> None:
    """Taken for empty, every scan would be ingested anew."""
    fs.create_file(LIST, contents=_lines("a"), st_mode=0o100000)
    older = Path("/older/done.lst")
    with somebody():
        with pytest.raises(PermissionError):
            _loaded(LIST)
        with pytest.raises(PermissionError):
            IngestedList(older, (LIST,)).load()
    LIST.chmod(0o644)
    with somebody():
        assert _loaded(LIST).done("a")


def test_an_answer_from_a_list_that_became_unreadable_is_an_error_until_it_is_readable(fs: FakeFilesystem) -> None:
    fs.create_file(LIST, contents=_lines("a"))
    with somebody():
        known = _loaded(LIST)
    LIST.unlink()
    fs.create_file(LIST, contents=_lines("a", "b"), st_mode=0o100000)
    with somebody(), pytest.raises(PermissionError):
        known.done("a")
    LIST.chmod(0o644)
    with somebody():
        assert (known.done("a"), known.done("b")) == (True, True)


def test_a_disk_that_answers_with_errors_does_not_make_scans_undone(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    known = _loaded(path)
    known.note("a", GOOD)
    with failing("stat", errno.EIO, path), pytest.raises(OSError, match="Input/output"):
        known.done("a")
    with failing("open", errno.EIO, path), pytest.raises(OSError, match="Input/output"):
        known.load()
    assert known.done("a")


def test_in_a_directory_that_may_not_be_written_there_is_neither_a_note_nor_a_lock(fs: FakeFilesystem) -> None:
    fs.create_dir(LIST.parent)
    LIST.parent.chmod(0o555)
    with somebody():
        with pytest.raises(PermissionError):
            _loaded(LIST).note("a", GOOD)
        with pytest.raises(PermissionError):
            ListLock(LIST).acquire()
    assert list(LIST.parent.iterdir()) == []
    LIST.parent.chmod(0o777)
    with somebody():
        lock = ListLock(LIST)
        assert lock.acquire()
        lock.release()
