"""Reading in worker processes of this machine, which may crash or hang without harm to anybody else.

The processes come from a clean server process (forkserver) that has the reading code loaded, so that
a new one is there at once. Each is stripped of secrets and network (`pipeline.isolation`), is killed
when a scan takes too long, and is replaced when a file killed it.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from pebble import ProcessExpired, ProcessPool

from scicat_watch.errors import ReadingError
from scicat_watch.pipeline.reading import Reading, ReadJob
from scicat_watch.settings.model import Reading as ReadingSettings

log = logging.getLogger(__name__)

_TASKS_PER_PROCESS = 1000  # A process is renewed now and then: libraries that leak do not add up over months.


class LocalExecutor:
    """A pool of reading processes."""

    def __init__(self, settings: ReadingSettings) -> None:
        self._settings = settings
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["scicat_watch.service.executors.worker"])
        from scicat_watch.service.executors import worker

        self._read = worker.read
        self._pool = ProcessPool(
            max_workers=settings.workers,
            max_tasks=_TASKS_PER_PROCESS,
            initializer=worker.prepare,
            initargs=(settings,),
            context=context,
        )

    def read(self, job: ReadJob) -> Future[Reading]:
        """Start reading a scan; `result_of` waits for it."""
        future: Future[Reading] = self._pool.schedule(self._read, args=(job,), timeout=self._settings.time_limit)
        return future

    def result_of(self, future: Future[Reading], job: ReadJob) -> Reading:
        """What a reading process found; `ReadingError` if it found a fault, died, or took too long.

        CancelledError if the pool was closed meanwhile.
        """
        what = job.scan.master or job.scan.place
        try:
            return future.result()
        except CancelledError:
            raise
        except FutureTimeout:
            limit = self._settings.time_limit
            raise ReadingError(
                f"{what}: reading took longer than {limit:g} s (reading.time_limit) and was ended"
            ) from None
        except ProcessExpired as error:
            raise ReadingError(
                f"{what}: the process that read it ended {_manner(error)}; the file may be damaged"
            ) from None
        except MemoryError:
            limit = self._settings.memory_limit >> 20
            raise ReadingError(f"{what}: needs more memory than {limit} MB (reading.memory_limit)") from None

    def close(self) -> None:
        """End the processes now, whatever they do."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join(timeout=5)


def _manner(error: Any) -> str:
    code = getattr(error, "exitcode", None)
    if isinstance(code, int) and code < 0:
        try:
            return f"by {signal.Signals(-code).name}"
        except ValueError:
            return f"by signal {-code}"
    return f"with status {code}"
