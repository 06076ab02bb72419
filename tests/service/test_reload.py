"""The daemon reads its configuration again: what can take effect does, and a mistake changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ConfigError
from scicat_watch.service.daemon.daemon import Daemon
from scicat_watch.service.reload import Configuration
from scicat_watch.settings.model import Settings
from tests import makers
from tests.makers import ID, LIST
from tests.service.conftest import Disk, settings
from tests.service.fakes import FakeSite
from tests.service.test_daemon import Planned, Running
from tests.service.test_jobs import Heard


class Reloading(Running):
    """A daemon whose configuration is `sections`; a test changes them."""

    def __init__(self, make: Callable[..., FakeSite], place: Path, **sections: Any) -> None:
        super().__init__(make(**sections))
        self.place, self.sections = place, sections
        self.daemon = Daemon(self.site, Planned, Configuration(self.read))

    def read(self) -> Settings:
        sections = {name: dict(section) for name, section in self.sections.items()}
        return settings(self.place, **sections)

    def reload_at(self, seconds: float, **sections: Any) -> Heard:
        """Change the configuration then, and have it read again."""
        heard: Any = Heard()

        def reload() -> None:
            self.sections |= sections
            self.daemon.reload(heard)

        self.at(seconds, reload)
        found: Heard = heard
        return found


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A directory with the shipped schemas, which a test may change."""
    place = tmp_path / "schemas"
    shutil.copytree(Path(__file__).parents[2] / "scicat_watch/schemas", place)
    return place


Reloadings = Callable[..., Reloading]


@pytest.fixture
def reloading(sites: Callable[..., FakeSite], tmp_path: Path) -> Reloadings:
    return lambda **sections: Reloading(sites, tmp_path, **sections)


def test_beamtimes_that_come_into_the_configuration_or_go_are_watched_or_left(
    tmp_path: Path, reloading: Reloadings
) -> None:
    one, two, base = (tmp_path / name for name in ("one", "two", "base"))
    for place, id_ in ((one, "1"), (two, "2"), (base / "three", "3")):
        makers.beamtime_directory(place, id_)
    daemon = reloading(beamtimes={"directories": (one,), "base_directories": (base,)})
    heard = daemon.reload_at(20, beamtimes={"directories": (two,)})
    before, after = daemon.shown_at(19), daemon.shown_at(35)
    daemon.run(40)
    assert (before, after) == ({19: ["one:1", "three:3"]}, {35: ["two:2"]})
    assert heard.last == {
        "event": "end", "changed": ("beamtimes.directories", "beamtimes.base_directories"), "later": (),
    }  # fmt: skip
    assert [state.id for state in daemon.site.journal.shown()] == ["2"]


def test_scans_are_searched_by_the_settings_of_now(disk: Disk, reloading: Reloadings) -> None:
    disk.nexus("found.nxs")
    disk.nexus("raw/scan_1.nxs")
    disk.append("raw/other.lst", "scan_1")
    daemon = reloading(beamtimes={"directories": (disk.root,)}, watching={"trigger": "lists"})
    daemon.reload_at(20, lists={"dataset_list": "other.lst"})
    daemon.reload_at(40, watching={"trigger": "both"})
    daemon.at(60, lambda: daemon.site.source.appended(disk.append("raw/other.lst", "scan_2")))
    daemon.at(60, lambda: daemon.site.source.written(disk.nexus("raw/scan_2.nxs")))
    shown: dict[int, list[str]] = {}

    def note(seconds: int) -> None:
        shown[seconds] = list(daemon.site.ingest.pids)

    for seconds in (19, 39, 59):
        daemon.at(seconds, partial(note, seconds))
    daemon.run(90)
    assert shown == {19: [], 39: [f"{ID}/scan_1"], 59: [f"{ID}/scan_1", f"{ID}/found"]}
    assert daemon.site.ingest.pids == [f"{ID}/scan_1", f"{ID}/found", f"{ID}/scan_2"]


