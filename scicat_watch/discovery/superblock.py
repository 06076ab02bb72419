"""Whether a data file looks complete, judged without HDF5, without a lock, and without a way to hang.

An HDF5 file says in its superblock whether somebody has it open for writing, and how long it should
be (HDF5 file format specification, version 3.0, section II.A). Clear is necessary, not sufficient: a
copy may still be under way, so a file must be quiet as well, and must open in a reading process.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAD = 64  # Bytes from the signature to behind the end-of-file address, in every version with 8-byte offsets.
HDF5_EXTENSIONS = frozenset({"nxs", "h5", "hdf5", "hdf", "nx", "ndf"})

Signature = tuple[int, ...]
"""Size, times and identity of a file: what changes when its content does."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the superblock of an HDF5 file tells."""

    version: int
    writing: bool
    """Marked as open for writing: somebody writes, or was killed while writing."""
    end: int
    """Bytes that the file should have."""


@dataclass(frozen=True, slots=True)
class FileLook:
    """How a file looks at one moment."""

    signature: Signature
    obstacle: str = ""
    """Why it cannot be complete, for people; empty if nothing speaks against it."""
    writing: bool = False
    """Whether the obstacle is only its writer's mark, which a killed writer leaves behind for ever."""


def signature(status: os.stat_result) -> Signature:
    """The identity of a file's content, as far as the file system tells it."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def look_at(path: Path) -> FileLook:
    """How `path` looks now; OSError if it is not there or may not be read. Never waits for a writer."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return FileLook(signature(status), "is not a regular file")
    if status.st_size == 0:
        return FileLook(signature(status), "is empty")
    if path.suffix.lower().lstrip(".") not in HDF5_EXTENSIONS:
        return FileLook(signature(status))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        head = superblock(descriptor, status.st_size)
    finally:
        os.close(descriptor)
    if head is None:
        return FileLook(signature(status))  # Not HDF5: the reading process says so, with the library's words.
    if head.end > status.st_size:
        return FileLook(signature(status), f"has {status.st_size} of the {head.end} bytes that it should have")
    if head.writing:
        return FileLook(signature(status), "is marked as being written", writing=True)
    return FileLook(signature(status))


def superblock(descriptor: int, size: int) -> Superblock | None:
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
    return Superblock(version, bool(flags & 1), end if end != 2 ** (8 * width) - 1 else 0)
