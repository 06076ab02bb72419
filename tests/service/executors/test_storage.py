"""A file system that hangs: its scans fail and say why, those of others are read, and no wait for its processes."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scicat_watch.errors import StorageHangs
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.service.executors import local
from scicat_watch.service.executors.local import LocalExecutor
from tests import makers
from tests.flows.program import eventually
from tests.service.executors.conftest import Executors
from tests.service.executors.jobs import PATIENT, answer, job_for, job_of

# A good file that takes longer is read again apart, with time enough.
HASTY = dataclasses.replace(PATIENT, first_time_limit=4.0)


@dataclass(frozen=True)
class Mount:
    """A FUSE file system. Whoever touches it while it hangs, hangs as well: this process must not."""

    place: Path
    switch: Path
    """It hangs while this file is there."""

    def hang(self) -> None:
        self.switch.touch()

    def answer(self) -> None:
        self.switch.unlink(missing_ok=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """One that shows ten scans; the test is skipped where there can be none."""
    compiled = pytest.importorskip("tests.flows.compiled")
    if not os.access("/dev/fuse", os.W_OK) or shutil.which("fusermount3") is None:
        pytest.skip("there is no FUSE here")
    shown, made = tmp_path / "shown", Mount(tmp_path / "mount", tmp_path / "hang")
    made.place.mkdir()
    for number in range(10):
        makers.nexus(shown / f"scan_{number}.nxs")
    served = subprocess.Popen([compiled.program("hangfs", tmp_path, "fuse3"), shown, made.switch, made.place])
    try:
        eventually(lambda: os.path.ismount(made.place) or served.poll() is not None, "it is mounted, or refused")
        if served.poll() is not None:
            pytest.skip("nothing can be mounted here")
        yield made
    finally:
        made.answer()
        subprocess.run(["fusermount3", "-uz", made.place], check=False)
        served.terminate()
        served.wait(60)


def test_a_root_that_hangs_stops_no_other_and_goes_on_by_itself(
    executors: Executors, mount: Mount, tmp_path: Path
) -> None:
    executor = executors(1, HASTY)
    assert answer(executor.start(job_for(mount.place / "scan_0.nxs"))).schema.id
    mount.hang()
    hanging = [executor.start(job_for(mount.place / f"scan_{number}.nxs")) for number in range(10)]
    for number in range(5):
        answer(executor.start(job_of(tmp_path / "good", f"scan_{number}")))
    for one in hanging:
        with pytest.raises(StorageHangs, match="does not answer"):
            answer(one)
    assert len(executor._left) <= local._LEFT_MOST + 1  # Not one more for each scan.
    mount.answer()
    job = job_for(mount.place / "scan_0.nxs")
    assert eventually(lambda: _read(executor, job), "it is read again", 100).schema.id


def test_an_executor_is_closed_while_a_root_hangs(executors: Executors, mount: Mount) -> None:
    executor = executors(2, HASTY)
    mount.hang()
    for number in range(4):
        executor.start(job_for(mount.place / f"scan_{number}.nxs"))
    eventually(lambda: executor._processes, "a process reads")
    executor.close()


def _read(executor: LocalExecutor, job: ReadJob) -> Reading | None:
    try:
        return answer(executor.start(job))
    except StorageHangs:
        return None
