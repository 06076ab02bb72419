"""What PATHs mean: the beamtime of a file is the same by whichever way it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.errors import ConfigError
from scicat_watch.model import ListEntry, Origin, Request
from scicat_watch.service.targets import Once, Target, targets
from tests import makers
from tests.makers import ID, LIST
from tests.service.conftest import Disk, settings
from tests.service.fakes import FakeSite

Find = Callable[..., list[Target | BrokenBeamtime]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The targets of paths, with sections of a configuration."""

    def found(*paths: Path, **sections: Any) -> list[Target | BrokenBeamtime]:
        return targets(paths, settings(tmp_path, **sections))

    return found


def _one(found: list[Target | BrokenBeamtime]) -> Target:
    (target,) = found
    assert isinstance(target, Target)
    return target


def _beamtime(found: list[Target | BrokenBeamtime]) -> tuple[str, Path]:
    target = _one(found)
    return target.beamtime.id, target.beamtime.directory


def _found(target: Target, name: str) -> Request:
    file = target.beamtime.directory / f"{name}.nxs"
    return makers.request(makers.scan(target.beamtime.directory, name, file), Origin.FOUND)


@pytest.mark.parametrize("way", ["", "raw", "raw/deep", "raw/deep/x.nxs", f"raw/{LIST}", "raw/../raw/deep"])
def test_the_beamtime_is_the_one_of_the_metadata_file_above(disk: Disk, find: Find, way: str) -> None:
    disk.nexus("raw/deep/x.nxs")
    disk.append(f"raw/{LIST}", "x")
    assert _beamtime(find(disk.root / way)) == (ID, disk.root)


@pytest.mark.parametrize("way", ["", "raw", "raw/deep", "raw/deep/x.nxs"])
@pytest.mark.parametrize("lists_are_in", ["raw", "."])
def test_or_the_one_that_was_generated_before_as_its_lists_say(
    tmp_path: Path, find: Find, way: str, lists_are_in: str
) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/deep/x.nxs")
    disk.text(f"{lists_are_in}/scicat-ingested-datasets-one.lst", "")
    assert _beamtime(find(disk.root / way)) == ("one", disk.root)


@pytest.mark.parametrize("aside", ["beside", "ingested_directory", "fallback"])
def test_wherever_the_ingested_lists_are_kept(tmp_path: Path, find: Find, aside: str) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    kept = disk.root.relative_to("/")
    places = {
        "beside": disk.root, "ingested_directory": tmp_path / "kept" / kept,
        "fallback": tmp_path / "var/ingested" / kept,
    }  # fmt: skip
    places[aside].mkdir(parents=True, exist_ok=True)
    (places[aside] / "scicat-ingested-datasets-one.lst").touch()
    sections = {"lists": {"ingested_directory": tmp_path / "kept"}} if aside == "ingested_directory" else {}
    assert _beamtime(find(disk.root / "raw/x.nxs", **sections)) == ("one", disk.root)


def test_or_as_its_dataset_lists_say(tmp_path: Path, find: Find) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    disk.append("raw/scicat-datasets-one.lst", "x")
    assert _beamtime(find(disk.root / "raw/x.nxs")) == ("one", disk.root)


def test_or_the_configured_directory_above(tmp_path: Path, find: Find) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    configured = {"beamtimes": {"directories": [disk.root]}}
    assert _beamtime(find(disk.root / "raw/x.nxs", **configured)) == ("one", disk.root)
    assert _beamtime(find(disk.root / "raw", **configured)) == ("one", disk.root)
    assert _beamtime(find(**configured)) == ("one", disk.root)


def test_only_then_is_one_generated_from_the_directory(tmp_path: Path, find: Find) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    for way in ("raw", "raw/x.nxs"):
        target = _one(find(disk.root / way))
        assert (target.beamtime.id, target.beamtime.generated) == ("raw", True)


