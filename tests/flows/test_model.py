"""Random programs of actions on beamtimes, against a simple model of what must be in the catalogue in the end.

Ten seeds share a daemon, each with a beamtime of its own (`model.beamtime`), while kills, stops, faults of the
catalogue and jumps of the clock happen to all of them (`model.world`). A failure names the seeds, and what was done;
the same programs run again with

    SCICAT_WATCH_SEEDS=10-19 python -m pytest tests/flows/test_model.py

The first 30 seeds are a part of the tests, and `make soak SEEDS=1000` takes as many as one likes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.flows.model.beamtime import Beamtime
from tests.flows.model.world import World, datasets
from tests.flows.program import Site, eventually, free_port

TOGETHER = 10
ROUNDS = 2
"""In the second one the scans of the first are published, and change."""
STEPS = 6


def _groups() -> list[range]:
    """The seeds that share a daemon each."""
    first, dash, last = os.environ.get("SCICAT_WATCH_SEEDS", "30").partition("-")
    seeds = range(int(first), int(last) + 1) if dash else range(int(first))
    return [seeds[at : at + TOGETHER] for at in range(0, len(seeds), TOGETHER)]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", _groups(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_whatever_happens_the_catalogue_ends_with_what_is_on_the_disk(tmp_path: Path, seeds: range) -> None:
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue(free_port()) as catalogue:
        (tmp_path / "base").mkdir()
        beamtimes = [Beamtime(tmp_path / "base" / f"seed{seed}", seed) for seed in seeds]
        world = World(tmp_path, tmp_path / "base", catalogue, server.credentials(), seeds[0])

        def wrong() -> list[str]:
            found = datasets(catalogue)
            return [what for beamtime in beamtimes for what in beamtime.differences(found)]

        try:
            for _ in range(ROUNDS):
                _round(world, beamtimes)
                daemon = world.recover()
                eventually(lambda: not wrong(), "the catalogue holds what is on the disk")
                for beamtime in beamtimes:
                    beamtime.settled()
            assert daemon.stop() == 0
            assert wrong() == []
            ended = world.site.ingest(*(beamtime.root for beamtime in beamtimes))
            done = {line.split()[1] for line in ended.stdout.splitlines() if line.startswith(("created ", "updated "))}
            assert done <= {pid for beamtime in beamtimes for pid in beamtime.optional()}, "the daemon left nothing"
            assert wrong() == []
        except AssertionError as error:
            raise AssertionError(_report(world, beamtimes, wrong())) from error
        finally:
            world.close()


def _round(world: World, beamtimes: list[Beamtime]) -> None:
    for _ in range(STEPS):
        world.act()
        for beamtime in beamtimes:
            beamtime.act()
        time.sleep(0.3)  # So that some of it is noticed before the next; how much of it does not matter.
    for beamtime in beamtimes:
        beamtime.end()


def _report(world: World, beamtimes: list[Beamtime], wrong: list[str]) -> str:
    """What a person needs: what is wrong, what was done to these beamtimes, and what else happened."""
    numbers = {what.partition("/")[0] for what in wrong}
    lines = [f"seeds {beamtimes[0].seed}-{beamtimes[-1].seed}", *wrong, f"the daemon: {', '.join(world.log)}"]
    lines += [
        f"seed {beamtime.seed}, {beamtime.root}: {', '.join(beamtime.log)}"
        for beamtime in beamtimes
        if beamtime.id in numbers
    ]
    return "\n".join(lines)
