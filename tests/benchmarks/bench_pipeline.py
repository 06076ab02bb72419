"""How fast scans are read and described, without catalogue and processes: prints rows like `bench.py`.

Nothing here is a test. The first rows compare with one pass of h5py over the same values; the others
show that a file of 100,000 datasets costs what is asked of it, and not what it holds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py

from scicat_watch.clock import SystemClock
from scicat_watch.errors import Refused
from scicat_watch.model import Beamtime
from scicat_watch.pipeline.assembly.assemble import assemble
from scicat_watch.pipeline.assembly.schemas import load
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.handover import ReadJob, ReadLimits
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.schema.model import Item, Schema, TreeOptions, Variable
from tests import makers
from tests.benchmarks.table import head, interleaved, milliseconds, note, show, timed

ASKED = ("instrument/detector",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", type=Path, help="only read this file, and say how much memory that took")
    given = parser.parse_args()
    if given.memory:
        print(peak_of_reading(given.memory))
        return
    head()
    with tempfile.TemporaryDirectory() as place:
        hundred_groups(Path(place), given.rounds)
        many_datasets(Path(place), given.rounds)
    show()


def hundred_groups(place: Path, rounds: int) -> None:
    path = nexus_file(place / "hundred.nxs", groups=100, fields=10)
    job = job_of(path, nexus_schema())

    def ours() -> None:
        assemble(Context(read(job), job.beamtime, nobody, SystemClock())).documents()

    theirs, mine = interleaved(rounds, lambda: h5py_pass(path), ours)
    note("100 groups, 1,000 fields: one h5py pass over values and attributes", milliseconds(theirs))
    note("the same: `read` + `assemble` with the shipped schema, no thumbnail", milliseconds(mine))
    note("ratio (target: under 2)", f"{statistics.median(mine) / statistics.median(theirs):.2f}")
    plotted = job_of(path, job.schemas[0], thumbnails=True)
    note("the same: `read` with thumbnails on, nothing to draw", readings(plotted, rounds))


def many_datasets(place: Path, rounds: int) -> None:
    """What is asked is the same of both files: three values, and the tree of one group."""
    small = nexus_file(place / "small.nxs", groups=1, fields=100)
    large = nexus_file(place / "large.nxs", groups=1000, fields=100)
    flat = nexus_file(place / "flat.nxs", groups=1, fields=100_000)
    files = {"100 datasets": small, "100,000 datasets in 1,000 groups": large, "100,000 datasets in one group": flat}
    for what, path in files.items():
        note(f"{what}: three values and the tree of one group", readings(job_of(path, asking()), rounds))
        note(f"{what}: and searching for a thumbnail", readings(job_of(path, asking(), thumbnails=True), rounds))
        peak = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_pipeline", "--memory", path],
            check=True,
            capture_output=True,
            text=True,
        )
        note(f"{what}: most memory of the process that reads it", f"{int(peak.stdout) / 1024:.1f} MB")
    note("100,000 datasets: all of the tree, as far as the limit goes", readings(job_of(large, nexus_schema()), 3))


def peak_of_reading(path: Path) -> int:
    """Kilobytes of this process at its largest, after it read the file."""
    import resource

    read(job_of(path, asking()))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def nexus_file(path: Path, groups: int, fields: int) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        entry = group(file, "entry", "NXentry")
        entry["title"] = "a scan"
        entry["start_time"], entry["end_time"] = "2026-06-01T10:00:00Z", "2026-06-01T10:05:00Z"
        group(group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")["count_time"] = 0.1
        for number in range(groups):
            made = group(entry, f"positioner_{number:04d}", "NXpositioner")
            for field in range(fields):
                made[f"value_{field:06d}"] = float(field)
                if fields < 1000:
                    made[f"value_{field:06d}"].attrs["units"] = "mm"
    return path


def group(parent: Any, name: str, nx_class: str) -> Any:
    made = parent.create_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def h5py_pass(path: Path) -> dict[str, Any]:
    """Values and attributes of all that is in a file, as one would write it with h5py."""
    found: dict[str, Any] = {}

    def visit(name: str, thing: Any) -> None:
        found[name] = dict(thing.attrs)
        if isinstance(thing, h5py.Dataset) and thing.shape == ():
            found[name]["value"] = thing[()]

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(visit)
    return found


def nexus_schema() -> Schema:
    return next(schema for schema in load().schemas if schema.id == "nexus")


def asking() -> Schema:
    names = ("title", "start_time", "instrument/detector/count_time")
    variables = tuple(Variable(name, "NXS", "string", path=f"/entry/{name}") for name in names)
    tree = Item("tree", "nexus_tree", "", tree=TreeOptions(take=ASKED))
    return Schema("bench", "Bench", "", 1.0, "*", variables, (tree,))


def job_of(path: Path, schema: Schema, thumbnails: bool = False) -> ReadJob:
    directory = path.parent
    scan = makers.scan(directory, path.stem, path, beamtime="bench")
    beamtime = Beamtime("bench", directory, {"title": "bench"}, None)
    return ReadJob(scan, beamtime, (schema,), ReadLimits(thumbnails=thumbnails), (directory,))


def nobody(url: str) -> Any:
    raise Refused(f"404: {url}", 404)


def readings(job: ReadJob, rounds: int) -> str:
    return milliseconds([timed(lambda: read(job)) for _ in range(rounds)])


if __name__ == "__main__":
    main()
