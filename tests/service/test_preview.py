"""The preview: the dataset that an ingestion would make, by whichever way its file is named, and nothing written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.catalogue.difference import State
from scicat_watch.errors import BeamtimeError, ConfigError, Refused, Unavailable
from scicat_watch.service import preview
from scicat_watch.service.oneshot import OneShot
from scicat_watch.service.preview import Preview, Previewer
from scicat_watch.service.previewjson import as_json
from scicat_watch.service.targets import targets
from tests import makers
from tests.catalogue.conftest import Site as Catalogue
from tests.fakes import FakeClock
from tests.makers import ID, LIST
from tests.service.conftest import Disk, at, settings
from tests.service.fakes import FakeSite, InlineExecutor

QUIET = {"ingestion_delay": 5.0}
NO_PICTURES = {"thumbnails": False}
Previews = Callable[..., list[Preview]]


@pytest.fixture
def previews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Iterator[Previews]:
    """The previews of a path, read in this process; without a catalogue unless a section names one."""
    monkeypatch.setattr(preview, "open_executor", lambda settings: InlineExecutor())

    def of(path: Path, **sections: Any) -> list[Preview]:
        sections = {"catalogue": {"url": None}, "embedded": {"port": 0}, "reading": NO_PICTURES} | sections
        previewer = Previewer(settings(tmp_path, watching=QUIET, **sections), clock=clock)
        try:
            return list(previewer.of(path))
        finally:
            previewer.close()

    yield of
    assert not (tmp_path / "var/catalogue.sqlite").exists()


@pytest.fixture
def ingest(sites: Callable[..., FakeSite]) -> Callable[..., list[str]]:
    """Ingests paths; the datasets that were made, or found."""

    def run(*paths: Path) -> list[str]:
        site = sites(watching=QUIET)
        OneShot(site).run(targets(paths, site.settings))
        return sorted(pid for _, pid in site.ingest.tried)

    return run


def _snapshot(place: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in place.rglob("*")}


def _pids(shown: list[Preview]) -> list[str]:
    return sorted(one.scan.pid for one in shown)


WAYS = ("", "raw", "raw/x.nxs")


@pytest.mark.parametrize("way", [*WAYS, f"raw/{LIST}"])
@pytest.mark.parametrize("listed", [True, False])
def test_it_shows_the_dataset_that_an_ingestion_makes_before_and_after_it(
    disk: Disk, previews: Previews, ingest: Callable[..., list[str]], way: str, listed: bool
) -> None:
    disk.nexus("raw/x.nxs")
    disk.append(f"raw/{LIST}", *(["x"] if listed else []))
    before = _pids(previews(disk.root / way))
    assert before == ([] if way.endswith(".lst") and not listed else [f"{ID}/x"])
    assert ingest(disk.root / way) == before
    assert _pids(previews(disk.root / way)) == before


@pytest.mark.parametrize(
    ("first", "then"), [("", ""), ("", "raw"), ("", "raw/x.nxs"), ("raw", "raw/x.nxs"), ("raw/x.nxs", "raw")]
)
def test_also_of_a_generated_beamtime_whatever_was_named_first(
    tmp_path: Path, previews: Previews, ingest: Callable[..., list[str]], first: str, then: str
) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    made = ingest(disk.root / first)
    assert len(made) == 1
    assert _pids(previews(disk.root / then)) == made == ingest(disk.root / then)


def test_a_scan_that_was_found_before_its_list_came_keeps_its_name(
    disk: Disk, previews: Previews, ingest: Callable[..., list[str]]
) -> None:
    file = disk.nexus("raw/x.nxs")
    ingest(disk.root)
    disk.append(f"raw/{LIST}", "x")
    assert _pids(previews(file)) == [f"{ID}/raw/x"] == ingest(file)


def test_it_writes_nothing(disk: Disk, previews: Previews, tmp_path: Path) -> None:
    disk.nexus("raw/x.nxs")
    disk.nexus("raw/y.nxs")
    disk.append(f"raw/{LIST}", "x")
    before = _snapshot(tmp_path)
    assert len(previews(disk.root)) == 2
    after = _snapshot(tmp_path)
    assert after.keys() - before.keys() == {tmp_path / "secret"}  # The test's own.
    assert {path: after[path] for path in before} == before


def test_neither_does_it_after_an_ingestion(
    disk: Disk, previews: Previews, ingest: Callable[..., list[str]], tmp_path: Path
) -> None:
    disk.nexus("raw/x.nxs")
    ingest(disk.root)
    before = _snapshot(disk.root)
    previews(disk.root / "raw/x.nxs")
    assert _snapshot(disk.root) == before


def test_it_needs_no_lock(disk: Disk, previews: Previews, site: FakeSite) -> None:
    disk.nexus("raw/x.nxs")
    daemon = site.ledger(makers.beamtime(disk.root))
    assert daemon.ours(disk.root)
    assert _pids(previews(disk.root)) == [f"{ID}/raw/x"]
    daemon.release()


def test_it_says_what_fits_what_is_made_and_why_it_would_wait(disk: Disk, previews: Previews) -> None:
    (shown,) = previews(disk.nexus("raw/x.nxs"))
    assert shown.schema is not None
    assert shown.schema.id == "nexus"
    assert "desy" in shown.passed_over
    assert shown.bundle is not None
    assert shown.bundle.dataset.pid == f"{ID}/raw/x"
    assert shown.waiting == "waits until none of its files has changed for 5 s (watching.ingestion_delay)"
    assert (shown.problem, shown.unreachable, shown.difference.state) == ("", "", State.UNKNOWN)
    assert "not running" in shown.difference.reason
    assert as_json(shown)["pid"] == f"{ID}/raw/x"


def test_a_file_that_cannot_be_read_has_a_problem_and_no_documents(disk: Disk, previews: Previews) -> None:
    (shown,) = previews(disk.text("raw/x.nxs", "not HDF5"))
    assert shown.bundle is None
    assert "x.nxs" in shown.problem


def test_a_scan_without_files_is_shown_as_what_it_is_so_far(disk: Disk, previews: Previews) -> None:
    (shown,) = previews(disk.append(f"raw/{LIST}", "to_come"))
    why = "waits until its list has named it for 5 s (watching.ingestion_delay)"
    assert (shown.scan.pid, shown.waiting) == (f"{ID}/to_come", why)


def test_a_file_that_no_rule_finds_is_shown_because_it_was_named(disk: Disk, previews: Previews) -> None:
    assert _pids(previews(disk.nexus("raw/.hidden.nxs"))) == [f"{ID}/raw/.hidden"]


def test_a_broken_metadata_file_is_said(disk: Disk, previews: Previews) -> None:
    file = disk.nexus("x.nxs")
    disk.text(f"beamtime-metadata-{ID}.json", "{")
    with pytest.raises(BeamtimeError, match="is not JSON"):
        previews(file)


def test_without_a_usable_schema_there_is_no_preview(disk: Disk, previews: Previews, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    with pytest.raises(ConfigError, match="no usable metadata schema"):
        previews(disk.root, schemas={"directory": tmp_path / "schemas"})


def test_an_unreachable_catalogue_is_said_and_the_documents_are_shown(disk: Disk, previews: Previews) -> None:
    (shown,) = previews(disk.nexus("x.nxs"), catalogue={})
    assert shown.unreachable
    assert shown.bundle is not None
    assert shown.difference.state is State.UNKNOWN


@pytest.mark.leaves("the catalogue keeps threads and connections for the session")
def test_it_says_what_an_ingestion_would_change(
    disk: Disk, previews: Previews, sites: Callable[..., FakeSite], catalogue: Catalogue, tmp_path: Path
) -> None:
    file, section = disk.nexus("raw/preview_1.nxs"), at(catalogue, tmp_path)

    def state() -> State:
        (shown,) = previews(file, catalogue=section)
        return shown.difference.state

    states = [state()]
    site = sites(watching=QUIET, catalogue=section, reading=NO_PICTURES)
    site.read_and_publish()
    assert OneShot(site).run(targets((file,), site.settings)).failures == []
    states.append(state())
    disk.text("raw/preview_1/frames.tif", "frames")
    states.append(state())
    assert states == [State.NEW, State.EQUAL, State.DIFFERENT]


def test_of_an_unavailable_catalogue_each_preview_asks_once(clock: FakeClock) -> None:
    asked: list[str] = []

    class Silent:
        def look_up(self, url: str) -> Any:
            asked.append(url)
            raise Unavailable("no answer")

    silent: Any = Silent()
    questions = preview._Questions(silent, clock, 60.0)
    for _ in range(3):
        with pytest.raises(Refused, match="unavailable"):
            questions("proposals/1")
    assert (asked, questions.unavailable) == (["proposals/1"], "no answer")


def test_it_needs_nothing_of_a_state_directory_that_is_another_accounts(
    disk: Disk, previews: Previews, ingest: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may read the data looks at a scan with the daemon's configuration."""
    file = disk.nexus("raw/x.nxs")
    ingest(file)
    own, status, var = os.access, os.stat, tmp_path / "var"

    def denied(path: Any, *how: Any, **more: Any) -> os.stat_result:
        if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(var) and Path(path) != var:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return status(path, *how, **more)

    def may(path: Any, mode: int) -> bool:
        return not mode & os.W_OK and not Path(path).is_relative_to(var) and own(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", denied)
        patch.setattr(os, "access", may)
        for way in (disk.root, file):
            assert _pids(previews(way)) == [f"{ID}/raw/x"]
        (disk.root / f"beamtime-metadata-{ID}.json").unlink()
        assert _pids(previews(file)) == ["raw/x"]
