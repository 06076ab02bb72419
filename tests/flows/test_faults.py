"""One broken thing costs one thing: a table of faults that are real, under the installed daemon.

In each row something breaks while the daemon works on two beamtimes. Meanwhile the scans of the other beamtime become
datasets, and `status` says what is wrong and with what; when it is over, work goes on by itself, and nothing is wrong
any more. What breaks, and how, is in `faults`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows import faults
from tests.flows.faults import BAD, GOOD, MANY, Scene
from tests.flows.program import Catalogue, Site, eventually, flood
from tests.makers import beamtime_directory, nexus

Context = Callable[[Scene], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A row: what breaks, how, and what `status` must say while it is broken."""

    name: str
    breaks: Context
    """Within it the thing is broken."""
    says: tuple[str, ...] = ()
    """What `status --json` contains then; {bad} is the directory of the beamtime that breaks."""
    where: Context = lambda scene: contextlib.nullcontext()
    """What has to be so from before the daemon's start to after its end."""
    scans: tuple[str, ...] = ("meanwhile",)
    """The scans that come into the broken beamtime."""
    costs: tuple[str, ...] = ("meanwhile",)
    """Which of its scans become datasets only when it is over."""
    brings: tuple[str, ...] = ()
    """Further scans of it that are datasets in the end."""
    costs_all: bool = False
    """Whether it concerns the other beamtime as well."""


FAULTS = (
    Fault("a directory that may not be read", faults.unreadable_directory,
          ("{bad}/raw: cannot be scanned", "ermission"), faults.unprivileged, scans=(), costs=()),
    Fault("a list that may not be read", faults.unreadable_list,
          ("{bad}/raw/scicat-datasets-2.lst: the list cannot be read",), faults.unprivileged, costs=()),
    Fault("an ingested list that is a directory", faults.ingested_list_is_a_directory,
          ("{bad}/raw/scicat-ingested-datasets-2.lst", "is not a regular file")),
    Fault("files that are damaged, empty, and no HDF5", faults.broken_files,
          ("2/text", "cannot be opened as HDF5", "2/cut", "of the 11384 bytes", "2/empty", "is empty"),
          costs=("text", "cut", "empty")),
    Fault("a file that is removed while it is read", faults.removed_file,
          ("2/removed", "no file or folder"), faults.patient_readers, costs=("removed",)),
    Fault("a data disk that is full", faults.full_disk,
          ("{bad}/late", "No space left"), faults.small_disk, scans=(), costs=(), brings=("squeezed",)),
    Fault("a data disk that is read-only", faults.read_only_disk, (), faults.bound_disk, costs=()),
    Fault("a file system that does not answer", faults.no_answer,
          ("{bad}: its file system has not answered since",), faults.on_fuse, scans=(), costs=()),
    Fault("a journal that somebody else keeps locked", faults.locked_journal, ("journal.sqlite", "locked"), costs=()),
    Fault("more directories than can be watched", faults.more_directories,
          ('"polling"', "max_user_watches"), faults.few_watches, costs=()),
    Fault("a second daemon", faults.second_daemon, costs=()),
    Fault("many files while the daemon stands still", faults.stands_still, costs=(),
          brings=tuple(f"many/many_{number:05d}" for number in range(MANY))),
    Fault("a catalogue that is gone", faults.no_catalogue,
          ('"catalogue": 1', "nothing listens there"), faults.catalogue_elsewhere, costs_all=True),
    Fault("a kill while a dataset is published", faults.killed_while_publishing, (), faults.catalogue_behind_a_proxy,
          costs=(), brings=("interrupted",)),
)  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(0 if "SCICAT_WATCH_SOAK_HOURS" in os.environ else 1800)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_broken_thing_costs_one_thing(tmp_path: Path, fault: Fault) -> None:
    good, bad = beamtime_directory(tmp_path / "good", GOOD), beamtime_directory(tmp_path / "bad", BAD)
    scene = Scene(tmp_path, Site(tmp_path), good, bad)
    for root in (good, bad):
        scene.scan(root, "before")
    with fault.where(scene), scene.running:
        scene.start()
        eventually(lambda: scene.catalogue.pids() == ["1/before", "2/before"], "the first scans")
        eventually(lambda: scene.site.status()["totals"]["done"] == 2, "they are noted")
        with fault.breaks(scene):
            scene.scan(good, "meanwhile")
            for name in fault.scans:
                scene.scan(bad, name)
            if not fault.costs_all:
                eventually(lambda: "1/meanwhile" in scene.catalogue.pids(), "the other beamtime goes on")
            for words in fault.says:
                scene.says(words.format(bad=bad))
            if not fault.costs_all:
                assert not {f"2/{name}" for name in fault.costs} & set(scene.catalogue.pids())
            assert scene.daemon.process.poll() is None
        scene.scan(bad, "after")
        names = {"before", "after", *fault.scans, *fault.costs, *fault.brings}
        expected = sorted({"1/before", "1/meanwhile"} | {f"2/{name}" for name in names})
        eventually(lambda: _holds(scene.catalogue, expected), "work goes on by itself", 120 + len(expected))
        scene.is_well()
        assert scene.daemon.stop() == 0


def _holds(catalogue: Catalogue, expected: list[str]) -> bool:
    # Counted first: listing thousands again and again would cost the catalogue more than making them.
    return catalogue.count() >= len(expected) and set(expected) <= set(catalogue.pids())


def test_what_came_while_the_daemon_stood_still_is_found_although_the_kernel_dropped_its_events(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip("the queue of this kernel is too long to be filled in a test")
    site, root = Site(tmp_path, watching={"ingestion_delay": 0.3, "rescan_interval": 600.0}), tmp_path / "bt"
    scene = Scene(tmp_path, site, beamtime_directory(root, GOOD), root)
    scene.scan(root, "before")
    with site.daemon(root) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/before"], "the first scan")
        with daemon.paused():
            flood(root / "raw", 2 * most)
            nexus(root / "raw" / "found.nxs")
            scene.scan(root, "listed")
        eventually(lambda: catalogue.pids() == ["1/before", "1/found", "1/listed"], "both scans")
        eventually(lambda: site.status()["beamtimes"][0]["watch"]["overflows"], "status counts it")
        assert daemon.stop() == 0
