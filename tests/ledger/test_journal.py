"""The journal: history that nobody waits for, and whose loss loses nothing else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.plan import Attempt
from scicat_watch.model import Outcome, Scan, Status


def _scan(name: str = "a", directory: Path = Path("/bt/raw"), *, listed: bool = True) -> Scan:
    return Scan("1", directory / name, directory, name, name, listed=listed)


def _fail(journal: Journal, scan: Scan, at: float = 130.0, reason: str = "no schema") -> None:
    journal.note(
        Outcome(scan, Status.FAILED, reason, notes=("left out x",), seconds=0.5), Attempt(1, at, reason), 100.0, ()
    )


def test_failures_are_remembered_until_they_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "var/journal.sqlite"
    journal = Journal(path)
    _fail(journal, _scan("late"), 200.0)
    _fail(journal, _scan("soon"), 150.0)
    journal.close()
    journal = Journal(path)
    assert journal.attempt(_scan("soon")) == Attempt(1, 150.0, "no schema")
    entries = journal.failed()
    assert [(one.line, one.next_try, one.notes) for one in entries] == [
        ("soon", 150.0, ("left out x",)), ("late", 200.0, ("left out x",)),
    ]  # fmt: skip
    journal.note(Outcome(_scan("soon"), Status.CREATED), None, 160.0, (5, 6, 7, 8))
    assert journal.attempt(_scan("soon")) is None
    assert journal.signature(_scan("soon")) == (5, 6, 7, 8)
    assert [one.line for one in journal.failed()] == ["late"]
    assert journal.signature(_scan("other")) is None


def test_what_has_begun_is_known_until_it_is_done_also_after_a_kill(tmp_path: Path) -> None:
    path, found = tmp_path / "journal.sqlite", _scan(listed=False)
    journal = Journal(path)
    journal.begin(found, 100.0)
    assert Journal(path).begun(found.directory, "a")
    _fail(journal, found)
    assert Journal(path).begun(found.directory, "a")
    journal.note(Outcome(found, Status.CREATED), None, 100.0, ())
    for known in (journal, Journal(path)):
        assert not known.begun(found.directory, "a")
    _fail(journal, _scan("listed"))
    assert not Journal(path).begun(found.directory, "listed")


def test_to_begin_forgets_no_failure(tmp_path: Path) -> None:
    journal, found = Journal(tmp_path / "journal.sqlite"), _scan(listed=False)
    _fail(journal, found)
    journal.begin(found, 110.0)
    assert journal.attempt(found) == Attempt(1, 130.0, "no schema")


def test_names_that_are_no_text_are_kept_and_told_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    one, two = (Path(os.fsdecode(b"/bt/\xff" + number)) for number in (b"1", b"2"))
    _fail(journal, _scan(directory=one), reason=f"{one}: cannot be read")
    assert journal.attempt(_scan(directory=one)) is not None
    assert journal.attempt(_scan(directory=two)) is None
    journal.show(one, "1", {"problems": [os.fspath(one)]})
    assert len(journal.shown()) == 1
    journal.hide(one)
    assert journal.shown() == []


def test_the_state_and_the_pulse_are_for_others_to_read(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path / "journal.sqlite"), Journal(tmp_path / "journal.sqlite")
    assert other.pulse() is None
    journal.show(Path("/bt"), "1", {"done": 1})
    journal.show(Path("/bt"), "1", {"done": 2})
    journal.show(Path("/aa"), "2", {"done": 3})
    journal.beat(50.0, 100.0, "host", "http://127.0.0.1:1")
    assert other.shown() == [
        {"directory": "/aa", "id": "2", "done": 3}, {"directory": "/bt", "id": "1", "done": 2},
    ]  # fmt: skip
    pulse = other.pulse()
    assert pulse is not None
    assert (pulse["pid"], pulse["host"], pulse["pulse"]) == (os.getpid(), "host", 100.0)
    journal.hide()
    assert other.shown() == []


@pytest.mark.parametrize("damage", ["text", "empty", "NUL", "cut", "middle", "other version"])
def test_a_damaged_journal_is_kept_aside_and_begun_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    for number in range(500):
        _fail(journal, _scan(f"scan_{number}"))
    journal.close()
    data = path.read_bytes()
    match damage:
        case "text":
            path.write_text("this is no database" * 500)
        case "empty":
            path.write_bytes(b"")
        case "NUL":
            path.write_bytes(b"\0" * len(data))
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "middle":
            path.write_bytes(data[:4096] + os.urandom(8192) + data[12288:])
        case "other version":
            connection = sqlite3.connect(path)
            connection.execute("pragma user_version = 77")
            connection.close()
    journal = Journal(path)
    assert journal.failed() == []
    _fail(journal, _scan())
    assert len(journal.failed()) == 1
    aside = [file.name for file in tmp_path.iterdir() if "broken" in file.name]
    assert len(aside) == (0 if damage == "empty" else 1)


def test_a_journal_that_cannot_be_made_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(OSError, match=r"journal\.sqlite"):
        Journal(tmp_path / "journal.sqlite")


def test_history_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    program = """
        import resource, signal, sys
        from pathlib import Path
        from scicat_watch.ledger.journal import Journal
        from scicat_watch.model import Outcome, Scan, Status
        from scicat_watch.ledger.plan import Attempt
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal = Journal(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for number in range(100):
            scan = Scan("1", Path(f"/bt/{number}"), Path("/bt"), str(number), str(number), listed=False)
            journal.begin(scan, 1.0)
            journal.note(Outcome(scan, Status.FAILED, "x" * 500), Attempt(1, 2.0, "x"), 1.0, ())
        print(journal.begun(Path("/bt"), "99"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.beat(1.0, 2.0, "host", "url")
        print(journal.pulse() is not None)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "journal.sqlite"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.stdout.split() == ["True", "True"], told.stderr


def test_threads_share_one_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")

    def work(thread: int) -> None:
        for number in range(50):
            _fail(journal, _scan(f"{thread}_{number}"))
            journal.attempt(_scan(f"{thread}_{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.failed()) == 200


def test_what_was_noted_is_there_after_a_kill(tmp_path: Path) -> None:
    program = """
        import os, sys
        from pathlib import Path
        from scicat_watch.ledger.journal import Journal
        from scicat_watch.model import Scan
        journal = Journal(Path(sys.argv[1]))
        journal.begin(Scan("1", Path("/bt/a"), Path("/bt"), "a", "a", listed=False), 1.0)
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), tmp_path / "journal.sqlite"], check=False)
    assert Journal(tmp_path / "journal.sqlite").begun(Path("/bt"), "a")


def test_a_journal_is_opened_while_somebody_writes_or_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    _fail(journal, _scan())
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")  # Nobody else can write now.
    other = Journal(path)
    assert [one.pid for one in other.failed()] == ["1/a"]
    for opened in (other, writer, journal):
        opened.close()
