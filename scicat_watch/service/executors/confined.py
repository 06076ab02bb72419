"""A reader: the process that opens the data files of one beamtime, and holds nothing (`reading.sandbox.confine`).

It is forked from a worker process, which keeps it for the next scans of the same beamtime, and gives back what
`answers` checks. The worker never opens a data file itself, so that what a file does to a reader ends there.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scicat_watch.errors import ReaderLost
from scicat_watch.pipeline.reading import libraries, sandbox
from scicat_watch.pipeline.reading.sandbox import Confinement
from scicat_watch.service.executors import answers
from scicat_watch.service.executors.answers import LARGEST, Wanted

if TYPE_CHECKING:
    from scicat_watch.pipeline.handover import Reading, ReadJob
    from scicat_watch.pipeline.schema.model import Schema

log = logging.getLogger(__name__)

_MOST = 4  # Readers that a worker keeps: scans of several beamtimes come in turns.
_LIBRARIES = 20  # How often one scan may ask for a library.


@dataclass(frozen=True, slots=True)
class Order:
    """What a reader is asked for."""

    job: ReadJob
    unlocked: bool = False
    """Whether a file that another process has locked counts as one that cannot be read yet."""


class Readers:
    """The readers of a worker process, each for one of the beamtimes whose scans were read last."""

    def __init__(self, read: Callable[[Order], Reading]) -> None:
        """`read` is what the reader does with an order."""
        self._read = read
        self._readers: dict[tuple[Path, ...], _Reader] = {}
        """By the directories of the beamtime; the one that was used last is the last."""
        self._loaded: frozenset[str] = frozenset()
        self._rules: Confinement | None = None
        self._said: set[str] = set()

    def reading(self, order: Order) -> Reading:
        """What a reader read. Raises what it raised.

        If the reader ends before it has answered, this process ends as it did.
        """
        for _ in range(_LIBRARIES):
            try:
                return answers.understood(order.job, self._answer(order))
            except Wanted as library:
                self._end(order.job.roots)
                self._load(str(library))
            except ReaderLost:
                self._end(order.job.roots)
                raise
        self._end(order.job.roots)
        raise ReaderLost(f"{_what(order)}: the process that read it keeps asking for libraries")

    def close(self) -> None:
        """End all readers."""
        for roots in tuple(self._readers):
            self._end(roots)

    def _answer(self, order: Order) -> bytes:
        roots = order.job.roots
        try:
            if (answer := self._of(roots).ask(order)) != _RENEWED:
                return answer
            self._end(roots)
            return self._of(roots).ask(order)
        except OSError as error:
            status = self._end(roots)
            if error.errno is None:
                raise ReaderLost(f"{_what(order)}: the process that read it gave an answer that is too long") from None
        except EOFError:
            status = self._end(roots)
        return _end_like(status)

    def _end(self, roots: tuple[Path, ...]) -> int:
        return self._readers.pop(roots).close() if roots in self._readers else 1

    def _of(self, roots: tuple[Path, ...]) -> _Reader:
        if roots in self._readers:
            self._readers[roots] = reader = self._readers.pop(roots)
            return reader
        if len(self._readers) >= _MOST:
            self._end(next(iter(self._readers)))
        if self._rules is None:
            self._rules = sandbox.confinement()
        self._readers[roots] = reader = _Reader(_Task(self._rules, roots, self._loaded, self._read))
        for objection in set(reader.objections) - self._said:
            self._said.add(objection)
            if not sandbox.gaps():  # Of these the daemon spoke.
                log.warning("processes that read data files: %s", objection)
        return reader

    def _load(self, library: str) -> None:
        if library not in self._loaded:
            from scicat_watch.pipeline.reading import preload

            preload.load(library)
            self._loaded |= {library}
            self._rules = None  # There are further directories to read.


@dataclass(frozen=True, slots=True)
class _Task:
    """What a reader is started for."""

    rules: Confinement
    roots: tuple[Path, ...]
    """Directories of its beamtime."""
    loaded: frozenset[str]
    """Names of the libraries that are there."""
    read: Callable[[Order], Reading]


_RENEWED = b"renewed"
"""The answer of a reader whose directories are not those any more that it may read: made or mounted anew."""


class _Reader:
    """One reader, seen from its worker."""

    def __init__(self, task: _Task) -> None:
        self._schemas: tuple[Schema, ...] = ()
        """Those that it knows already: most jobs have the same, and they are most of a job."""
        orders, self._orders = multiprocessing.Pipe(duplex=False)
        self._answers, given = multiprocessing.Pipe(duplex=False)
        worker = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _serve(worker, task, orders, given)
        orders.close()
        given.close()
        try:
            self.objections: list[str] = pickle.loads(self._answers.recv_bytes())  # noqa: S301 - no file was opened yet.
        except (EOFError, OSError):
            _end_like(self.close())

    def ask(self, order: Order) -> bytes:
        """The answer to an order. EOFError or OSError if the reader ended."""
        job = order.job
        if self._schemas and job.schemas == self._schemas:
            order = replace(order, job=replace(job, schemas=()))
        else:
            self._schemas = job.schemas
        self._orders.send_bytes(pickle.dumps(order))
        return self._answers.recv_bytes(LARGEST)

    def close(self) -> int:
        """End it, whatever it does; how it ended, if it had ended before."""
        os.kill(self._pid, signal.SIGKILL)
        self._orders.close()
        self._answers.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _serve(worker: int, task: _Task, orders: Connection, given: Connection) -> NoReturn:
    """What the reader does."""
    status = 1
    try:
        objections = sandbox.confine(worker, task.rules, task.roots, (orders.fileno(), given.fileno()))
        libraries.only(task.loaded)
        given.send_bytes(pickle.dumps(objections))
        reachable = _reachable(task.roots)
        schemas: tuple[Schema, ...] = ()
        while True:
            order: Order = pickle.loads(orders.recv_bytes())  # noqa: S301 - the worker's
            schemas = order.job.schemas or schemas
            order = replace(order, job=replace(order.job, schemas=schemas))
            renewed = not reachable <= _reachable(task.roots)
            given.send_bytes(_RENEWED if renewed else _answer(order, task.read))
    except (EOFError, OSError):
        status = 0  # The worker needs no more.
    finally:
        os._exit(status)


def _answer(order: Order, read: Callable[[Order], Reading]) -> bytes:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return answers.made(order.job, lambda: read(order), limit)


def _reachable(roots: tuple[Path, ...]) -> set[Path]:
    """Those of the directories that this process can open."""
    found = set()
    for root in roots:
        with suppress(OSError):
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            found.add(root)
    return found


def _end_like(status: int) -> NoReturn:
    """End this process as its reader ended, which is how everybody above gets to know of it."""
    if status < 0:
        with suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status or 1)


def _what(order: Order) -> str:
    return str(order.job.scan.master or order.job.scan.place)
