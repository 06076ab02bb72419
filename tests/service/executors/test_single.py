"""The reading process of a single file: what becomes of one that hangs, dies, or sends something else than values."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

from scicat_watch.errors import AssemblyError, ReadingError
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.handover import FieldValue, Reading, ReadJob, ReadLimits
from scicat_watch.pipeline.schema.model import Schema, Variable
from scicat_watch.service.executors import single


@pytest.fixture
def job(tmp_path: Path) -> ReadJob:
    path = tmp_path / "run.hdf"
    with h5py.File(path, "w") as file:
        file["entry/title"] = "a title"
    return made(path)


def made(path: Path, selector: Any = "*", time_limit: float = 60.0) -> ReadJob:
    scan = Scan("", path, path.parent, path.name, path.name, path)
    title = Variable("title", "NXS", "string", path="/entry/title")
    schema = Schema("all", "all", "", 1, selector, (title,), ())
    limits = ReadLimits(thumbnails=False, time_limit=time_limit)
    return ReadJob(scan, Beamtime("", path.parent, {}), (schema,), limits, (path.parent,))


def read(job: ReadJob) -> Reading:
    with single.SingleReader() as reader:
        reader.start(job, ())
        return reader.result()


def test_the_file_is_read_with_our_own_scan_and_schema_in_the_answer(job: ReadJob) -> None:
    reading = read(job)
    assert reading.values == {"title": FieldValue("a title")}
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


def test_a_reader_that_hangs_is_ended(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single, "_answer", lambda request: time.sleep(3600))
    assert job.scan.master is not None
    with pytest.raises(ReadingError, match="took longer than"):
        read(made(job.scan.master, time_limit=0.5))


def test_an_answer_that_never_ends_is_ended(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: Any, not_ours: Any) -> None:
        os.write(connection.fileno(), b"\0\0\1\0" + b"x")
        time.sleep(3600)

    monkeypatch.setattr(single, "_serve", half)
    assert job.scan.master is not None
    with pytest.raises(ReadingError, match="took longer than"):
        read(made(job.scan.master, time_limit=0.5))


def test_a_reader_that_dies_is_told(job: ReadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single, "_answer", lambda request: os._exit(11))
    with pytest.raises(ReadingError, match="the process that read it ended"):
        read(job)


class _Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("taken over",)


GOOD: dict[str, Any] = {"passed_over": {}, "source": "NXS", "values": {}, "trees": {}, "truncations": (), "notes": ()}


@pytest.mark.parametrize(
    "answer",
    [
        _Command(),
        ("read", GOOD | {"values": {"title": _Command()}}, 0),
        ("read", GOOD, 7),
        ("read", GOOD | {"scan": "another"}, 0),
        ("read", {}, 0),
        "x",
        Path("/etc"),
    ],
)
def test_anything_but_values_is_no_answer(job: ReadJob, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(single, "_serve", lambda connection, not_ours: connection.send_bytes(pickle.dumps(answer)))
    with pytest.raises(ReadingError, match="gave no usable answer"):
        read(job)
