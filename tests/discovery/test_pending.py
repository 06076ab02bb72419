"""Scans that wait to be complete: quiet, whole, closed, and inside the beamtime."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from scicat_watch.discovery import superblock
from scicat_watch.discovery.completeness import Ready, find_master
from scicat_watch.discovery.pending import Pending
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.model import Origin, Request
from tests import makers
from tests.discovery.child import run_as_nobody

EXTENSIONS = WatchRules().master_extensions


def _listed(directory: Path, name: str, **more: Any) -> Request:
    return makers.request(makers.scan(directory, name, None, **more))


def _found(file: Path) -> Request:
    return makers.request(makers.scan(file.parent, file.stem, file), Origin.FOUND)


def _pending(root: Path, *, patient: bool = True, **settings: Any) -> Pending:
    (root / "the.lst").touch()
    return Pending(WatchRules(**settings), (root,), "the.lst", patient=patient)


def _ready(pending: Pending, now: float) -> list[Ready]:
    return list(pending.take_ready(now))


def _nexus(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = 1
    return path


def test_a_file_is_ready_once_it_has_been_quiet(tmp_path: Path) -> None:
    file = _nexus(tmp_path / "a.nxs")
    pending = _pending(tmp_path)
    pending.admit(_found(file), 0.0)
    assert _ready(pending, 0.0) == []
    assert pending.next_due() == 5.0
    assert _ready(pending, 4.9) == []
    file.write_bytes(file.read_bytes() + b"more")
    assert _ready(pending, 5.0) == []
    (ready,) = _ready(pending, 10.0)
    assert ready.request.scan.master == file
    assert (list(pending.waiting()), pending.next_due(), len(pending._completeness._settling)) == ([], None, 0)


def test_a_listed_scan_waits_for_its_own_line_and_for_its_file(tmp_path: Path) -> None:
    _nexus(tmp_path / "a.nxs")
    pending = _pending(tmp_path)
    pending.admit(_listed(tmp_path, "a"), 0.0)
    (tmp_path / "only_detector_files_0001.tif").touch()
    _ready(pending, 0.0)
    pending.admit(_listed(tmp_path, "only_detector_files"), 2.0)
    _ready(pending, 2.0)
    assert [one.request.scan.name for one in _ready(pending, 5.0)] == ["a"]
    (ready,) = _ready(pending, 7.0)
    assert (ready.request.scan.name, ready.request.scan.master, ready.state) == ("only_detector_files", None, None)


@pytest.mark.parametrize("stranger", ["scan_10", "scan_10.tif", "other", "scan"])
@pytest.mark.parametrize("own", ["scan_1", "scan_1.tif", "scan_1_0001.tif", "lambda", "lambda_2"])
def test_a_listed_scan_without_files_is_waited_for(tmp_path: Path, own: str, stranger: str) -> None:
    (tmp_path / stranger).touch()
    pending = _pending(tmp_path, without_files_after=100.0)
    pending.admit(_listed(tmp_path, "scan_1", extras=("lambda",)), 0.0)
    pending.admit(_listed(tmp_path, "never_2"), 0.0)
    for now in (0.0, 5.0, 50.0):
        assert _ready(pending, now) == []
    assert {one.reason for one in pending.waiting()} == {"no file or folder of its name is there"}
    (tmp_path / own).touch()
    assert _ready(pending, 90.0) == []
    assert [one.request.scan.name for one in _ready(pending, 95.0)] == ["scan_1"]
    (given_up,) = _ready(pending, 150.0)
    assert (given_up.request.scan.name, given_up.comment) == ("never_2", "No files of this scan were found.")


def test_a_file_that_is_still_open_is_waited_for_until_it_counts_as_left(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w", libver="earliest") as file:
        file["x"] = range(10)
        file.flush()
        open_bytes = (tmp_path / "a.nxs").read_bytes()
    (tmp_path / "b.nxs").write_bytes(open_bytes + b"\0" * 10000)
    ingest = _pending(tmp_path, abandoned_after=100.0)
    hold = _pending(tmp_path, abandoned_after=100.0, abandoned="hold")
    for pending in (ingest, hold):
        pending.admit(_found(tmp_path / "b.nxs"), 0.0)
        for now in (0.0, 5.0, 10.0, 99.0):
            assert _ready(pending, now) == []
        assert [one.stuck for one in pending.waiting()] == [True]
    (ready,) = _ready(ingest, 200.0)
    assert "left open by its writer" in ready.comment
    assert _ready(hold, 200.0) == []
    assert "being written" in next(hold.waiting()).reason


def test_a_copy_that_stopped_half_way_is_never_taken_for_a_left_file(tmp_path: Path) -> None:
    whole = _nexus(tmp_path / "a.nxs").read_bytes()
    (tmp_path / "b.nxs").write_bytes(whole[:-10])
    pending = _pending(tmp_path, abandoned_after=10.0)
    pending.admit(_found(tmp_path / "b.nxs"), 0.0)
    for now in (0.0, 5.0, 50.0, 500.0, 50000.0):
        assert _ready(pending, now) == []
    assert "bytes that it should have" in next(pending.waiting()).reason
    (tmp_path / "b.nxs").write_bytes(whole)
    _ready(pending, 50100.0)
    assert len(_ready(pending, 50200.0)) == 1


def test_old_files_are_believed_at_once_by_a_one_shot(tmp_path: Path) -> None:
    _nexus(tmp_path / "a.nxs")
    pending = _pending(tmp_path, patient=False, ingestion_delay=0.0)
    pending.admit(_listed(tmp_path, "a"), 0.0, changed_at=1.0)
    assert len(_ready(pending, 0.0)) == 1
    patient = _pending(tmp_path, patient=True)
    patient.admit(_listed(tmp_path, "a"), 0.0, changed_at=1.0)
    assert _ready(patient, 0.0) == []


def test_a_found_file_that_is_gone_is_dropped_and_a_listed_one_is_waited_for(tmp_path: Path) -> None:
    file = _nexus(tmp_path / "a.nxs")
    pending = _pending(tmp_path)
    pending.admit(_found(file), 0.0)
    file.unlink()
    assert _ready(pending, 0.0) == []
    assert list(pending.waiting()) == []


def test_a_scan_without_a_file_is_not_believed_while_its_list_is_away(tmp_path: Path) -> None:
    """A file system that is away looks like an empty directory."""
    (tmp_path / "raw").mkdir()
    _nexus(tmp_path / "raw/a.nxs")
    pending = _pending(tmp_path / "raw")
    pending.admit(_listed(tmp_path / "raw", "a"), 0.0)
    (tmp_path / "raw").rename(tmp_path / "away")
    assert _ready(pending, 6.0) == []
    (tmp_path / "raw").mkdir()
    assert _ready(pending, 20.0) == []
    assert "not there" in next(pending.waiting()).reason
    (tmp_path / "raw").rmdir()
    (tmp_path / "away").rename(tmp_path / "raw")
    _ready(pending, 30.0)
    (ready,) = _ready(pending, 40.0)
    assert ready.request.scan.master == tmp_path / "raw/a.nxs"


def test_files_that_lead_out_of_the_beamtime_or_are_none_are_held(tmp_path: Path) -> None:
    (tmp_path / "bt").mkdir()
    _nexus(tmp_path / "secret.nxs")
    (tmp_path / "bt/a.nxs").symlink_to(tmp_path / "secret.nxs")
    os.mkfifo(tmp_path / "bt/p.nxs")
    pending = _pending(tmp_path / "bt")
    for name in ("a.nxs", "p.nxs"):
        pending.admit(_found(tmp_path / "bt" / name), 0.0)
    for now in (0.0, 10.0, 100.0):
        assert _ready(pending, now) == []
    reasons = " ".join(one.reason for one in pending.waiting())
    assert "leads out" in reasons
    assert "not a regular file" in reasons


def test_a_name_that_is_too_long_for_the_system_holds_up_no_other(tmp_path: Path) -> None:
    _nexus(tmp_path / "a.nxs")
    pending = _pending(tmp_path)
    pending.admit(_listed(tmp_path, "/".join(["x" * 200] * 25)), 0.0)
    pending.admit(_listed(tmp_path, "a"), 0.0)
    _ready(pending, 0.0)
    assert [one.request.scan.name for one in _ready(pending, 5.0)] == ["a"]
    assert [one.stuck for one in pending.waiting()] == [True]


def test_a_folder_that_may_not_be_entered_holds_up_no_other(public: Path) -> None:
    (public / "sub").mkdir()
    _nexus(public / "a.nxs")
    (public / "the.lst").touch()
    (public / "sub").chmod(0)
    program = """
        import sys
        from pathlib import Path
        from scicat_watch.discovery.pending import Pending
        from scicat_watch.model import Origin, Request, RequestKey, Scan
        from scicat_watch.discovery.rules import WatchRules
        become_nobody()
        root = Path(sys.argv[1])
        pending = Pending(WatchRules(), (root,), "the.lst")
        for name in ("sub/b", "a"):
            scan = Scan("1", root, name, name)
            pending.admit(Request(RequestKey(root, name), scan.pid, (scan,), Origin.LISTED), 0.0)
        list(pending.take_ready(0.0))
        print(*[ready.request.scan.name for ready in pending.take_ready(5.0)])
        print(*[waiting.request.scan.name for waiting in pending.waiting()])
    """
    try:
        assert run_as_nobody(program, public) == ["a", "sub/b"]
    finally:
        (public / "sub").chmod(0o755)


def test_a_name_that_is_no_text_is_held_with_a_reason(tmp_path: Path) -> None:
    name = os.fsdecode(b"sc\xffan.nxs")
    (tmp_path / name).write_bytes(b"x")
    pending = _pending(tmp_path)
    pending.admit(_found(tmp_path / name), 0.0)
    _ready(pending, 10.0)
    assert "UTF-8" in next(pending.waiting()).reason


def test_a_closed_file_hurries_its_own_scan_and_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _nexus(tmp_path / f"{name}.nxs")
    pending = _pending(tmp_path, ingestion_delay=1.0)
    for name in ("a", "b"):
        pending.admit(_listed(tmp_path, name), 0.0, due=100.0)
    pending.hurry(tmp_path / "a.nxs", 3.0)
    _ready(pending, 3.0)
    assert [one.request.scan.name for one in _ready(pending, 4.0)] == ["a"]
    pending.hurry(tmp_path / "b/b.nxs", 5.0)
    assert pending.next_due() == 5.0


def test_the_detector_folder_must_be_quiet_as_well(tmp_path: Path) -> None:
    file = _nexus(tmp_path / "a.nxs")
    (tmp_path / "a").mkdir()
    pending = _pending(tmp_path)
    pending.admit(_found(file), 0.0)
    _ready(pending, 0.0)
    (tmp_path / "a/det_1.h5").touch()
    assert _ready(pending, 5.0) == []
    assert len(_ready(pending, 10.0)) == 1


@pytest.mark.parametrize(
    ("files", "master"),
    [
        (["a.h5", "a.nxs", "a.fio"], "a.nxs"),
        (["a.fio"], "a.fio"),
        (["a/a.nxs"], "a/a.nxs"),
        (["a/a.nxs", "a.fio"], "a.fio"),
        (["ab.nxs", "a/b.nxs"], None),
    ],
)
def test_the_master_file_is_beside_the_folder_or_in_it(tmp_path: Path, files: list[str], master: str | None) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_master(makers.scan(tmp_path, "a", None), EXTENSIONS)
    assert found == (tmp_path / master if master else None)


def test_a_scan_that_comes_again_later_is_told_from_one_that_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "scan_1.nxs").write_bytes(b"x")
    pending = _pending(tmp_path)
    pending.admit(_found(tmp_path / "scan_1.nxs"), 0.0, due=30.0)
    assert [one.put_off for one in pending.waiting()] == [True]
    assert _ready(pending, 31.0) == []
    assert [one.put_off for one in pending.waiting()] == [False]


def test_scans_without_files_cost_no_system_call_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pending = _pending(tmp_path)
    for number in range(1000):
        pending.admit(_listed(tmp_path, f"scan_{number}"), 0.0)
    calls: list[object] = []

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*path: Any, **more: Any) -> Any:
            calls.append(path)
            return real(*path, **more)

        return call

    for name in ("stat", "lstat", "listdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    for now in (0.0, 5.0, 10.0, 100.0, 1000.0):
        assert _ready(pending, now) == []
    assert len(calls) < 20
    _nexus(tmp_path / "scan_7.nxs")
    pending.rescan([tmp_path], 1001.0)
    assert pending.next_due() == 1001.0
    assert _ready(pending, 1001.0) == []
    assert [one.request.scan.name for one in _ready(pending, 1006.0)] == ["scan_7"]
    assert pending.incomplete == 999


def test_scans_come_in_the_order_of_their_list_whenever_they_were_checked(tmp_path: Path) -> None:
    pending = _pending(tmp_path)
    for name in ("c", "a", "b"):
        _nexus(tmp_path / f"{name}.nxs")
        pending.admit(_listed(tmp_path, name), 0.0)
    pending.hurry(tmp_path / "b.nxs", 0.0)
    _ready(pending, 0.0)
    assert [one.request.scan.name for one in _ready(pending, 9.0)] == ["c", "a", "b"]


@pytest.mark.parametrize("patient", [True, False])
def test_of_many_scans_the_first_are_handed_out_before_the_last_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, patient: bool
) -> None:
    monkeypatch.setattr("scicat_watch.discovery.pending._AT_ONCE", 2)
    pending = _pending(tmp_path, patient=patient)
    for number in range(5):
        pending.admit(_found(_nexus(tmp_path / f"scan_{number}.nxs")), 0.0)
    steps = [[one.request.scan.name for one in _ready(pending, now)] for now in (0, 0, 0, 100, 100, 100)]
    names = [f"scan_{number}" for number in range(5)]
    # A one-time ingest takes all that is there.
    assert steps[:3] == [[], [], []]
    assert steps[3:] == ([names[:2], names[2:4], names[4:]] if patient else [names, [], []])


def test_a_request_that_was_put_off_counts_as_failed_and_not_as_incomplete(tmp_path: Path) -> None:
    pending = _pending(tmp_path)
    _nexus(tmp_path / "a.nxs")
    pending.admit(_listed(tmp_path, "a"), 0.0, due=100.0)
    pending.admit(_listed(tmp_path, "b"), 0.0)
    assert (pending.incomplete, [one.put_off for one in pending.waiting()]) == (1, [True, False])
    assert _ready(pending, 50.0) == []
    assert _ready(pending, 100.0) == []
    assert pending.incomplete == 2


def test_what_a_list_says_no_longer_is_dropped(tmp_path: Path) -> None:
    pending = _pending(tmp_path)
    for name in ("a", "b"):
        pending.admit(_listed(tmp_path, name), 0.0)
    pending.admit(_found(_nexus(tmp_path / "c.nxs")), 0.0)
    pending.drop_lines(tmp_path, ["a", "c", "unknown"])
    assert [one.request.scan.name for one in pending.waiting()] == ["b", "c"]
    pending.drop_claimed(lambda request: request.scan.name == "c")
    assert [one.request.scan.name for one in pending.waiting()] == ["b"]
    assert _ready(pending, 100.0) == []


WAYS_TO_GROW = {
    "beside": lambda place, number: (place.parent / f"scan_1_{number:05d}.tif").write_text("x"),
    "folder": lambda place, number: (place / f"{number:05d}.tif").write_text("x"),
    "inner folder": lambda place, number: (place / f"pilatus/{number:05d}.tif").write_text("x"),
    "last file": lambda place, number: (place / "pilatus/last.raw").open("a").write("x" * 100),
    "of another beginning": lambda place, number: (place.parent / f"lambda/{number:05d}.tif").write_text("x"),
}


@pytest.mark.parametrize("way", WAYS_TO_GROW)
@pytest.mark.parametrize("master", [True, False], ids=["with data file", "without"])
def test_a_scan_waits_for_its_detector_files_as_long_as_they_come(tmp_path: Path, way: str, *, master: bool) -> None:
    (tmp_path / "scan_1/pilatus").mkdir(parents=True)
    (tmp_path / "lambda").mkdir()
    if master:
        _nexus(tmp_path / "scan_1.nxs")
    waits, hurries = _pending(tmp_path), _pending(tmp_path, complete_when=())
    for pending in (waits, hurries):
        pending.admit(_listed(tmp_path, "scan_1", extras=("lambda",)), 0.0)
    ready = []
    for number in range(10):
        WAYS_TO_GROW[way](tmp_path / "scan_1", number)
        assert _ready(waits, number * 4.0) == []
        ready += _ready(hurries, number * 4.0)
    assert len(ready) == 1
    assert _ready(waits, 40.9) == []
    assert _ready(waits, 45.8) == []
    assert len(_ready(waits, 46.0)) == 1


def test_a_scan_whose_files_grow_for_ever_does_not_wait_for_ever(tmp_path: Path) -> None:
    _nexus(tmp_path / "scan_1.nxs")
    pending = _pending(tmp_path, siblings_within=60.0)
    pending.admit(_listed(tmp_path, "scan_1"), 0.0)
    ready = []
    for number in range(20):
        (tmp_path / "scan_1.log").write_text("x" * number)
        ready += [(number * 4.0, one.request.scan.name) for one in _ready(pending, number * 4.0)]
    assert ready == [(72.0, "scan_1")]


def test_what_is_another_scan_is_not_waited_for(tmp_path: Path) -> None:
    _nexus(tmp_path / "scan_1.nxs")
    pending = _pending(tmp_path)
    pending.admit(_listed(tmp_path, "scan_1"), 0.0)
    for number in range(2):
        _nexus(tmp_path / f"scan_1{number}.nxs")
        assert len(_ready(pending, number * 5.0)) == number


def _preallocated(path: Path, way: str) -> None:
    """A NeXus file of which only the first part is copied so far."""
    whole = _nexus_of(path.with_name("whole.nxs"), 1 << 20).read_bytes()
    with path.open("wb") as file:
        if way == "truncated":
            file.truncate(len(whole))
        else:
            os.posix_fallocate(file.fileno(), 0, len(whole))
        file.write(whole[: len(whole) // 2 if way == "truncated" else -(1 << 16)])
        file.flush()
        os.fsync(file.fileno())


def _nexus_of(path: Path, size: int) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = b"\1" * size
        file["y"] = list(range(10_000))
    return path


@pytest.mark.parametrize("way", ["truncated", "allocated"])
def test_a_copy_that_got_its_size_first_is_waited_for(tmp_path: Path, way: str) -> None:
    _preallocated(tmp_path / "a.nxs", way)
    if way == "allocated" and not superblock.examine(tmp_path / "a.nxs", allocated=True).obstacle:
        pytest.skip("this file system does not tell what is allocated from what is written")
    waits = _pending(tmp_path, complete_when=("allocated",), abandoned_after=1000.0)
    hurries = _pending(tmp_path)
    for pending in (waits, hurries):
        pending.admit(_found(tmp_path / "a.nxs"), 0.0)
        _ready(pending, 0.0)
    assert len(_ready(hurries, 5.0)) == 1
    assert _ready(waits, 5.0) == []
    assert "not written yet" in next(waits.waiting()).reason
    (given_up,) = _ready(waits, 1100.0)
    assert "never written" in given_up.comment
    waits.admit(_found(tmp_path / "a.nxs"), 2000.0)
    shutil.copyfile(tmp_path / "whole.nxs", tmp_path / "a.nxs")
    _ready(waits, 2000.0)
    (ready,) = _ready(waits, 2005.0)
    assert ready.comment == ""
