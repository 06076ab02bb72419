"""The ingested list: in DESY's format, and right after every kind of end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_watch.ledger.ingested import IngestedList, ListLock, Record, parse_record, repair
from scicat_watch.model import Stamps

GOOD = Stamps(1795223410.1822, 1795223410.3967, 0.0)


def _loaded(path: Path) -> IngestedList:
    known = IngestedList(path)
    known.load()
    return known


@pytest.mark.parametrize(
    ("text", "line", "done"),
    [
        ("scan_2 1795223410.1822 1795223410.3967 0", "scan_2", True),
        ("scan_2 1795223410.1822 1795223410.3967 1795223411.0", "scan_2", True),
        ("scan_2 pilatus lambda 1795223410.1822 1795223410.3967 0.0", "scan_2 pilatus lambda", True),
        ("scan_3:1702988846.07 1795223410.1822 -1 0", "scan_3:1702988846.07", False),
        ("scan_3 1795223410.1822 -1.0 0.0", "scan_3", False),
        ("scan_3 1795223410 1795223410 -1", "scan_3", False),
        ("scan_3 0 0 0", "scan_3", False),
        ("scan_3 1795223410 0 0", "scan_3", False),
        ("multi::/s;m 1795223410.18 1795223410.39 0", "multi::/s;m", True),
        ("by_hand", "by_hand", True),
        ("  scan_2   1795223410.1 1795223410.2 0 ", "scan_2", True),
    ],
)
def test_every_spelling_of_desys_program_is_understood(text: str, line: str, done: bool) -> None:
    record = parse_record(text)
    assert record is not None
    assert (record.line, record.done) == (line, done)


@pytest.mark.parametrize(
    "text",
    ["scan_3 1795.59", "scan_3 1795.59 1795.60", "scan_3 1795.59scan_4 1795223410.1 1795223410.2 x", "a b c d", ""],
)
def test_a_line_that_was_torn_says_nothing_of_its_scan(text: str) -> None:
    record = parse_record(text)
    assert record is None or not record.done


def test_one_good_record_is_enough_and_failures_after_it_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    path.write_text("a 0 0 0\na 1795223410.1 1795223410.2 0\na 1795223410.1 -1 0\nb 0 0 0\n")
    known = _loaded(path)
    assert (known.done("a"), known.done("b"), len(known.contents().names)) == (True, False, 1)


def test_what_is_noted_is_on_the_disk_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    known = _loaded(path)
    known.note("a pilatus", GOOD)
    known.note("b", Stamps(1795223410.1, -1, 0))
    assert path.read_text() == "a pilatus 1795223410.1822 1795223410.3967 0\nb 1795223410.1000 -1 0\n"
    assert (known.done("a pilatus"), known.done("b")) == (True, False)
    again = _loaded(path)
    assert (again.done("a pilatus"), again.done("b"), again.done_name("a"), again.done_name("b")) == (
        True, False, True, False,
    )  # fmt: skip


def test_a_carriage_return_ends_no_line(tmp_path: Path) -> None:
    (tmp_path / "done.lst").write_bytes(b"x\ra 1795223410.1 1795223410.2 0\n")
    assert not _loaded(tmp_path / "done.lst").done("x")


def test_a_list_that_somebody_removed_or_shortened_is_followed_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    known = _loaded(path)
    for line in ("a", "b", "c"):
        known.note(line, GOOD)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if line[0] != "b"))
    assert [known.done(line) for line in "abc"] == [True, False, True]
    path.unlink()
    assert [known.done(line) for line in "abc"] == [False] * 3
    known.note("b", GOOD)
    assert [known.done(line) for line in "abc"] == [False, True, False]


def test_records_of_an_older_place_count_and_are_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "older").write_text("a 1795223410.1 1795223410.2 0\n")
    known = IngestedList(tmp_path / "done.lst", (tmp_path / "older", tmp_path / "none"))
    known.load()
    known.note("b", GOOD)
    assert (known.done("a"), known.done("b")) == (True, True)
    assert "b" not in (tmp_path / "older").read_text()


def test_nul_after_a_power_cut_is_no_record_and_takes_none_along(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    record = b"a 1795223410.1 1795223410.2 0\n"
    path.write_bytes(record + b"scan_0" + b"\0" * 4096 + b"12 1795223410.1 1795223410.2 0\n" + b"\0" * 300_000)
    known = _loaded(path)
    assert (known.done("a"), len(known.contents().names)) == (True, 1)
    known.note("c", GOOD)
    again = _loaded(path)
    assert (again.done("a"), again.done("c"), len(again.contents().names)) == (True, True, 2)
    assert path.read_bytes().endswith(b"0\nc 1795223410.1822 1795223410.3967 0\n")


def test_a_failed_write_is_repaired_by_the_next(tmp_path: Path) -> None:
    """The size limit of a process stands in for a full disk: a part of the line fits."""
    program = """
        import resource, signal, sys
        from pathlib import Path
        from scicat_watch.ledger.ingested import IngestedList
        from scicat_watch.model import Stamps
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = Path(sys.argv[1])
        known = IngestedList(path)
        known.load()
        good = Stamps(1795223410.1822, 1795223410.3967, 0.0)
        known.note("a", good)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, resource.RLIM_INFINITY))
        for line in ("b", "c"):
            try:
                known.note(line, good)
            except OSError as error:
                print("full", known.done(line))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        known.note("d", good)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "done.lst"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.splitlines() == ["full True"] * 2
    assert (tmp_path / "done.lst").read_text() == "".join(f"{Record(line, GOOD)}\n" for line in ("a", "b", "c", "d"))


