"""Which dataset a scan has already: after a rename, beside another scan of its name, and after a metadata file came."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scicat_watch.errors import NameTaken
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, Extent, FileState, ListEntry, Origin, Outcome, Request, Stamps, Status
from scicat_watch.scanstate import FilesState, ScanState

DONE = Stamps(1.7e9, 1.7e9, 0.0)
NOW = 1.7e9


class Story:
    """A beamtime directory whose files are ingested, renamed and copied; its ledger, anew after each restart."""

    def __init__(self, place: Path) -> None:
        self.root = place / "bt"
        self.root.mkdir()
        self._place = place
        self.journal: Journal | None = None
        self.start()

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()

    def start(self, beamtime: str = "1", *, lose: bool = False) -> None:
        self.close()
        for file in self._place.glob("journal.sqlite*") if lose else ():
            file.unlink()
        self.journal = Journal(self._place / "journal.sqlite")
        rules = IngestedRules(fallback=self._place / "fallback")
        self.ledger = BeamtimeLedger(Beamtime(beamtime, self.root, {}), rules, RetryRules(), self.journal, "bt")

    def file(self, name: str, text: str = "content") -> Path:
        path = self.root / f"{name}.nxs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def state(self, name: str) -> ScanState:
        path = self.root / f"{name}.nxs"
        text = path.read_text()
        return ScanState(path, FileState.of(path.stat()), FilesState(1, text), f"head of {text}")

    def asked(self, name: str) -> Request:
        """The request of a found file, for the dataset that it has already."""
        return self._taken(self.ledger.of_file(self.root / f"{name}.nxs", self.root), self.state(name))

    def line(self, name: str, directory: str) -> Request:
        """The same of a line of a list."""
        return self.entry(ListEntry(name, name, name), directory, f"{directory}/{name}")

    def entry(self, line: ListEntry, directory: str, file: str) -> Request:
        """The same of a line that names a scan in this file."""
        return self._taken(self.ledger.of_line(line, self.root / directory), self.state(file))

    def _taken(self, request: Request, state: ScanState) -> Request:
        identified = self.ledger.identified(request, state)
        self.ledger.take_moved(identified, state)
        return identified

    def done(self, request: Request, name: str) -> str:
        outcome = Outcome(request, Status.CREATED, stamps=DONE, source_folder=f"/core/{request.scan.directory.name}")
        self.ledger.note(outcome, None, NOW, self.state(name))
        return request.pid

    def ingest(self, name: str) -> str:
        """Ingest a found file; the id of its dataset."""
        return self.done(self.asked(name), name)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    made.close()


def test_a_renamed_file_keeps_its_dataset_also_without_the_journal(story: Story) -> None:
    story.file("raw/old dir/x")
    assert story.ingest("raw/old dir/x") == "1/raw/old dir/x"
    (story.root / "raw/old dir").rename(story.root / "raw/new dir")
    request = story.asked("raw/new dir/x")
    assert (request.pid, request.scan.name, request.was_in) == ("1/raw/old dir/x", "raw/new dir/x", "/core/bt")
    assert story.ledger.wanted(request)
    story.done(request, "raw/new dir/x")
    for lose in (False, True):
        story.start(lose=lose)
        again = story.asked("raw/new dir/x")
        assert again.pid == again.scan.pid == "1/raw/old dir/x"
        assert not story.ledger.wanted(again)


def test_it_does_so_from_rename_to_rename_and_back(story: Story) -> None:
    story.file("a")
    story.ingest("a")
    for before, after in (("a", "b"), ("b", "c/d"), ("c/d", "a"), ("a", "b")):
        path = story.root / f"{after}.nxs"
        path.parent.mkdir(exist_ok=True)
        (story.root / f"{before}.nxs").rename(path)
        request = story.asked(after)
        assert story.ledger.decide(request, None, NOW).action == "ingest"
        assert story.done(request, after) == "1/a"
        story.start()


def test_a_copy_and_a_hard_link_are_scans_of_their_own(story: Story) -> None:
    file = story.file("a")
    story.ingest("a")
    os.link(file, story.root / "linked.nxs")
    story.file("copied")
    assert story.ingest("linked") == "1/linked"
    assert story.ingest("copied") == "1/copied"
    assert story.ingest("a") == "1/a"


def test_a_file_that_was_renamed_and_written_to_is_another_scan(story: Story) -> None:
    file = story.file("a")
    story.ingest("a")
    file.rename(story.root / "b.nxs").write_text("something else")
    assert story.ingest("b") == "1/b"


def test_what_comes_to_a_place_that_a_scan_has_left_gets_a_dataset_of_its_own(story: Story) -> None:
    for number in (1, 2, 3):
        story.file("current", f"sample {number}")
        assert story.ledger.wanted(story.asked("current"))
        pid = story.ingest("current")
        assert pid == ("1/current" if number == 1 else f"1/current~{number}")
        (story.root / "current.nxs").rename(story.root / f"sample_{number}.nxs")
        assert story.ingest(f"sample_{number}") == pid
        story.start()
    assert [story.asked(f"sample_{number}").pid for number in (1, 2, 3)] == ["1/current", "1/current~2", "1/current~3"]


def test_the_list_says_which_names_scans_have_left_also_without_the_journal(story: Story) -> None:
    story.file("a", "first")
    story.ingest("a")
    (story.root / "a.nxs").rename(story.root / "b.nxs")
    assert story.ingest("b") == "1/a"
    story.start(lose=True)
    story.file("a", "second")
    assert story.ledger.wanted(story.asked("a"))
    assert story.ingest("a") == "1/a~2"
    assert not story.ledger.wanted(story.asked("a"))


def test_two_lists_that_name_a_scan_alike_are_told_apart_and_a_renamed_list_is_not(story: Story) -> None:
    for name in ("a/x", "b/x"):
        story.file(name, name)
    story.done(story.line("x", "a"), "a/x")
    with pytest.raises(NameTaken, match=f"{story.root}/a/x.*{story.root}/b/x.*Rename"):
        story.line("x", "b")
    (story.root / "b/x.nxs").unlink()
    (story.root / "b").rmdir()
    (story.root / "a").rename(story.root / "b")
    request = story.line("x", "b")
    assert (request.pid, request.was_in) == ("1/x", "/core/a")


def test_entries_of_one_file_keep_each_its_own_dataset_when_their_directory_is_renamed(story: Story) -> None:
    story.file("a/x")
    lines = [ListEntry(f"x::{entry};{name}", name, "x", entry) for entry, name in (("e1", "one"), ("e2", "two"))]
    for line in lines:
        story.done(story.entry(line, "a", "a/x"), "a/x")
    (story.root / "a").rename(story.root / "b")
    for line in reversed(lines):  # Another order than they were ingested in.
        request = story.entry(line, "b", "b/x")
        assert (request.pid, request.was_in) == (f"1/{line.name}", "/core/a")


def test_one_file_that_two_paths_lead_to_is_one_scan(story: Story) -> None:
    story.file("a/x")
    story.done(story.line("x", "a"), "a/x")
    (story.root / "b").symlink_to("a")
    assert story.line("x", "b").pid == "1/x"


def test_a_metadata_file_that_comes_later_adopts_what_was_made_before(story: Story) -> None:
    story.start("bt")
    for name in ("raw/x", "raw/y"):
        story.file(name, name)
        assert story.ingest(name) == f"bt/{name}"
    story.start("1")
    request = story.asked("raw/x")
    assert (request.pid, request.was_in, story.ledger.wanted(request)) == ("bt/raw/x", "/core/bt", True)
    story.done(request, "raw/x")
    listed = story.line("y", "raw")
    assert listed.pid == "bt/raw/y"
    story.file("raw/z")
    assert story.ingest("raw/z") == "1/raw/z"
    story.start("1", lose=True)
    assert story.asked("raw/x").pid == "bt/raw/x"
    assert not story.ledger.wanted(story.asked("raw/x"))
    lost = story.line("y", "raw")  # By the list that the generated beamtime left.
    assert (lost.pid, lost.was_in) == ("bt/raw/y", str(story.root))


def test_what_another_beamtime_left_at_the_same_place_is_not_adopted(story: Story) -> None:
    story.start("bt")
    story.file("raw/x", "of last year")
    story.ingest("raw/x")
    (story.root / "scicat-ingested-datasets-bt.lst").unlink()  # The data of last year went.
    story.file("raw/kept", "keeps the inode of the old file from being given again")
    (story.root / "raw/x.nxs").rename(story.root / "raw/archived.nxs")
    story.file("raw/x", "of this year")
    story.start("1")
    assert story.asked("raw/x").pid == "1/raw/x"
    story.start("2")
    assert story.ingest("raw/x") == "2/raw/x"
    story.start("3")  # Not the id that was generated.
    assert story.asked("raw/x").pid == "3/raw/x"


def test_an_update_of_the_file_list_leaves_the_rest_as_changed(story: Story) -> None:
    story.file("a/x", "first")
    story.done(story.line("x", "a"), "a/x")
    story.file("a/x", "second, and longer")
    story.done(replace(story.line("x", "a"), update=Extent.FILES), "a/x")
    known = story.ledger.known(story.root / "a/x")
    assert known is not None
    assert known.state.file is not None
    assert (known.state.file.size, known.state.files.digest) == (len("first"), "second, and longer")
    story.done(replace(story.line("x", "a"), update=Extent.ALL), "a/x")
    known = story.ledger.known(story.root / "a/x")
    assert known is not None
    assert known.state == story.state("a/x")


def test_the_request_of_a_scan_that_changed_is_planned_although_it_is_done(story: Story) -> None:
    story.file("a/x")
    request = story.line("x", "a")
    story.done(request, "a/x")
    assert story.ledger.decide(request, None, NOW).action == "nothing"
    assert story.ledger.decide(replace(request, update=Extent.FILES), None, NOW).action == "ingest"
    assert request.origin is Origin.LISTED


NAMES = ("a/x", "a/y", "b/x")
STEPS: st.SearchStrategy[tuple[str, ...]] = st.one_of(
    st.tuples(st.sampled_from(("write", "ingest", "remove")), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(("rename", "copy", "link")), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.just(("restart",)),
)


class Tale:
    """A story in steps that hypothesis chooses, with the file that each dataset stands for."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.number = 0
        self.standing_for: dict[str, int] = {}
        """The inode of the file that was last published with each dataset."""

    def tell(self, verb: str, *names: str) -> None:
        paths = [self.story.root / f"{name}.nxs" for name in names]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        if verb == "write":
            self.number += 1
            paths[0].write_text(f"content {self.number}")
        elif verb == "restart":
            self.story.start()
        elif paths[0].exists():
            self._treat(verb, names[0], *paths)

    def _treat(self, verb: str, name: str, *paths: Path) -> None:
        match verb:
            case "ingest":
                self._ingest(name)
            case "remove":
                paths[0].unlink()
            case "rename" if not paths[1].exists():
                paths[0].rename(paths[1])
            case "copy" if not paths[1].exists():
                paths[1].write_bytes(paths[0].read_bytes())
            case "link" if not paths[1].exists():
                os.link(*paths)

    def _ingest(self, name: str) -> None:
        inode = (self.story.root / f"{name}.nxs").stat().st_ino
        pid = self.story.ingest(name)
        there = {path.stat().st_ino: path for path in self.story.root.rglob("*.nxs")}
        other = self.standing_for.get(pid)
        shared = other is not None and other != inode and other in there and self._published_at(there[other]) == pid
        assert not shared, f"{pid} was {there[other or 0]}, which is there, and is {name} now"
        self.standing_for[pid] = inode
        assert self.story.asked(name).pid == pid

    def _published_at(self, path: Path) -> str:
        known = self.story.ledger.known(path.with_suffix(""))
        return known.pid if known is not None else ""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=4, max_size=16))
