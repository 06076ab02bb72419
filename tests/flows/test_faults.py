"""One broken thing costs one thing: a table of faults that are real, under the installed daemon.

In each row something breaks while the daemon works on two beamtimes. Meanwhile the scans of the other beamtime become
datasets, and `status` says what is wrong and with what; when it is over, work goes on by itself, and nothing is wrong
any more. What cannot be provoked on a machine is skipped there, with a message.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows import hanging
from tests.flows.program import Site, eventually, flood
from tests.makers import append, beamtime_directory, nexus

GOOD, BAD = "1", "2"


@dataclass
class Scene:
    """A site with a beamtime that stays well and one that may break."""

    place: Path
    site: Site
    good: Path
    bad: Path

    def scan(self, root: Path, name: str) -> None:
        """One more scan, which is listed."""
        nexus(root / "raw" / f"{name}.nxs")
        append(self.dataset_list(root), name)

    def dataset_list(self, root: Path) -> Path:
        return root / "raw" / f"scicat-datasets-{GOOD if root == self.good else BAD}.lst"

    @property
    def ingested(self) -> Path:
        """The ingested list of the beamtime that breaks."""
        return self.bad / "raw" / f"scicat-ingested-datasets-{BAD}.lst"


@dataclass(frozen=True)
class Fault:
    """A row: what breaks, how, and what `status` must say while it is broken."""

    name: str
    breaks: Callable[[Scene], contextlib.AbstractContextManager[None]]
    """Within it the thing is broken."""
    says: tuple[str, ...]
    """What `status --json` contains then; {bad} is the directory of the beamtime that breaks."""
    where: Callable[[Scene], contextlib.AbstractContextManager[None]] = lambda scene: contextlib.nullcontext()
    """What has to be so from before the daemon's start to after its end."""
    scans: tuple[str, ...] = ("meanwhile",)
    """The scans that come into the broken beamtime."""
    costs: tuple[str, ...] = ("meanwhile",)
    """Which of its scans become datasets only when it is over."""


