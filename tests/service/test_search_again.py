"""A search for beamtimes that comes again reads a metadata file when something has changed, and only then."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.clock import SystemClock
from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.model import Beamtime
from scicat_watch.service.calls import Calls
from scicat_watch.service.daemon import search
from scicat_watch.service.daemon.search import Search
from scicat_watch.service.serial import SerialThread


class Searches:
    """A search whose calls are waited for."""

    def __init__(self, rules: BeamtimeRules) -> None:
        self._threads: list[SerialThread] = []
        self.search = Search(rules, Calls(SystemClock()), self._thread, lambda: None)

    def _thread(self, name: str) -> SerialThread:
        self._threads.append(SerialThread(name))
        return self._threads[-1]

    def found(self) -> list[str]:
        """Titles of the beamtimes that are found."""
        self.search.begin(set(), {})
        assert all(thread.settle(60.0) for thread in self._threads)
        return sorted(_title(one) for searched in self.search.results() for one in searched.found)


def _title(one: Beamtime | BrokenBeamtime) -> str:
    return str(one.metadata["title"]) if isinstance(one, Beamtime) else "broken"


def _write(directory: Path, number: str, title: str) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / f"beamtime-metadata-{number}.json"
    file.write_text(json.dumps({"beamtimeId": number, "title": title}))
    return file


@pytest.fixture(params=["directories", "base_directories"])
def searches(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searches:
    """Of a directory with one beamtime, after it has settled."""
    monkeypatch.setattr(search, "_TICK", -1.0)
    _write(tmp_path / "bt", "1", "first")
    is_named = request.param == "directories"
    rules = BeamtimeRules(directories=(tmp_path / "bt",)) if is_named else BeamtimeRules(base_directories=(tmp_path,))
    made = Searches(rules)
    assert [made.found(), made.found()] == [["first"], ["first"]]
    return made


def test_what_has_not_changed_is_not_read_again(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beamtimes, "read", lambda file: pytest.fail("read again"))
    assert [searches.found(), searches.found()] == [["first"], ["first"]]


def _edit(place: Path) -> None:
    """In place, to the same size, and with its time set back."""
    file = place / "beamtime-metadata-1.json"
    before = file.stat()
    file.write_text(file.read_text().replace("first", "other"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "edited": (_edit, ["other"]),
    "replaced": (lambda place: _write(place, "2", "new").replace(place / "beamtime-metadata-1.json"), ["new"]),
    "joined": (lambda place: _write(place, "2", "second"), ["first", "second"]),
    "damaged": (lambda place: (place / "beamtime-metadata-1.json").write_text("{"), ["broken"]),
    "removed": (lambda place: (place / "beamtime-metadata-1.json").unlink(), []),
    "moved": (lambda place: _write(place.rename(place.with_name("bt0")), "1", "first"), ["first"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_read_again(searches: Searches, tmp_path: Path, change: str) -> None:
    act, expected = CHANGES[change]
    act(tmp_path / "bt")
    if change == "removed" and searches.search._rules.directories:
        expected = ["Scans in bt"]  # It is generated.
    if change == "moved":
        _write(tmp_path / "bt", "1", "another")
        expected = ["another"] if searches.search._rules.directories else ["another", "first"]
    assert [searches.found(), searches.found(), searches.found()] == [expected] * 3


def test_other_rules_count_at_once(searches: Searches) -> None:
    searches.search.follow(BeamtimeRules(searches.search._rules.directories, skipped_ids=("1",)))
    assert searches.found() == []
