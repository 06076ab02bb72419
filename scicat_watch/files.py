"""Files that others read, and paths that others wrote: durable writes, containment, the core path.

Every file that somebody else may be reading is either appended to line by line, or written beside
itself and renamed, and is on the disk when the call returns (fsync), because what we noted as done
must still be noted after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from scicat_watch import kernel

_TRIES = 3  # How often a path may change while it is opened.

_NOT_ORDINARY = "is not a regular file; move it away"


def append_line(path: Path, line: str) -> None:
    """Append one line in a single write, and return when it is on the disk. OSError if it cannot be.

    Only to an ordinary file: a link could lead the line anywhere, a pipe would hold us up for ever. A file
    that is new is made together with its directory entry. A last line that an earlier crash tore is the
    caller's to repair (`ledger.ingested`).
    """
    new = not path.exists()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _explained(path):
        descriptor = os.open(path, flags, 0o664)
    try:
        _ordinary(descriptor, path)
        data = f"{line}\n".encode()
        if os.write(descriptor, data) != len(data):
            raise OSError(f"{path}: only a part of the line could be written; the disk may be full")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def read_ordinary(path: str | Path, largest: int, *, follow: bool = True, roots: Roots | None = None) -> bytes:
    """The content of an ordinary file of at most `largest` bytes; OSError for anything else, and never a wait.

    Not `follow`: nor for a link. With `roots`, `Outside` for what is not in one of them.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with _explained(path) if not follow else contextlib.nullcontext():
        if roots is not None:
            descriptor = roots.open(path, flags)
        else:
            descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    try:
        size = _ordinary(descriptor, path).st_size
        if size > largest:
            raise OSError(errno.EFBIG, f"has more than {largest >> 20} MB", os.fspath(path))
        return _all(descriptor, size)
    finally:
        os.close(descriptor)


def _all(descriptor: int, size: int) -> bytes:
    """All that can be read, of a file that had `size` bytes: at a start, ten thousand small files are read."""
    data = part = os.read(descriptor, size + 1)
    while part and len(data) > size:
        data += (part := os.read(descriptor, 1 << 20))
    return data


@contextlib.contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """Errors of opening what is no ordinary file, in words that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link; put the file itself there", os.fspath(path)) from None
        if error.errno in (errno.EISDIR, errno.ENXIO):  # To write a directory, or a pipe that nobody reads.
            raise OSError(errno.EINVAL, _NOT_ORDINARY, os.fspath(path)) from None
        raise


def _ordinary(descriptor: int, path: str | Path) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, _NOT_ORDINARY, os.fspath(path))
    return status


def replace(path: Path, text: str, mode: int | None = None) -> None:
    """Give `path` the content `text` at once: written beside, flushed to the disk, renamed over it.

    `mode` is the new file's, e.g. 0o600 for a secret; without it that of an ordinary new file.
    """
    with replacing(path, mode) as file:
        file.write(text)


@contextlib.contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[IO[str]]:
    """A file to write, which takes the place of `path` at the end; if that fails, `path` is as before. As `replace`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode if mode is not None else 0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make sure that the names in a directory are on the disk; file systems that cannot do it are let be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # Some network file systems refuse to sync a directory; the file itself was synced.
    finally:
        os.close(descriptor)


def plain(path: Path) -> Path:
    """An absolute path without "..", which would name a directory in a second way, and give it no name of its own."""
    return path.resolve() if ".." in path.parts else path.absolute()


class Outside(OSError):
    """A path that leads out of the directories that it must not leave."""


class Roots:
    """Directories that a path must not leave; their own links are followed once."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._given = tuple(os.fspath(root).rstrip("/") + "/" for root in roots)

    @functools.cached_property
    def _roots(self) -> tuple[str, ...]:
        return tuple(os.path.realpath(root).rstrip("/") + "/" for root in self._given)

    def real(self, path: str | Path) -> str | None:
        """`path` with all links followed; None if that is neither one of the directories nor below one."""
        real = os.path.realpath(path)
        # What is still a link leads round in circles.
        return real if f"{real}/".startswith(self._roots) and not os.path.islink(real) else None  # noqa: PTH114

    def open(self, path: str | Path, flags: int) -> int:
        """Open what `path` leads to with all links followed; the descriptor. `Outside` if that is in none of these.

        The check and the opening are one step: whoever changes a link meanwhile gets `Outside`, or an OSError.
        """
        text = os.fspath(path)
        for root in self._given:
            if text.startswith(root):
                with contextlib.suppress(OSError):  # As nearly always, there is no link on the way.
                    return _open_below(root, text[len(root) :], flags)
        for _ in range(_TRIES):
            real = self.real(path)
            root = next((root for root in self._roots if f"{real}/".startswith(root)), "")
            if real is None or not root:
                break
            try:
                return _open_below(root.rstrip("/") or "/", real[len(root) :], flags, os.O_NOFOLLOW)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EXDEV, errno.ENOTDIR):
                    raise type(error)(error.errno, error.strerror, text) from None
        raise Outside(errno.EXDEV, "is a link that leads out of the beamtime", os.fspath(path))

    def hold(self, path: str | Path) -> bool:
        """Whether `path`, with all links followed, is one of the directories or below one."""
        return self.real(path) is not None


def _open_below(root: str, path: str, flags: int, follow: int = 0) -> int:
    """Open what is at `path` in a directory on a way without any link; `follow`: O_NOFOLLOW if that is none either."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | follow)
    try:
        return kernel.open_beneath(directory, path or ".", flags)
    finally:
        os.close(directory)


class Inside:
    """Which files are in some directories, as these are at one moment: asked for thousands of files at once."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._given = tuple(roots)
        self._roots: Roots | None = None
        self._known: dict[str, bool] = {}

    def holds(self, file: str) -> bool:
        """As `Roots.hold`, but links on the way to files of one directory are followed only once."""
        if self._roots is None:
            self._roots = Roots(self._given)
        if os.path.islink(file):  # noqa: PTH114 - fast
            return self._roots.hold(file)
        directory = file.rpartition("/")[0]
        if (known := self._known.get(directory)) is None:
            known = self._known[directory] = self._roots.hold(directory)
        return known


def inside(path: Path, roots: Iterable[Path]) -> bool:
    """Whether `path`, with all links followed, is one of `roots` or below one."""
    return Roots(roots).hold(path)


def _umask() -> int:
    # Linux shows the umask without changing it; changing it would race with the other threads.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022
