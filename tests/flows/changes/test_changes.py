"""What changes after a dataset was made is seen: replaced, extended, late and renamed files, late metadata."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.flows.changes.conftest import SOON, reported, sizes_of, title_of
from tests.flows.program import Site, eventually
from tests.makers import ID, INGESTED, LIST, METADATA, append, nexus

PID = f"{ID}/raw/run_1"


def _written_without_event(file: Path, title: str) -> None:
    """Another content at the same inode, which the directory's events do not report: written through another name."""
    hidden = file.parent.parent.parent / f"{file.name}.other-name"
    os.link(file, hidden)
    made = nexus(hidden.with_suffix(".new"), title=title)
    with hidden.open("r+b") as target:
        target.write(made.read_bytes())
        target.truncate()
    hidden.unlink()
    made.unlink()


def test_a_found_file_that_is_replaced_by_rename_is_brought_up_to_date(site: Site, raw: Path) -> None:
    file = nexus(raw / "run_1.nxs", title="first")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID], "the first file")
        nexus(raw / ".run_1.nxs.Xa3k", title="second").rename(file)  # As rsync does it.
        eventually(lambda: title_of(catalogue, PID) == "second", "the second file")
        eventually(lambda: sizes_of(catalogue, PID) == {"raw/run_1.nxs": file.stat().st_size}, "its size")
        assert catalogue.pids() == [PID]
        assert len(catalogue.blocks(PID)) == 1


def test_a_found_file_that_is_extended_without_an_event_is_brought_up_to_date(site: Site, raw: Path) -> None:
    file = nexus(raw / "run_1.nxs", title="first")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [PID], "the first content")
        _written_without_event(file, "second, and longer than it was")
        eventually(lambda: title_of(catalogue, PID).startswith("second"), "the second content")
        assert catalogue.pids() == [PID]


def test_of_a_listed_file_that_is_extended_the_file_list_is_updated_and_the_rest_reported(
    site: Site, raw: Path
) -> None:
    file = nexus(raw / "run_1.nxs", title="first")
    append(raw / LIST, "run_1")
    pid = f"{ID}/run_1"
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [pid], "the first content")
        nexus(file, title="second", points=5000)
        size = file.stat().st_size
        eventually(lambda: sizes_of(catalogue, pid) == {"run_1.nxs": size}, "the file list")
        eventually(lambda: reported(site) == ["run_1.nxs was written to"], "the report")
        assert site.status()["totals"]["changed"] == 1
        assert "changed  11018765/run_1: run_1.nxs was written to" in site.run("status").stdout
        assert title_of(catalogue, pid) == "first"
        append(raw / LIST, "run_1:17.5")
        eventually(lambda: title_of(catalogue, pid) == "second", "a re-ingest line brings all of it up to date")
        eventually(lambda: site.status()["totals"]["changed"] == 0, "nothing differs any more")
        assert catalogue.pids() == [pid]


@pytest.mark.parametrize(("policy", "title"), [("update", "second"), ("report", "first")])
def test_the_policy_says_what_becomes_of_a_listed_scan_that_changes(
    tmp_path: Path, raw: Path, policy: str, title: str
) -> None:
    site = Site(tmp_path, watching=SOON | {"changed_after": policy})
    file = nexus(raw / "run_1.nxs", title="first")
    append(raw / LIST, "run_1")
    pid = f"{ID}/run_1"
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [pid] and catalogue.blocks(pid), "the first content")
        before = file.stat().st_size
        nexus(file, title="second", points=5000)
        if policy == "update":
            eventually(lambda: title_of(catalogue, pid) == title, "the second content")
            eventually(lambda: site.status()["totals"]["changed"] == 0, "nothing is reported")
        else:
            eventually(lambda: reported(site) == ["run_1.nxs was written to"], "the report")
            assert sizes_of(catalogue, pid) == {"run_1.nxs": before}
        assert title_of(catalogue, pid) == title
        assert catalogue.pids() == [pid]


