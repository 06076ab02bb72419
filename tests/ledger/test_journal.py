"""The journal: history that nobody waits for, and whose loss loses nothing else."""

from __future__ import annotations

import math
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
from scicat_watch.model import FileState, Origin, Outcome, Request, RequestKey, Status
from scicat_watch.progress import BeamtimeState, SkippedLine, WaitingScan
from tests import makers
from tests.ledger.conftest import Journals


def _request(name: str = "a", directory: Path = Path("/bt/raw"), origin: Origin = Origin.LISTED) -> Request:
    return makers.request(makers.scan(directory, name, beamtime="1"), origin)


def _key(name: str = "a", directory: Path = Path("/bt/raw")) -> RequestKey:
    return RequestKey(directory, name)


def _fail(journal: Journal, request: Request, at: float = 130.0, reason: str = "no schema") -> None:
    outcome = Outcome(request, Status.FAILED, reason, notes=("left out x",), seconds=0.5)
    journal.note(outcome, Attempt(1, at, reason), 100.0, None)


def test_failures_are_remembered_until_they_are_fixed(tmp_path: Path, journals: Journals) -> None:
    path = tmp_path / "var/journal.sqlite"
    journal = journals(path)
    _fail(journal, _request("late"), 200.0)
    _fail(journal, _request("soon"), 150.0)
    journal.close()
    journal = journals(path)
    assert journal.attempt(_key("soon")) == Attempt(1, 150.0, "no schema")
    entries = journal.failed()
    assert [(one.line, one.next_try, one.notes) for one in entries] == [
        ("soon", 150.0, ("left out x",)), ("late", 200.0, ("left out x",)),
    ]  # fmt: skip
    journal.note(Outcome(_request("soon"), Status.CREATED), None, 160.0, FileState(5, 6, 7, 8, 9))
    assert journal.attempt(_key("soon")) is None
    assert journal.state(_key("soon")) == FileState(5, 6, 7, 8, 9)
    assert [one.line for one in journal.failed()] == ["late"]
    assert journal.state(_key("other")) is None


def test_what_has_begun_is_known_until_it_is_done_also_after_a_kill(tmp_path: Path, journals: Journals) -> None:
    path, found = tmp_path / "journal.sqlite", _request(origin=Origin.FOUND)
    journal = journals(path)
    journal.begin(found, 100.0)
    assert journals(path).begun(found.scan.directory, found.scan.name)
    _fail(journal, found)
    assert journals(path).begun(found.scan.directory, found.scan.name)
    journal.note(Outcome(found, Status.CREATED), None, 100.0, None)
    for known in (journal, journals(path)):
        assert not known.begun(found.scan.directory, found.scan.name)
    listed = _request("listed")
    _fail(journal, listed)
    assert journals(path).begun(listed.scan.directory, listed.scan.name)


def test_to_begin_forgets_no_failure(tmp_path: Path, journals: Journals) -> None:
    journal, found = journals(tmp_path / "journal.sqlite"), _request(origin=Origin.FOUND)
    _fail(journal, found)
    journal.begin(found, 110.0)
    assert journal.attempt(found.key) == Attempt(1, 130.0, "no schema")


def test_names_that_are_no_text_are_kept_apart(tmp_path: Path, journals: Journals) -> None:
    journal = journals(tmp_path / "journal.sqlite")
    one, two = (Path(os.fsdecode(b"/bt/\xff" + number)) for number in (b"1", b"2"))
    _fail(journal, _request(directory=one), reason=f"{one}: cannot be read")
    assert journal.attempt(_key(directory=one)) is not None
    assert journal.attempt(_key(directory=two)) is None
    journal.show(BeamtimeState(str(one), "1", problems=(str(one),)))
    assert len(journal.shown()) == 1
    journal.hide(str(one))
    assert journal.shown() == []