def test_a_search_that_begins_anew_doubles_nothing_and_keeps_the_locks(disk: Disk, reloading: Reloadings) -> None:
    for name in ("scan_1", "scan_2"):
        disk.nexus(f"raw/{name}.nxs")
    disk.append(f"raw/{LIST}", "scan_1", "scan_2")
    daemon = reloading(beamtimes={"directories": (disk.root,)})
    daemon.site.seconds = 10.0  # One is under way when the configuration is read again, and one waits.
    daemon.reload_at(10, watching={"ingestion_delay": 1.0})
    locked: list[bool] = []
    beamtime = makers.beamtime(disk.root)
    daemon.at(50, lambda: locked.append(daemon.site.ledger(beamtime).ours(disk.root / "raw")))
    daemon.run(60)
    assert sorted(daemon.site.ingest.titles) == [f"{ID}/scan_1", f"{ID}/scan_2"]
    assert daemon.site.reports.last.done == 2
    assert locked == [False]


def test_retries_come_by_the_settings_of_now(disk: Disk, reloading: Reloadings) -> None:
    disk.nexus("bad.nxs")
    daemon = reloading(beamtimes={"directories": (disk.root,)}, retrying={"first": 3000.0})
    daemon.site.ingest.faults[f"{ID}/bad"] = "no schema fits"
    daemon.reload_at(50, retrying={"first": 20.0})
    daemon.run(80)
    assert len(daemon.site.ingest.tried) >= 2


def test_changed_schemas_are_used_from_then_on(disk: Disk, schemas: Path, reloading: Reloadings) -> None:
    daemon = reloading(beamtimes={"directories": (disk.root,)}, schemas={"directory": schemas})
    before = len(daemon.site.library.schemas)
    first = sorted(schemas.glob("*.imsc.yml"))[0]
    daemon.at(10, first.unlink)
    heard = daemon.reload_at(11)
    daemon.run(20)
    assert heard.last["event"] == "end"
    assert len(daemon.site.library.schemas) == before - 1


def test_what_needs_a_restart_is_said_and_stays(disk: Disk, reloading: Reloadings) -> None:
    daemon = reloading(beamtimes={"directories": (disk.root,)})
    heard = daemon.reload_at(10, reading={"workers": 9, "thumbnails": False})
    workers = daemon.site.settings.reading.workers
    daemon.run(20)
    assert heard.last == {"event": "end", "changed": ("reading.thumbnails",), "later": ("reading.workers",)}
    assert daemon.site.settings.reading.workers == workers
    assert not daemon.site.settings.reading.thumbnails


@pytest.mark.parametrize("mistake", ["setting", "no schemas", "schema"])
def test_a_mistake_changes_nothing_and_is_said(
    disk: Disk, schemas: Path, reloading: Reloadings, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = reloading(beamtimes={"directories": (disk.root,)}, schemas={"directory": schemas})
    changes: dict[str, Any] = {"watching": {"trigger": "files"}}
    if mistake == "setting":

        def read() -> Settings:
            raise ConfigError("unknown key 'watching.triger'", disk.root / "config.yml", 3)

        monkeypatch.setattr(daemon, "read", read)
        daemon.daemon._configuration = Configuration(daemon.read)
    elif mistake == "no schemas":
        changes["schemas"] = {"directory": disk.root}
    else:
        (schemas / "broken.imsc.yml").write_text("id: [")
    running, library = daemon.site.settings, daemon.site.library
    heard = daemon.reload_at(10, **changes)
    daemon.at(20, lambda: daemon.site.source.named(disk.nexus("scan_1.nxs")))
    daemon.run(60)
    assert heard.last["event"] == "error"
    assert "stays as it was" in heard.last["message"]
    assert daemon.site.settings is running
    assert daemon.site.library is library
    assert daemon.site.ingest.pids == [f"{ID}/scan_1"]
