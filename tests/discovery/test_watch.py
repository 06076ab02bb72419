"""One beamtime under watch: each scan is handed out once, whatever names it and whatever happens on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.watch import BeamtimeWatch, Hints
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.plan import Action
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, FileState, Outcome, Request, Stamps, Status, line_of_found

LIST = "scicat-datasets-1.lst"
STAMPS = Stamps(1.7e9, 1.7e9, 0.0)


class Beamline:
    """A beamtime, its watch and its ledger, wired as the service wires them; the time is ours."""

    def __init__(self, root: Path, **watching: Any) -> None:
        self.root = root / "bt"
        self.root.mkdir(exist_ok=True)
        self._state = root / "state"
        self._watching = WatchRules(**({"without_files_after": 0.0} | watching))
        self.now = 0.0
        self.datasets: list[str] = []
        self._journals: list[Journal] = []
        self.start()

    def start(self) -> None:
        """Begin, or begin anew after a kill: what was in memory is lost."""
        beamtime = Beamtime("1", self.root, {})
        journal = Journal(self._state / "journal.sqlite")
        self._journals.append(journal)
        self.ledger = BeamtimeLedger(beamtime, IngestedRules(fallback=self._state / "fallback"), RetryRules(), journal)
        self.watch = BeamtimeWatch(beamtime, self._watching, "host", self.ledger)

    def close(self) -> None:
        for journal in self._journals:
            journal.close()

    def make(self, *names: str) -> None:
        for name in names:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(name)

    def append(self, directory: str, *lines: str) -> None:
        (self.root / directory).mkdir(parents=True, exist_ok=True)
        with (self.root / directory / LIST).open("a") as file:
            file.write("".join(f"\n{line}" for line in lines))

    def step(self, hints: Hints | None = None) -> list[Request]:
        """The requests that a step hands out."""
        self.now += 10.0
        return [ready.request for ready in self.watch.step(self.now, hints).ready]

    def work(self, steps: int = 3, *, fail: bool = False) -> list[str]:
        """Do what the service does for some steps; the datasets that were published."""
        before = len(self.datasets)
        for _ in range(steps):
            for request in self.step():
                self._treat(request, fail=fail)
        return self.datasets[before:]

    def _treat(self, request: Request, *, fail: bool) -> None:
        time = 1.7e9 + self.now
        decision = self.ledger.decide(request, None, time)
        match decision.action:
            case Action.INGEST:
                self.ledger.begin(request, time)
                status = Status.FAILED if fail else Status.CREATED
                stamps = Stamps() if fail else STAMPS
                at = self.ledger.note(Outcome(request, status, stamps=stamps), None, time)
                if at is not None:
                    self.watch.again(request, self.now + at - time)
                    return
                self.watch.forget(request)
                self.datasets.append(request.pid)
            case Action.WAIT:
                self.watch.again(request, self.now + decision.until - time)
            case Action.NOTHING:
                self.watch.forget(request)


@pytest.fixture
def beamlines(tmp_path: Path) -> Iterator[Callable[..., Beamline]]:
    """Makes beamlines with their rules."""
    made: list[Beamline] = []

    def make(**rules: Any) -> Beamline:
        made.append(Beamline(tmp_path, **rules))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def beamline(beamlines: Callable[..., Beamline]) -> Beamline:
    return beamlines()


def test_listed_scans_come_once_in_the_order_of_their_list(beamline: Beamline) -> None:
    beamline.make("raw/b.nxs", "raw/a.nxs")
    beamline.append("raw", "b", "a", "none pilatus")
    assert beamline.work() == ["1/b", "1/a", "1/none"]
    assert beamline.work() == []
    beamline.start()
    assert beamline.work() == []


def test_a_list_in_the_beamtime_directory_itself_names_its_files(beamline: Beamline) -> None:
    beamline.make("a.nxs", "b.nxs")
    beamline.append(".", "a")
    assert sorted(beamline.work()) == ["1/a", "1/b"]


def test_several_lists_have_a_say_over_their_own_directories(beamline: Beamline) -> None:
    beamline.make("x/a.nxs", "y/a.nxs", "z/a.nxs")
    beamline.append("x", "a")
    beamline.append("y", "a")
    assert [request.scan.place.parent.name for request in (*beamline.step(), *beamline.step())] == ["x", "y", "z"]


def test_the_file_of_a_line_for_one_entry_is_no_scan_of_its_own(beamline: Beamline) -> None:
    beamline.make("raw/multi.nxs")
    beamline.append("raw", "multi::/scan_1;multi_1", "multi::/scan_2;multi_2")
    assert beamline.work() == ["1/multi_1", "1/multi_2"]


def test_a_half_written_line_makes_no_dataset(beamline: Beamline) -> None:
    beamline.make("raw/scan_00003.nxs")
    beamline.append("raw", "scan_0000")
    beamline.now = -7.0
    beamline.step()
    with (beamline.root / "raw" / LIST).open("a") as file:
        file.write("3")
    beamline.now = -6.0
    assert beamline.work() == ["1/scan_00003"]


def test_an_event_is_enough_and_none_is_needed(beamline: Beamline) -> None:
    beamline.make("raw/x.txt")
    beamline.step()
    beamline.append("raw", "a")
    assert beamline.step(Hints(directories=frozenset({beamline.root / "raw"}))) == []
    assert [request.scan.name for request in beamline.step(Hints())] == ["a"]
    beamline.append("raw", "b")
    beamline.step()
    assert [request.scan.name for request in beamline.step(Hints())] == ["b"]


@pytest.mark.parametrize("trigger", ["lists", "files", "both"])
def test_what_makes_a_scan_is_a_setting(beamlines: Callable[..., Beamline], trigger: str) -> None:
    beamline = beamlines(trigger=trigger)
    beamline.make("raw/a.nxs", "raw/b.nxs")
    beamline.append("raw", "a", "c")
    expected = {"lists": ["1/a", "1/c"], "files": ["1/a", "1/b"], "both": ["1/a", "1/b", "1/c"]}
    assert sorted(beamline.work()) == expected[trigger]


def test_a_found_file_that_a_list_names_later_stays_one_dataset(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    assert beamline.work() == ["1/raw/a"]
    beamline.append("raw", "a")
    assert beamline.work() == ["1/raw/a"]  # The same dataset, which is found unchanged.
    beamline.start()
    assert beamline.work() == []


@pytest.mark.parametrize("directory", ["raw", "raw data", "#1:2;3", "d\u00e9tecteur"])
def test_so_it_does_in_a_directory_of_any_name(beamline: Beamline, directory: str) -> None:
    beamline.make(f"{directory}/a.nxs")
    (first,) = beamline.work()
    beamline.append(directory, "a")
    assert beamline.work() == [first]
    assert beamline.work() == []


def test_found_files_stay_what_they_were_when_a_list_comes_that_names_others(beamline: Beamline) -> None:
    beamline.make("raw/done.nxs")
    assert beamline.work() == ["1/raw/done"]
    beamline.make("raw/waits.nxs")
    beamline.step()
    beamline.append("raw", "other")
    assert sorted(beamline.work()) == ["1/other", "1/raw/waits"]
    beamline.start()
    assert beamline.work() == []


def test_a_found_file_that_waits_is_taken_over_by_the_list_that_names_it(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.step()
    beamline.append("raw", "a")
    assert beamline.work() == ["1/a"]


def test_listed_scans_are_not_found_again_when_their_list_is_gone(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs", "raw/b.nxs")
    beamline.append("raw", "a pilatus", "b:17")
    assert beamline.work() == ["1/a", "1/b"]
    (beamline.root / "raw" / LIST).unlink()
    assert beamline.work() == []
    beamline.start()
    assert beamline.work() == []


def test_what_began_as_found_ends_so_after_a_kill(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.step()
    (request,) = beamline.step()
    beamline.ledger.begin(request, 1.7e9)
    beamline.append("raw", "a")
    beamline.start()
    assert beamline.work(8) == ["1/raw/a"]


def test_what_failed_as_found_is_not_made_a_second_time_by_a_list(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.work(2, fail=True)
    beamline.append("raw", "a")
    assert beamline.work(20) == ["1/raw/a"]
    assert beamline.work(20) == []


def test_a_listed_scan_is_not_lost_to_a_found_one_that_never_ends(beamlines: Callable[..., Beamline]) -> None:
    beamline = beamlines()
    beamline.make("raw/a.nxs")
    beamline.step()
    (request,) = beamline.step()
    beamline.ledger.begin(request, 1.7e9)
    again = beamlines(trigger="lists")
    again.append("raw", "a")
    assert again.work(100) == ["1/raw/a"]


def test_a_listed_scan_is_not_lost_to_a_found_one_whose_file_is_gone(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.step()
    (request,) = beamline.step()
    beamline.ledger.begin(request, 1.7e9)
    (beamline.root / "raw/a.nxs").unlink()
    beamline.append("raw", "a")
    beamline.start()
    assert beamline.work(5) == ["1/raw/a"]


def test_failed_scans_come_again_and_the_others_do_not_wait_for_them(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.append("raw", "a")
    assert beamline.work(2, fail=True) == []
    beamline.append("raw", "b")
    assert beamline.work(2) == ["1/b"]
    assert beamline.work(10) == ["1/a"]


def test_a_directory_that_is_made_anew_with_the_same_names_is_ingested_anew(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs")
    beamline.append("raw", "a")
    assert beamline.work() == ["1/a"]
    shutil.rmtree(beamline.root / "raw")
    beamline.work(1)
    beamline.make("raw/a.nxs")
    beamline.append("raw", "a")
    assert beamline.work() == ["1/a"]


def test_a_beamtime_that_was_unreachable_for_a_while_is_not_ingested_anew(beamline: Beamline) -> None:
    beamline.make("raw/a.nxs", "found/b.nxs")
    beamline.append("raw", "a")
    assert len(beamline.work()) == 2
    beamline.root.rename(beamline.root.with_name("away"))
    assert beamline.work() == []
    beamline.root.with_name("away").rename(beamline.root)
    assert beamline.work() == []


@pytest.mark.parametrize("where", ["raw", "."])
def test_an_ingested_list_that_cannot_be_read_puts_its_scans_off_and_loses_none(beamline: Beamline, where: str) -> None:
    beamline.make("raw/a.nxs", "zoo/c.nxs", "found/d.nxs")
    beamline.append("raw", "a")
    beamline.append("zoo", "c")
    blocked = beamline.root / where / "scicat-ingested-datasets-1.lst"
    blocked.mkdir()
    first = beamline.work(4)
    assert ("1/a" in first, "1/c" in first) == ((False, True) if where == "raw" else (False, False))
    assert any("cannot be read" in problem for problem in beamline.watch.problems())
    blocked.rmdir()
    assert sorted(first + beamline.work(8)) == ["1/a", "1/c", "1/found/d"]


def test_bad_lines_and_unreadable_lists_are_reported(beamline: Beamline) -> None:
    beamline.append("raw", "../out", "a")
    (beamline.root / "zoo" / LIST).mkdir(parents=True)
    assert beamline.work() == ["1/a"]
    assert [(path.parent.name, line.number) for path, line in beamline.watch.bad_lines()] == [("raw", 2)]
    assert any("zoo" in problem for problem in beamline.watch.problems())
    assert beamline.watch.scan_directories() == [beamline.root, beamline.root / "raw", beamline.root / "zoo"]


def test_changes_that_no_event_reported_are_noticed(beamline: Beamline) -> None:
    beamline.make("raw/x.txt")
    beamline.watch.step(0.0, None)
    beamline.make("raw/y.txt")
    assert beamline.watch.step(10.0, None).missed == (beamline.root / "raw",)
    assert beamline.watch.step(20.0, None).missed == ()


def test_the_line_of_a_found_file_reads_like_no_other_line() -> None:
    for name, line in [("raw/a", "raw/a"), ("a b", "'a b'"), ("a:1", "'a:1'"), ("#a", "'#a'"), ("m::x;y", "'m::x;y'")]:
        assert line_of_found(name) == line


def test_the_list_of_a_directory_that_was_moved_in_speaks_before_its_files(tmp_path: Path, beamline: Beamline) -> None:
    line = beamline
    line.step()
    (tmp_path / "away").mkdir()
    for name in ("multi.nxs", "run_1.nxs", "free_1.nxs", "pilatus_1.cbf"):
        (tmp_path / "away" / name).write_text(name)
    (tmp_path / "away" / LIST).write_text("run_1 pilatus\nmulti::/scan_1;multi_1\n")
    (tmp_path / "away").rename(line.root / "raw")
    named = Hints(directories=frozenset({line.root}))  # All that an event says: a name came in the beamtime directory.
    assert line.step(named) == []
    assert sorted(request.key.line for request in line.step(Hints())) == [
        "free_1",
        "multi::/scan_1;multi_1",
        "run_1 pilatus",
    ]


def test_a_found_file_that_is_closed_again_while_it_is_ingested_is_checked_once_more(beamline: Beamline) -> None:
    beamline.make("a.nxs")
    file = beamline.root / "a.nxs"
    beamline.step()
    (ready,) = beamline.watch.step(beamline.now + 10.0, None).ready
    beamline.ledger.begin(ready.request, 1.7e9)
    file.write_text("more than before")
    assert beamline.step(Hints(files=frozenset({file}))) == []
    beamline.ledger.note(Outcome(ready.request, Status.CREATED, stamps=STAMPS), ready.state, 1.7e9)
    beamline.watch.forget(ready.request)
    assert beamline.step(Hints()) == []
    assert [request.pid for request in beamline.step(Hints())] == ["1/a"]


def test_a_file_closed_where_what_was_ingested_cannot_be_read_holds_up_no_other(beamline: Beamline) -> None:
    beamline.make("found/a.nxs")
    beamline.step()
    (ready,) = beamline.watch.step(beamline.now + 10.0, None).ready
    beamline.ledger.note(Outcome(ready.request, Status.CREATED, stamps=STAMPS), ready.state, 1.7e9)
    beamline.watch.forget(ready.request)
    beamline.make("b.nxs")
    beamline.now += 10.0
    beamline.step()
    noted = beamline.root / "scicat-ingested-datasets-1.lst"
    noted.rename(aside := beamline.root / ".aside")
    noted.mkdir()
    file = beamline.root / "found/a.nxs"
    file.write_text("more than before")
    assert [request.pid for request in beamline.step(Hints(files=frozenset({file})))] == ["1/b"]
    assert any("cannot be read" in problem for problem in beamline.watch.problems())
    noted.rmdir()
    aside.rename(noted)
    beamline.step()
    assert [request.pid for request in beamline.step()] == ["1/found/a"]  # It was not forgotten that it changed.
    assert beamline.watch.problems() == []


@pytest.mark.parametrize("before_version_02", [False, True])
def test_found_files_that_changed_while_nobody_watched_come_again_and_no_others(
    beamline: Beamline, *, before_version_02: bool
) -> None:
    names = ("found/a.nxs", "found/b.nxs", "found/c.nxs", "found/d.fio", "found/it's.nxs")
    beamline.make(*names)
    states: dict[str, FileState] = {}
    beamline.step()
    for ready in beamline.watch.step(beamline.now + 10.0, None).ready:
        state = ready.state
        assert state is not None
        states[ready.request.scan.name] = state
        kept = state[:4] if before_version_02 else state
        beamline.ledger.begin(ready.request, 1.7e9)
        beamline.ledger.note(Outcome(ready.request, Status.CREATED, stamps=STAMPS), kept, 1.7e9)  # type: ignore[arg-type]
    assert sorted(states) == ["found/a", "found/b", "found/c", "found/it's"]
    (beamline.root / "found/b.nxs").write_text("more than before")
    (beamline.root / "found/it's.nxs").write_text("more than before")
    (beamline.root / "found/c.nxs").unlink()
    beamline.start()
    assert beamline.step() == []
    assert sorted(request.pid for request in beamline.step()) == ["1/found/b", "1/found/it's"]


def test_a_start_over_many_done_scans_asks_the_journal_once(
    beamline: Beamline, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"run_{number:03d}" for number in range(200)]
    beamline.make(*(f"found/{name}.nxs" for name in names), *(f"raw/{name}.nxs" for name in names))
    beamline.append("raw", *names)
    assert len(beamline.work()) == 400
    beamline.start()
    asked: list[str] = []
    journal = beamline.ledger._journal
    real = journal._all

    def counted(query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        asked.append(query)
        return real(query, values)

    monkeypatch.setattr(journal, "_all", counted)
    assert beamline.work() == []
    assert len(asked) < 5


def test_what_changes_in_a_directory_of_detector_files_is_no_missed_event(beamline: Beamline) -> None:
    beamline.make(*(f"raw/pilatus/{number}.cbf" for number in range(30)))
    assert beamline.work() == []
    for number in range(5):
        beamline.make(f"raw/pilatus/more_{number}.cbf")
        beamline.now += 400.0
        assert beamline.watch.step(beamline.now, None).missed == ()
    beamline.make("raw/pilatus/late.nxs")
    beamline.now += 400.0
    assert beamline.watch.step(beamline.now, None).missed == ()
    assert beamline.work() == ["1/raw/pilatus/late"]


def test_a_turn_finds_new_files_and_lines_without_any_event(beamline: Beamline) -> None:
    beamline.make("raw/x.txt", "found/y.txt", "quiet/z.txt")
    beamline.append("raw", "a")
    beamline.step()
    beamline.now += 2000.0
    beamline.watch.step(beamline.now, None)
    beamline.make("found/b.nxs")
    beamline.append("raw", "c")
    turn = frozenset({beamline.root / "found", beamline.root / "raw"})
    beamline.watch.step(beamline.now, Hints(turn=turn))
    assert {path.name for path in beamline.watch.live(beamline.now + 899.0)} == {"bt", "raw", "found"}
    assert {path.name for path in beamline.watch.live(beamline.now + 901.0)} == set()
    assert {one.request.pid for one in beamline.watch.waiting()} == {"1/c", "1/found/b"}


MANY = [f"scan_{number:03d}" for number in range(100)]


def test_the_files_of_a_long_list_come_in_whatever_order(beamlines: Callable[..., Beamline]) -> None:
    beamline = beamlines(without_files_after=10_000.0)
    beamline.make("raw/scan_042.nxs")
    beamline.append("raw", *MANY)
    assert beamline.work() == ["1/scan_042"]
    assert (beamline.watch.incomplete, len(list(beamline.watch.waiting())), beamline.watch.stuck) == (99, 99, True)
    beamline.make("raw/scan_077_0001.tif", "raw/scan_007.nxs")
    hint = Hints(frozenset({beamline.root / "raw"}))
    assert beamline.step(hint) == []
    assert [request.pid for request in beamline.step(Hints())] == ["1/scan_007", "1/scan_077"]
    assert beamline.watch.incomplete == 97


def test_a_line_of_a_long_list_that_was_handed_out_and_lost_is_offered_again(
    beamlines: Callable[..., Beamline],
) -> None:
    """As all that are open: nothing depends on a request's being handed on."""
    beamline = beamlines(without_files_after=10_000.0)
    beamline.append("raw", *MANY)
    beamline.work()
    beamline.make("raw/scan_007.nxs")
    handed = [request for _ in range(8) for request in beamline.step()]
    assert [request.pid for request in handed] == ["1/scan_007"]
    beamline.watch.forget(handed[0])
    assert beamline.work() == ["1/scan_007"]
    assert beamline.work() == []


def test_lines_that_a_long_list_says_no_longer_are_waited_for_no_longer(beamlines: Callable[..., Beamline]) -> None:
    beamline = beamlines(without_files_after=10_000.0)
    beamline.append("raw", *MANY)
    beamline.work()
    (beamline.root / "raw" / LIST).write_text("\n".join(MANY[50:]))
    beamline.work()
    assert beamline.watch.incomplete == 50
    beamline.make("raw/scan_007.nxs", "raw/scan_070.nxs")
    assert sorted(beamline.work(8)) == ["1/scan_007", "1/scan_070"]
    assert beamline.watch.incomplete == 49


def test_lines_without_files_end_as_datasets_without_files_unless_their_list_is_gone(
    beamlines: Callable[..., Beamline],
) -> None:
    beamline = beamlines(without_files_after=100.0)
    beamline.append("raw", *MANY)
    beamline.append("away", *MANY)
    beamline.work()
    (beamline.root / "away").rename(beamline.root.parent / "away")
    assert beamline.work(15) == [f"1/{name}" for name in MANY]
    assert beamline.watch.incomplete == 100
    assert "not there" in next(beamline.watch.waiting()).reason
