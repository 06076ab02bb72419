"""Where the socket of the control channel is: in the state directory, or where that takes none, in the runtime one.

A path of a socket has at most 107 bytes. So the socket is named through a descriptor of its directory, which also
makes sure that no link put there meanwhile leads elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.processes import is_over

log = logging.getLogger(__name__)

_NAME = "control.sock"
_CONNECT_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens, and where."""

    socket: socket.socket
    path: Path
    inode: int

    def remove(self) -> None:
        """Take the path away, if it still leads to this socket."""
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()


def listen(var_dir: Path) -> Listening | None:
    """A socket that listens; None, and a warning, if there is no place for one."""
    faults = []
    for place in places(var_dir, make=True):
        try:
            return _listening(place)
        except OSError as error:
            faults.append(f"{place}: {error.strerror or error}")
    log.warning(
        "there is no place for the control socket, so commands cannot reach this daemon: %s",
        "; ".join(faults) or f"{var_dir} cannot be written to",
    )
    return None


def connect(var_dir: Path) -> socket.socket | None:
    """A connection to the daemon of a state directory; None if none runs that can be reached."""
    for place in places(var_dir, make=False):
        try:
            connection = _connected(place)
        except OSError:
            continue
        process, account = peer(connection)
        # A daemon that was killed while a file system hangs keeps its socket, and answers nobody any more.
        if account in {0, os.geteuid(), _owner(var_dir)} and not (process and is_over(process)):
            return connection
        connection.close()  # Or somebody else put a socket there.
    return None


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process at the other end of a connection, 0 if it has no number here, and its account."""
    size = struct.calcsize("3i")
    process, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(process), int(uid)


def _listening(place: Path) -> Listening:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _through_descriptor(place) as path:
            _clear(path)
            made.bind(path)
            os.chmod(path, 0o600)  # noqa: PTH101 - before it listens nobody can connect
            made.listen(16)
            inode = os.lstat(path).st_ino
    except BaseException:
        made.close()
        raise
    return Listening(made, place, inode)


def _clear(path: str) -> None:
    """Take away what a daemon that ended left.

    A connection proves no daemon: one that was killed while a file system hangs keeps its socket until that answers.
    Only one daemon runs with a state directory (`daemon.alone`).
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "something that is no socket is there; move it away")
        os.unlink(path)  # noqa: PTH108


def _connected(place: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(_CONNECT_WITHIN)
    try:
        with _through_descriptor(place) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _through_descriptor(place: Path) -> Iterator[str]:
    directory = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{place.name}"
    finally:
        os.close(directory)


def places(var_dir: Path, *, make: bool) -> Iterator[Path]:
    """Where the socket may be, first in the state directory. `make`: runtime directories that are missing."""
    yield var_dir.absolute() / _NAME
    name = f"{hashlib.sha256(os.fsencode(var_dir.absolute())).hexdigest()[:16]}.sock"
    # Root may send commands to the daemon of another account.
    for account in [os.geteuid()] if make else dict.fromkeys((os.geteuid(), _owner(var_dir))):
        for directory in _runtime_directories(account):
            with contextlib.suppress(OSError):
                if make:
                    directory.mkdir(mode=0o700, exist_ok=True)
                status = directory.lstat()
                # It may be in a directory that everybody may write to.
                if stat.S_ISDIR(status.st_mode) and status.st_uid == account and not status.st_mode & 0o077:
                    yield directory / name


def _runtime_directories(account: int) -> Iterator[Path]:
    """Directories of an account that last as long as the system runs."""
    if account == os.geteuid() and (given := os.environ.get("XDG_RUNTIME_DIR")):
        yield Path(given, "scicat-watch")
    yield Path("/run/user", str(account), "scicat-watch")
    yield Path("/run/scicat-watch")  # The service's: RuntimeDirectory= of its unit.
    with contextlib.suppress(OSError):  # There may be none that can be written to.
        yield Path(tempfile.gettempdir(), f"scicat-watch-{account}")


def _owner(var_dir: Path) -> int:
    try:
        return var_dir.stat().st_uid
    except OSError:
        return os.geteuid()