def test_the_state_and_the_pulse_are_for_others_to_read(tmp_path: Path, journals: Journals) -> None:
    journal, other = journals(tmp_path / "journal.sqlite"), journals(tmp_path / "journal.sqlite")
    assert other.pulse() is None
    waiting = (WaitingScan("2/a", "was just changing"),)
    skipped = (SkippedLine("/aa/the.lst", "../out", 3, "leads out"),)
    first = BeamtimeState("/aa", "2", done=3, waiting=1, waiting_scans=waiting, skipped=1, skipped_lines=skipped)
    second = BeamtimeState("/bt", "1", "a title", generated=True, done=2, elsewhere=("/bt/x",), problems=("p", "q"))
    journal.show(BeamtimeState("/bt", "1", done=1))
    journal.show(second)
    journal.show(first)
    journal.beat(50.0, 100.0, "host", "http://127.0.0.1:1")
    assert other.shown() == [first, second]
    pulse = other.pulse()
    assert pulse is not None
    assert (pulse["pid"], pulse["host"], pulse["pulse"]) == (os.getpid(), "host", 100.0)
    journal.hide()
    assert other.shown() == []


@pytest.mark.parametrize("damage", ["text", "empty", "NUL", "cut", "middle", "other version"])
def test_a_damaged_journal_is_kept_aside_and_begun_anew(tmp_path: Path, journals: Journals, damage: str) -> None:
    path = tmp_path / "journal.sqlite"
    journal = journals(path)
    for number in range(500):
        _fail(journal, _request(f"scan_{number}"))
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
    journal = journals(path)
    assert journal.failed() == []
    _fail(journal, _request())
    assert len(journal.failed()) == 1
    aside = [file.name for file in tmp_path.iterdir() if "broken" in file.name]
    assert len(aside) == (0 if damage == "empty" else 1)


def test_a_journal_that_cannot_be_made_is_kept_in_memory_until_it_can_be(tmp_path: Path, journals: Journals) -> None:
    path = tmp_path / "journal.sqlite"
    path.mkdir()
    journal = journals(path)
    assert str(path) in journal.problem
    _fail(journal, _request())
    journal.beat(50.0, 100.0, "host", "")
    assert journal.attempt(_key()) == Attempt(1, 130.0, "no schema")
    assert str(path) in journal.problem
    path.rmdir()
    journal.beat(50.0, 105.0, "host", "")
    assert journal.problem == ""
    other = journals(path)
    assert other.attempt(_key()) == Attempt(1, 130.0, "no schema")
    assert other.pulse() == journal.pulse()


def test_history_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    program = """
        import resource, signal, sys
        from pathlib import Path
        from scicat_watch.ledger.journal import Journal
        from scicat_watch.model import Origin, Outcome, Request, RequestKey, Scan, Status
        from scicat_watch.ledger.plan import Attempt
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal = Journal(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for number in range(100):
            scan = Scan("1", Path("/bt"), str(number), str(number))
            request = Request(RequestKey(Path("/bt"), str(number)), scan.pid, (scan,), Origin.FOUND)
            journal.begin(request, 1.0)
            journal.note(Outcome(request, Status.FAILED, "x" * 500), Attempt(1, 2.0, "x"), 1.0, None)
        print(journal.begun(scan.directory, scan.name))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.beat(1.0, 2.0, "host", "url")
        print(journal.pulse() is not None)
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "journal.sqlite"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.stdout.split() == ["True", "True"], said.stderr


def test_threads_share_one_journal(tmp_path: Path, journals: Journals) -> None:
    journal = journals(tmp_path / "journal.sqlite")

    def work(thread: int) -> None:
        for number in range(50):
            _fail(journal, _request(f"{thread}_{number}"))
            journal.attempt(_key(f"{thread}_{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.failed()) == 200


def test_what_was_noted_is_there_after_a_kill(tmp_path: Path, journals: Journals) -> None:
    program = """
        import os, sys
        from pathlib import Path
        from scicat_watch.ledger.journal import Journal
        from scicat_watch.model import Origin, Request, RequestKey, Scan
        journal = Journal(Path(sys.argv[1]))
        scan = Scan("1", Path("/bt"), "a", "a")
        journal.begin(Request(RequestKey(Path("/bt"), "a"), scan.pid, (scan,), Origin.FOUND), 1.0)
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), tmp_path / "journal.sqlite"], check=False)
    assert journals(tmp_path / "journal.sqlite").begun(Path("/bt"), "a")


