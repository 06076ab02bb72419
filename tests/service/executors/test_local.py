"""Reading in processes that may hang and crash: each scan gets an answer, and no bad one keeps the others waiting."""

from __future__ import annotations

import dataclasses
import pickle
import queue
import signal
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from scicat_watch.errors import ReaderLost, ReadingError
from scicat_watch.service.executors import local
from scicat_watch.service.executors.channel import Channel
from scicat_watch.service.executors.executor import Running
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.service.executors.process import ReadingProcess
from tests.flows.program import eventually
from tests.service.executors.conftest import Executors
from tests.service.executors.jobs import LATEST, PATIENT, answer, job_of


@pytest.fixture(autouse=True)
def _directories_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(local, "_TRY_WITHIN", 60.0)


def reader(executor: LocalExecutor) -> psutil.Process:
    """The only process of an executor."""
    (process,) = executor._processes
    return psutil.Process(process._process.pid)


def test_a_scan_is_read_with_our_own_scan_and_schema_in_the_answer(executors: Executors, tmp_path: Path) -> None:
    job = job_of(tmp_path)
    reading = answer(executors().start(job))
    assert reading.scan is job.scan
    assert reading.schema in job.schemas
    assert [file.path for file in reading.files] == ["scan_1.nxs"]


def test_one_process_reads_many_scans_and_is_renewed_now_and_then(
    executors: Executors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_MOST_ORDERS", 3)
    executor, job = executors(), job_of(tmp_path)
    seen = []
    for _ in range(4):
        answer(executor.start(job))
        seen.append({process._process.pid for process in executor._processes})
    assert seen[0] == seen[1]
    assert not seen[0] & seen[3]


def test_a_process_that_was_started_ahead_reads_the_first_scan(executors: Executors, tmp_path: Path) -> None:
    executor = executors()
    executor.prepare()
    executor.prepare()
    eventually(lambda: executor._processes, "the process is there")
    ahead = reader(executor).pid
    answer(executor.start(job_of(tmp_path)))
    assert reader(executor).pid == ahead


@pytest.mark.parametrize("closed", ["before", "while it starts"])
def test_a_process_that_is_started_ahead_ends_with_the_executor(executors: Executors, closed: str) -> None:
    executor = executors()
    if closed == "before":
        executor.close()
    executor.prepare()
    executor.close()
    eventually(lambda: not executor._threads, "its thread has ended")
    assert not executor._processes


def test_that_no_process_can_be_started_ahead_costs_no_later_scan(
    executors: Executors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: queue.SimpleQueue[int] = queue.SimpleQueue()

    def none(memory_limit: int) -> ReadingProcess:
        tries.put(memory_limit)
        raise OSError("no processes today")

    executor = executors()
    with monkeypatch.context() as patched:
        patched.setattr(local, "ReadingProcess", none)
        executor.prepare()
        eventually(lambda: tries.qsize() == local._ATTEMPTS, "it was tried")
    assert answer(executor.start(job_of(tmp_path))).files


def test_many_scans_at_once_are_all_read(executors: Executors, tmp_path: Path) -> None:
    executor = executors(3)
    jobs = [job_of(tmp_path / f"bt_{number % 4}", f"scan_{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        running = list(threads.map(executor.start, jobs))
    assert [answer(one).scan for one in running] == [job.scan for job in jobs]


def test_a_file_that_hangs_is_ended_soon_and_later_if_it_cost_a_reader_before(
    executors: Executors, tmp_path: Path
) -> None:
    executor = executors(limits=dataclasses.replace(PATIENT, first_time_limit=1.0, time_limit=2.0))
    for suspect, limit in ((False, "1 s .reading.first_time_limit"), (True, "2 s .reading.time_limit")):
        hanging = executor.start(job_of(tmp_path, "scan_1", poison="hangs", suspect=suspect))
        with pytest.raises(ReaderLost, match=rf"scan_1\.nxs: reading took longer than {limit}"):
            answer(hanging)


def test_files_that_hang_keep_no_other_scan_waiting(executors: Executors, tmp_path: Path) -> None:
    executor = executors(1)
    bad = [executor.start(job_of(tmp_path, f"bad_{number}", poison="hangs")) for number in range(5)]
    for number in range(5):  # All of them would have to wait for a minute's limit.
        answer(executor.start(job_of(tmp_path, f"scan_{number}")))
    assert not any(_done(one) for one in bad)


def test_that_reading_takes_long_is_said_before_it_ends(executors: Executors, tmp_path: Path) -> None:
    executor, long = executors(), threading.Event()
    hanging = executor.start(job_of(tmp_path, poison="hangs"), long.set)
    assert long.wait(LATEST)
    assert not _done(hanging)


def test_processes_that_were_needed_for_a_while_are_ended(executors: Executors, tmp_path: Path) -> None:
    executor = executors(2)
    for running in [executor.start(job_of(tmp_path, f"scan_{number}")) for number in range(6)]:
        answer(running)
    eventually(lambda: len(executor._processes) <= 2, "no more than two are kept")
    assert answer(executor.start(job_of(tmp_path))).schema.id


def test_a_file_that_crashes_its_reader_is_reported_and_the_next_scan_is_read(
    executors: Executors, tmp_path: Path
) -> None:
    executor = executors()
    crashing, good = executor.start(job_of(tmp_path, "scan_1", poison="crashes")), job_of(tmp_path, "scan_2")
    with pytest.raises(ReaderLost, match=r"scan_1\.nxs: the process that read it ended by SIG"):
        answer(crashing)
    assert answer(executor.start(good)).schema.id


def test_a_reader_that_somebody_ends_is_no_fault_of_its_file(executors: Executors, tmp_path: Path) -> None:
    executor = executors()
    answer(executor.start(job_of(tmp_path)))
    process = reader(executor)
    process.send_signal(signal.SIGTERM)  # As a service manager does to all processes of a service.
    process.wait(LATEST)
    assert answer(executor.start(job_of(tmp_path))).schema.id


def test_a_reader_that_is_killed_once_costs_its_scan_nothing(executors: Executors, tmp_path: Path) -> None:
    executor = executors()
    answer(executor.start(job_of(tmp_path)))
    reader(executor).kill()  # As the kernel does that runs out of memory.
    assert answer(executor.start(job_of(tmp_path))).schema.id


def test_without_any_process_it_is_said_of_the_scan(
    executors: Executors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: Any) -> None:
        raise OSError("no process")

    monkeypatch.setattr(local, "ReadingProcess", none)
    with pytest.raises(ReadingError, match=r"scan_1\.nxs: no worker process could be started"):
        answer(executors().start(job_of(tmp_path)))


def test_a_closed_executor_reads_nothing_and_lets_go_of_those_who_wait(executors: Executors, tmp_path: Path) -> None:
    executor = executors()
    waiting = [executor.start(job_of(tmp_path, f"scan_{number}", poison="hangs")) for number in range(3)]
    eventually(lambda: executor._processes, "a process reads")
    executor.close()
    for one in waiting:
        with pytest.raises(CancelledError):
            answer(one)
    with pytest.raises(CancelledError):
        executor.start(job_of(tmp_path))
    assert executor._processes == set()


def test_a_file_that_cannot_be_read_yet_is_tried_again_within_a_longer_time_limit(
    executors: Executors, tmp_path: Path
) -> None:
    limits = dataclasses.replace(PATIENT, time_limit=20.0, first_time_limit=1.0, retry_delays=(0.5,) * 200)
    job = dataclasses.replace(job_of(tmp_path), limits=limits)
    file = tmp_path / "scan_1.nxs"
    later = file.rename(tmp_path / "later")
    running = executors(limits=limits).start(job)
    threading.Timer(3.0, later.rename, (file,)).start()
    assert answer(running).schema.id


class _Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("taken over",)


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(_Command()), b"\0" * 10, pickle.dumps(("read", {}, 0)), b""],
    ids=["command", "zeros", "members", "empty"],
)
def test_a_process_that_sends_anything_but_values_has_lost_its_scan(
    executors: Executors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ReadingProcess, "answer", lambda self, seconds, since: content)
    with pytest.raises(ReaderLost, match="gave no usable answer"):
        answer(executors().start(job_of(tmp_path)))
    assert "taken over" not in capfd.readouterr().out


def test_an_answer_that_never_ends_or_is_too_long_is_ended() -> None:
    for sent, error in ((b"\0" * 7 + b"\x09half", TimeoutError), (b"\x01" * 8, EOFError)):
        ours, theirs = Channel.pair()
        theirs.sendall(sent)
        with pytest.raises(error):
            ours.receive(100, 0.0)
        theirs.close()
        ours.close()


def _done(running: Running) -> bool:
    future: Any = running
    return bool(future.future.done())
