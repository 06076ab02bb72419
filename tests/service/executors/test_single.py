"""The reading process of a single file: what becomes of one that hangs, dies, or sends something else than values."""

from __future__ import annotations

import fcntl
import itertools
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.documents import DataFile
from scicat_watch.errors import AssemblyError, ReadingError
from scicat_watch.pipeline.handover import FieldValue, Reading, ReadJob, ReadLimits
from scicat_watch.pipeline.schema.model import Schema, Variable
from scicat_watch.service.executors import answers, single, worker
from scicat_watch.service.executors.confined import Order
from tests import makers
from tests.fakes import FakeClock
from tests.recorded import ROOT


@pytest.fixture
def job(tmp_path: Path) -> ReadJob:
    return made(makers.nexus(tmp_path / "run.hdf"))


def made(path: Path, selector: Any = "*", **limits: Any) -> ReadJob:
    scan = makers.scan(path.parent, path.name, path)
    title = Variable("title", "NXS", "string", path="/entry/title")
    schema = Schema("all", "all", "", 1, selector, (title,), ())
    limits = {"time_limit": 60.0} | limits
    return ReadJob(
        scan, makers.beamtime(path.parent), (schema,), ReadLimits(thumbnails=False, **limits), (path.parent,)
    )


def read(job: ReadJob) -> Reading:
    with single.SingleReader() as reader:
        return reader.start(job).result()


def test_the_file_is_read_with_our_own_scan_and_schema_in_the_answer(job: ReadJob) -> None:
    reading = read(job)
    assert reading.values == {"title": FieldValue("a scan")}
    assert reading.schema is job.schemas[0]
    assert reading.scan is job.scan


def test_no_fitting_schema_and_an_unreadable_file_are_told_apart(job: ReadJob) -> None:
    path = job.scan.master
    assert path is not None
    with pytest.raises(AssemblyError, match="no metadata schema fits"):
        read(made(path, selector="filename:contains:other"))
    path.write_text("no HDF5")
    with pytest.raises(ReadingError, match=r"run\.hdf"):
        read(job)


def reads(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the reading process run another program, with what ours has at hand."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = f"import os, pickle, sys, time\nfrom {__name__} import *\n{program}"
    monkeypatch.setattr(single.SingleReader, "program", program)


def test_a_reader_that_hangs_is_ended(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, "time.sleep(3600)")
    assert job.scan.master is not None
    with pytest.raises(ReadingError, match=r"took longer than 0\.7 s"):
        read(made(job.scan.master, time_limit=0.5, retry_delays=(0.1, 0.1)))


def test_an_answer_that_never_ends_is_ended(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, "os.write(1, b'half'); time.sleep(3600)")
    assert job.scan.master is not None
    with pytest.raises(ReadingError, match="took longer than"):
        read(made(job.scan.master, time_limit=0.5))


@pytest.mark.parametrize("end", ["os._exit(11)", "os.write(1, b'half'); os._exit(11)", "os._exit(0)", "os.abort()"])
def test_a_reader_that_dies_is_reported(job: ReadJob, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    reads(monkeypatch, end)
    with pytest.raises(ReadingError, match="the process that read it ended"):
        read(job)


def test_a_file_that_needs_too_much_memory_is_said_to_do_so(job: ReadJob) -> None:
    def hungry() -> Reading:
        raise MemoryError

    with pytest.raises(ReadingError, match=r"run\.hdf: needs more memory than 1024 MB"):
        answers.understood(job, answers.made(job, hungry, single.MEMORY_LIMIT))


def test_a_locked_file_is_tried_again_until_its_writer_lets_go(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests may have loaded the reading side into this process, which turns locks off for it.
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    path = job.scan.master
    assert path is not None
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(ReadingError, match="open for writing"):
            read(made(path))
        threading.Timer(1.0, fcntl.flock, (writer, fcntl.LOCK_UN)).start()
        assert read(made(path, time_limit=30.0, retry_delays=(0.5,) * 200)).values


@pytest.mark.parametrize(("fails", "waits"), [(0, []), (1, [2.0]), (3, [2.0, 5.0, 7.0]), (9, [2.0, 5.0, 7.0])])
def test_each_further_try_comes_after_its_own_wait(
    job: ReadJob, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, fails: int, waits: list[float]
) -> None:
    tries = itertools.count()

    def spoiled(order: Order) -> Any:
        if next(tries) < fails:
            raise ReadingError("not yet")
        return Reading(order.job.scan, order.job.schemas[0])

    monkeypatch.setattr(worker.READERS, "reading", spoiled)
    monkeypatch.setattr("scicat_watch.clock.SystemClock", lambda: clock)
    assert job.scan.master is not None
    patient = made(job.scan.master, retry_delays=(2.0, 5.0, 7.0))
    if fails > len(waits):
        with pytest.raises(ReadingError, match="not yet"):
            worker.read(patient)
    else:
        assert worker.read(patient).scan is patient.scan
    assert clock.waits == waits


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("taken over",)


GOOD: dict[str, Any] = {
    "passed_over": {}, "source": "NXS", "values": {}, "trees": {}, "thumbnail": None, "first_time": None,
    "last_time": None, "truncations": (), "notes": (),
}  # fmt: skip
ANSWERS: list[Any] = [
    Command(),
    ("read", GOOD | {"values": {"title": Command()}}, 0),
    ("read", GOOD, 7),
    ("read", GOOD | {"scan": "another"}, 0),
    ("read", GOOD | {"thumbnail": "text"}, 0),
    ("read", GOOD | {"files": ["run.hdf"]}, 0),
    ("read", {}, 0),
    ("done", "", 0),
    (["failed"], "", 0),
    "x",
    Path("/etc"),
]


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_anything_but_values_is_no_answer(job: ReadJob, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    reads(monkeypatch, f"sys.stdout.buffer.write(pickle.dumps(ANSWERS[{number}]))")
    with pytest.raises(ReadingError, match="gave no usable answer"):
        read(job)


def test_a_whole_answer_is_one(job: ReadJob) -> None:
    file = DataFile("run.hdf", 7, "2026-01-01T00:00:00Z")
    reading = answers.understood(job, pickle.dumps(("read", GOOD | {"files": (file,)}, 0)))
    assert reading.files == (file,)
    assert reading.scan is job.scan