def test_a_journal_is_opened_while_somebody_writes_or_the_disk_is_full(tmp_path: Path, journals: Journals) -> None:
    path = tmp_path / "journal.sqlite"
    journal = journals(path)
    _fail(journal, _request())
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")  # Nobody else can write now.
    other = journals(path)
    assert [one.pid for one in other.failed()] == ["1/a"]
    for opened in (other, writer, journal):
        opened.close()


def test_a_journal_of_before_is_read_without_what_it_did_not_know(tmp_path: Path, journals: Journals) -> None:
    journal = journals(tmp_path / "journal.sqlite")
    journal.note(Outcome(_request(), Status.CREATED), None, 100.0, FileState(1, 2, 3, 4, 5))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("update scans set signature='[1, 2, 3, 4]'")
        connection.execute("insert into beamtimes values ('/bt', '1', '{\"done\": 1, \"made_up\": true}')")
    connection.close()
    known = journal.state(_key())
    assert known is not None
    assert known.agrees(FileState(1, 2, 3, 4, 77))
    assert not known.agrees(FileState(1, 2, 3, 5, 77))
    assert journal.shown() == []
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        state = (
            '{"title": "t", "made_up": true, "done": 3, "waiting": 0, "waiting_scans": [], "skipped": 0, '
            '"skipped_lines": [], "elsewhere": [], "problems": ["p"]}'
        )
        connection.execute("insert into beamtimes values ('/of-0.1', '1', ?)", (state,))
    connection.close()
    assert journal.shown() == [BeamtimeState("/of-0.1", "1", "t", generated=True, done=3, problems=("p",))]


def test_a_journal_of_version_2_goes_on_with_all_that_it_holds(tmp_path: Path, journals: Journals) -> None:
    journal = journals(tmp_path / "journal.sqlite")
    _fail(journal, _request())
    journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("alter table scans drop column readers_lost")
        connection.execute("pragma user_version = 2")
    connection.close()
    for known in (journals(tmp_path / "journal.sqlite"), journals(tmp_path / "journal.sqlite")):
        assert known.attempt(_key()) == Attempt(1, 130.0, "no schema", readers_lost=0)
    known.note(Outcome(_request(), Status.FAILED, "hung"), Attempt(2, math.inf, "hung", 2), 100.0, None)
    assert journals(tmp_path / "journal.sqlite").attempt(_key()) == Attempt(2, math.inf, "hung", 2)
    assert known.failed()[0].quarantined


def test_a_journal_of_version_3_learns_to_remember_what_was_written(tmp_path: Path, journals: Journals) -> None:
    path = tmp_path / "journal.sqlite"
    journal = journals(path)
    _fail(journal, _request())
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("drop table written")
        connection.execute("pragma user_version = 3")
    connection.close()
    journals(path).written("").remember("1/a", "steps")
    again = journals(path)
    assert again.written("").recall("1/a") == "steps"
    assert again.failed()[0].pid == "1/a"


def test_what_was_written_is_kept_for_each_catalogue(tmp_path: Path, journals: Journals) -> None:
    journal = journals(tmp_path / "journal.sqlite")
    here, there = journal.written("http://a/api/v3"), journal.written("http://b/api/v3")
    assert here.recall("1/a") == ""
    for text in ("one", "two"):
        here.remember("1/a", text)
    there.remember("1/a", "three")
    here.remember("1/\udcff", "odd")
    assert (here.recall("1/a"), there.recall("1/a"), here.recall("1/\udcff")) == ("two", "three", "odd")


def test_a_journal_in_memory_remembers_until_its_end() -> None:
    journal = Journal(None)
    _fail(journal, _request())
    assert journal.attempt(_key()) == Attempt(1, 130.0, "no schema")
    journal.close()
