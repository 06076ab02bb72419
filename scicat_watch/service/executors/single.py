"""One reading process for one file, for commands that a file costs a whole start of the program.

It is forked off before the command has read its configuration, so that it holds no token, and loads
the reading code while the command gets on with its own. It is stripped of secrets and network like
the processes of a pool (`reading.sandbox`). What it sends back is checked: a process that a crafted
file has taken over can send values, and nothing else. This module itself must stay quick to import.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import threading
from contextlib import suppress
from dataclasses import dataclass, fields
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from scicat_watch.pipeline.handover import Reading, ReadJob

MEMORY_LIMIT = 4 << 30
"""Bytes of address space that the reading process may use; it is limited before it knows any settings."""
LARGEST_ANSWER = 256 << 20
"""Bytes of the longest answer that is taken from a reading process."""
_LEFT_BEHIND = 5.0  # Seconds that an ended process may take to be gone.


@dataclass(frozen=True, slots=True)
class _Order:
    job: ReadJob
    unlocked: bool
    """Whether a file that another process has locked counts as one that cannot be read yet."""


class SingleReader:
    """A reading process that is started at once and reads one file. A context manager."""

    def __init__(self) -> None:
        self._unlocked = os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() not in ("FALSE", "0")
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._connection), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self, job: ReadJob) -> Self:
        """Begin to read; `result` waits for it."""
        self._job = job
        with suppress(BrokenPipeError):  # It ended already; `result` says so.
            self._connection.send(_Order(job, self._unlocked))
        return self

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join(_LEFT_BEHIND)
        self._connection.close()

    def result(self) -> Reading:
        """What was read.

        Raises `ReadingError` if the file cannot be read, takes too long or kills the process that reads it,
        `AssemblyError` if no schema fits.
        """
        from scicat_watch.errors import AssemblyError, ReadingError

        what = self._job.scan.master
        limit = self._job.limits.longest
        # Not only a wait for the answer's beginning: one that never ends must not keep us either.
        too_late = threading.Event()
        watch = threading.Timer(limit, self._end, (too_late,))
        watch.start()
        try:
            kind, found, number = _checked(self._connection.recv_bytes(LARGEST_ANSWER))
            if kind == "read":
                return _reading(self._job, number, found)
        except (EOFError, OSError):
            if too_late.is_set():
                raise ReadingError(f"{what}: reading took longer than {limit:g} s and was ended") from None
            raise ReadingError(f"{what}: the process that read it ended; the file may be damaged") from None
        except (pickle.UnpicklingError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ReadingError(f"{what}: the process that read it gave no usable answer ({error})") from None
        finally:
            watch.cancel()
        raise (AssemblyError if kind == "no schema" else ReadingError)(str(found))

    def _end(self, too_late: threading.Event) -> None:
        too_late.set()
        self._process.kill()


def _reading(job: ReadJob, number: int, found: dict[str, Any]) -> Reading:
    """The reading, with our own scan and schema in it: what asks the catalogue comes from no data file."""
    from scicat_watch.pipeline.handover import Reading

    notes = tuple(map(str, found.pop("notes")))
    return Reading(job.scan, job.schemas[number], notes=notes, **found)


class _Checked(pickle.Unpickler):
    """Takes values apart that hold nothing but plain data and what was read of fields."""

    def find_class(self, module: str, name: str) -> Any:
        from scicat_watch.pipeline.handover import FieldValue, Unread

        known = {"FieldValue": FieldValue, "Unread": Unread}
        if module != FieldValue.__module__ or name not in known:
            raise pickle.UnpicklingError(f"it holds a {name}")
        return known[name]


def _checked(answer: bytes) -> Any:
    return _Checked(io.BytesIO(answer)).load()


def _serve(connection: Connection, not_ours: Connection) -> None:
    """What the reading process does."""
    not_ours.close()
    from scicat_watch.service.executors import worker

    worker.prepare(MEMORY_LIMIT)
    try:
        request: _Order = connection.recv()
    except EOFError:
        return  # The command ended before it had something to read.
    connection.send_bytes(pickle.dumps(_answer(request)))


_OURS = ("scan", "schema", "files", "thumbnail", "first_time", "last_time")
"""Members of a reading that the command knows, or makes, itself."""


def _answer(request: _Order) -> tuple[str, Any, int]:
    """What became of it, the reading's members or a message, and the number of the schema that fits."""
    from scicat_watch.errors import AssemblyError, ScicatWatchError
    from scicat_watch.service.executors import worker

    job = request.job
    try:
        reading = worker.read(job, unlocked=request.unlocked)
    except AssemblyError as error:
        return "no schema", str(error), 0
    except ScicatWatchError as error:
        return "failed", str(error), 0
    except MemoryError:
        return "failed", f"{job.scan.master}: needs more memory than {MEMORY_LIMIT >> 20} MB", 0
    found = {field.name: getattr(reading, field.name) for field in fields(reading) if field.name not in _OURS}
    return "read", found, next(number for number, one in enumerate(job.schemas) if one is reading.schema)