def test_the_nearest_of_them_wins(disk: Disk, find: Find) -> None:
    inner = makers.beamtime_directory(disk.root / "inner", "2")
    disk.nexus("inner/raw/x.nxs")
    assert _beamtime(find(inner / "raw/x.nxs")) == ("2", inner)
    disk.text("inner/raw/scicat-ingested-datasets-raw.lst", "")
    assert _beamtime(find(inner / "raw/x.nxs")) == ("raw", inner / "raw")
    assert _beamtime(find(disk.root / "raw")) == (ID, disk.root)


def test_a_way_with_dots_names_no_other_beamtime(tmp_path: Path, find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path / "one")
    disk.nexus("raw/x.nxs")
    monkeypatch.chdir(disk.root / "raw")
    assert _beamtime(find(Path(".."))) == ("one", disk.root)
    assert _beamtime(find(beamtimes={"directories": [".."]})) == ("one", disk.root)
    disk.text("scicat-ingested-datasets-one.lst", "")
    for way in (Path("x.nxs"), Path("../raw/x.nxs"), Path(), Path("../raw")):
        assert _beamtime(find(way)) == ("one", disk.root)
    assert _one(find(Path("../raw/x.nxs"))).files == (disk.root / "raw/x.nxs",)


def test_a_file_means_the_request_that_it_describes(disk: Disk, find: Find) -> None:
    target = _one(find(disk.nexus("raw/x.nxs")))
    listed = makers.request(makers.scan(disk.root / "raw", "x", None))
    assert target.means(_found(target, "raw/x"))
    assert target.means(listed)
    assert target.means(makers.request(makers.scan(disk.root / "raw", "multi_1", None, stem="x", entry="scan_1")))
    for other in (_found(target, "raw/y"), makers.request(makers.scan(disk.root, "x", None))):
        assert not target.means(other)
    in_its_folder = _one(find(disk.nexus("raw/x/x.nxs")))
    assert in_its_folder.means(listed)


def test_a_list_means_its_own_lines(disk: Disk, find: Find) -> None:
    target = _one(find(disk.append(f"raw/{LIST}", "x")))
    assert target.means(makers.request(makers.scan(disk.root / "raw", "x", None)))
    assert not target.means(makers.request(makers.scan(disk.root, "x", None)))
    assert target.rules.trigger == "lists"
    assert target.rules.list_name(ID, "host") == LIST


def test_a_list_of_any_name_that_ends_as_lists_do_is_one(disk: Disk, find: Find) -> None:
    target = _one(find(disk.append("raw/my {old}.lst", "x")))
    assert target.rules.list_name(ID, "host") == "my {old}.lst"


def test_a_directory_below_means_what_is_there(disk: Disk, find: Find) -> None:
    target = _one(find(disk.root / "raw"))
    assert target.means(_found(target, "raw/x"))
    assert not target.means(_found(target, "x"))
    assert target.within == (disk.root / "raw",)


def test_several_paths_of_one_beamtime_are_one_target(disk: Disk, find: Find) -> None:
    files = (disk.nexus("raw/a.nxs"), disk.nexus("raw/b.nxs"))
    both = _one(find(*files))
    assert (both.within, both.files) == (files, files)
    assert [both.means(_found(both, f"raw/{name}")) for name in "abc"] == [True, True, False]
    for paths in ((disk.root, files[0]), (files[0], disk.root)):
        whole = _one(find(*paths))
        assert (whole.within, whole.files) == ((), (files[0],))
        assert whole.means(_found(whole, "raw/c"))


def test_a_list_and_a_file_are_two_as_a_list_has_rules_of_its_own(disk: Disk, find: Find) -> None:
    found = find(disk.append(f"raw/{LIST}", "a"), disk.nexus("raw/b.nxs"), disk.nexus("raw/c.nxs"))
    assert [one.rules.trigger for one in found if isinstance(one, Target)] == ["lists", "both"]


def test_two_beamtimes_are_two_targets(tmp_path: Path, find: Find) -> None:
    paths = [makers.beamtime_directory(tmp_path / name, name) for name in ("1", "2")]
    assert [one.beamtime.id for one in find(*paths, paths[0]) if isinstance(one, Target)] == ["1", "2"]


