"""What a worker process runs: it has readers read. Nothing that is heavy is loaded before a process calls it."""

from __future__ import annotations

import fcntl
import functools
import os
import pickle
import socket
import threading
from dataclasses import replace
from pathlib import Path

from scicat_watch.errors import ReadingError, ScicatWatchError
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.service.executors.confined import Order, Readers
from scicat_watch.words import why


def prepare(memory_limit: int) -> None:
    """Make this process one that may start readers."""
    from scicat_watch.pipeline.reading import sandbox

    sandbox.prepare(memory_limit)


def serve(end: socket.socket, memory_limit: int) -> None:
    """Read what comes in at `end` until that is closed: jobs, and directories that are only tried.

    Each is answered twice: when it is begun, and when it is done.
    """
    from scicat_watch.service.executors import answers, stopwatch
    from scicat_watch.service.executors.channel import Channel

    channel = Channel(end)
    try:
        prepare(memory_limit)
        channel.send(b"")
        while True:
            order: ReadJob | tuple[Path, ...] = pickle.loads(channel.receive(answers.LARGEST))  # noqa: S301
            channel.send(stopwatch.notice_of(os.getpid()))
            if isinstance(order, ReadJob):
                channel.send(answers.made(order, functools.partial(read, order), memory_limit))
            else:
                _try(order)
                channel.send(b"")
    except (OSError, EOFError):
        os._exit(0)


def _try(directories: tuple[Path, ...]) -> None:
    """Ask a file system what it cannot answer from what it remembers. Whether it has an error to report matters not."""
    for directory in directories:
        try:
            os.statvfs(directory)
            with os.scandir(directory) as entries:
                next(entries, None)
        except OSError:
            continue


def read(job: ReadJob, *, unlocked: bool = False) -> Reading:
    """Read one scan, again after each of its limits' `retry_delays` while it cannot be read.

    `unlocked`: a file that another process has locked cannot be read yet. Raises `ReadingError` for whatever is wrong
    with the files, `AssemblyError` if no schema fits.
    """
    order = Order(job, unlocked)
    try:
        return named(READERS.reading(order))
    except ReadingError:
        if not job.limits.retry_delays:
            raise
    # Loaded only now: most files are read at once, and a single one should be read soon.
    from scicat_watch.catalogue import patience
    from scicat_watch.clock import SystemClock

    again = patience.reading(job.limits.retry_delays, SystemClock(), threading.Event())
    return named(again(lambda: READERS.reading(order)))


def named(reading: Reading) -> Reading:
    """With the names of users and groups, which readers cannot look up."""
    from scicat_watch.pipeline.reading import filelist

    return replace(reading, files=filelist.with_names(reading.files))


def opened(order: Order) -> Reading:
    """What a reader does: open the scan's files."""
    from scicat_watch.pipeline.reading import read as reading

    job = order.job
    try:
        if order.unlocked:
            _check_unlocked(job)
        return reading.read(job)
    except (ScicatWatchError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001
        # HDF5 and the libraries on top of it raise all there is, RuntimeError and KeyError included.
        what = job.scan.master or job.scan.place
        raise ReadingError(f"{what}: cannot be read: {type(error).__name__}: {why(error)}") from None


READERS = Readers(opened)
"""The readers of this process."""


def _check_unlocked(job: ReadJob) -> None:
    """Raise `ReadingError` while another process has the file locked, as HDF5 does while it writes."""
    try:
        descriptor = os.open(job.scan.master or job.scan.place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return  # Reading says why.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ReadingError(f"{job.scan.master}: another process has it open for writing") from None
    except OSError:
        pass  # A file system without locks.
    finally:
        os.close(descriptor)
