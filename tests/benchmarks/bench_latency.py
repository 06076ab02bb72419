"""How soon a scan is in the catalogue: from its file closed, and from its line appended, less the ingestion delay.

Once with nothing else to do, and once while other beamtimes have a backlog of thousands of lines together. Aims: 50 ms
at the median and 200 ms at the 99th percentile when idle, 1 s and 5 s during a backlog of 10,000. Part of `make bench`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import requests

from tests.benchmarks.table import head, note, show
from tests.flows.program import Catalogue, Site, eventually
from tests.makers import append, beamtime_directory, nexus

DELAY = 0.5
LIVE = "1"


class Visible:
    """Waits until the catalogue shows a dataset, asking over one connection every few milliseconds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._api = catalogue.api
        self._session = requests.Session()
        self._session.headers.update(catalogue.headers)

    def shows(self, pid: str) -> bool:
        return self._session.head(f"{self._api}/datasets/{quote(pid, safe='')}", timeout=60).status_code == 200

    def since(self, began: float, pid: str) -> float:
        """Seconds from then until the dataset is there, less the delay."""
        while not self.shows(pid):
            time.sleep(0.004)
        return time.monotonic() - began - DELAY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=30, help="scans that are timed, of each kind")
    parser.add_argument("--backlog", type=int, default=10_000, help="lines of the other beamtimes together")
    parser.add_argument("--others", type=int, default=4, help="how many beamtimes have the backlog")
    given = parser.parse_args()
    head()
    with tempfile.TemporaryDirectory() as place:
        latency(Path(place), given.samples, given.backlog, given.others)
    show()


def latency(place: Path, samples: int, backlog: int, others: int) -> None:
    live = beamtime_directory(place / "live", LIVE)
    busy = [beamtime_directory(place / f"busy{number}", f"2{number}") for number in range(others)]
    site = Site(place, watching={"ingestion_delay": DELAY, "rescan_interval": 60.0})
    with site.daemon(live, *busy) as daemon:
        visible = Visible(daemon.catalogue())
        found(live, visible, "warm")  # The first scan of a worker process loads what reading needs.
        found(live, visible, "warmer")
        both("idle", live, visible, samples)
        names = [pile_up(one, f"2{number}", backlog // others) for number, one in enumerate(busy)][-1]
        eventually(lambda: visible.shows(f"2{others - 1}/{names[0]}"), "the backlog is worked on", 300)
        both(f"backlog of {backlog:,}", live, visible, samples)
        over = visible.shows(f"2{others - 1}/{names[-1]}")
        note(f"backlog of {backlog:,}: still worked on when the last one was timed", "no" if over else "yes")


def both(when: str, live: Path, visible: Visible, samples: int) -> None:
    """Time scans of both kinds."""
    for what, kind in (("file closed to dataset", found), ("line appended to dataset", listed)):
        times = [
            kind(live, visible, f"{kind.__name__}_{when.split(maxsplit=1)[0]}_{number}") for number in range(samples)
        ]
        note(f"{when}: {what}, less the delay: p50; p99", percentiles(times))


def found(live: Path, visible: Visible, name: str) -> float:
    nexus(live / "other" / f"{name}.nxs")
    return visible.since(time.monotonic(), f"{LIVE}/other/{name}")


def listed(live: Path, visible: Visible, name: str) -> float:
    """Its detector files are there for long, so that the line alone decides."""
    folder = live / "raw" / name
    folder.mkdir()
    (folder / "frame_0.tif").write_bytes(b"x")
    time.sleep(2 * DELAY)
    append(live / "raw" / f"scicat-datasets-{LIVE}.lst", name)
    return visible.since(time.monotonic(), f"{LIVE}/{name}")


def pile_up(busy: Path, id: str, count: int) -> list[str]:  # noqa: A002
    """Data files, and then all their lines."""
    first = nexus(busy / "raw" / "run_000000.nxs")
    names = [f"run_{number:06d}" for number in range(count)]
    for name in names[1:]:
        shutil.copyfile(first, first.with_stem(name))
    append(busy / "raw" / f"scicat-datasets-{id}.lst", *names)
    return names


def percentiles(times: list[float]) -> str:
    """The median, and the 99th percentile."""
    ordered = sorted(times)
    highest = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"{1000 * statistics.median(ordered):.0f} ms; {1000 * highest:.0f} ms"


if __name__ == "__main__":
    main()