@pytest.mark.parametrize("listed", [True, False])
def test_detector_images_that_come_after_the_master_file_get_into_the_file_list(
    site: Site, raw: Path, listed: bool
) -> None:
    nexus(raw / "run_1.nxs")
    images = raw / "run_1" / "pilatus"
    images.mkdir(parents=True)
    for number in range(8):
        (images / f"run_1_{number:05d}.cbf").write_bytes(b"x" * 100)
    if listed:
        append(raw / LIST, "run_1")
    pid = f"{ID}/run_1" if listed else PID
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [pid] and len(catalogue.files(pid)) == 9, "the first nine")
        for number in range(8, 30):
            (images / f"run_1_{number:05d}.cbf").write_bytes(b"x" * 100)
        eventually(lambda: len(catalogue.files(pid)) == 31, "all 31 files")
        assert len(catalogue.blocks(pid)) == 1
        assert catalogue.dataset(pid)["numberOfFiles"] == 31
        assert catalogue.pids() == [pid]
        eventually(lambda: site.status()["totals"]["changed"] == 0, "nothing is left to do")


def test_what_changed_while_the_daemon_was_stopped_is_seen_at_its_start(site: Site, raw: Path) -> None:
    file = nexus(raw / "run_1.nxs", title="first")
    with site.daemon(raw.parent) as daemon:
        eventually(lambda: _lines(raw.parent) == ["raw/run_1"], "the first content")
        assert daemon.stop() == 0
    nexus(file, title="second")
    (raw / "run_1").mkdir()
    (raw / "run_1" / "late.tif").write_bytes(b"x")
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: title_of(catalogue, PID) == "second", "the second content")
        eventually(lambda: catalogue.files(PID) == ["raw/run_1.nxs", "raw/run_1/late.tif"], "the late file")
        assert catalogue.pids() == [PID]


def test_without_its_journal_it_takes_done_scans_as_they_are_and_makes_none_twice(site: Site, raw: Path) -> None:
    for number in (1, 2, 3):
        nexus(raw / f"run_{number}.nxs")
    with site.daemon(raw.parent) as daemon:
        eventually(lambda: len(_lines(raw.parent)) == 3, "three scans")
        assert daemon.stop() == 0
    for file in site.var.glob("journal.sqlite*"):
        file.unlink()
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        nexus(raw / "run_4.nxs")
        eventually(lambda: len(_lines(raw.parent)) == 4, "a new scan")
        nexus(raw / "run_1.nxs", title="changed later")
        eventually(lambda: title_of(catalogue, PID) == "changed later", "what changes from then on")
        assert sorted(set(_lines(raw.parent))) == [f"raw/run_{number}" for number in (1, 2, 3, 4)]
        assert catalogue.pids() == [f"{ID}/raw/run_{number}" for number in (1, 2, 3, 4)]


def test_the_scans_of_a_renamed_directory_keep_their_datasets(site: Site, raw: Path) -> None:
    names = [f"run_{number:03d}" for number in range(40)]
    for name in names:
        nexus(raw / "first" / f"{name}.nxs")
    expected = [f"{ID}/raw/first/{name}" for name in names]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: len(_lines(raw.parent)) == 40, "forty datasets", 90)
        (raw / "first").rename(raw / "second")
        eventually(
            lambda: all(catalogue.files(pid) == [f"raw/second/{pid[-7:]}.nxs"] for pid in expected),
            "the new paths", 90,
        )  # fmt: skip
        assert catalogue.pids() == expected
        shutil.copytree(raw / "second", raw / "copy")  # A copy is another scan.
        eventually(lambda: len(catalogue.pids()) == 80, "the copies", 90)
        assert daemon.stop() == 0
    ended = site.ingest(raw.parent)
    assert (ended.returncode, "0 created, 0 updated, 80 unchanged" in ended.stdout) == (0, True), ended.stdout
    with site.catalogue() as catalogue:
        assert catalogue.pids() == sorted([*expected, *(f"{ID}/raw/copy/{name}" for name in names)])


def test_a_renamed_directory_with_its_list_keeps_its_datasets_and_says_where_they_are(site: Site, raw: Path) -> None:
    for name in ("run_1", "run_2"):
        nexus(raw / f"{name}.nxs")
    append(raw / LIST, "run_1", "run_2")
    pids = [f"{ID}/run_1", f"{ID}/run_2"]
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: len(_lines(raw)) == 2, "two datasets")
        raw.rename(raw.with_name("renamed"))
        eventually(
            lambda: all(catalogue.dataset(pid)["sourceFolder"] == f"/core/{ID}/renamed" for pid in pids),
            "the new folder",
        )
        assert catalogue.pids() == pids


