"""Reading in worker processes of this machine, which may crash or hang without harm to anybody else.

The processes come from a clean server process (forkserver) that has the reading code loaded, so that
a new one is there at once. Each is stripped of secrets and network (`reading.sandbox`), is killed
when a scan takes too long, and is replaced when a file killed it.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future, wait
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from pebble import ProcessExpired, ProcessPool

from scicat_watch.clock import Clock, SystemClock
from scicat_watch.errors import ReaderLost, ReadingError
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.service.executors import worker
from scicat_watch.service.executors.executor import Running

log = logging.getLogger(__name__)

_POOLS = 3  # How many pools a scan may outlive before that counts as its fault.
_CHECK = 1.0  # Seconds after which a wait for an answer checks whether there can be one.
_LATE = 10.0  # Seconds beyond the time limit after which a pool that does not answer is given up.
_END_WITHIN = 5.0
_TASKS_PER_PROCESS = 1000  # A process is renewed now and then: libraries that leak do not add up over months.


class _Running:
    """A scan that a process of the pool reads, or will."""

    def __init__(self, executor: LocalExecutor, job: ReadJob, future: Future[Reading]) -> None:
        self._executor, self._job, self._future = executor, job, future
        self._answer: Future[Reading] | None = None

    def result(self) -> Reading:
        if self._answer is not None:
            return self._answer.result()
        return self._executor.result_of(self._future, self._job)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """As `Running`. A thread waits: a pool that is lost answers nobody, and somebody has to ask the next one."""
        if self._answer is None:
            self._answer = Future()
            threading.Thread(target=self._wait, args=(self._answer,), name="reading", daemon=True).start()
        self._answer.add_done_callback(lambda answer: callback())

    def _wait(self, answer: Future[Reading]) -> None:
        try:
            answer.set_result(self._executor.result_of(self._future, self._job))
        except BaseException as error:  # noqa: BLE001 - it is raised by `result`.
            answer.set_exception(error)


class LocalExecutor:
    """A pool of reading processes; used by several threads."""

    def __init__(self, workers: int, limits: ReadLimits, clock: Clock | None = None) -> None:
        """`limits` are those of every job."""
        self._workers, self._limits = workers, limits
        self._clock: Clock = clock or SystemClock()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["scicat_watch.service.executors.worker"])
        self._lock = threading.Lock()
        self._closed = False
        self._pool = self._new_pool()
        self._pools: dict[Future[Reading], ProcessPool] = {}
        """Which pool is to answer, for those that nobody waits for yet."""
        self._answered = 0.0

    def start(self, job: ReadJob) -> Running:
        """Begin to read a scan. CancelledError if the pool is closed."""
        return _Running(self, job, self._read(job))

    def close(self) -> None:
        """End the processes now, whatever they do."""
        with self._lock:
            self._closed = True
            self._end_pool()

    def result_of(self, future: Future[Reading], job: ReadJob) -> Reading:
        """What a reading process found; `ReadingError` if it found a fault, died, or took too long.

        CancelledError if the pool was closed meanwhile.
        """
        for _ in range(_POOLS):
            try:
                return self._waited_for(future, job)
            except BrokenExecutor:
                future = self._read(job)
        raise ReadingError(f"{_what(job)}: the reading processes keep ending; see the log")

    def _read(self, job: ReadJob) -> Future[Reading]:
        with self._lock:
            for _ in range(_POOLS):
                if self._closed:
                    raise CancelledError
                try:
                    return self._scheduled(job)
                except (RuntimeError, OSError, EOFError) as error:
                    # A pool that lost a process at a bad moment gives up for good; the next one does not know of it.
                    self._renew(str(error) or type(error).__name__)
        failed: Future[Reading] = Future()
        failed.set_exception(ReadingError(f"{_what(job)}: no reading process could be started; see the log"))
        return failed

    def _renew(self, why: str) -> None:
        log.warning("the reading processes are started anew: %s", why)
        self._end_pool()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._workers,
            max_tasks=_TASKS_PER_PROCESS,
            initializer=worker.prepare,
            initargs=(self._limits.memory_limit,),
            context=self._context,
        )

    def _scheduled(self, job: ReadJob) -> Future[Reading]:
        future: Future[Reading] = self._pool.schedule(worker.read, args=(job,), timeout=self._limits.longest)
        self._pools[future] = self._pool
        future.add_done_callback(self._note_answer)
        return future

    def _note_answer(self, future: Future[Reading]) -> None:
        self._answered = self._clock.monotonic()

    def _end_pool(self) -> None:
        """End all processes of the pool; those that hang in the file system beyond a signal's reach are left behind."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        ending = threading.Thread(target=self._pool.join, name="end of a pool", daemon=True)
        ending.start()
        ending.join(_END_WITHIN)

    def _waited_for(self, future: Future[Reading], job: ReadJob) -> Reading:
        what = _what(job)
        pool, began = self._pools.pop(future, None), self._clock.monotonic()
        while not future.done():
            wait([future], timeout=_CHECK)
            if self._closed:
                raise CancelledError
            if not future.done() and pool is not None and self._is_mute(pool, began):
                raise BrokenExecutor  # Its pool is gone, and nobody will answer.
        try:
            return future.result()
        except (CancelledError, BrokenExecutor):
            raise
        except FutureTimeout:
            limit = self._limits.longest
            raise ReaderLost(
                f"{what}: reading took longer than {limit:g} s (reading.time_limit) and was ended"
            ) from None
        except ProcessExpired as error:
            how = _manner(error)
            raise ReaderLost(f"{what}: the process that read it ended {how}; the file may be damaged") from None
        except MemoryError:
            limit = self._limits.memory_limit >> 20
            raise ReadingError(f"{what}: needs more memory than {limit} MB (reading.memory_limit)") from None

    def _is_mute(self, pool: ProcessPool, began: float) -> bool:
        """Whether a pool will not answer any more to what has been waited for since `began`.

        A pool that breaks forgets what was handed to it in that moment. One whose process was killed while it
        answered never answers again, and does not notice: its other processes wait for the dead one's lock.
        """
        with self._lock:
            if pool is not self._pool or self._closed or not pool.active:
                return True
            silence = self._clock.monotonic() - max(began, self._answered)
            if silence < self._limits.longest + _LATE:
                return False
            self._renew(f"no answer for {silence:.0f} s")
            return True


def _what(job: ReadJob) -> str:
    return str(job.scan.master or job.scan.place)


def _manner(error: Any) -> str:
    code = getattr(error, "exitcode", None)
    if isinstance(code, int) and code < 0:
        try:
            return f"by {signal.Signals(-code).name}"
        except ValueError:
            return f"by signal {-code}"
    return f"with status {code}"
