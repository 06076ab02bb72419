"""The reading processes when they end, or stop answering, at a bad moment: a scan gets an answer in any case."""

from __future__ import annotations

import dataclasses
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessPool

from scicat_watch.errors import ReadingError
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.service.executors.executor import Executor, Running
from scicat_watch.service.executors.local import LocalExecutor
from tests import makers
from tests.fakes import FakeClock

LIMITS = ReadLimits(thumbnails=False, time_limit=5.0)


@pytest.fixture
def job(tmp_path: Path) -> ReadJob:
    scan = makers.scan(tmp_path, master=makers.nexus(tmp_path / "scan_1.nxs"))
    return ReadJob(scan, makers.beamtime(tmp_path), schemas.load().schemas, LIMITS, (tmp_path,))


@pytest.fixture
def executor(clock: FakeClock) -> Iterator[LocalExecutor]:
    made = LocalExecutor(1, LIMITS, clock)
    yield made
    made.close()


def answers(executor: Executor, running: list[Running]) -> list[Reading]:
    with ThreadPoolExecutor(1) as thread:
        try:
            return [thread.submit(one.result).result(timeout=40) for one in running]
        finally:
            executor.close()  # So that a thread that waits for ever does not hold up the tests.


def test_what_a_pool_left_unanswered_is_read_by_the_next(executor: LocalExecutor, job: ReadJob) -> None:
    running = [executor.start(job) for _ in range(4)]
    executor._pool.stop()  # type: ignore[no-untyped-call]
    running.append(executor.start(job))  # By a new pool: that of the others is not to be asked any more.
    assert len(answers(executor, running)) == 5


def test_a_pool_that_does_not_answer_any_more_is_replaced(
    executor: LocalExecutor, job: ReadJob, clock: FakeClock
) -> None:
    executor.start(job).result()
    old = executor._pool
    channel = old._pool_manager.worker_manager.workers_channel
    assert channel is not None
    channel.mutex.acquire()  # As a process holds it that was killed while it answered.
    unanswered = executor.start(job)
    threading.Timer(1.5, clock.advance, (LIMITS.time_limit + 11.0,)).start()
    assert len(answers(executor, [unanswered])) == 1
    assert executor._pool is not old


def test_without_any_process_it_is_said_of_the_scan(
    executor: LocalExecutor, job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **keywords: Any) -> None:
        raise BrokenExecutor("no process")

    monkeypatch.setattr(ProcessPool, "schedule", broken)
    with pytest.raises(ReadingError, match="no reading process"):
        executor.start(job).result()
    assert multiprocessing.active_children() == []


def test_a_closed_executor_reads_nothing_and_lets_go_of_those_who_wait(executor: LocalExecutor, job: ReadJob) -> None:
    limits = dataclasses.replace(LIMITS, retry_delays=(60.0,))
    absent = makers.scan(job.scan.directory, "scan_2", job.scan.directory / "scan_2.nxs")
    waiting = executor.start(dataclasses.replace(job, scan=absent, limits=limits))
    executor.close()
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(CancelledError):
        executor.start(job)


@pytest.mark.parametrize("end", [lambda made: made._pool.stop(), lambda made: made.close()], ids=["lost", "closed"])
def test_whoever_wants_to_hear_of_the_end_of_a_reading_does_so_whatever_becomes_of_the_pool(
    executor: LocalExecutor, job: ReadJob, end: Callable[[LocalExecutor], None]
) -> None:
    patient = dataclasses.replace(job, limits=dataclasses.replace(LIMITS, retry_delays=(60.0,)))
    absent = makers.scan(job.scan.directory, "scan_2", job.scan.directory / "scan_2.nxs")
    running, done, again = (
        executor.start(dataclasses.replace(patient, scan=absent)),
        threading.Event(),
        threading.Event(),
    )
    running.add_done_callback(done.set)
    executor._limits = dataclasses.replace(LIMITS, time_limit=0.5)  # For the next pool, if there is one.
    end(executor)
    assert done.wait(40)
    running.add_done_callback(again.set)
    assert again.is_set()
    with pytest.raises((CancelledError, ReadingError)):
        running.result()


def test_a_file_that_cannot_be_read_yet_is_tried_again_within_a_longer_time_limit(
    executor: LocalExecutor, job: ReadJob, tmp_path: Path
) -> None:
    limits = dataclasses.replace(LIMITS, time_limit=1.0, retry_delays=(0.5,) * 20)
    file = job.scan.master
    assert file is not None
    later = file.rename(tmp_path / "later")
    patient = LocalExecutor(1, limits)
    try:
        running = patient.start(dataclasses.replace(job, limits=limits))
        threading.Timer(2.5, later.rename, (file,)).start()
        assert running.result().schema.id
    finally:
        patient.close()