@contextlib.contextmanager
def unprivileged(scene: Scene) -> Iterator[None]:
    """Root reads everything, unless it has lost the right to."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("there is no setpriv here, without which root reads everything")
        lost = "-dac_override,-dac_read_search"
        scene.site.wrapper = ("setpriv", f"--inh-caps={lost}", f"--bounding-set={lost}")
    yield


@contextlib.contextmanager
def unreadable_directory(scene: Scene) -> Iterator[None]:
    (scene.bad / "raw").chmod(0)
    yield
    (scene.bad / "raw").chmod(0o755)


@contextlib.contextmanager
def unreadable_list(scene: Scene) -> Iterator[None]:
    scene.dataset_list(scene.bad).chmod(0o200)
    yield
    scene.dataset_list(scene.bad).chmod(0o644)


@contextlib.contextmanager
def ingested_list_is_a_directory(scene: Scene) -> Iterator[None]:
    kept = scene.place / "kept.lst"
    scene.ingested.rename(kept)
    scene.ingested.mkdir()
    yield
    scene.ingested.rmdir()
    kept.rename(scene.ingested)


@contextlib.contextmanager
def broken_files(scene: Scene) -> Iterator[None]:
    whole = (scene.good / "raw" / "before.nxs").read_bytes()
    files = {
        "text": b"this is not HDF5\n" * 100, "cut": whole[: len(whole) // 2], "empty": b"",
        "bent": whole[:600] + bytes(3000) + whole[3600:],
    }  # fmt: skip
    for name, content in files.items():
        (scene.bad / "raw" / f"{name}.nxs").write_bytes(content)
        append(scene.dataset_list(scene.bad), name)
    yield
    for name in files:
        nexus(scene.bad / "raw" / f"{name}.nxs")


@contextlib.contextmanager
def locked_journal(scene: Scene) -> Iterator[None]:
    other = sqlite3.connect(scene.site.var / "journal.sqlite", isolation_level=None, timeout=60)
    other.execute("begin exclusive")
    yield
    other.execute("rollback")
    other.close()


@contextlib.contextmanager
def on_fuse(scene: Scene) -> Iterator[None]:
    """The beamtime that breaks is on a file system that a program of ours serves."""
    under, hang = scene.place / "under", scene.place / "hang"
    scene.bad.rename(under)
    scene.bad.mkdir()
    command = [sys.executable, *map(str, (hanging.__file__, under, scene.bad, hang))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        if "mounted" not in (said := serving.stdout.readline()).split():
            pytest.skip(said.strip())
        try:
            yield
        finally:
            hang.unlink(missing_ok=True)
            subprocess.run(["umount", "--lazy", scene.bad], check=True)


@contextlib.contextmanager
def no_answer(scene: Scene) -> Iterator[None]:
    (scene.place / "hang").touch()
    yield
    (scene.place / "hang").unlink()


@contextlib.contextmanager
def few_watches(scene: Scene) -> Iterator[None]:
    """In a namespace of its own, where the limit can be set: enough for the directories that are there."""
    limit = "/proc/sys/user/max_inotify_watches"
    wrapper = ("unshare", "--user", "--map-root-user", "sh", "-c", f'echo 8 > {limit} && exec "$0" "$@"')
    try:
        allowed = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("no limit of watches can be set here")
    scene.site.wrapper = wrapper
    yield


@contextlib.contextmanager
def more_directories(scene: Scene) -> Iterator[None]:
    for number in range(20):
        nexus(scene.bad / f"more_{number}" / f"found_{number}.nxs")
    yield
    for number in range(20):
        shutil.rmtree(scene.bad / f"more_{number}")


FAULTS = (
    Fault("a directory that may not be read", unreadable_directory, ("{bad}/raw: cannot be scanned", "ermission"),
          unprivileged, scans=(), costs=()),
    Fault("a list that may not be read", unreadable_list, ("{bad}/raw/scicat-datasets-2.lst: the list cannot be read",),
          unprivileged, costs=()),
    Fault("an ingested list that is a directory", ingested_list_is_a_directory, (
          "{bad}/raw/scicat-ingested-datasets-2.lst", "is not a regular file")),
    Fault("files that are damaged, empty, and no HDF5", broken_files, (
          "2/text", "cannot be opened as HDF5", "2/cut", "of the 11384 bytes", "2/empty", "is empty"),
          costs=("text", "cut", "empty")),
    Fault("a journal that somebody else keeps locked", locked_journal, ("journal.sqlite", "locked"), costs=()),
    Fault("a file system that does not answer", no_answer, ("{bad}: its file system has not answered since",), on_fuse,
          scans=(), costs=()),
    Fault("more directories than can be watched", more_directories, ('"polling"', "max_user_watches"), few_watches,
          costs=()),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_broken_thing_costs_one_thing(tmp_path: Path, fault: Fault) -> None:
    good, bad = beamtime_directory(tmp_path / "good", GOOD), beamtime_directory(tmp_path / "bad", BAD)
    scene = Scene(tmp_path, Site(tmp_path), good, bad)
    for root in (good, bad):
        scene.scan(root, "before")
    with fault.where(scene), scene.site.daemon(good, bad) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/before", "2/before"], "the first scans")
        eventually(lambda: scene.site.status()["totals"]["done"] == 2, "they are noted")
        with fault.breaks(scene):
            scene.scan(good, "meanwhile")
            for name in fault.scans:
                scene.scan(bad, name)
            eventually(lambda: "1/meanwhile" in catalogue.pids(), "the other beamtime goes on")
            for words in fault.says:
                wanted = words.format(bad=bad)
                eventually(lambda: wanted in scene.site.run("status", "--json").stdout, f"status says {wanted!r}")  # noqa: B023
            assert not {f"2/{name}" for name in fault.costs} & set(catalogue.pids())
            assert daemon.process.poll() is None
        scene.scan(bad, "after")
        expected = {f"2/{name}" for name in ("before", "after", *fault.scans, *fault.costs)}
        eventually(lambda: expected <= set(catalogue.pids()), "work goes on by itself")

        def well() -> bool:
            totals = scene.site.status()["totals"]
            return (totals["problems"], totals["failed"], totals["waiting"]) == (0, 0, 0)

        eventually(well, "nothing is wrong any more")
        assert daemon.stop() == 0


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
