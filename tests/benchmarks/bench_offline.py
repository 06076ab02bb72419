"""How long ESS's command takes from start to end, and how fast checksums are, beside what the system brings."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scicat_watch.pipeline.reading.checksums import digest
from tests import makers
from tests.benchmarks.table import head, interleaved, milliseconds, note, show
from tests.flows.ess_site import COMMAND, CONFIG, SCHEMA, merged
from tests.flows.program import Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=2 << 30, help="bytes of the files whose checksums are made")
    given = parser.parse_args()
    head()
    with tempfile.TemporaryDirectory() as place:
        single_file(Path(place), given.rounds)
        checksums(Path(place), given.size)
    show()


def single_file(place: Path, rounds: int) -> None:
    """The whole command, a new dataset each time, against the embedded catalogue in a process of its own."""
    import h5py

    site = Site(place)
    (place / "schemas").mkdir()
    (place / "schemas" / "all.imsc.yml").write_text(json.dumps(SCHEMA))
    file = makers.nexus(place / "proposal" / "raw" / "run.hdf")
    with site.catalogue() as catalogue:
        token = catalogue.headers["Authorization"].removeprefix("Bearer ")
        below = {
            "scicat": {"host": catalogue.api, "token": token},
            "ingestion": {"schemas_directory": str(place / "schemas")},
        }
        config = place / "ess.yml"
        config.write_text(json.dumps(merged(CONFIG, below)))
        number = 0

        def ours() -> None:
            nonlocal number
            number += 1
            with h5py.File(file, "a") as nexus:
                for name, value in {
                    "entry_identifier_uuid": f"job-{number}", "title": "a title",
                    "experiment_identifier": "443503", "sample/name": "A Sample",
                }.items():  # fmt: skip
                    nexus["entry"].pop(name, None)
                    nexus[f"entry/{name}"] = value
            subprocess.run([COMMAND, "-c", config, "--nexus-file", file], check=True, capture_output=True)

        def bare() -> None:
            subprocess.run([sys.executable, "-c", "import h5py, requests"], check=True)

        base, command = interleaved(rounds, bare, ours)
        assert len(catalogue.pids()) == number
    note("bare `python -c 'import h5py, requests'`", milliseconds(base))
    note("`scicat_background_ingestor`, one new file, from start to end", milliseconds(command))
    more = statistics.median(command) - statistics.median(base)
    note("the difference (target: at most 100 ms)", f"{1000 * more:.0f} ms")


def checksums(place: Path, size: int) -> None:
    """blake2b of a large file beside `b2sum`, and of two files on two cores."""
    files = [place / "one", place / "two"]
    with files[0].open("wb") as file:
        block = bytes(range(256)) * 4096
        for _ in range(size // len(block)):
            file.write(block)
    shutil.copyfile(*files)
    pool = ThreadPoolExecutor(len(files))
    system, one, two = interleaved(
        3,
        lambda: subprocess.run(["b2sum", files[0]], check=True, capture_output=True),
        lambda: digest(files[0], "blake2b"),
        lambda: list(pool.map(lambda file: digest(file, "blake2b"), files)),
    )
    note(f"b2sum of {size >> 20} MB", milliseconds(system))
    rate = statistics.median(system) / statistics.median(one)
    note("our blake2b of the same (target: at least 90 % of its rate)", f"{milliseconds(one)}; {100 * rate:.0f} %")
    gain = 2 * statistics.median(one) / statistics.median(two)
    note("two such files on two cores (target: at least 1.8 times one)", f"{milliseconds(two)}; {gain:.2f} times")


if __name__ == "__main__":
    main()
