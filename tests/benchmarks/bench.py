"""How fast the installed program is: `make bench` prints the table of docs/performance.md.

Nothing here is a test. Every figure is a median of several runs or scans on this machine, today; the
embedded catalogue runs as a process of its own, as it does for users.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.table import head, milliseconds, note, show, timed
from tests.flows.program import Site, eventually
from tests.makers import ID, LIST, append, beamtime_directory, nexus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of idling that are measured")
    given = parser.parse_args()
    head()
    with tempfile.TemporaryDirectory() as place:
        for number, measure in enumerate((ingest_rate, latency_and_idling, idle_rescan)):
            room = Path(place) / str(number)
            room.mkdir()
            measure(room, given)
    show()


def ingest_rate(place: Path, given: argparse.Namespace) -> None:
    """Wall time of `ingest`, less that of one scan, by scan."""

    def beamtime(scans: int) -> Path:
        made = beamtime_directory(place / f"{len(list(place.iterdir()))}-{scans}")
        names = [f"run_{number:05d}" for number in range(scans)]
        for name in names:
            nexus(made / "raw" / f"{name}.nxs")
        append(made / "raw" / LIST, *names)
        return made

    for kind, thumbnails in (("without thumbnails", False), ("with thumbnails", True)):
        each, again, alone = [], [], []
        for _ in range(given.rounds):
            room = place / f"room{len(list(place.iterdir()))}"
            room.mkdir()
            site = Site(room, reading={"thumbnails": thumbnails})
            single = timed(lambda: site.ingest(beamtime(1)))  # noqa: B023
            made = beamtime(given.scans)
            full = timed(lambda: site.ingest(made))  # noqa: B023
            repeated = timed(lambda: site.ingest(made))  # noqa: B023
            alone.append(single)
            each.append((full - single) / (given.scans - 1))
            again.append((repeated - single) / (given.scans - 1))
        note(f"`ingest`, {given.scans} new scans {kind}: wall time per scan", milliseconds(each))
        note(f"`ingest` again, nothing changed, {kind}: wall time per scan", milliseconds(again))
        note(f"`ingest` of one scan {kind}, start of program and catalogue included", milliseconds(alone))


def latency_and_idling(place: Path, given: argparse.Namespace) -> None:
    """From a list line to the dataset in the catalogue, less the delay; then what the idle daemon takes."""
    delay = 1.0
    site = Site(place, watching={"ingestion_delay": delay, "rescan_interval": 60.0}, reading={"thumbnails": False})
    beamtime = beamtime_directory(place / "bt")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        late = []
        for number in range(22):
            name = f"run_{number:05d}"
            nexus(beamtime / "raw" / f"{name}.nxs")
            append(beamtime / "raw" / LIST, name)
            named = time.monotonic()
            eventually(lambda: (catalogue.pids() or [""])[-1] == f"{ID}/{name}", name)  # noqa: B023
            late.append(time.monotonic() - named - delay)
        note("daemon: list line to dataset in the catalogue, less ingestion_delay", milliseconds(late[2:]))
        processes = family(daemon.pid)
        names = dict(processes)
        before = {pid: cpu_seconds(pid) for pid in names}
        time.sleep(given.idle)
        for kind in sorted(set(names.values())):
            pids = [pid for pid, of in names.items() if of == kind]
            used = sum(cpu_seconds(pid) - before[pid] for pid in pids) / given.idle
            memory = sum(resident(pid) for pid in pids) >> 20
            note(f"idle, {kind} ({len(pids)}): CPU of one core; resident memory", f"{100 * used:.2f} %; {memory} MB")


def idle_rescan(place: Path, given: argparse.Namespace) -> None:
    """What a full rescan costs when nothing changed."""
    from scicat_watch.discovery.rules import WatchRules
    from scicat_watch.discovery.watch import BeamtimeWatch, Hints
    from scicat_watch.ledger.journal import Journal
    from scicat_watch.ledger.ledger import BeamtimeLedger
    from scicat_watch.ledger.rules import IngestedRules, RetryRules
    from scicat_watch.model import Beamtime

    for folder in range(1000):
        made = place / "bt" / f"d{folder // 100}" / f"s{folder}"
        made.mkdir(parents=True)
        for file in range(3):
            (made / f"frame_{file}.tif").touch()
    beamtime = Beamtime("1", place / "bt", {})

    def ledger() -> BeamtimeLedger:
        return BeamtimeLedger(beamtime, IngestedRules(), RetryRules(), Journal(None))

    watch = BeamtimeWatch(beamtime, WatchRules(), "host", ledger())
    clock = 0.0
    for _ in range(4):
        clock += 3.0
        watch.step(clock, None)
    rescans = []
    for _ in range(10):
        clock += 3.0
        rescans.append(timed(lambda: watch.step(clock, None)))  # noqa: B023
    note("rescan of 1,011 unchanged directories", milliseconds(rescans))
    names = [f"run_{number:06d}" for number in range(100_000)]
    append(place / "bt" / "scicat-datasets-1.lst", *names)
    (place / "bt" / "scicat-ingested-datasets-1.lst").write_text("".join(f"{name} 1.7e9 1.7e9 0\n" for name in names))
    watch = BeamtimeWatch(beamtime, WatchRules(), "host", ledger())
    watch.step(0.0, None)
    appended = []
    for number in range(5):
        append(place / "bt" / "scicat-datasets-1.lst", f"late_{number}")
        hints = Hints(frozenset({place / "bt"}))
        appended.append(timed(lambda: watch.step(1.0, hints)))  # noqa: B023
    note("a list of 100,000 lines, one line appended: reading it again", milliseconds(appended))


def family(pid: int) -> Iterator[tuple[int, str]]:
    import psutil

    yield pid, "daemon"
    for child in psutil.Process(pid).children(recursive=True):
        command = " ".join(child.cmdline())
        kind = "embedded catalogue" if "catalogue" in command else "worker processes and their server"
        yield child.pid, kind


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
