"""Whether a data file looks complete, judged without HDF5, without a lock, and without a way to hang.

An HDF5 file says in its superblock whether somebody has it open for writing, and how long it should
be (HDF5 file format specification, version 3.0, section II.A). Clear is necessary, not sufficient: a
copy may still be under way, so a file must be quiet as well, and must open in a reading process.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.model import FileState

_MAGIC = b"\x89HDF\r\n\x1a\n"
_SMALL = 1 << 16
_STORED = 0.9
_HEAD = 64  # Bytes from the signature to behind the end-of-file address, in every version with 8-byte offsets.


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the superblock of an HDF5 file says."""

    version: int
    writing: bool
    """Marked as open for writing: somebody writes, or was killed while writing."""
    end: int
    """Bytes that the file should have."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A data file at one moment."""

    state: FileState
    obstacle: str = ""
    """Why it cannot be complete, for people; empty if nothing speaks against it."""
    left_as: str = ""
    """What became of the file if it stays so for ever, for people; empty if the obstacle rules out to ingest it."""


def examine(path: Path, *, allocated: bool = False) -> Examined:
    """Whether `path` seems complete now; OSError if it is not there or may not be read. Never waits for a writer.

    The signature in the file decides whether it is HDF5, and not its name. `allocated`: whether it must be all stored.
    """
    status = path.stat()
    state = FileState.of(status)
    if not stat.S_ISREG(status.st_mode):
        return Examined(state, "is not a regular file")
    if status.st_size == 0:
        return Examined(state, "is empty")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        head = read_superblock(descriptor, status.st_size)
        missing = allocated and _has_gaps(descriptor, status)
    finally:
        os.close(descriptor)
    if head is not None and head.end > status.st_size:
        return Examined(state, f"has {status.st_size} of the {head.end} bytes that it should have")
    if head is not None and head.writing:
        return Examined(state, "is marked as being written", left_as="was left open by its writer")
    if missing:
        return Examined(state, "has parts that are not written yet", left_as="has parts that were never written")
    return Examined(state)  # If it is not HDF5, the reading process says so, with the library's words.


def _has_gaps(descriptor: int, status: os.stat_result) -> bool:
    """Whether a file was given its size before its content: much of it, or its end, is not stored on the disk.

    Nothing is said of small files, which some file systems store without blocks of their own.
    """
    if status.st_size < _SMALL:
        return False
    if status.st_blocks * 512 < status.st_size * _STORED:
        return True
    try:
        os.lseek(descriptor, status.st_size - 1, os.SEEK_DATA)
    except OSError as error:
        return error.errno == errno.ENXIO  # There is no data from there on. Any other: this file system cannot say it.
    return False


def read_superblock(descriptor: int, size: int) -> Superblock | None:
    """The superblock of an open file of `size` bytes; None if there is none: not HDF5, or not yet."""
    for offset in _offsets(size):
        head = os.pread(descriptor, _HEAD, offset)
        if head.startswith(_MAGIC):
            return _parsed(head)
    return None


def _offsets(size: int) -> Iterator[int]:
    yield 0
    offset = 512
    while offset < size:
        yield offset
        offset *= 2


def _parsed(head: bytes) -> Superblock | None:
    if len(head) < _HEAD:
        return Superblock(-1, writing=False, end=_HEAD)  # Cut within its own head.
    version = head[8]
    if version in (0, 1):
        width, flags, addresses = head[13], int.from_bytes(head[20:24], "little"), 24 if version == 0 else 28
    elif version in (2, 3):
        width, flags, addresses = head[9], head[11], 12
    else:
        return None
    # Base address, one more address, and then the end-of-file address, counted from the file's first byte.
    end = int.from_bytes(head[addresses + 2 * width : addresses + 3 * width], "little")
    # HDF5 up to 1.6 wrote 0x03 into versions 0 and 1 at creation and never cleared it: archives are full of them. Later
    # libraries write 0x01 there while a file is open. In versions 2 and 3 the other bits have a meaning of their own.
    writing = flags == 1 if version in (0, 1) else bool(flags & 1)
    return Superblock(version, writing, end if end != 2 ** (8 * width) - 1 else 0)
