"""The reading processes when they end, or are silenced, at a bad moment: a scan gets an answer in any case."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessPool

from scicat_watch.errors import ReadingError
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.pipeline.schema import library
from scicat_watch.service.executors import local
from scicat_watch.service.executors.local import LocalExecutor
from tests.makers import nexus

LIMITS = ReadLimits(thumbnails=False, time_limit=5.0)


@pytest.fixture
def job(tmp_path: Path) -> ReadJob:
    file = nexus(tmp_path / "scan_1.nxs")
    scan = Scan("11018765", tmp_path / "scan_1", tmp_path, "scan_1", "scan_1", master=file)
    beamtime = Beamtime("11018765", tmp_path, {"beamtimeId": "11018765"})
    return ReadJob(scan, beamtime, library.load(None).schemas, LIMITS, (tmp_path,))


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1, LIMITS)
    yield made
    made.close()


def answers(executor: LocalExecutor, futures: list[Any], job: ReadJob) -> list[Reading]:
    with ThreadPoolExecutor(1) as thread:
        try:
            return [thread.submit(executor.result_of, future, job).result(timeout=40) for future in futures]
        finally:
            executor.close()  # So that a thread that waits for ever does not hold up the tests.


def test_what_a_pool_left_unanswered_is_read_by_the_next(executor: LocalExecutor, job: ReadJob) -> None:
    futures = [executor.read(job) for _ in range(4)]
    executor._pool.stop()  # type: ignore[no-untyped-call]
    futures.append(executor.read(job))  # By a new pool: that of the others is not to be asked any more.
    assert len(answers(executor, futures, job)) == 5


def test_a_pool_that_fell_silent_is_replaced(
    executor: LocalExecutor, job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_LATE", 3.0)
    executor.result_of(executor.read(job), job)
    channel = executor._pool._pool_manager.worker_manager.workers_channel
    assert channel is not None
    channel.mutex.acquire()  # As a process holds it that was killed while it spoke.
    assert len(answers(executor, [executor.read(job)], job)) == 1


def test_without_any_process_it_is_said_of_the_scan(
    executor: LocalExecutor, job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **keywords: Any) -> None:
        raise BrokenExecutor("no process")

    monkeypatch.setattr(ProcessPool, "schedule", broken)
    with pytest.raises(ReadingError, match="no reading process"):
        executor.result_of(executor.read(job), job)
    assert multiprocessing.active_children() == []