def test_a_file_at_the_place_of_one_that_was_renamed_is_another_scan(site: Site, raw: Path) -> None:
    nexus(raw / "current/run_1.nxs", title="first sample")
    first = f"{ID}/raw/current/run_1"
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _lines(raw.parent) == ["raw/current/run_1"], "the first sample")
        (raw / "current").rename(raw / "sample_1")
        eventually(lambda: catalogue.files(first) == ["raw/sample_1/run_1.nxs"], "its new place")
        nexus(raw / "current/run_1.nxs", title="second sample")
        eventually(lambda: catalogue.pids() == [first, f"{first}~2"], "a dataset of its own")
        assert title_of(catalogue, first) == "first sample"
        eventually(lambda: catalogue.files(f"{first}~2") == ["raw/current/run_1.nxs"], "the second sample's file")
        assert title_of(catalogue, f"{first}~2") == "second sample"
        assert daemon.stop() == 0
    assert "0 created, 0 updated, 2 unchanged, 0 failed" in site.ingest(raw.parent).stdout


def test_two_scans_of_one_name_in_two_lists_are_reported_with_what_to_do(site: Site, raw: Path) -> None:
    with site.daemon(raw.parent) as daemon:
        catalogue = daemon.catalogue()
        nexus(raw / "a/run_1.nxs", title="in a")
        append(raw / "a" / LIST, "run_1")
        eventually(lambda: len(_lines(raw / "a")) == 1, "the first one")
        nexus(raw / "b/run_1.nxs", title="in b")
        append(raw / "b" / LIST, "run_1")
        failed = eventually(lambda: site.status()["failed"], "the second one")
        assert all(text in failed[0]["reason"] for text in (str(raw / "a/run_1"), str(raw / "b/run_1"), "Rename"))
        assert catalogue.pids() == [f"{ID}/run_1"]
        assert title_of(catalogue, f"{ID}/run_1") == "in a"


def test_a_metadata_file_that_comes_later_adopts_what_was_made_before(site: Site, tmp_path: Path) -> None:
    directory = tmp_path / "current"
    for number in (1, 2, 3):
        nexus(directory / "raw" / f"run_{number}.nxs")
    pids = [f"current/raw/run_{number}" for number in (1, 2, 3)]
    with site.daemon(directory) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == pids, "three datasets of the directory")
        assert {catalogue.dataset(pid)["ownerGroup"] for pid in pids} == {"current"}
        metadata = {"beamtimeId": ID, "corePath": f"/core/{ID}", "ownerGroup": f"{ID}-dmgt", **METADATA}
        (directory / f"beamtime-metadata-{ID}.json").write_text(json.dumps(metadata))
        eventually(
            lambda: {catalogue.dataset(pid)["ownerGroup"] for pid in pids} == {f"{ID}-dmgt"}, "the beamtime's owner"
        )
        nexus(directory / "raw/run_4.nxs")
        eventually(lambda: catalogue.pids() == sorted([*pids, f"{ID}/raw/run_4"]), "a scan of the beamtime")
        assert {catalogue.dataset(pid)["sourceFolder"] for pid in pids} == {f"/core/{ID}"}
        assert daemon.stop() == 0
    for file in site.var.glob("journal.sqlite*"):
        file.unlink()
    assert "0 created, 0 updated, 4 unchanged, 0 failed" in site.ingest(directory).stdout


def test_where_a_list_says_that_a_metadata_file_will_come_it_is_waited_for(tmp_path: Path) -> None:
    site = Site(tmp_path, watching=SOON, beamtimes={"grace": 600.0})
    directory = tmp_path / "current"
    nexus(directory / "raw/run_1.nxs")
    append(directory / "raw" / LIST, "run_1")
    with site.daemon(directory) as daemon:
        (problem,) = eventually(lambda: [one["problems"] for one in site.status()["beamtimes"]], "it says so")
        assert "no beamtime metadata file yet" in problem[0]
        assert daemon.catalogue().pids() == []
        metadata = {"beamtimeId": ID, "corePath": f"/core/{ID}", **METADATA}
        (directory / f"beamtime-metadata-{ID}.json").write_text(json.dumps(metadata))
        eventually(lambda: daemon.catalogue().pids() == [f"{ID}/run_1"], "the beamtime's scan")
        eventually(lambda: site.status()["totals"]["problems"] == 0, "nothing is wrong any more")


def _lines(directory: Path) -> list[str]:
    """The lines that are noted as done."""
    path = directory / INGESTED
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.rsplit(" ", 3)[0] for line in lines if not line.startswith("__")]
