"""A daemon that is killed at any call that changes something ends, after a restart, with the same datasets.

Over the life of three scans, two that a list names and one that is found, the calls that write, send, rename, create or
remove are counted (`killpoint.c`); then a daemon is killed at a call, before or after it has done its work, and another
one goes on. Each time on a beamtime of its own. A sample is a part of the tests, `make soak` takes every call.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.flows.compiled import library
from tests.flows.program import PROGRAM, Catalogue, Site, eventually, free_port
from tests.makers import append, beamtime_directory, nexus

SAMPLE = 8
ALL = "SCICAT_WATCH_SOAK_HOURS" in os.environ
SOME = os.environ.get("SCICAT_WATCH_KILLS", "")
Kill = tuple[int, bool]


@pytest.mark.soak
@pytest.mark.timeout(0 if ALL or SOME else 1200)
def test_killed_at_any_call_that_changes_something_it_makes_every_dataset_once(tmp_path: Path) -> None:
    killing = library("killpoint", tmp_path)
    server, port = _site(tmp_path / "server"), free_port()
    with server.catalogue(port) as catalogue:
        client = {
            "url": f"http://127.0.0.1:{port}/api/v3", "credential_file": str(server.credentials()),
            "patience": {"first_wait": 0.1, "longest_wait": 0.5},
        }  # fmt: skip
        lives = [_Life(tmp_path, 0, killing, client)]
        points = lives[0].points()
        assert points > 50, "the library sees what the daemon does"
        chosen, killed = _chosen(points), 0
        for number, after in chosen:
            lives.append(life := _Life(tmp_path, len(lives), killing, client))
            try:
                killed += life.killed(number, after)
                life.complete()
                life.check(catalogue)
            except AssertionError as error:
                error.add_note(f"It was killed {'after' if after else 'before'} call {number}.")
                raise
        assert killed >= len(chosen) / 2, "the counted calls are those of the lives after it"
        assert len(catalogue.pids()) == 3 * len(lives)


def _chosen(points: int) -> list[Kill]:
    """Every call, before and after; or some of them: the named ones, or a sample of the whole life."""
    if SOME:
        return [kill for named in SOME.split() for kill in _named(named) if kill[0] <= points]
    if ALL:
        return [(number, after) for number in range(1, points + 1) for after in (False, True)]
    return [(round((each + 0.5) * points / SAMPLE), each % 2 == 1) for each in range(SAMPLE)]


def _named(calls: str) -> list[Kill]:
    """The kills of "after:60-80" or of "151-250", which is both."""
    form, colon, numbers = calls.rpartition(":")
    first, _, last = numbers.partition("-")
    forms = [form == "after"] if colon else [False, True]
    return [(number, after) for number in range(int(first), int(last or first) + 1) for after in forms]


class _Life:
    """A beamtime with three scans, and the daemon that works on it."""

    def __init__(self, place: Path, number: int, library: Path, catalogue: dict[str, Any]) -> None:
        self._number, self._library = 100 + number, library
        self._site = _site(place / f"site{number}", catalogue=catalogue)
        self._beamtime = _beamtime(place / f"bt{number}", str(self._number))

    def points(self) -> int:
        """How many calls there are in a whole life."""
        log = self._site.place / "points"
        assert self._run(0, False, KILLPOINT_LOG=str(log)) == 0
        return len(log.read_text().splitlines())

    def killed(self, number: int, after: bool) -> bool:
        """Whether the daemon was killed at that call, and did not come to its end before."""
        return self._run(number, after) == -signal.SIGKILL

    def complete(self) -> None:
        """The daemon is started again, and nobody kills it."""
        with self._site.daemon(self._beamtime) as daemon:
            eventually(self._is_done, f"all scans of {self._number}")
            assert daemon.stop() == 0

    def check(self, catalogue: Catalogue) -> None:
        """Each scan has one dataset with all files, and is noted once."""
        files = {
            "listed_1": ["listed_1.nxs", "listed_1/frame_0.tif"],
            "listed_2": ["listed_2.nxs", "listed_2/frame_0.tif"],
            "other/found_3": ["other/found_3.nxs"],
        }
        expected = {f"{self._number}/{name}": paths for name, paths in files.items()}
        assert [pid for pid in catalogue.pids() if pid.startswith(f"{self._number}/")] == sorted(expected)
        assert {pid: catalogue.files(pid) for pid in expected} == expected
        assert all(len(catalogue.blocks(pid)) == 1 for pid in expected)
        assert all(len(line.split()) == 4 for line in self._noted()), self._noted()
        assert sorted(line.split()[0] for line in self._noted()) == sorted(files)

    def _run(self, number: int, after: bool, **more: str) -> int:
        environment = os.environ | more | {
            "LD_PRELOAD": str(self._library), "KILLPOINT_PARENT": str(os.getpid()), "KILLPOINT_AT": str(number),
            "KILLPOINT_AFTER": str(int(after)),
        }  # fmt: skip
        command = [PROGRAM, "run", str(self._beamtime), "-c", str(self._site.config)]
        with self._site.log.open("a") as log:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            eventually(lambda: process.poll() is not None or self._is_done(), f"an end at call {number}")
            process.terminate()
            return process.wait(60)
        finally:
            process.kill()
            process.wait()

    def _noted(self) -> list[str]:
        lists = self._beamtime.rglob("scicat-ingested-datasets-*.lst")
        return [line for path in lists for line in path.read_text().splitlines()]

    def _is_done(self) -> bool:
        done = {line.split()[0] for line in self._noted() if len(line.split()) == 4}
        return done == {"listed_1", "listed_2", "other/found_3"}


def _site(place: Path, **sections: dict[str, object]) -> Site:
    place.mkdir()
    return Site(place, **sections)


def _beamtime(place: Path, number: str) -> Path:
    made = beamtime_directory(place, number)
    for name in ("listed_1", "listed_2"):
        nexus(made / "raw" / f"{name}.nxs")
        (made / "raw" / name).mkdir()
        (made / "raw" / name / "frame_0.tif").write_bytes(b"x" * 100)
    append(made / "raw" / f"scicat-datasets-{number}.lst", "listed_1", "listed_2")
    nexus(made / "other" / "found_3.nxs")
    return made
