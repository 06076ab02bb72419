"""A real worker whose readers do what a test wants, instead of reading."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ReaderLost
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.service.executors import processes, worker
from scicat_watch.service.executors.confined import Order, Readers
from scicat_watch.service.executors.local import LocalExecutor
from tests import makers
from tests.service.executors.jobs import PATIENT

MEMORY = 1 << 30
SECRET = "SCICAT_WATCH_TEST_SECRET"
Probe = Callable[..., object]
Executors = Callable[..., LocalExecutor]


@dataclass(frozen=True)
class Inside:
    """What a worker is to have its readers do, one after the other."""

    probe: Probe
    arguments: tuple[Any, ...]
    jobs: tuple[ReadJob, ...]
    between: Callable[..., None] | None = None
    """What the worker does itself between two of them."""


def _worker(orders: Connection, given: Connection) -> None:
    worker.prepare(MEMORY)
    while True:
        inside: Inside = orders.recv()

        def read(order: Order, inside: Inside = inside) -> Reading:
            return Reading(order.job.scan, order.job.schemas[0], notes=(tried(inside),))

        readers = Readers(read)
        try:
            said = []
            for number, job in enumerate(inside.jobs):
                if number and inside.between is not None:
                    inside.between(*inside.arguments)
                said.append(readers.reading(Order(job)).notes[0])
            given.send(said)
        except ReaderLost as error:
            given.send(error)
        finally:
            readers.close()


def tried(inside: Inside) -> str:
    try:
        return str(inside.probe(*inside.arguments))
    except OSError as error:
        return type(error).__name__


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[Connection, Connection]]:
    """Two pipes to a real worker, started as the daemon starts its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "secret")
        orders, ours = multiprocessing.Pipe(duplex=False)
        answers, given = multiprocessing.Pipe(duplex=False)
        process: Any = processes.context().Process(target=_worker, args=(orders, given))
        process.start()
        orders.close()
        given.close()
        yield ours, answers
        process.kill()
        process.join()
        ours.close()
        answers.close()


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = tmp_path / "beamtime"
    made.mkdir()
    (made / "data.txt").write_text("data")
    return made


def job_of(directory: Path) -> ReadJob:
    scan = makers.scan(directory, master=directory / "data.txt")
    return ReadJob(scan, makers.beamtime(directory), schemas.load().schemas, ReadLimits(), (directory,))


@pytest.fixture
def inside(real: tuple[Connection, Connection], beamtime: Path) -> Callable[..., str]:
    """Calls a function in a reader of the beamtime: what it returned as text, or the name of its OSError."""

    def call(probe: Probe, *arguments: Any) -> str:
        real[0].send(Inside(probe, arguments, (job_of(beamtime),)))
        assert real[1].poll(300)
        (answer,) = real[1].recv()
        return str(answer)

    return call


@pytest.fixture
def executors() -> Iterator[Executors]:
    """Makes executors."""
    made: list[LocalExecutor] = []

    def make(workers: int = 1, limits: ReadLimits = PATIENT) -> LocalExecutor:
        made.append(LocalExecutor(workers, limits))
        return made[-1]

    yield make
    for one in made:
        one.close()
