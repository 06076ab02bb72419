"""What a large site costs: start, memory, idling, long lists, a backlog. Part of `make bench`, in a short form.

`--factor 1` is the full size: 200 beamtimes with 50 scan directories each, 100,000 done scans and
1,000,000 detector files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
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
_MOST_FILES = 2_700_000  # Of the measures of `bench_targets` together, at full size.
WATCHING: dict[str, Any] = {"ingestion_delay": 1.0, "rescan_interval": 60.0}


@dataclass(frozen=True)
class Idling:
    """A daemon that has nothing to do any more."""

    what: str
    daemon: Daemon


Measure = Callable[[Path, float], Iterator[Idling]]
"""Measures in a directory of its own, at a size; goes on after each daemon that it gives has idled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factor", type=float, default=0.1, help="size; 1 is the full one")
    parser.add_argument("--idle", type=float, default=65.0, help="seconds of idling that are measured")
    parser.add_argument("--rest", type=float, default=75.0, help="seconds before that: what comes once after a start")
    parser.add_argument("--place", type=Path, help="where the trees are made")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"some of {', '.join(MEASURES)}")
    given = parser.parse_args()
    head()
    measure(given.measures or list(MEASURES), given.factor, given.rest, given.idle, given.place)
    show()


def measure(names: Iterable[str], factor: float, rest: float, idle: float, place: Path | None = None) -> None:
    """Start one daemon after the other, let all of them idle together, and measure what remains."""
    with contextlib.ExitStack() as rooms:
        under_way: list[Iterator[Idling]] = []
        idling: list[Idling] = []
        for name in names:
            room = Path(tempfile.mkdtemp(prefix="scicat-watch-scale-", dir=place or _place(factor)))
            rooms.callback(shutil.rmtree, room)
            steps = MEASURES[name](room, factor)
            rooms.callback(steps.close)  # type: ignore[attr-defined]  # Ends its daemon.
            if (one := next(steps, None)) is not None:
                idling.append(one)
                under_way.append(steps)
        if idling:
            _note_idle(idling, rest, idle)
        for steps in under_way:
            next(steps, None)


def _note_idle(idling: list[Idling], rest: float, seconds: float) -> None:
    time.sleep(rest)
    before = [cpu_seconds(one.daemon.pid) for one in idling]
    began = time.monotonic()
    time.sleep(seconds)
    for one, used in zip(idling, before, strict=True):
        share = (cpu_seconds(one.daemon.pid) - used) / (time.monotonic() - began)
        memory = f"{resident(one.daemon.pid) >> 20} MB"
        note(f"{one.what}: idle CPU of one core; resident memory", f"{100 * share:.2f} %; {memory}")


def site(room: Path, factor: float) -> Iterator[Idling]:
    """Many beamtimes whose scans are all listed and done."""
    return _site(room, factor, SiteTree(), "listed")


def unlisted_site(room: Path, factor: float) -> Iterator[Idling]:
    """The same without dataset lists."""
    return _site(room, factor, SiteTree(listed=False), "found")


def polled_site(room: Path, factor: float) -> Iterator[Idling]:
    """The same without file events."""
    return _site(room, factor, SiteTree(listed=False), "found, polled", polled=True)


def _site(room: Path, factor: float, tree: SiteTree, kind: str, *, polled: bool = False) -> Iterator[Idling]:
    tree = replace(tree, beamtimes=max(1, int(tree.beamtimes * factor)))
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
        yield Idling(what, daemon)
        last = beamtimes[-1] / "raw" / "sample_000"
        nexus(last / "new.nxs")
        if tree.listed:
            append(last / f"scicat-datasets-{beamtimes[-1].name}.lst", "new")
        _note_latency(f"{what}: one more scan, less the delay", catalogue.pids)


