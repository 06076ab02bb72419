"""What a large site costs: start, memory, idling, long lists, a backlog. Part of `make bench`, in a short form.

`--factor 1` is the full size: 200 beamtimes with 50 scan directories each, 100,000 done scans and
1,000,000 detector files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import cpu_seconds, resident
from tests.benchmarks.table import head, note, show
from tests.benchmarks.trees import SiteTree, touch, write_ingested, write_lines, write_metadata
from tests.flows.program import Daemon, Site, eventually, halt
from tests.makers import append, nexus

WITHOUT_INOTIFY = (
    "unshare", "--user", "--map-root-user", "sh", "-c",
    'echo 0 > /proc/sys/user/max_inotify_instances; exec "$0" "$@"',
)  # fmt: skip
"""Runs a program in a namespace in which the kernel gives it no file events."""
WATCHING: dict[str, Any] = {"ingestion_delay": 1.0, "rescan_interval": 60.0}


def main() -> None:
    measures = {one.__name__: one for one in (site, unlisted_site, polled_site, lines_without_files, known, stopped)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factor", type=float, default=0.1, help="size; 1 is the full one")
    parser.add_argument("--idle", type=float, default=65.0, help="seconds of idling that are measured")
    parser.add_argument("--rest", type=float, default=75.0, help="seconds before that: what comes once after a start")
    parser.add_argument("--place", type=Path, default=_place(), help="where the trees are made")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"some of {', '.join(measures)}")
    given = parser.parse_args()
    head()
    for name in given.measures or measures:
        room = Path(tempfile.mkdtemp(prefix="scicat-watch-scale-", dir=given.place))
        try:
            measures[name](room, given)
        finally:
            shutil.rmtree(room)
    show()


def site(room: Path, given: argparse.Namespace) -> None:
    """Many beamtimes whose scans are all listed and done."""
    _site(room, given, SiteTree(), "listed")


def unlisted_site(room: Path, given: argparse.Namespace) -> None:
    """The same without dataset lists."""
    _site(room, given, SiteTree(listed=False), "found")


def polled_site(room: Path, given: argparse.Namespace) -> None:
    """The same without file events."""
    _site(room, given, SiteTree(listed=False), "found, polled", polled=True)


def _site(room: Path, given: argparse.Namespace, tree: SiteTree, kind: str, *, polled: bool = False) -> None:
    tree = replace(tree, beamtimes=max(1, int(tree.beamtimes * given.factor)))
    beamtimes = tree.make(room / "gpfs")
    scans = tree.beamtimes * tree.directories * tree.scans
    what = f"{tree.beamtimes} beamtimes, {scans:,} {kind} scans"
    program = _program(room, polled=polled, beamtimes={"base_directories": [str(room / "gpfs")]})
    began = time.monotonic()
    with program.daemon() as daemon:
        eventually(lambda: _done(program) >= scans, "ready", 300)
        used = cpu_seconds(daemon.pid)
        note(f"{what}: ready after start; CPU until then", f"{time.monotonic() - began:.1f} s; {used:.1f} s")
        catalogue = daemon.catalogue()
        _note_idle(what, daemon, given)
        last = beamtimes[-1] / "raw" / "sample_000"
        nexus(last / "new.nxs")
        if tree.listed:
            append(last / f"scicat-datasets-{beamtimes[-1].name}.lst", "new")
        _note_latency(f"{what}: one more scan, less the delay", catalogue.pids)
        note(f"{what}: resident memory", f"{resident(daemon.pid) >> 20} MB")


def lines_without_files(room: Path, given: argparse.Namespace) -> None:
    """A list that names scans which have no files."""
    lines = int(100_000 * given.factor)
    write_metadata(room / "gpfs/1", "1")
    write_metadata(room / "gpfs/2", "2")
    write_lines(room / "gpfs/1/raw/scicat-datasets-1.lst", [f"scan_{number:06d}" for number in range(lines)])
    program = _program(room, beamtimes={"base_directories": [str(room / "gpfs")]})
    what = f"{lines:,} list lines without files"
    began = time.monotonic()
    with program.daemon() as daemon:
        eventually(lambda: _state(program, "waiting") >= lines, "all waiting", 300)
        note(f"{what}: known after start", f"{time.monotonic() - began:.1f} s")
        catalogue = daemon.catalogue()
        _note_idle(what, daemon, given)
        nexus(room / "gpfs/2/raw/new.nxs")
        _note_latency(f"{what}: a scan of another beamtime, less the delay", catalogue.pids)
        nexus(room / "gpfs/1/raw/late.nxs")
        append(room / "gpfs/1/raw/scicat-datasets-1.lst", "late")
        _note_latency(f"{what}: a scan of the same list, less the delay", catalogue.pids, 2)
        nexus(room / f"gpfs/1/raw/scan_{lines - 1:06d}.nxs")
        _note_latency(f"{what}: the file of one of them comes, less the delay", catalogue.pids, 3)
        note(f"{what}: resident memory", f"{resident(daemon.pid) >> 20} MB")


def known(room: Path, given: argparse.Namespace) -> None:
    """A start over many scans that are done, of one beamtime; until the first new one is in the catalogue."""
    scans = int(100_000 * given.factor)
    names = [f"scan_{number:06d}" for number in range(scans)]
    for kind in ("listed", "found"):
        place = room / kind
        write_metadata(place / "bt", "1")
        for name in names:
            (place / "bt/raw").mkdir(exist_ok=True)
            touch(place / "bt/raw" / f"{name}.nxs")
        if kind == "listed":
            write_lines(place / "bt/raw/scicat-datasets-1.lst", [*names, "new"])
            write_ingested(place / "bt/raw/scicat-ingested-datasets-1.lst", names)
        else:
            write_ingested(place / "bt/scicat-ingested-datasets-1.lst", [f"raw/{name}" for name in names])
        nexus(place / "bt/raw/new.nxs")
        program = _program(place)
        began = time.monotonic()
        with program.daemon(place / "bt") as daemon:
            catalogue = daemon.catalogue()
            eventually(catalogue.pids, "the new scan", 120)
            taken = time.monotonic() - began - WATCHING["ingestion_delay"]
            used = cpu_seconds(daemon.pid)
            what = f"start over {scans:,} {kind} scans that are done"
            note(f"{what}: the first new one, less the delay; CPU until then", f"{taken:.1f} s; {used:.1f} s")
            _note_idle(what, daemon, given)
            note(f"{what}: resident memory", f"{resident(daemon.pid) >> 20} MB")


def stopped(room: Path, given: argparse.Namespace) -> None:
    """Files that appear while the daemon is stopped, more than the queue of events holds."""
    files = int(20_000 * given.factor)
    write_metadata(room / "bt", "1")
    (room / "bt/raw").mkdir()
    program = _program(room)
    with program.daemon(room / "bt") as daemon:
        eventually(lambda: _states(program), "ready")
        halt(daemon.pid)
        first = nexus(room / "bt/raw/scan_000000.nxs").read_bytes()
        for number in range(1, files):
            (room / f"bt/raw/scan_{number:06d}.nxs").write_bytes(first)
        time.sleep(2.0)
        os.kill(daemon.pid, signal.SIGCONT)
        catalogue = daemon.catalogue()
        began = time.monotonic()
        what = f"{files:,} files while the daemon was stopped"
        eventually(lambda: _state(program, "waiting") >= files or catalogue.pids(), "found", 120)
        note(f"{what}: all of them known", f"{time.monotonic() - began:.1f} s")
        eventually(catalogue.pids, "the first", 120)
        note(f"{what}: the first in the catalogue, less the delay", f"{time.monotonic() - began - 1.0:.1f} s")


def _program(room: Path, *, polled: bool = False, **sections: Any) -> Site:
    program = Site(room, watching=WATCHING, **sections)
    if polled:
        program.wrapper = WITHOUT_INOTIFY
    return program


def _note_idle(what: str, daemon: Daemon, given: argparse.Namespace) -> None:
    time.sleep(given.rest)
    before = cpu_seconds(daemon.pid)
    time.sleep(given.idle)
    used = (cpu_seconds(daemon.pid) - before) / given.idle
    note(f"{what}: idle CPU of one core", f"{100 * used:.2f} %")


def _note_latency(what: str, pids: Callable[[], list[str]], count: int = 1) -> None:
    began = time.monotonic()
    eventually(lambda: len(pids()) >= count, what, 120)
    note(what, f"{time.monotonic() - began - WATCHING['ingestion_delay']:.2f} s")


def _done(program: Site) -> int:
    return _state(program, "done")


def _state(program: Site, key: str) -> int:
    return sum(state[key] for state in _states(program))


def _states(program: Site) -> list[dict[str, Any]]:
    try:
        with closing(sqlite3.connect(f"file:{program.var}/journal.sqlite?mode=ro", uri=True)) as journal:
            return [json.loads(row[0]) for row in journal.execute("select state from beamtimes")]
    except sqlite3.Error:
        return []


def _place() -> Path:
    shared = Path("/dev/shm")  # A million files are quick to make and to remove there.
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
