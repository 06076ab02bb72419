"""What Linux can do and Python has no name for: memory that nobody else reads, files opened below a directory.

Nothing of this exists elsewhere, and some of it not on every kernel: an `OSError` with ENOSYS says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
from functools import cache
from typing import Any

# Numbers of Linux's interface: <linux/prctl.h>, <linux/openat2.h>, <linux/mman.h>, <asm-generic/unistd.h>.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
_MADV_DONTFORK = 10
_OPENAT2 = 437
_NO_MAGIC_LINKS, _NO_LINKS, _BENEATH = 0x02, 0x04, 0x08
_TRIES = 8  # The kernel gives up a path while somebody renames directories in it.


def system_call(number: int, *arguments: Any) -> int:
    """The result of a system call by its number; OSError if it fails."""
    return _checked(_libc().syscall(number, *arguments))


def prctl(option: int, value: int) -> None:
    """Change something about this process. OSError if that is not possible."""
    _checked(_libc().prctl(option, value, 0, 0, 0))


def hide_memory() -> None:
    """Let no process of the same account read this one's memory, environment and descriptors, or trace it.

    What remains possible is root's. Without effect elsewhere than on Linux. No core is dumped either.
    """
    if sys.platform == "linux":
        prctl(PR_SET_DUMPABLE, 0)


def end_with(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel end this process as soon as the thread that started it ends; at once if `parent` is gone."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:
        os._exit(1)  # It ended before the kernel knew.


def without_children(start: int, length: int) -> None:
    """Leave a part of this process's memory, whole pages, out of that of processes forked from it from now on."""
    _checked(_libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTFORK))


def open_beneath(directory: int, path: str, flags: int) -> int:
    """Open what is at a relative `path` below an open directory, on a way without any link; the new descriptor.

    OSError: ELOOP if a part of the path is a link, EXDEV if it leads out of the directory. `path` is the real path,
    so that no link is met unless somebody changed it meanwhile.
    """
    flags |= os.O_CLOEXEC if flags & os.O_PATH else os.O_CLOEXEC | os.O_NOCTTY
    if sys.platform == "linux" and not _without_openat2():
        how = struct.pack("QQQ", flags, 0, _BENEATH | _NO_LINKS | _NO_MAGIC_LINKS)
        for _ in range(_TRIES):
            try:
                return system_call(_OPENAT2, directory, os.fsencode(path), how, len(how))
            except OSError as error:
                if error.errno in (errno.ENOSYS, errno.EPERM):
                    break  # An old kernel, or a container's filter that does not know the call.
                if error.errno != errno.EAGAIN:
                    raise
    return _descended(directory, path, flags)


@cache
def _without_openat2() -> bool:
    try:
        os.close(system_call(_OPENAT2, -100, b"/", struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, 0), 24))
    except OSError:
        return True
    return False


def _descended(directory: int, path: str, flags: int) -> int:
    """The same, name by name, where the kernel cannot do it in one step."""
    *folders, name = path.split("/")
    if ".." in (*folders, name):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    at = os.dup(directory)
    try:
        for folder in folders:
            below = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        opened = os.open(name, flags | os.O_NOFOLLOW, dir_fd=at)
        if flags & os.O_PATH and stat.S_ISLNK(os.fstat(opened).st_mode):  # Then a link is opened, not refused.
            os.close(opened)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return opened
    finally:
        os.close(at)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
