"""Published scans are compared with their files: soon, in turns, at little cost; and what becomes of changed ones."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal

import pytest

from scicat_watch.discovery.watch import Hints
from scicat_watch.ledger.rules import ChangeRules
from scicat_watch.model import Extent
from scicat_watch.scanstate import Change
from scicat_watch.service import rechecks
from scicat_watch.service.rechecks import SharedTime, what_to_do
from scicat_watch.service.work import BeamtimeWork
from tests import makers
from tests.makers import ID, LIST
from tests.service.conftest import Disk
from tests.service.fakes import FakeSite

WATCHING = {
    "ingestion_delay": 0.0,
    "rescan_interval": 1000.0,
    "recheck_interval": 1000.0,
    "recheck_after": [10, 60, 600],
}
_NO_HINTS = Hints()
_moments = itertools.count(1_700_000_000)


class Rechecked:
    """The work on a beamtime, as a loop does it that gets no hints."""

    def __init__(self, disk: Disk, site: FakeSite) -> None:
        self.disk, self.site = disk, site
        self.start()

    def start(self) -> None:
        beamtime = makers.beamtime(self.disk.root)
        self.work = BeamtimeWork(self.site, beamtime, self.site.dispatcher(), self.site.reporter)
        self.work.step(None)
        self.run(5)

    def restart(self, *, lose: bool = False) -> None:
        assert self.work.release(5)
        if lose:
            for place in ("known", "scans"):
                self.site.journal._storage.execute(f"delete from {place}")
        self.start()

    def run(self, seconds: float) -> None:
        """As long as that, a turn each second."""
        for _ in range(int(seconds)):
            self.work.settle(5)
            self.work.step(None if self.site.fake.seconds % 50 == 0 else _NO_HINTS)
            self.work.recheck()
            self.site.fake.advance(1.0)

    def write(self, name: str, text: str = "more") -> None:
        """A file that is made or gets longer, of which no event reports, and which no tick of a clock hides."""
        path = self.disk.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)
        moment = next(_moments)
        os.utime(path, (moment, moment))
        os.utime(path.parent, (moment, moment))

    @property
    def tried(self) -> list[str]:
        return [pid for _, pid in self.site.ingest.tried]


@pytest.fixture
def rechecked(disk: Disk, sites: Callable[..., FakeSite]) -> Callable[..., Rechecked]:
    return lambda **watching: Rechecked(disk, sites(watching=WATCHING | watching))


@pytest.mark.parametrize("after", [5, 40, 500])
def test_files_that_come_late_are_seen_soon_after_the_scan_was_published(
    disk: Disk, rechecked: Callable[..., Rechecked], after: int
) -> None:
    disk.nexus("raw/x.nxs")
    disk.append(f"raw/{LIST}", "x")
    scans = rechecked()
    assert scans.tried == [f"{ID}/x"]
    scans.run(after)
    assert scans.tried == [f"{ID}/x"]
    scans.write("raw/x/late.tif")
    scans.run(620 - after)
    assert scans.tried == [f"{ID}/x"] * 2
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_the_beamtime_is_listed_once_for_all_files_that_were_replaced(
    disk: Disk, rechecked: Callable[..., Rechecked], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"raw/x{number}.nxs" for number in range(6)]
    for name in names:
        disk.nexus(name)
    scans = rechecked(recheck_after=[], recheck_interval=20.0)
    listed: list[int] = []
    data_files = scans.work.watch.data_files

    def noting(inodes: Collection[int]) -> Iterator[Path]:
        listed.append(len(inodes))
        return data_files(inodes)

    monkeypatch.setattr(scans.work.watch, "data_files", noting)
    scans.run(40)
    assert (len(scans.tried), listed) == (6, [])
    for name in names:
        shutil.copy(disk.root / name, disk.root / f"{name}.new")
        scans.write(f"{name}.new")
        (disk.root / f"{name}.new").rename(disk.root / name)
    scans.run(40)
    assert sorted(scans.tried[6:]) == [f"{ID}/raw/x{number}" for number in range(6)]
    assert set(listed) == {6}
    scans.work.release(5)


def test_a_turn_goes_on_where_its_last_step_ended(
    disk: Disk, rechecked: Callable[..., Rechecked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechecks, "_STEP", -1.0)  # Each step is over after one scan.
    for number in range(6):
        disk.nexus(f"raw/x{number}.nxs")
    scans = rechecked(recheck_after=[], recheck_interval=5.0, trigger="files")
    for number in range(6):
        scans.write(f"raw/x{number}.nxs")
    scans.run(300)
    assert {f"{ID}/raw/x{number}" for number in range(6)} == set(scans.tried[6:])
    scans.work.release(5)


def test_all_scans_are_compared_in_turns_and_those_that_are_not_there_prove_nothing(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    for name in ("a", "b", "c"):
        disk.nexus(f"raw/{name}.nxs")
    scans = rechecked(recheck_after=[], trigger="files")
    assert sorted(scans.tried) == [f"{ID}/raw/{name}" for name in "abc"]
    scans.write("raw/b.nxs")
    (disk.root / "raw/c.nxs").unlink()
    scans.run(900)
    assert len(scans.tried) == 3
    scans.run(200)
    assert scans.tried[3:] == [f"{ID}/raw/b"]
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_what_changed_while_nobody_watched_is_seen_at_the_start(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    disk.nexus("raw/x.nxs")
    disk.append(f"raw/{LIST}", "x")
    scans = rechecked()
    scans.write("raw/x.nxs")
    scans.restart()
    assert scans.tried == [f"{ID}/x"] * 2
    (changed,) = scans.work.state().changed_scans
    assert (changed.pid, changed.reason) == (f"{ID}/x", "x.nxs was written to")
    scans.run(2000)
    assert scans.tried == [f"{ID}/x"] * 2  # Its file list is up to date, and the rest is only reported.
    assert scans.work.state().changed == 1
    disk.append(f"raw/{LIST}", "x:again")
    scans.run(100)
    assert scans.tried == [f"{ID}/x"] * 3
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_files_that_vanish_change_no_dataset_and_are_reported(disk: Disk, rechecked: Callable[..., Rechecked]) -> None:
    disk.nexus("raw/x.nxs")
    for number in range(3):
        disk.text(f"raw/x/{number}.tif")
    scans = rechecked()
    (disk.root / "raw/x/1.tif").unlink()
    scans.run(20)
    assert scans.tried == [f"{ID}/raw/x"]
    assert [one.reason for one in scans.work.state().changed_scans] == ["1 file is not there any more"]
    disk.text("raw/x/1.tif")
    scans.write("raw/x/1.tif", "")
    scans.run(700)
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_a_dataset_loses_no_file_because_another_one_was_touched(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    for scan in ("found", "listed"):
        disk.nexus(f"raw/{scan}.nxs")
        for number in range(3):
            disk.text(f"raw/{scan}/{number}.tif")
    disk.append(f"raw/{LIST}", "listed")
    scans = rechecked(recheck_after=[], recheck_interval=5.0)
    scans.run(30)
    before = len(scans.tried)
    for scan in ("found", "listed"):
        (disk.root / f"raw/{scan}/1.tif").unlink()
        (disk.root / f"raw/{scan}.nxs").chmod(0o440)
    scans.run(60)
    assert len(scans.tried) == before
    assert [one.reason for one in scans.work.state().changed_scans] == ["1 file is not there any more"] * 2
    scans.work.release(5)


@pytest.mark.parametrize("change", ["come", "write", "close"])
def test_files_that_vanish_are_kept_whatever_else_changes(
    disk: Disk, rechecked: Callable[..., Rechecked], change: str
) -> None:
    disk.nexus("raw/x.nxs")
    for number in range(5):
        disk.text(f"raw/x/{number}.tif")
    scans = rechecked(recheck_after=[], recheck_interval=5.0)
    for number in range(3):
        (disk.root / f"raw/x/{number}.tif").unlink()
    if change == "come":
        for number in range(5, 9):
            disk.text(f"raw/x/{number}.tif")
    else:
        scans.write("raw/x.nxs")
    if change == "close":
        scans.work.step(Hints(files=frozenset({disk.root / "raw/x.nxs"})))
    scans.run(60)
    assert scans.tried == [f"{ID}/raw/x"]
    (shown,) = scans.work.state().changed_scans
    also = "4 files have come" if change == "come" else "x.nxs was written to"
    assert shown.reason == f"{also}, 3 files are not there any more"
    for number in range(3):
        disk.text(f"raw/x/{number}.tif")
    scans.run(60)
    assert scans.tried == [f"{ID}/raw/x"] * 2
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_a_site_may_have_vanished_files_dropped(disk: Disk, rechecked: Callable[..., Rechecked]) -> None:
    disk.nexus("raw/x.nxs")
    disk.text("raw/x/1.tif")
    scans = rechecked(vanished_files="drop")
    (disk.root / "raw/x/1.tif").unlink()
    scans.run(20)
    assert scans.tried == [f"{ID}/raw/x"] * 2
    assert scans.work.state().changed == 0
    scans.work.release(5)


def test_a_file_that_is_renamed_within_its_scan_has_not_vanished(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    disk.nexus("raw/x.nxs")
    disk.text("raw/x/.1.tif.Xa3k")  # As rsync calls a file that it is copying.
    scans = rechecked()
    disk.changed((disk.root / "raw/x/.1.tif.Xa3k").rename(disk.root / "raw/x/1.tif"))
    scans.run(20)
    assert scans.tried == [f"{ID}/raw/x"] * 2
    assert scans.work.state().changed == 0
    scans.work.release(5)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_what_gets_another_inode_or_link_and_keeps_its_content_is_not_read_again(
    disk: Disk, rechecked: Callable[..., Rechecked], listed: bool, closed: bool
) -> None:
    names = [f"x{number}" for number in range(4)]
    for name in names:
        disk.nexus(f"raw/{name}.nxs")
        if listed:
            disk.append(f"raw/{LIST}", name)
    scans = rechecked(recheck_after=[], recheck_interval=5.0)
    before = list(scans.tried)
    assert len(before) == 4

    def number_anew() -> None:
        for name in names:
            file = disk.root / f"raw/{name}.nxs"
            shutil.copy2(file, copy := file.with_suffix(".copy"))
            copy.rename(file)
            os.link(file, disk.root / f"{name}.{next(_moments)}.link")

    number_anew()
    if closed:
        scans.work.step(Hints(files=frozenset(disk.root / f"raw/{name}.nxs" for name in names)))
    scans.run(30)
    number_anew()
    scans.restart()
    scans.run(30)
    assert scans.tried == before
    assert scans.work.state().changed == 0
    file = disk.root / "raw/x1.nxs"
    moment = file.stat().st_mtime_ns
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(moment, moment))  # Only the content says it.
    scans.run(30)
    assert scans.tried == (before if listed else [*before, f"{ID}/raw/x1"])
    assert scans.work.state().changed == (1 if listed else 0)
    scans.work.release(5)


def test_a_listed_file_that_is_closed_is_compared_at_once(disk: Disk, rechecked: Callable[..., Rechecked]) -> None:
    disk.nexus("raw/x.nxs")
    disk.nexus("raw/y.nxs")
    disk.append(f"raw/{LIST}", "x", "y pilatus")
    scans = rechecked(recheck_after=[], changed_after="update")
    for name in ("x", "y"):
        scans.write(f"raw/{name}.nxs")
    scans.run(20)
    assert len(scans.tried) == 2
    scans.work.step(Hints(files=frozenset({disk.root / "raw/x.nxs"})))
    scans.run(20)
    assert scans.tried[2:] == [f"{ID}/x"]
    scans.work.step(Hints(files=frozenset({disk.root / "raw/y.nxs"})))
    scans.run(20)
    assert scans.tried[2:] == [f"{ID}/x", f"{ID}/y"]
    scans.work.release(5)


def test_what_is_reported_ends_when_all_files_of_the_scan_are_gone(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    for name in ("x", "y", "z"):
        disk.nexus(f"raw/{name}.nxs")
    disk.append(f"raw/{LIST}", "x", "y", "z")
    scans = rechecked(recheck_after=[], recheck_interval=5.0)
    for name in ("x", "y", "z"):
        scans.write(f"raw/{name}.nxs")
    scans.run(20)
    assert scans.work.state().changed == 3
    (disk.root / "raw/x.nxs").unlink()
    (disk.root / f"raw/{LIST}").write_text("x\nz\n")
    disk.changed(disk.root / f"raw/{LIST}")
    (disk.root / "raw/y.nxs").unlink()
    scans.run(100)
    assert [one.pid for one in scans.work.state().changed_scans] == [f"{ID}/z"]
    scans.work.release(5)


def test_without_its_journal_it_takes_everything_as_it_is(disk: Disk, rechecked: Callable[..., Rechecked]) -> None:
    disk.nexus("raw/x.nxs")
    disk.nexus("free.nxs")
    disk.append(f"raw/{LIST}", "x")
    scans = rechecked()
    scans.write("raw/x.nxs")
    scans.restart(lose=True)
    scans.run(20)
    assert len(scans.tried) == 2
    scans.write("raw/x/late.tif")
    scans.run(1100)
    assert scans.tried[2:] == [f"{ID}/x"]
    scans.work.release(5)


def test_a_directory_that_cannot_be_examined_costs_the_others_nothing(
    disk: Disk, rechecked: Callable[..., Rechecked]
) -> None:
    for name in ("a/x", "b/y"):
        disk.nexus(f"{name}.nxs")
    scans = rechecked(recheck_after=[])
    aside = disk.root.parent / "aside"
    shutil.move(disk.root / "a/x.nxs", aside)
    (disk.root / "a/x.nxs").symlink_to("x.nxs")  # Asking for it is an error: it leads in a circle.
    scans.write("b/y.nxs")
    scans.run(1100)
    assert scans.tried[2:] == [f"{ID}/b/y"]
    scans.work.release(5)


def test_the_time_for_comparing_is_shared_by_all_beamtimes() -> None:
    shared = SharedTime()
    assert [shared.next(100.0, 0.01, 0.01) for _ in range(3)] == pytest.approx([101.0, 102.0, 103.0])
    assert shared.next(500.0, 0.02, 0.02) == pytest.approx(502.0)
    assert shared.next(600.0, 1.0, 0.001) == pytest.approx(610.0)  # A slow file system.


def test_beamtimes_that_are_found_together_begin_to_compare_one_after_the_other() -> None:
    shared = SharedTime()
    assert [shared.first(100.0) for _ in range(3)] == pytest.approx([100.0, 101.0, 102.0])
    assert shared.next(100.5, 0.01, 0.01) == pytest.approx(104.0)
    assert shared.first(500.0) == pytest.approx(500.0)


WRITTEN, TOUCHED = Change(master="written"), Change(touched=True)
COME, GONE = Change(files="come"), Change(missing="gone")
BOTH, ALL = Change(files="come", missing="gone"), Change(master="written", files="come", missing="gone")
UP_TO_DATE = [(Extent.ALL, ""), (Extent.FILES, ""), (Extent.ALL, ""), (Extent.ALL, ""), (Extent.ALL, "")]
KEPT = [(None, "gone"), (None, "come, gone"), (None, "written, come, gone")]


@pytest.mark.parametrize(
    ("listed", "policy", "vanished", "expected"),
    [
        (False, "report", "drop", [*UP_TO_DATE, (Extent.ALL, "")]),
        (True, "update", "drop", [*UP_TO_DATE, (Extent.ALL, "")]),
        (True, "files", "drop", [(None, "written"), *[(Extent.FILES, "")] * 4, (Extent.FILES, "written")]),
        (True, "report", "drop", [(None, "written"), (None, ""), (None, "come"), *KEPT]),
        (False, "report", "keep", [*UP_TO_DATE[:3], *KEPT]),
        (True, "update", "keep", [*UP_TO_DATE[:3], *KEPT]),
        (True, "files", "keep", [(None, "written"), (Extent.FILES, ""), (Extent.FILES, ""), *KEPT]),
        (True, "report", "keep", [(None, "written"), (None, ""), (None, "come"), *KEPT]),
    ],
)
def test_what_becomes_of_a_change(
    listed: bool,
    policy: Literal["files", "update", "report"],
    vanished: Literal["keep", "drop"],
    expected: list[tuple[Extent | None, str]],
) -> None:
    rules = ChangeRules(listed=policy, vanished=vanished)
    assert [what_to_do(listed, found, rules) for found in (WRITTEN, TOUCHED, COME, GONE, BOTH, ALL)] == expected
    assert what_to_do(listed, Change(), rules) == (None, "")
