"""Reading in processes of this machine: each scan at once, and what becomes of a reading that hangs or crashes.

Which scan is read when is decided before (`service.queues`). Each process has a thread that hands it scans and waits
for the answers. A scan that takes longer than its time limit, or ends its process, has failed; if its directory does
not answer either, that is at fault.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.errors import ReaderLost, ReadingError, ScicatWatchError, StorageHangs
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.service.executors import answers
from scicat_watch.service.executors.executor import Running
from scicat_watch.service.executors.process import ProcessEnded, ReadingProcess
from scicat_watch.words import why

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # How many processes may fail to start, or be ended by somebody, before that is reported of the scan.
_LONG = 1.0  # Seconds after which it is reported that a reading takes long.
_TRY_WITHIN = 5.0  # Seconds that a directory may take to answer.
_LEFT_MOST = 4  # Processes of one root that may be left behind; then nothing is read there until one of them is gone.
_MOST_ORDERS = 1000  # A process is renewed now and then: libraries that leak do not add up over months.
_END_WITHIN = 5.0


@dataclass(eq=False, slots=True)
class _Task:
    """A scan that is to be read."""

    job: ReadJob
    takes_long: Callable[[], object]
    future: Future[Reading] = field(default_factory=Future)

    @property
    def root(self) -> Path:
        """The beamtime directory."""
        return self.job.roots[0]

    @property
    def what(self) -> str:
        return str(self.job.scan.master or self.job.scan.place)

    def settle(self, reading: Reading | None, error: BaseException | None = None) -> None:
        with suppress(InvalidStateError):  # The executor was closed meanwhile.
            if error is not None:
                self.future.set_exception(error)
            elif reading is not None:
                self.future.set_result(reading)


@dataclass(frozen=True, slots=True)
class _Running:
    """See `Running`."""

    future: Future[Reading]

    def result(self) -> Reading:
        return self.future.result()

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        self.future.add_done_callback(lambda future: callback())


@dataclass(eq=False, slots=True)
class _Seat:
    """The process of a thread."""

    process: ReadingProcess | None = None
    """None: there is none now."""


class LocalExecutor:
    """Reading processes, so many as are needed; used by several threads."""

    def __init__(self, workers: int, limits: ReadLimits) -> None:
        """`workers`: how many processes are kept while there is nothing to read. `limits` are those of every job."""
        self._workers, self._limits = workers, limits
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: deque[_Task] = deque()
        self._running: set[_Task] = set()
        self._threads: set[threading.Thread] = set()
        self._processes: set[ReadingProcess] = set()
        self._left: list[tuple[ReadingProcess, _Task]] = []
        """Processes that were ended and are not gone, with what they read."""
        self._doubtful: set[Path] = set()
        """Roots that did not answer when they were tried last."""

    def start(self, job: ReadJob, takes_long: Callable[[], object] = lambda: None) -> Running:
        """Begin to read a scan. CancelledError if the executor is closed."""
        task = _Task(job, takes_long)
        with self._changed:
            if self._closed:
                raise CancelledError
            self._waiting.append(task)
            if len(self._waiting) > len(self._threads) - len(self._running):
                self._start_thread()
            else:
                self._changed.notify()
        return _Running(task.future)

    def prepare(self) -> None:
        """Start a process, so that the first scan does not have to wait for one; returns at once."""
        with self._changed:
            if not self._closed and not self._threads:
                self._start_thread(ahead=True)

    def close(self) -> None:
        """End the processes now, whatever they do; those beyond a signal's reach are left behind."""
        with self._changed:
            self._closed = True
            tasks, processes, threads = [*self._waiting, *self._running], set(self._processes), set(self._threads)
            for process, _ in self._left:
                process.forget()
            self._left.clear()
            self._waiting.clear()
            self._changed.notify_all()
        for task in tasks:
            task.future.cancel()
        for process in processes:
            process.kill()
        until = time.monotonic() + _END_WITHIN
        for thread in threads - {threading.current_thread()}:
            thread.join(max(0.0, until - time.monotonic()))

    def _start_thread(self, *, ahead: bool = False) -> None:
        thread = threading.Thread(target=self._work, args=(ahead,), name=f"reader {len(self._threads)}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _next(self) -> _Task | None:
        """The next scan for a thread; None if it is not needed any more."""
        with self._changed:
            while not self._closed:
                if self._waiting:
                    task = self._waiting.popleft()
                    self._running.add(task)
                    return task
                if len(self._threads) - len(self._running) > self._workers:
                    break
                self._changed.wait()
            self._threads.discard(threading.current_thread())
        return None

    def _work(self, ahead: bool) -> None:
        """What a thread does: read one scan after the other, by one process as long as that can be trusted.

        `ahead`: with a process that is there before the first scan; that there can be none is the scan's to report.
        """
        seat = _Seat()
        if ahead:
            with suppress(ReadingError, CancelledError):
                seat.process = self._opened("a scan to come")
        while (task := self._next()) is not None:
            reading, error = self._tried(task, seat)
            with self._changed:
                self._running.discard(task)  # First: whoever hears of the end may have the next scan for this thread.
            task.settle(reading, error)
        self._vacate(seat)

    def _tried(self, task: _Task, seat: _Seat) -> tuple[Reading | None, BaseException | None]:
        try:
            return self._read(task, seat), None
        except (ScicatWatchError, CancelledError) as error:
            return None, error
        except BaseException as error:
            log.exception("%s: a fault of scicat-watch", task.what)
            self._vacate(seat)
            return None, ReadingError(f"{task.what}: a fault of scicat-watch: {type(error).__name__}: {why(error)}")

    def _read(self, task: _Task, seat: _Seat) -> Reading:
        self._check_storage(task)
        try:
            return answers.understood(task.job, self._answered(task, seat))
        except ReaderLost:
            self._vacate(seat)
            raise
        finally:
            # A process that has read what cost another one may have been left in any state.
            if task.job.suspect or (seat.process is not None and seat.process.orders >= _MOST_ORDERS):
                self._vacate(seat)

    def _answered(self, task: _Task, seat: _Seat) -> bytes:
        """What a process answered about a scan; of another process if somebody ended the first."""
        limit = self._limits.longest if task.job.suspect else self._limits.first
        for _ in range(_ATTEMPTS):
            process = seat.process = seat.process or self._opened(task.what)
            try:
                since = process.begin(task.job)
            except (ProcessEnded, TimeoutError):
                self._vacate(seat)
                continue  # Nothing was opened: the scan is not at fault.
            try:
                if not process.answers_within(min(_LONG, limit), since):
                    task.takes_long()
                return process.answer(limit, since)
            except ProcessEnded as error:
                self._vacate(seat)
                if not error.asked:
                    raise ReaderLost(
                        f"{task.what}: the process that read it ended {error}; the file may be damaged"
                    ) from None
            except TimeoutError:
                self._vacate(seat, task)
                if not self._directory_answers(task):
                    raise _hanging(task, f"not within {limit:g} s, and then not within {_TRY_WITHIN:g} s") from None
                setting = "reading.time_limit" if task.job.suspect else "reading.first_time_limit"
                raise ReaderLost(
                    f"{task.what}: reading took longer than {limit:g} s ({setting}) and was ended"
                ) from None
        raise ReadingError(
            f"{task.what}: something else ended {_ATTEMPTS} worker processes before they had read it; it is tried again"
        )

    def _vacate(self, seat: _Seat, task: _Task | None = None) -> None:
        """End the process of a thread; `task`: what it may hang in."""
        if seat.process is not None:
            self._end(seat.process, task)
            seat.process = None

    def _check_storage(self, task: _Task) -> None:
        """Raise `StorageHangs` where nothing can be read now, so that no time limit has to pass."""
        root, master = task.root, task.job.scan.master
        with self._changed:
            self._left = [(process, other) for process, other in self._left if not process.gone()]
            hanging = [other for _, other in self._left if other.root == root]
            doubtful = root in self._doubtful
        if len(hanging) >= _LEFT_MOST:
            raise _hanging(task, f"{len(hanging)} processes still hang in {root}")
        if master is not None and any(other.job.scan.master == master for other in hanging):
            raise _hanging(task, "the process that read it before still hangs")
        if doubtful:
            task.takes_long()  # As it may, while scans of other roots need not.
            if not self._directory_answers(task):
                raise _hanging(task, f"not within {_TRY_WITHIN:g} s")

    def _directory_answers(self, task: _Task) -> bool:
        """Whether the file system answers where a scan is; a process of its own asks, as no answer may come."""
        root, master = task.root, task.job.scan.master
        process, answers_now = self._opened(task.what), True
        try:
            since = process.begin((root, master.parent if master is not None else task.job.scan.directory))
            answers_now = process.answers_within(_TRY_WITHIN, since)
        except (ProcessEnded, TimeoutError):
            pass  # Somebody ended it, which says nothing.
        self._end(process, task)
        with self._changed:
            (self._doubtful.discard if answers_now else self._doubtful.add)(root)
        return answers_now

    def _opened(self, what: str) -> ReadingProcess:
        """A new process. `ReadingError` if there can be none, CancelledError if the executor is closed."""
        for _ in range(_ATTEMPTS):
            if self._closed:
                raise CancelledError
            try:
                process = ReadingProcess(self._limits.memory_limit)
            except (OSError, EOFError) as error:
                log.warning("a worker process could not be started: %s", why(error))
                continue
            with self._changed:
                self._processes.add(process)
                if not self._closed:
                    return process
            self._end(process)
        raise ReadingError(f"{what}: no worker process could be started, and it is tried again; the log says why")

    def _end(self, process: ReadingProcess, task: _Task | None = None) -> None:
        """End a process; `task`: what it hangs in, if it does."""
        gone = process.end()
        with self._changed:
            self._processes.discard(process)
            if not gone and task is not None:
                log.warning("%s: the process that reads it does not end yet, as where a file system hangs", task.what)
            if gone or task is None or self._closed:
                process.forget()
            else:
                self._left.append((process, task))


def _hanging(task: _Task, how: str) -> StorageHangs:
    return StorageHangs(f"{task.what}: the file system does not answer ({how}); it is tried again")
