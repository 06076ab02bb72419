"""How datasets are named: once, whatever lists come and go, and whoever asks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scicat_watch.ledger import naming
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, ListEntry, Origin, Outcome, Request, Stamps, Status

ROOT = Path("/bt")
BEAMTIME = Beamtime("1", ROOT, {})
DONE = Stamps(1.7e9, 1.7e9, 0.0)


class Known:
    """A past that is written down in a test: directories with names under them, e.g. "/bt|raw/x"."""

    def __init__(self, begun: tuple[str, ...] = ()) -> None:
        self._begun = begun

    def begun_in(self, directory: Path, name: str) -> bool:
        return f"{directory}|{name}" in self._begun

    def published_as(self, directory: Path, name: str) -> str:
        return ""


def _entry(name: str, *extras: str, entry: str = "", stem: str = "", again: str | None = None) -> ListEntry:
    return ListEntry(" ".join((name, *extras)), name, stem or name, entry, again, extras)


@pytest.mark.parametrize(
    ("directory", "name", "begun", "pid", "home"),
    [
        ("/bt", "x", (), "1/x", "/bt"),
        ("/bt/raw", "x", (), "1/x", "/bt/raw"),
        ("/bt/raw", "sub/x", (), "1/sub/x", "/bt/raw"),
        ("/bt/raw", "x", ("/bt|raw/x",), "1/raw/x", "/bt"),
        ("/bt/raw", "x", ("/bt|raw/y", "/bt|x"), "1/x", "/bt/raw"),
        ("/bt/a/b", "x", ("/bt/a|b/x",), "1/b/x", "/bt/a"),
        ("/bt/a/b", "x", ("/bt/a|b/x", "/bt|a/b/x"), "1/a/b/x", "/bt"),  # The topmost was the first.
        ("/bt/a/b", "x", ("/bt/a/b|x",), "1/x", "/bt/a/b"),
        ("/bt", "a/x", ("/bt/a|x",), "1/a/x", "/bt"),  # "pilatus" cannot be named from there.
    ],
)
def test_a_line_is_named_relative_to_its_list_unless_the_scan_has_a_name_already(
    directory: str, name: str, begun: tuple[str, ...], pid: str, home: str
) -> None:
    request = naming.of_line(BEAMTIME, _entry(name, "pilatus"), Path(directory), Known(begun))
    assert (request.pid, request.scan.directory) == (pid, Path(home))
    assert (request.key.directory, request.key.line) == (Path(directory), f"{name} pilatus")
    assert request.scan.place == Path(directory) / name
    assert request.scan.directory / request.scan.extras[0] == Path(directory) / "pilatus"
    assert (request.origin, request.again) == (Origin.LISTED, False)


def test_a_line_of_a_list_above_asks_for_what_the_list_below_had_named_before_it_went() -> None:
    request = naming.of_line(BEAMTIME, _entry("a/x", "a/pilatus"), ROOT, Known(("/bt/a|x",)))
    assert (request.pid, request.scan.directory, request.scan.stem) == ("1/x", ROOT / "a", "x")
    assert (request.scan.extras, request.key.directory, request.key.line) == (("pilatus",), ROOT / "a", "x a/pilatus")


@pytest.mark.parametrize(
    ("directory", "begun", "pid", "home"),
    [
        ("/bt", (), "1/a/b/x", "/bt"),
        ("/bt/a/b", (), "1/x", "/bt/a/b"),
        ("/bt/a/b", ("/bt|a/b/x",), "1/a/b/x", "/bt"),
        ("/bt", ("/bt/a/b|x",), "1/x", "/bt/a/b"),  # Its list has gone; it was ingested as that named it.
        ("/bt", ("/bt/a|b/x",), "1/b/x", "/bt/a"),
        ("/bt", ("/bt|a/b/x", "/bt/a/b|x"), "1/a/b/x", "/bt"),  # What it is called now comes first.
        ("/bt/a", ("/bt/a/b|x",), "1/x", "/bt/a/b"),
        ("/bt/a", ("/bt|a/b/x", "/bt/a/b|x"), "1/a/b/x", "/bt"),
    ],
)
def test_a_file_is_named_relative_to_the_directory_that_names_it_now_or_named_it_first(
    directory: str, begun: tuple[str, ...], pid: str, home: str
) -> None:
    request = naming.of_file(BEAMTIME, ROOT / "a/b/x.nxs", Path(directory), Known(begun))
    assert (request.pid, request.scan.directory) == (pid, Path(home))
    assert (request.key.directory, request.key.line) == (Path(home), request.scan.name)
    assert (request.scan.place, request.scan.master) == (ROOT / "a/b/x", ROOT / "a/b/x.nxs")
    assert request.origin is Origin.FOUND


def test_a_name_that_reads_like_a_lines_grammar_is_noted_in_quotes() -> None:
    request = naming.of_file(BEAMTIME, ROOT / "a scan #1.nxs", ROOT, Known())
    assert (request.pid, request.key.line) == ("1/a scan #1", "'a scan #1'")


@pytest.mark.parametrize(
    ("entry", "again"),
    [(_entry("x"), False), (_entry("x", again="17"), True), (_entry("x_1", entry="scan_1", stem="x"), True)],
)
def test_a_line_asks_again_if_it_says_so_or_names_an_entry(entry: ListEntry, again: bool) -> None:
    assert naming.of_line(BEAMTIME, entry, ROOT, Known()).again is again


FOLDERS = ("", "a", "a/b")
FILES = tuple(f"{folder}/{stem}".lstrip("/") for folder in FOLDERS for stem in ("x", "y"))
Step = tuple[str, str]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.sampled_from(("list", "unlist")), st.sampled_from(FOLDERS)),
    st.tuples(st.sampled_from(("begin", "fail", "finish", "finish with extras")), st.sampled_from(FILES)),
    st.sampled_from((("restart", ""), ("lose the journal", ""))),
)


class History:
    """A beamtime whose lists come and go while its files are ingested, and its ledger, anew after each restart."""

    def __init__(self, place: Path) -> None:
        self.root = place / "bt"
        (self.root / "a/b").mkdir(parents=True)
        self._journal_file = place / "journal.sqlite"
        self._lists: set[str] = set()
        self.named: dict[str, str] = {}
        """The id of each file whose ingestion began."""
        self.finished: set[str] = set()
        self._open()

    def close(self) -> None:
        self._journal.close()

    def tell(self, verb: str, what: str) -> None:
        match verb:
            case "list":
                self._lists.add(what)
            case "unlist":
                self._lists.discard(what)
            case "restart":
                self._restart()
            case "lose the journal":
                # History may be lost; only what the lists say is done is known for ever.
                self._restart(lose=True)
                self.named = {file: pid for file, pid in self.named.items() if file in self.finished}
            case _:
                self._treat(verb, what)

    def _open(self) -> None:
        self._journal = Journal(self._journal_file)
        rules = IngestedRules(fallback=self.root.parent / "fallback")
        self._ledger = BeamtimeLedger(Beamtime("1", self.root, {}), rules, RetryRules(), self._journal)

    def _restart(self, *, lose: bool = False) -> None:
        self._journal.close()
        if lose:
            for file in self._journal_file.parent.glob("journal.sqlite*"):
                file.unlink()
        self._open()

    def requests(self, file: str) -> Iterator[Request]:
        """Whoever asks for a file now: the nearest list, if any, by a line; and by the file itself."""
        path = self.root / f"{file}.nxs"
        above = [folder for folder in FOLDERS if path.is_relative_to(self.root / folder) and folder in self._lists]
        directory = self.root / max(above, key=len) if above else self.root
        if above:
            name = path.with_suffix("").relative_to(directory).as_posix()
            yield self._ledger.of_line(_entry(name), directory)
            yield self._ledger.of_line(_entry(name, f"{name}_pilatus"), directory)
        else:
            yield self._ledger.of_file(path, directory)

    def _treat(self, verb: str, file: str) -> None:
        asked = list(self.requests(file))
        for request in asked:
            assert request.scan.place == self.root / file
            assert request.pid == self.named.get(file, request.pid)
        request = asked[-1] if verb == "finish with extras" else asked[0]
        if verb == "ask" or not self._ledger.wanted(request):
            return
        self.named[file] = request.pid
        self._ledger.begin(request, 1.7e9)
        if verb == "fail":
            self._ledger.note(Outcome(request, Status.FAILED, "why"), None, 1.7e9)
        elif verb.startswith("finish"):
            self._ledger.note(Outcome(request, Status.CREATED, stamps=DONE), None, 1.7e9)
            self.finished.add(file)


@contextmanager
def _history() -> Iterator[History]:
    with tempfile.TemporaryDirectory() as place:
        history = History(Path(place))
        try:
            yield history
        finally:
            history.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=14))
@example([("list", "a"), ("fail", "a/x"), ("unlist", "a")])
@example([("list", "a"), ("begin", "a/x"), ("restart", ""), ("unlist", "a")])
@example([("list", ""), ("list", "a"), ("begin", "a/x"), ("unlist", "a")])
@example([("list", ""), ("list", "a"), ("begin", "a/x"), ("unlist", "a"), ("finish", "a/x")])
@example([("list", ""), ("list", "a"), ("fail", "a/x"), ("unlist", "a"), ("finish", "a/x"), ("lose the journal", "")])
@example([("list", ""), ("fail", "a/x"), ("list", "a")])
@example([("list", "a"), ("begin", "a/b/x"), ("restart", ""), ("list", "a/b")])
@example([("list", ""), ("finish with extras", "a/x"), ("list", "a")])
@example([("list", "a"), ("finish with extras", "a/x"), ("lose the journal", ""), ("unlist", "a")])
def test_a_place_never_gets_a_second_name_once_its_ingestion_began(steps: list[Step]) -> None:
    with _history() as history:
        for verb, what in steps:
            history.tell(verb, what)
        for file in FILES:
            history.tell("ask", file)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from(FOLDERS)), st.sampled_from(FILES))
def test_without_a_history_a_scan_is_named_by_the_nearest_list_or_the_beamtime(lists: set[str], file: str) -> None:
    with _history() as history:
        for folder in lists:
            history.tell("list", folder)
        (request, *_) = history.requests(file)
        above = [folder for folder in lists if not folder or file.startswith(f"{folder}/")]
        nearest = max(above, key=len, default="")
        assert request.pid == f"1/{file.removeprefix(nearest).lstrip('/')}"