def test_of_two_beamtimes_in_one_directory_a_list_belongs_to_the_one_that_it_is_named_after(
    disk: Disk, find: Find
) -> None:
    second = dict(makers.beamtime(disk.root, "2").metadata)
    disk.text("beamtime-metadata-2.json", json.dumps(second))
    assert [one.beamtime.id for one in find(disk.root) if isinstance(one, Target)] == [ID, "2"]
    assert _beamtime(find(disk.append("scicat-datasets-2.lst", "x")))[0] == "2"
    assert _beamtime(find(disk.append(LIST, "x")))[0] == ID


@pytest.mark.parametrize("way", ["", "raw", "raw/x.nxs", f"raw/{LIST}"])
def test_a_broken_metadata_file_is_said_and_nothing_is_generated(disk: Disk, find: Find, way: str) -> None:
    disk.nexus("raw/x.nxs")
    disk.append(f"raw/{LIST}", "x")
    metadata = disk.text(f"beamtime-metadata-{ID}.json", "{")
    (broken,) = find(disk.root / way)
    assert isinstance(broken, BrokenBeamtime)
    assert broken.file == metadata


def test_it_is_said_once_for_several_paths(disk: Disk, find: Find) -> None:
    disk.text(f"beamtime-metadata-{ID}.json", "{")
    assert len(find(disk.nexus("raw/x.nxs"), disk.nexus("raw/y.nxs"), disk.root)) == 1


def test_a_file_of_a_skipped_beamtime_is_refused_and_a_directory_holds_nothing(
    disk: Disk, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    skipping = {"beamtimes": {"skipped_ids": [ID]}}
    with pytest.raises(ConfigError, match="skips"):
        find(disk.nexus("raw/x.nxs"), **skipping)
    assert find(disk.root, **skipping) == []
    assert find(disk.root / "raw", **skipping) == []
    assert "skips" in caplog.text


def test_what_is_no_path_no_list_and_no_data_file_is_refused(disk: Disk, find: Find) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        find(disk.root / "nowhere")
    with pytest.raises(ConfigError, match="neither a data file nor a dataset list"):
        find(disk.text("raw/notes.txt"))


def test_a_directory_that_cannot_be_read_is_refused(disk: Disk, find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", unreadable)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        find(disk.root)


def test_without_paths_all_configured_beamtimes_are_meant(tmp_path: Path, find: Find) -> None:
    roots = [makers.beamtime_directory(tmp_path / "base" / name, name) for name in ("1", "2")]
    sections = {"beamtimes": {"directories": [roots[1]], "base_directories": [tmp_path / "base"]}}
    assert [one.beamtime.id for one in find(**sections) if isinstance(one, Target)] == ["2", "1"]


def test_of_lines_that_are_not_meant_nothing_is_asked(disk: Disk, site: FakeSite) -> None:
    """A file of a beamtime whose list has 100,000 lines is ingested by its name."""
    ledger = site.ledger(makers.beamtime(disk.root))
    asked: list[str] = []
    ledger.begun_in = lambda directory, name: bool(asked.append(name))  # type: ignore[method-assign, func-returns-value]
    once = Once(ledger, lambda request: request.scan.name == "x")
    assert once.open_line(ListEntry("y", "y", "y"), disk.root / "raw") is None
    assert asked == []
    request = once.open_line(ListEntry("x", "x", "x"), disk.root / "raw")
    assert request is not None
    assert (request.pid, asked) == (f"{ID}/x", ["raw/x"])


@pytest.mark.parametrize("way", ["raw", "raw/x.nxs", "raw/scans.lst"])
def test_a_list_whose_name_holds_no_beamtime_says_nothing_about_it(tmp_path: Path, find: Find, way: str) -> None:
    root = tmp_path / "bt"
    makers.append(root / "raw/scans.lst", "x")
    makers.nexus(root / "raw/x.nxs")
    sections = {"beamtimes": {"directories": [root]}, "lists": {"dataset_list": "scans.lst"}}
    assert _beamtime(find(root / way, **sections)) == ("bt", root)
