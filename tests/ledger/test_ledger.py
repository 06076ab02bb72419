"""The ledger of a beamtime: lists where they can be written, one writer each, and no scan forgotten."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.plan import Action
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, Fault, FileState, ListEntry, Origin, Outcome, Request, Stamps, Status
from tests import makers
from tests.ledger.conftest import Journals

STAMPS = Stamps(1.7e9, 1.7e9, 0.0)
DONE = "scicat-ingested-datasets-1.lst"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "bt/raw").mkdir(parents=True)
    return tmp_path / "bt"


Ledgers = Callable[..., BeamtimeLedger]


@pytest.fixture
def ledgers(root: Path, journals: Journals) -> Iterator[Ledgers]:
    """Opens ledgers of the beamtime, as a program does that is started again."""
    opened: list[BeamtimeLedger] = []

    def open_one(rules: IngestedRules | None = None) -> BeamtimeLedger:
        journal, fallback = journals(root.parent / "journal.sqlite"), root.parent / "fallback"
        rules = replace(rules or IngestedRules(), fallback=fallback, host="host")
        opened.append(BeamtimeLedger(Beamtime("1", root, {}), rules, RetryRules(first=30), journal))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.release()


def _request(directory: Path, name: str = "a", origin: Origin = Origin.LISTED) -> Request:
    return makers.request(makers.scan(directory, name, beamtime="1"), origin)


def test_done_is_what_the_list_in_the_directory_says(root: Path, ledgers: Ledgers) -> None:
    ledger, request = ledgers(), _request(root / "raw")
    assert ledger.decide(request, None, 100.0).action is Action.INGEST
    assert ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), None, 100.0) is None
    assert (root / "raw" / DONE).read_text() == "a 1700000000.0000 1700000000.0000 0\n"
    for known in (ledger, ledgers()):
        assert known.decide(request, None, 100.0).action is Action.NOTHING
        assert known.wanted(_request(root / "raw", "b"))


def test_a_failure_waits_longer_each_time_also_over_a_restart(root: Path, ledgers: Ledgers) -> None:
    ledger, request = ledgers(), _request(root / "raw")
    failed = Outcome(request, Status.FAILED, "no schema")
    assert ledger.note(failed, None, 100.0) == 130.0
    assert not (root / "raw" / DONE).exists()
    assert ledgers().note(failed, None, 130.0) == 190.0
    assert ledger.decide(request, None, 189.0).until == 190.0
    assert ledger.decide(request, None, 190.0).action is Action.INGEST


def test_a_scan_whose_reader_was_lost_too_often_is_held_until_its_file_changes(root: Path, ledgers: Ledgers) -> None:
    ledger, request, state = ledgers(), _request(root / "raw"), FileState(1, 2, 3, 4, 5)
    lost = Outcome(request, Status.FAILED, "hung", fault=Fault.READER)
    again = [ledger.note(lost, state, 100.0) for _ in range(5)]
    assert again == [130.0, 220.0, 580.0, 2020.0, math.inf]
    ledger = ledgers()
    assert ledger.decide(request, state, 1e9).action is Action.HOLD
    assert ledger.decide(request, state._replace(size=2), 100.0).action is Action.INGEST
    assert ledger.note(lost, state._replace(size=2), 1000.0) == 1030.0  # Another file: its first attempt.


def test_a_quarantined_scan_has_failed_until_it_is_ingested(root: Path, ledgers: Ledgers) -> None:
    ledger, request, state = ledgers(), _request(root / "raw"), FileState(1, 2, 3, 4, 5)
    assert not ledger.failed(request)
    for _ in range(5):
        ledger.note(Outcome(request, Status.FAILED, "hung", fault=Fault.READER), state, 100.0)
    assert ledgers().failed(request)
    assert ledger.note(Outcome(request, Status.FAILED, "hung", fault=Fault.READER), state, 210.0) == math.inf
    ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), state, 310.0)
    assert not ledger.failed(request)


def test_a_part_that_was_refused_is_written_down_and_tried_again(root: Path, ledgers: Ledgers) -> None:
    ledger, request = ledgers(), _request(root / "raw")
    ledger.note(Outcome(request, Status.FAILED, "refused", Stamps(1.7e9, -1.0, 0.0)), None, 100.0)
    assert (root / "raw" / DONE).read_text() == "a 1700000000.0000 -1 0\n"
    assert ledger.wanted(request)


def test_a_found_file_that_changed_comes_again_and_a_listed_one_does_not(root: Path, ledgers: Ledgers) -> None:
    ledger = ledgers()
    found, listed = _request(root, "x", Origin.FOUND), _request(root / "raw")
    for request in (found, listed):
        ledger.begin(request, 100.0)
        ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), FileState(1, 2, 3, 4, 5), 100.0)
    assert ledger.decide(found, FileState(1, 2, 3, 4, 5), 100.0).action is Action.NOTHING
    assert ledger.decide(found, FileState(1, 2, 3, 7, 5), 100.0).action is Action.INGEST
    assert ledger.decide(listed, FileState(1, 2, 3, 7, 5), 100.0).action is Action.NOTHING


def test_one_process_writes_a_list_and_a_second_one_says_so(root: Path, ledgers: Ledgers) -> None:
    program = (
        "import sys; from pathlib import Path; from scicat_watch.ledger.ledger import BeamtimeLedger\n"
        "from scicat_watch.ledger.journal import Journal; from scicat_watch.model import Beamtime\n"
        "from scicat_watch.ledger.rules import IngestedRules, RetryRules\n"
        "root = Path(sys.argv[1]); journal = Journal(root.parent / 'other.sqlite')\n"
        "ledger = BeamtimeLedger(Beamtime('1', root, {}), IngestedRules(fallback=root), RetryRules(), journal)\n"
        "print(ledger.ours(root / 'raw'), flush=True); sys.stdin.readline(); ledger.release()\n"
        "print('released', flush=True); sys.stdin.readline()\n"
    )
    ledger, request = ledgers(), _request(root / "raw")
    with subprocess.Popen(
        [sys.executable, "-c", program, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert not ledger.ours(root / "raw")
        assert ledger.wanted(request)
        (root / "raw" / DONE).write_text("a 1700000000.0 1700000000.0 0\n")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "released\n"
        assert ledger.ours(root / "raw")
        child.stdin.write("\n")
        child.stdin.close()
    assert not ledger.wanted(request)


def test_a_lock_is_taken_anew_where_the_directory_is_a_new_one(root: Path, ledgers: Ledgers) -> None:
    ledger = ledgers()
    assert ledger.ours(root / "raw")
    (root / "raw").rename(root / "old")
    with pytest.raises(FileNotFoundError):
        ledger.ours(root / "raw")
    assert not (root / "raw").exists()
    (root / "raw").mkdir()
    assert ledger.ours(root / "raw")
    assert (root / "raw" / f".{DONE}.lock").exists()


def test_a_note_that_cannot_be_written_stops_nothing(root: Path, ledgers: Ledgers) -> None:
    ledger, request = ledgers(), _request(root / "raw")
    (root / "raw").rename(root / "old")
    assert ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), None, 100.0) is None
    assert not (root / "raw").exists()


def test_lists_are_kept_elsewhere_if_that_is_set(root: Path, ledgers: Ledgers) -> None:
    elsewhere = root.parent / "var"
    ledger, request = ledgers(IngestedRules(directory=elsewhere)), _request(root / "raw")
    assert ledger.ours(root / "raw")
    ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), None, 100.0)
    assert list((root / "raw").iterdir()) == []
    assert len(list(elsewhere.rglob(DONE))) == 1


def test_a_list_that_cannot_be_read_puts_a_scan_off(root: Path, ledgers: Ledgers) -> None:
    (root / "raw" / DONE).mkdir()
    decision = ledgers().decide(_request(root / "raw"), None, 100.0)
    assert (decision.action, decision.until) == (Action.WAIT, 130.0)


def _line(name: str, *extras: str) -> ListEntry:
    return ListEntry(" ".join((name, *extras)), name, name, extras=extras)


def test_a_listed_scan_that_was_found_before_keeps_its_dataset_and_settles_the_found_one(
    root: Path, ledgers: Ledgers
) -> None:
    ledger = ledgers()
    found = ledger.of_file(root / "raw/a.nxs", root)
    ledger.begin(found, 100.0)
    ledger.note(Outcome(found, Status.FAILED, "no schema"), None, 100.0)
    listed = ledgers().of_line(_line("a", "pilatus"), root / "raw")
    assert (listed.pid, listed.scan.directory, listed.scan.stem) == ("1/raw/a", root, "raw/a")
    assert listed.scan.extras == ("raw/pilatus",)
    ledger.note(Outcome(listed, Status.CREATED, stamps=STAMPS), None, 200.0)
    dataset, line, _ = (root / "raw" / DONE).read_text().split("\n")
    assert dataset.startswith("__dataset__ a 1/raw/a ")  # It is known where the list goes, whatever lies above.
    assert line.startswith("a pilatus 17")
    assert (root / DONE).read_text().startswith("raw/a 17")
    for known in (ledger, ledgers()):
        assert known.open_line(_line("a", "pilatus"), root / "raw") is None
        assert not known.wanted(known.of_file(root / "raw/a.nxs", root))
        assert known.of_line(_line("a"), root / "raw").pid == "1/raw/a"


def test_a_file_system_that_is_mounted_anew_changes_no_file(root: Path, ledgers: Ledgers) -> None:
    """Network file systems, and disks of a host that was started again, may come back as another device."""
    ledger, request = ledgers(), _request(root, origin=Origin.FOUND)
    state = FileState(1, 2, 3, 4, device=50)
    ledger.note(Outcome(request, Status.CREATED, stamps=STAMPS), state, 100.0)
    again = ledgers()
    assert not again.changed(request, state._replace(device=51))
    assert again.changed(request, state._replace(changed=9))
