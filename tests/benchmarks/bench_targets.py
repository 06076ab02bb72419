"""All figures of large sites and of latency that have a target, at full size, in less than 10 minutes.

Run it on a machine that does nothing else: the targets are absolute times, and a loaded machine misses them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from tests.benchmarks import bench_latency, bench_scale
from tests.benchmarks.table import head, note, show

SCALE = ("site", "polled_site", "lines_without_files", "known_listed", "known_found", "stopped")
TARGETS = """\
Targets: 200 beamtimes ready in 5 s, 150 MB, idle under 2 % of one core, watched or polled; 100,000 known scans under
2 % of a core, and the first new one 3 s after a start; 100,000 list lines without files cost nothing to speak of and
delay nobody; 20,000 files that came while the daemon was stopped: 5 s; latency p50 and p99: idle 50 ms and 200 ms,
during a backlog of 10,000 scans 1 s and 5 s. "Less the delay" is less watching.ingestion_delay.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factor", type=float, default=1.0, help="size; 1 is the full one")
    parser.add_argument("--samples", type=int, default=25, help="scans that are timed, of each kind")
    given = parser.parse_args()
    head()
    print(TARGETS)
    note("load of the machine before", _load())
    bench_scale.measure(SCALE, given.factor, rest=75.0, idle=30.0)
    with tempfile.TemporaryDirectory() as place:
        bench_latency.latency(Path(place), given.samples, int(10_000 * given.factor), others=4)
    note("load of the machine after", _load())
    show()


def _load() -> str:
    """Processes that wait for a core, in the last one and five minutes."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg()[:2])


if __name__ == "__main__":
    main()
