"""A machine that has no processor for a reader: what it could not use of its time is given back."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import h5py
import psutil
import pytest

from scicat_watch.errors import ReaderLost
from scicat_watch.pipeline.handover import ReadJob
from scicat_watch.service.executors import stopwatch
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.service.executors.stopwatch import Stopwatch
from tests.flows.program import eventually
from tests.service.executors.conftest import Executors
from tests.service.executors.jobs import PATIENT, answer, job_for, job_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this kernel does not say how long a process has waited"
)

BUSY = "while True: pass"
Spin = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def processor() -> int:
    """One that all processes of a test share."""
    return min(os.sched_getaffinity(0))


@pytest.fixture
def spin(processor: int) -> Iterator[Spin]:
    """Starts processes that keep the processor busy."""
    with ExitStack() as opened:

        def start() -> subprocess.Popen[bytes]:
            process = opened.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            opened.callback(process.kill)
            psutil.Process(process.pid).cpu_affinity([processor])
            return process

        yield start


def hardly_any(process: int, processor: int) -> None:
    """Give a process, and those that it starts, only what others leave of one processor."""
    psutil.Process(process).cpu_affinity([processor])
    psutil.Process(process).nice(10)


def test_waiting_for_a_processor_is_not_counted_and_computing_is(spin: Spin, processor: int) -> None:
    process = spin()
    alone = Stopwatch(process.pid, stopwatch.notice_of(process.pid))
    before = time.monotonic()
    spin()
    hardly_any(process.pid, processor)
    shared = Stopwatch(process.pid, stopwatch.notice_of(process.pid))

    def seconds(of: Stopwatch) -> float:
        of.update()
        return of.seconds()

    eventually(lambda: time.monotonic() - before - seconds(shared) > 2.0, "it has waited for two seconds")
    eventually(lambda: seconds(alone) > 0.5, "it has computed for half a second")


def test_sleeping_is_counted() -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        slept = Stopwatch(process.pid, stopwatch.notice_of(process.pid))

        def seconds() -> float:
            slept.update()
            return slept.seconds()

        eventually(lambda: seconds() > 0.5, "it has slept for half a second")
        process.kill()


def test_without_the_kernels_word_all_time_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stopwatch, "_PROC", tmp_path)
    notice = stopwatch.notice_of(os.getpid())
    assert notice == b"{}"
    watch = Stopwatch(os.getpid(), notice)
    watch.update()
    eventually(lambda: watch.seconds() > 0.1, "time passes")


def test_a_good_file_is_read_however_little_of_a_processor_its_reader_gets(
    executors: Executors, tmp_path: Path, spin: Spin, processor: int
) -> None:
    """It takes a multiple of the limit, nearly all of it in a queue for the processor."""
    limit = 4.0
    executor = executors(1, dataclasses.replace(PATIENT, first_time_limit=limit))
    job = _large(tmp_path / "scan_1.nxs")
    hardly_any(_worker(executor, tmp_path), processor)
    for _ in range(2):
        spin()
    began = time.monotonic()
    assert answer(executor.start(dataclasses.replace(job, limits=executor._limits))).schema.id
    if time.monotonic() - began < limit:
        pytest.skip("there was a processor for it all the same")


def test_a_file_that_keeps_its_reader_busy_is_ended_on_a_busy_machine_too(
    executors: Executors, tmp_path: Path, spin: Spin, processor: int
) -> None:
    executor = executors(1, dataclasses.replace(PATIENT, first_time_limit=0.5))
    hardly_any(_worker(executor, tmp_path), processor)
    spin()
    with pytest.raises(ReaderLost, match="took longer"):
        answer(executor.start(job_of(tmp_path, "bad", poison="hangs")))


def _worker(executor: LocalExecutor, root: Path) -> int:
    """The process that reads, after its first scan, without the readers that it had."""
    answer(executor.start(job_of(root, "first")))
    (process,) = executor._processes
    for reader in psutil.Process(process._process.pid).children():
        with suppress(psutil.NoSuchProcess):
            reader.cpu_affinity([min(os.sched_getaffinity(0))])
            reader.nice(10)
    return int(process._process.pid)


def _large(file: Path) -> ReadJob:
    """A file whose reading takes a good part of a second of a processor."""
    with h5py.File(file, "w") as made:
        entry = made.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        for number in range(6000):
            entry[f"value_{number}"] = number
    return job_for(file)
