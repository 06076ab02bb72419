"""A site: opened from settings, given back whole; a mistake in them closes what was opened."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ConfigError
from scicat_watch.ledger.journal import Journal
from scicat_watch.model import Fault, Outcome, Status
from scicat_watch.service.oneshot import OneShot
from scicat_watch.service.preview import Previewer
from scicat_watch.service.site import Site, find_catalogue, open_journal, read_ledger
from scicat_watch.service.targets import targets
from tests import makers
from tests.fakes import FakeClock
from tests.service.conftest import Disk, settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _without_schemas(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "schemas").mkdir()
    return {"schemas": {"directory": tmp_path / "schemas"}}


def _state_directory_is_a_file(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "file").touch()
    return {"var_dir": tmp_path / "file"}


def _no_such_ca_file(tmp_path: Path) -> dict[str, Any]:
    return {"catalogue": {"ca_file": tmp_path / "nowhere", "url": "https://127.0.0.1:9/api/v3"}}


def _no_url(tmp_path: Path) -> dict[str, Any]:
    return {"catalogue": {"url": "scicat"}}


@pytest.mark.parametrize("mistake", [_without_schemas, _state_directory_is_a_file, _no_such_ca_file, _no_url])
def test_a_mistake_in_the_settings_closes_what_was_opened(
    tmp_path: Path, mistake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of `tests/conftest.py` fails this if a descriptor, a process or a thread stays."""
    opened, closed = [], []  # What nobody holds is closed by Python in any case: so they are counted.

    class Counted(Journal):
        def __init__(self, path: Path | None) -> None:
            super().__init__(path)
            opened.append(path)

        def close(self) -> None:
            super().close()
            closed.append(self.path)

    monkeypatch.setattr("scicat_watch.service.site.Journal", Counted)
    sections = mistake(tmp_path)
    with pytest.raises(ConfigError):
        Site(settings(tmp_path, **sections), threading.Event())
    assert closed == opened


def test_a_journal_that_cannot_be_used_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "var/journal.sqlite").mkdir(parents=True)
    site = Site(settings(tmp_path), threading.Event())
    assert str(tmp_path / "var/journal.sqlite") in site.journal.problem
    site.close()


def test_so_does_an_embedded_catalogue_that_cannot_be_served(tmp_path: Path, taken: int) -> None:
    with pytest.raises(ConfigError, match="could not be started"):
        Site(settings(tmp_path, catalogue={"url": None}, embedded={"port": taken}), threading.Event())


def test_a_preview_with_such_a_mistake_leaves_nothing_either(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Previewer(settings(tmp_path, **_no_url(tmp_path)))


def test_a_site_with_the_embedded_catalogue_ingests_and_gives_everything_back(tmp_path: Path, disk: Disk) -> None:
    file = disk.nexus("raw/scan_1.nxs")
    sections = {
        "catalogue": {"url": None}, "embedded": {"port": 0}, "reading": {"thumbnails": False, "workers": 1},
        "watching": {"ingestion_delay": 0.0},
    }  # fmt: skip
    site = Site(settings(tmp_path, **sections), threading.Event())
    try:
        assert site.page
        assert site.catalogue_url == f"{site.page}/api/v3"
        assert OneShot(site).run(targets((file,), site.settings)).exit_status == 0
    finally:
        site.close()


def test_the_journal_of_a_site_is_in_its_state_directory(tmp_path: Path) -> None:
    journal = open_journal(settings(tmp_path))
    assert journal.path == tmp_path / "var/journal.sqlite"
    journal.close()


def test_a_ledger_that_is_only_read_makes_no_journal(tmp_path: Path, disk: Disk) -> None:
    with read_ledger(makers.beamtime(disk.root), settings(tmp_path)) as ledger:
        request = ledger.of_file(disk.root / "raw/x.nxs", disk.root)
        assert ledger.wanted(request)
    assert not (tmp_path / "var").exists()


def test_it_knows_what_the_journal_says(tmp_path: Path, disk: Disk) -> None:
    journal = open_journal(settings(tmp_path))
    with read_ledger(makers.beamtime(disk.root), settings(tmp_path)) as ledger:
        journal.begin(ledger.of_file(disk.root / "raw/x.nxs", disk.root), 1.7e9)
    journal.close()
    with read_ledger(makers.beamtime(disk.root), settings(tmp_path)) as ledger:
        assert ledger.begun_in(disk.root, "raw/x")


def test_the_ledgers_of_a_site_have_locks_of_their_own(tmp_path: Path, disk: Disk, clock: FakeClock) -> None:
    site = Site(settings(tmp_path), threading.Event(), clock)
    one, other = (site.ledger(makers.beamtime(disk.root)) for _ in range(2))
    assert (one.ours(disk.root), other.ours(disk.root)) == (True, False)
    one.release()
    site.close()


def test_an_embedded_catalogue_that_does_not_run_is_not_started_to_be_asked(tmp_path: Path, taken: int) -> None:
    clock = FakeClock()
    for port in (0, taken):
        asked = settings(tmp_path, catalogue={"url": None, "timeout": 0.2}, embedded={"port": port})
        assert find_catalogue(asked, clock) == ("", None)
    assert not (tmp_path / "var/catalogue.sqlite").exists()


def test_a_scan_that_lost_its_reader_is_read_apart_also_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    beamtime, requests = makers.beamtime(tmp_path), [makers.request(makers.scan(tmp_path, name)) for name in "abc"]
    faults = dict(zip(requests, (Fault.READER, Fault.STORAGE, Fault.OTHER), strict=True))
    for _ in range(2):
        with contextlib.closing(Site(settings(tmp_path), threading.Event(), clock)) as site:
            ledger = site.ledger(beamtime)
            for request, fault in faults.items():
                ledger.note(Outcome(request, Status.FAILED, "why", fault=fault), None, 100.0)
            assert [ledger.suspect(request) for request in requests] == [True, False, False]
    with contextlib.closing(Site(settings(tmp_path), threading.Event(), clock)) as site:
        ledger = site.ledger(beamtime)
        assert [ledger.suspect(request) for request in requests] == [True, False, False]
        ledger.note(Outcome(requests[0], Status.CREATED), None, 100.0)
        assert not ledger.suspect(requests[0])