@example(
    [
        ("write", "a/x"),
        ("ingest", "a/x"),
        ("rename", "a/x", "b/x"),
        ("ingest", "b/x"),
        ("write", "a/x"),
        ("ingest", "a/x"),
    ]
)
@example(
    [
        ("write", "a/x"),
        ("ingest", "a/x"),
        ("link", "a/x", "b/x"),
        ("ingest", "b/x"),
        ("remove", "a/x"),
        ("ingest", "b/x"),
    ]
)
def test_no_two_files_that_are_there_share_a_dataset(steps: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        story = Story(Path(place))
        try:
            tale = Tale(story)
            for step in steps:
                tale.tell(*step)
        finally:
            story.close()


def test_a_journal_of_before_stays_valid_and_gets_to_know_the_scans(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    shutil.copy(Path(__file__).parents[1] / "data/journal-0.1.sqlite", path)
    story = Story(tmp_path)
    assert [entry.line for entry in story.journal.failed()] == ["scan_2"]  # type: ignore[union-attr]
    story.file("a/x")
    story.done(story.line("x", "a"), "a/x")
    assert story.ledger.known(story.root / "a/x") is not None
    story.start()
    assert story.ledger.known(story.root / "a/x") is not None
    assert not list(tmp_path.glob("*broken*"))
    story.close()
