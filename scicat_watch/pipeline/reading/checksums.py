"""Checksums of data files, as a catalogue's file list carries them.

One file is hashed by one thread; the hash functions let other threads run meanwhile, so that several
files take several cores. A file that changes while it is hashed has no checksum: a writer is still
at work. Nothing is understood of a file's content here, so this need not happen in a reading process.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from scicat_watch.errors import ConfigError, ReadingError


class FileChanged(ReadingError):
    """A file that was written to while it was hashed."""


class Hash(Protocol):
    """What `hashlib` calls a hash object."""

    def update(self, data: memoryview, /) -> object:
        """Take in further bytes."""

    def hexdigest(self) -> str:
        """The checksum so far, lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The checksum of one file."""

    chk: str
    """Lower-case hexadecimal digits."""
    size: int
    """Bytes that were hashed."""
    algorithm: str
    """Name of the algorithm, e.g. "blake2b"."""


def digest(path: Path, algorithm: str = "sha256", chunk: int = 1 << 20) -> FileDigest:
    """Hash one data file, `chunk` bytes at a time; the digest is lower-case hex, the size in bytes.

    Raises `FileChanged` if size or modification time moved meanwhile: a detector is still writing.
    `ReadingError` if it cannot be read, `ConfigError` if there is no such algorithm. Fills `chk` and
    `size` of a SciCat data file, `algorithm` its block's `chkAlg` (backend 4.5 DTOs).
    """
    state = hash_named(algorithm)
    try:
        # Without O_NONBLOCK a pipe would keep us for ever; of an ordinary file it changes nothing.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise ReadingError(f"{path}: is not a regular file, and has no checksum")
            size = _take_in(state, descriptor, chunk)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ReadingError(f"{path}: cannot be read for its checksum: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        raise FileChanged(f"{path}: was written to while its checksum was made; try again when it is complete")
    return FileDigest(state.hexdigest(), size, algorithm)


def _take_in(state: Hash, descriptor: int, chunk: int) -> int:
    """Hash what is left of an open file; the bytes that were hashed."""
    size, buffer = 0, memoryview(bytearray(chunk))
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        while count := file.readinto(buffer):
            state.update(buffer[:count])
            size += count
    return size


def hash_named(algorithm: str) -> Hash:
    """A new hash of this algorithm; `ConfigError` if it is not known or not installed."""
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"there is no checksum algorithm {algorithm!r}; known: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[algorithm]()


def _blake2b() -> Hash:
    # OpenSSL's is a fifth faster than Python's own, which besides holds other threads up (measured on 3.11).
    try:
        return hashlib.new("blake2b512", usedforsecurity=False)
    except ValueError:
        return hashlib.blake2b()


def _xxh3() -> Hash:
    try:
        import xxhash
    except ImportError:
        raise ConfigError("the checksum algorithm xxh3 needs the package xxhash: install scicat-watch[xxh3]") from None
    made: Hash = xxhash.xxh3_64()
    return made


ALGORITHMS: dict[str, Callable[[], Hash]] = {
    "blake2b": _blake2b,
    "sha256": partial(hashlib.sha256, usedforsecurity=False),
    "sha512": partial(hashlib.sha512, usedforsecurity=False),
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "xxh3": _xxh3,
}
"""The algorithms by the names that a file list gives them."""