def test_what_could_not_be_written_is_known_until_the_end_even_if_an_empty_list_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, line: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("scicat_watch.ledger.ingested.append_line", full)
    known = IngestedList(tmp_path / "done.lst")
    known.load()
    for line in ("a", "b"):
        with pytest.raises(OSError, match="No space"):
            known.note(line, GOOD)
    assert known.done("a")
    assert known.done("b")


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from scicat_watch.ledger.ingested import IngestedList
        from scicat_watch.model import Stamps
        path = Path(sys.argv[1]) / "done.lst"
        known = IngestedList(path)
        known.load()
        good = Stamps(1795223410.1822, 1795223410.3967, 0.0)
        known.note("a", good)
        filler = path.with_name("filler")
        try:
            filler.write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        failed = 0
        for number in range(500):
            try:
                known.note(f"scan_{number:05}", good)
            except OSError:
                failed += 1
        filler.unlink()
        known.note("z", good)
        again = IngestedList(path)
        again.load()
        print(failed > 0, again.done("a"), again.done("z"), len(again.contents().names) == 502)
    """
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, textwrap.dedent(program)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "unshare" in told.stderr or "mount" in told.stderr:
        pytest.skip("no file system of our own here")
    assert told.stdout.split() == ["True"] * 4, told.stderr


@pytest.mark.timeout(120)
def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "link.lst").symlink_to("other")
    (tmp_path / "dangling.lst").symlink_to("new")
    os.mkfifo(tmp_path / "pipe.lst")
    for name in ("link.lst", "dangling.lst", "pipe.lst"):
        with pytest.raises(OSError):  # noqa: PT011
            IngestedList(tmp_path / name).note("a", GOOD)
    with pytest.raises(OSError, match="regular"):
        IngestedList(tmp_path / "pipe.lst").load()
    assert (tmp_path / "other").read_text() == "theirs"
    assert not (tmp_path / "new").exists()


def test_a_directory_that_is_gone_is_not_made_again_for_a_note(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        IngestedList(tmp_path / "gone/done.lst").note("a", GOOD)
    assert not (tmp_path / "gone").exists()


_lines = st.lists(
    st.tuples(
        st.sampled_from(["scan_1", "scan_1 5", "scan_1 1", "scan_1 0 -1", "scan_12:170.5", "m::/s;m x", "é"]),
        st.sampled_from([GOOD, Stamps(1.7e9, 1.7e9, 1.7e9), Stamps(1.7e9, -1, 0), Stamps(), Stamps(1.7e9, 1.7e9, -1)]),
    ),
    min_size=1,
    max_size=5,
)


def test_a_record_with_a_number_in_its_line_never_counts_for_another_line_when_it_is_cut(tmp_path: Path) -> None:
    path, record = tmp_path / "done.lst", str(Record("scan_1 5", GOOD))
    for cut in range(len(record)):
        path.write_text(record[:cut])
        known = _loaded(path)
        assert not known.done("scan_1"), record[:cut]
        known.note("next", GOOD)
        assert set(_loaded(path)._done) <= {"scan_1 5", "next"}, record[:cut]


@settings(max_examples=150, deadline=None)
@given(_lines, st.integers(0, 400))
def test_a_list_that_was_cut_anywhere_keeps_every_whole_record_and_invents_none(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, Stamps]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "done.lst"
    records = [Record(line, stamps) for line, stamps in lines]
    data = "".join(f"{record}\n" for record in records).encode()[:cut]
    path.write_bytes(data)
    whole = {record.line for record in records[: data.count(b"\n")] if record.done}
    true = {record.line for record in records if record.done}
    before = _loaded(path)
    before.note("next", GOOD)
    after = _loaded(path)
    for known in (before, after):
        assert whole <= set(known._done) <= true | {"next"}
        assert known.done("next")
    for line, stamps in lines:
        after.note(line, stamps)
    assert set(_loaded(path)._done) == true | {"next"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_hinder_the_next_note(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "done.lst"
    path.write_bytes(data)
    _loaded(path).note("next", GOOD)
    assert _loaded(path).done("next")
    size = path.stat().st_size
    repair(path)
    assert path.stat().st_size == size


_HOLDER = """
import sys
from pathlib import Path
from scicat_watch.ledger.ingested import ListLock
lock = ListLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_hold_the_lock_of_one_list_and_a_kill_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "done.lst"
    ours = ListLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert not ours.acquire()
        child.kill()
        child.wait()
    assert ours.acquire()
    assert ours.holds
    ours.release()


def test_a_lock_whose_directory_was_made_anew_is_held_no_longer(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    lock = ListLock(tmp_path / "raw/done.lst")
    assert lock.acquire()
    (tmp_path / "raw").rename(tmp_path / "old")
    (tmp_path / "raw").mkdir()
    assert not lock.holds
    assert ListLock(tmp_path / "raw/done.lst").acquire()
    lock.release()


def test_what_is_done_stays_known_while_the_list_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread asks meanwhile; a scan that looks new to it could get a second name."""
    path = tmp_path / "done.lst"
    path.write_text("a pilatus 1700000000.0 1700000000.0 0\nb pilatus 1700000000.0 1700000000.0 0\n")
    known = IngestedList(path)
    known.load()
    counts: list[int] = []
    done: Any = Record.done

    def asked(record: Record) -> bool:
        counts.append(len(known.contents().names))
        return bool(done.fget(record))

    monkeypatch.setattr(Record, "done", property(asked))
    known.load()
    assert set(counts) == {2}


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_the_work_goes_on_and_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    for lock in (ListLock(tmp_path / "done.lst"), ListLock(tmp_path / "done.lst")):  # Nothing keeps a second away.
        assert lock.acquire()
        assert lock.unsupported
        assert lock.holds
        lock.release()


def test_another_error_of_the_lock_is_none_of_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OSError, match="Input/output"):
        ListLock(tmp_path / "done.lst").acquire()
