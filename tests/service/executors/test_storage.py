"""A file system that hangs: its scans fail and say why, those of others are read, and no wait for its processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_watch.errors import StorageHangs
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.service.executors import local
from scicat_watch.service.executors.local import LocalExecutor
from tests import makers
from tests.flows.mounts import Hanging
from tests.flows.program import eventually
from tests.service.executors.conftest import Executors
from tests.service.executors.jobs import PATIENT, answer, job_for, job_of

# A good file that takes longer is read again apart, with time enough.
HASTY = dataclasses.replace(PATIENT, first_time_limit=4.0)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Hanging]:
    """One that shows ten scans."""
    mount = Hanging(tmp_path)
    for number in range(10):
        makers.nexus(mount.under / f"scan_{number}.nxs")
    yield mount
    mount.close()


def test_a_root_that_hangs_stops_no_other_and_goes_on_by_itself(
    executors: Executors, mount: Hanging, tmp_path: Path
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


def test_an_executor_is_closed_while_a_root_hangs(executors: Executors, mount: Hanging) -> None:
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
