"""The ledger of a beamtime: lists where they can be written, one writer each, and no scan forgotten."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.plan import Action
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, Outcome, Scan, Stamps, Status

STAMPS = Stamps(1.7e9, 1.7e9, 0.0)
DONE = "scicat-ingested-datasets-1.lst"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "bt/raw").mkdir(parents=True)
    return tmp_path / "bt"


def _ledger(root: Path, rules: IngestedRules | None = None) -> BeamtimeLedger:
    journal, fallback = Journal(root.parent / "journal.sqlite"), root.parent / "fallback"
    rules = replace(rules or IngestedRules(), fallback=fallback, host="host")
    return BeamtimeLedger(Beamtime("1", root, {}), rules, RetryRules(first=30), journal)


def _scan(directory: Path, name: str = "a", *, listed: bool = True) -> Scan:
    return Scan("1", directory / name, directory, name, name, listed=listed)


def test_done_is_what_the_list_in_the_directory_says(root: Path) -> None:
    ledger, scan = _ledger(root), _scan(root / "raw")
    assert ledger.decide(scan, (), 100.0).action is Action.INGEST
    assert ledger.note(Outcome(scan, Status.CREATED, stamps=STAMPS), (), 100.0) is None
    assert (root / "raw" / DONE).read_text() == "a 1700000000.0000 1700000000.0000 0\n"
    for known in (ledger, _ledger(root)):
        assert known.decide(scan, (), 100.0).action is Action.NOTHING
        assert known.wanted(_scan(root / "raw", "b"))


def test_a_failure_waits_longer_each_time_also_over_a_restart(root: Path) -> None:
    ledger, scan = _ledger(root), _scan(root / "raw")
    failed = Outcome(scan, Status.FAILED, "no schema")
    assert ledger.note(failed, (), 100.0) == 130.0
    assert not (root / "raw" / DONE).exists()
    assert _ledger(root).note(failed, (), 130.0) == 190.0
    assert ledger.decide(scan, (), 189.0).until == 190.0
    assert ledger.decide(scan, (), 190.0).action is Action.INGEST


def test_a_part_that_was_refused_is_written_down_and_tried_again(root: Path) -> None:
    ledger, scan = _ledger(root), _scan(root / "raw")
    ledger.note(Outcome(scan, Status.FAILED, "refused", Stamps(1.7e9, -1.0, 0.0)), (), 100.0)
    assert (root / "raw" / DONE).read_text() == "a 1700000000.0000 -1 0\n"
    assert ledger.wanted(scan)


def test_a_found_file_that_changed_comes_again_and_a_listed_one_does_not(root: Path) -> None:
    ledger = _ledger(root)
    found, listed = _scan(root, "x", listed=False), _scan(root / "raw")
    for scan in (found, listed):
        ledger.begin(scan, 100.0)
        ledger.note(Outcome(scan, Status.CREATED, stamps=STAMPS), (1, 2, 3, 4), 100.0)
    assert ledger.decide(found, (1, 2, 3, 4), 100.0).action is Action.NOTHING
    assert ledger.decide(found, (1, 2, 3, 5), 100.0).action is Action.INGEST
    assert ledger.decide(listed, (1, 2, 3, 5), 100.0).action is Action.NOTHING


def test_one_process_writes_a_list_and_a_second_one_says_so(root: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from scicat_watch.ledger.ledger import BeamtimeLedger\n"
        "from scicat_watch.ledger.journal import Journal; from scicat_watch.model import Beamtime\n"
        "from scicat_watch.ledger.rules import IngestedRules, RetryRules\n"
        "root = Path(sys.argv[1]); journal = Journal(root.parent / 'other.sqlite')\n"
        "ledger = BeamtimeLedger(Beamtime('1', root, {}), IngestedRules(fallback=root), RetryRules(), journal)\n"
        "print(ledger.ours(root / 'raw'), flush=True); sys.stdin.readline(); ledger.release()\n"
        "print('released', flush=True); sys.stdin.readline()\n"
    )
    ledger, scan = _ledger(root), _scan(root / "raw")
    with subprocess.Popen(
        [sys.executable, "-c", program, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert not ledger.ours(root / "raw")
        assert ledger.wanted(scan)
        (root / "raw" / DONE).write_text("a 1700000000.0 1700000000.0 0\n")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "released\n"
        assert ledger.ours(root / "raw")
        child.stdin.write("\n")
        child.stdin.close()
    assert not ledger.wanted(scan)


def test_a_lock_is_taken_anew_where_the_directory_is_a_new_one(root: Path) -> None:
    ledger = _ledger(root)
    assert ledger.ours(root / "raw")
    (root / "raw").rename(root / "old")
    with pytest.raises(FileNotFoundError):
        ledger.ours(root / "raw")
    assert not (root / "raw").exists()
    (root / "raw").mkdir()
    assert ledger.ours(root / "raw")
    assert (root / "raw" / f".{DONE}.lock").exists()


def test_a_note_that_cannot_be_written_stops_nothing(root: Path) -> None:
    ledger, scan = _ledger(root), _scan(root / "raw")
    (root / "raw").rename(root / "old")
    assert ledger.note(Outcome(scan, Status.CREATED, stamps=STAMPS), (), 100.0) is None
    assert not (root / "raw").exists()


def test_lists_are_kept_elsewhere_if_that_is_set(root: Path) -> None:
    elsewhere = root.parent / "var"
    ledger, scan = _ledger(root, IngestedRules(directory=elsewhere)), _scan(root / "raw")
    assert ledger.ours(root / "raw")
    ledger.note(Outcome(scan, Status.CREATED, stamps=STAMPS), (), 100.0)
    assert list((root / "raw").iterdir()) == []
    assert len(list(elsewhere.rglob(DONE))) == 1


def test_a_list_that_cannot_be_read_puts_a_scan_off(root: Path) -> None:
    (root / DONE).mkdir()
    decision = _ledger(root).decide(_scan(root / "raw"), (), 100.0)
    assert (decision.action, decision.until) == (Action.WAIT, 130.0)
