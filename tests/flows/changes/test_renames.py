"""Scans that are renamed keep their datasets: also when they change as well, have no master file, or are asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.changes.conftest import SOON, reported, title_of
from tests.flows.program import Catalogue, Daemon, Site, eventually, free_port
from tests.makers import ID, LIST, append, nexus

PID = f"{ID}/run_1"
Datasets = dict[str, tuple[str, str]]
"""Title and files of each dataset."""


def _rename(directory: Path, old: str, new: str) -> None:
    """Rename a scan together with its line in the list."""
    for path in directory.glob(f"{old}*"):
        path.rename(directory / path.name.replace(old, new, 1))
    text = (directory / LIST).read_text().replace(old, new)
    (directory / f".{LIST}.new").write_text(text)
    (directory / f".{LIST}.new").rename(directory / LIST)


@pytest.mark.parametrize("policy", ["files", "report"])
def test_a_listed_scan_that_was_edited_keeps_its_dataset_when_it_is_renamed_with_its_line(
    tmp_path: Path, raw: Path, policy: str
) -> None:
    site = Site(tmp_path, watching=SOON | {"changed_after": policy})
    file = nexus(raw / "run_1.nxs", title="first")
    append(raw / LIST, "run_1")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID], "the first content")
        nexus(file, title="second", points=5000)
        eventually(lambda: reported(site) == ["run_1.nxs was written to"], "it is reported")
        _rename(raw, "run_1", "sample_7")
        eventually(lambda: catalogue.files(PID) == ["sample_7.nxs"], "the new name")
        assert catalogue.pids() == [PID]
        eventually(lambda: reported(site) == [], "nothing of the old place is reported any more")
        eventually(lambda: site.status()["totals"]["done"] == 1, "it is one scan")


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_that_is_replaced_after_its_directory_was_renamed_keeps_its_dataset(
    site: Site, raw: Path, listed: bool
) -> None:
    for name in ("run_1", "run_2"):
        nexus(raw / f"{name}.nxs", title="first")
    append(raw / LIST, "run_1", "run_2") if listed else append(raw / LIST, "# none yet")
    pids = [PID, f"{ID}/run_2"]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == pids and site.status()["totals"]["done"] == 2, "two datasets")
        renamed = raw.with_name("renamed")
        with daemon.paused():
            raw.rename(renamed)
            nexus(renamed / ".run_1.nxs.Xa3k", title="second", points=5000).rename(renamed / "run_1.nxs")
        eventually(
            lambda: [catalogue.dataset(pid)["sourceFolder"] for pid in pids] == [f"/core/{ID}/renamed"] * 2,
            "the new folder",
        )
        if listed:
            eventually(lambda: reported(site) == ["run_1.nxs was replaced"], "what differs is reported")
        else:
            eventually(lambda: title_of(catalogue, PID) == "second", "what differs is updated")
        assert catalogue.pids() == pids
        assert daemon.stop() == 0
    ended = site.ingest(raw.parent)
    assert "0 created" in ended.stdout, ended.stdout
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_scans_are_counted_once_whatever_they_were_called(site: Site, raw: Path) -> None:
    for number in (1, 2, 3):
        nexus(raw / "first" / f"run_{number}.nxs")
    pids = [f"{ID}/raw/first/run_{number}" for number in (1, 2, 3)]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["done"] == 3, "three scans")
        (raw / "first").rename(raw / "second")
        eventually(lambda: all(catalogue.files(pid) == [f"raw/second/{pid[-5:]}.nxs"] for pid in pids), "the new paths")
        nexus(raw / "listed" / "run_4.nxs")
        append(raw / "listed" / LIST, "run_4")
        eventually(lambda: site.status()["totals"]["done"] >= 4, "a listed one")
        append(raw / "listed" / LIST, "run_4:1.5", "run_4:2.5")
        eventually(lambda: "run_4:2.5" in _ingested(raw / "listed"), "it is ingested again")
        eventually(lambda: site.status()["totals"]["waiting"] == 0, "all is noted")
        assert site.status()["totals"]["done"] == 4
        assert daemon.stop() == 0
    assert site.status()["totals"]["done"] == 4


def test_a_scan_without_a_master_file_keeps_its_dataset_when_it_is_renamed(site: Site, raw: Path) -> None:
    images = raw / "run_1" / "pilatus"
    images.mkdir(parents=True)
    for number in range(5):
        (images / f"{number:05d}.cbf").write_bytes(b"image %d" % number)
    append(raw / LIST, "run_1")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID] and len(catalogue.files(PID)) == 5, "its dataset")
        _rename(raw, "run_1", "sample_7")
        expected = [f"sample_7/pilatus/{number:05d}.cbf" for number in range(5)]
        eventually(lambda: catalogue.files(PID) == expected, "the new paths")
        raw.rename(raw.with_name("renamed"))
        eventually(lambda: catalogue.dataset(PID)["sourceFolder"] == f"/core/{ID}/renamed", "the new folder")
        assert catalogue.pids() == [PID]


def test_a_renamed_file_is_previewed_and_ingested_as_the_dataset_that_it_has(site: Site, raw: Path) -> None:
    nexus(raw / "run_1.nxs", title="first")
    pid = f"{ID}/raw/run_1"
    with site.daemon(raw.parent) as daemon:
        eventually(lambda: daemon.catalogue().pids() == [pid], "its dataset")
        eventually(lambda: site.status()["totals"]["done"] == 1, "it is noted")
        assert daemon.stop() == 0
    (raw / "run_1.nxs").rename(raw / "sample_7.nxs")
    before = _journal(site)
    shown = site.run("preview", raw / "sample_7.nxs")
    assert pid in shown.stdout, shown.stdout + shown.stderr
    assert f"{ID}/raw/sample_7" not in shown.stdout
    assert _journal(site) == before  # A preview changes nothing.
    ended = site.ingest(raw / "sample_7.nxs")
    assert f"updated {pid}" in " ".join(ended.stdout.split()), ended.stdout
    with site.catalogue() as catalogue:
        assert catalogue.pids() == [pid]
        assert catalogue.files(pid) == ["raw/sample_7.nxs"]
    assert pid in site.run("preview", raw / "sample_7.nxs").stdout


@pytest.mark.parametrize("how", ["stop", "kill", "halt"])
@pytest.mark.parametrize("name", ["run", "zrun"])
def test_a_place_that_was_left_gives_its_dataset_to_nobody_while_the_scan_moves_on(
    site: Site, raw: Path, name: str, how: str
) -> None:
    """The directory comes before and after the others, in the order in which they are rescanned."""
    _write_both(raw / name, "old")
    with site.daemon(raw.parent) as daemon:
        _expect(site, daemon.catalogue(), _both(name, "old", name))
        (raw / name).rename(raw / "s1")
        _expect(site, daemon.catalogue(), _both(name, "old", "s1"))

        def move_on() -> None:
            (raw / "s1").rename(raw / "s2")
            _write_both(raw / name, "new")

        expected = _both(name, "old", "s2") | _both(name, "new", name, "~2")
        _unseen(site, raw.parent, daemon, how, move_on, expected)


@pytest.mark.parametrize("how", ["stop", "halt", "pause"])
@pytest.mark.parametrize("name", ["run", "zrun"])
def test_new_files_where_renamed_ones_were_get_datasets_of_their_own_though_nobody_watched(
    site: Site, raw: Path, name: str, how: str
) -> None:
    _write_both(raw / name, "old")
    with site.daemon(raw.parent) as daemon:
        _expect(site, daemon.catalogue(), _both(name, "old", name))

        def rename() -> None:
            (raw / name).rename(raw / "s1")
            _write_both(raw / name, "new")

        expected = _both(name, "old", "s1") | _both(name, "new", name, "~2")
        _unseen(site, raw.parent, daemon, how, rename, expected)


@pytest.mark.parametrize("how", ["stop", "halt"])
def test_scans_that_change_places_keep_their_datasets_and_a_replaced_file_does_too(
    site: Site, raw: Path, how: str
) -> None:
    for name in ("a", "b", "c"):
        _write_both(raw / name, name)
    with site.daemon(raw.parent) as daemon:
        pids = {name: _both(name, name, name) for name in ("a", "b", "c")}
        _expect(site, daemon.catalogue(), pids["a"] | pids["b"] | pids["c"])

        def swap() -> None:
            (raw / "a").rename(raw / "x")
            (raw / "b").rename(raw / "a")
            (raw / "x").rename(raw / "b")
            for number in (1, 2):  # As rsync does it.
                file = nexus(raw / f"c/.scan_{number}.nxs.Xa3k", title=f"newer {number}")
                file.rename(raw / f"c/scan_{number}.nxs")

        expected = _both("a", "a", "b") | _both("b", "b", "a") | _both("c", "newer", "c")
        _unseen(site, raw.parent, daemon, how, swap, expected)


def _write_both(directory: Path, title: str) -> None:
    for number in (1, 2):
        nexus(directory / f"scan_{number}.nxs", title=f"{title} {number}")


def _both(pid: str, title: str, directory: str, more: str = "") -> Datasets:
    """Two datasets, with their titles and files."""
    return {
        f"{ID}/raw/{pid}/scan_{number}{more}": (f"{title} {number}", f"raw/{directory}/scan_{number}.nxs")
        for number in (1, 2)
    }


def _expect(site: Site, catalogue: Catalogue, expected: Datasets) -> None:
    """Wait until these datasets are there, no others, and nothing is left to do."""

    def actual() -> Datasets:
        return {pid: (title_of(catalogue, pid), " ".join(catalogue.files(pid))) for pid in catalogue.pids()}

    def is_done() -> bool:
        totals = site.status()["totals"]
        return (totals["done"], totals["waiting"]) == (len(expected), 0)

    try:
        eventually(lambda: actual() == expected and is_done(), "the datasets")
    except AssertionError as error:
        raise AssertionError(f"{actual()}, {site.status()['totals']}") from error


def _unseen(
    site: Site, beamtime: Path, daemon: Daemon, how: str, action: Callable[[], None], expected: Datasets
) -> None:
    """Do something that no daemon sees; what one makes of it that comes after it."""
    if how in ("halt", "pause"):
        with daemon.paused() if how == "halt" else contextlib.nullcontext():
            if how == "pause":
                assert site.run("pause", beamtime).returncode == 0
            action()
        if how == "pause":
            assert site.run("resume", beamtime).returncode == 0
        _expect(site, daemon.catalogue(), expected)
        return
    if how == "stop":
        assert daemon.stop() == 0
    daemon.kill()
    action()
    with site.daemon(beamtime) as other:
        _expect(site, other.catalogue(), expected)


def _ingested(directory: Path) -> str:
    path = directory / f"scicat-ingested-datasets-{ID}.lst"
    return path.read_text() if path.exists() else ""


def _journal(site: Site) -> list[tuple[str, int]]:
    return sorted((path.name, os.stat(path).st_mtime_ns) for path in site.var.glob("journal.sqlite"))  # noqa: PTH116


@pytest.mark.parametrize("listed", [True, False])
def test_a_directory_that_is_renamed_while_its_scans_are_ingested_gives_each_one_dataset(
    tmp_path: Path, raw: Path, listed: bool
) -> None:
    """They were read and wait for the catalogue, so that it is not known yet which datasets they have."""
    (tmp_path / "elsewhere").mkdir()
    server, port = Site(tmp_path / "elsewhere"), free_port()
    with server.catalogue(port):
        pass
    catalogue = {
        "url": f"http://127.0.0.1:{port}/api/v3", "credential_file": str(server.credentials()),
        "patience": {"first_wait": 0.1, "longest_wait": 0.5},
    }  # fmt: skip
    site, names = Site(tmp_path, watching=SOON, catalogue=catalogue), [f"run_{number}" for number in range(1, 4)]
    for name in names:
        nexus(raw / f"{name}.nxs", title=name)
    if listed:
        append(raw / LIST, *names)
    pids = [f"{ID}/{name}" if listed else f"{ID}/raw/{name}" for name in names]
    with site.daemon(raw.parent):
        eventually(lambda: _stages(site).get("catalogue") == 3, "all wait for the catalogue")
        raw.rename(raw.with_name("renamed"))
        eventually(lambda: _stages(site).get("catalogue") == 6, "they are there under their new names as well")
        with server.catalogue(port) as stored:
            eventually(lambda: len(stored.pids()) >= 3, "the datasets")
            eventually(lambda: all("/renamed/" in _path(stored, pid) for pid in stored.pids()), "where their files are")
            eventually(lambda: site.status()["totals"]["done"] == 3 and not _stages(site)["catalogue"], "all are done")
            assert sorted(stored.pids()) == pids


def _path(catalogue: Catalogue, pid: str) -> str:
    """Of the data file of a dataset."""
    return "/".join([catalogue.dataset(pid)["sourceFolder"], *catalogue.files(pid)])


def _stages(site: Site) -> dict[str, int]:
    beamtimes = site.status()["beamtimes"]
    return dict(beamtimes[0]["stages"]) if beamtimes else {}