def lines_without_files(room: Path, factor: float) -> Iterator[Idling]:
    """A list that names scans which have no files."""
    lines = int(100_000 * factor)
    write_metadata(room / "gpfs/1", "1")
    write_metadata(room / "gpfs/2", "2")
    write_lines(room / "gpfs/1/raw/scicat-datasets-1.lst", [f"scan_{number:06d}" for number in range(lines)])
    program = _program(room, beamtimes={"base_directories": [str(room / "gpfs")]})
    what = f"{lines:,} list lines without files"
    began = time.monotonic()
    with program.daemon() as daemon:
        eventually(lambda: _state(program, "waiting") >= lines, "all waiting", 300)
        used = cpu_seconds(daemon.pid)
        note(f"{what}: known after start; CPU until then", f"{time.monotonic() - began:.1f} s; {used:.1f} s")
        catalogue = daemon.catalogue()
        yield Idling(what, daemon)
        nexus(room / "gpfs/2/raw/new.nxs")
        _note_latency(f"{what}: a scan of another beamtime, less the delay", catalogue.pids)
        nexus(room / "gpfs/1/raw/late.nxs")
        append(room / "gpfs/1/raw/scicat-datasets-1.lst", "late")
        _note_latency(f"{what}: a scan of the same list, less the delay", catalogue.pids, 2)
        nexus(room / f"gpfs/1/raw/scan_{lines - 1:06d}.nxs")
        _note_latency(f"{what}: the file of one of them comes, less the delay", catalogue.pids, 3)


def known_listed(room: Path, factor: float) -> Iterator[Idling]:
    """A start over many listed scans that are done, of one beamtime; until the first new one is in the catalogue."""
    return _known(room, int(100_000 * factor), "listed")


def known_found(room: Path, factor: float) -> Iterator[Idling]:
    """The same without a list."""
    return _known(room, int(100_000 * factor), "found")


def _known(room: Path, scans: int, kind: str) -> Iterator[Idling]:
    names = [f"scan_{number:06d}" for number in range(scans)]
    write_metadata(room / "bt", "1")
    (room / "bt/raw").mkdir()
    for name in names:
        touch(room / "bt/raw" / f"{name}.nxs")
    if kind == "listed":
        write_lines(room / "bt/raw/scicat-datasets-1.lst", [*names, "new"])
        write_ingested(room / "bt/raw/scicat-ingested-datasets-1.lst", names)
    else:
        write_ingested(room / "bt/scicat-ingested-datasets-1.lst", [f"raw/{name}" for name in names])
    nexus(room / "bt/raw/new.nxs")
    program = _program(room)
    began = time.monotonic()
    with program.daemon(room / "bt") as daemon:
        catalogue = daemon.catalogue()
        eventually(catalogue.pids, "the new scan", 120)
        taken = time.monotonic() - began - WATCHING["ingestion_delay"]
        used = cpu_seconds(daemon.pid)
        what = f"start over {scans:,} {kind} scans that are done"
        note(f"{what}: the first new one, less the delay; CPU until then", f"{taken:.1f} s; {used:.1f} s")
        yield Idling(what, daemon)


def stopped(room: Path, factor: float) -> Iterator[Idling]:
    """Files that appear while the daemon is stopped, more than the queue of events holds. Its daemon never idles."""
    files = int(20_000 * factor)
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
        began, used = time.monotonic(), cpu_seconds(daemon.pid)
        what = f"{files:,} files while the daemon was stopped"
        eventually(lambda: _state(program, "waiting") >= files or catalogue.pids(), "found", 120)
        used = cpu_seconds(daemon.pid) - used
        note(f"{what}: all of them known; CPU until then", f"{time.monotonic() - began:.1f} s; {used:.1f} s")
        eventually(catalogue.pids, "the first", 120)
        note(f"{what}: the first in the catalogue, less the delay", f"{time.monotonic() - began - 1.0:.1f} s")
    yield from ()


MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (site, unlisted_site, polled_site, lines_without_files, known_listed, known_found, stopped)
}


def _program(room: Path, *, polled: bool = False, **sections: Any) -> Site:
    program = Site(room, watching=WATCHING, **sections)
    if polled:
        program.wrapper = WITHOUT_INOTIFY
    return program


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


def _place(factor: float) -> Path:
    """Where the trees are made: in memory, where a million files are quick to make and to remove, if there is room."""
    shared = Path("/dev/shm")
    has_room = shared.is_dir() and os.statvfs(shared).f_favail > _MOST_FILES * factor
    return shared if has_room else Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
