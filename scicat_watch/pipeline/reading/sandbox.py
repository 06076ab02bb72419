"""What a process that reads data files gives up before it opens the first: secrets, network, memory without end.

A data file can be crafted so that the HDF5 library does what its author wants. Should it take over the
process that reads it, it finds an environment without tokens, no way to open a network connection, and a
limit to the memory that it can eat. A hanging process is ended by its parent, and ends with it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import multiprocessing
import os
import platform
import resource
import signal
import socket
import struct
import sys

log = logging.getLogger(__name__)

_KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME")
_KEPT_BEGINNINGS = ("LC_", "HDF5_")
_DROPPED = ("HDF5_PLUGIN_PATH", "HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")
"""Would make HDF5 load code, or look for linked files, from directories that a data owner may write to."""

# Numbers of Linux's interface: <linux/prctl.h>, <linux/seccomp.h>, <linux/audit.h>, <asm/unistd.h>.
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_SECCOMP_RET_ALLOW, _SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
_IO_URING_SETUP = 425
_MACHINES = {
    # machine: audit's number of it, system calls `seccomp` and `socket`
    "x86_64": (0xC000003E, 317, 41),
    "aarch64": (0xC00000B7, 277, 198),
}
_X32_CALLS = 0x40000000
"""System calls from here on are those of x86_64's 32-bit interface, with the same meaning."""


def prepare(memory_limit: int) -> None:
    """Make the calling process one that may read data files; the initializer of a pool's worker.

    For `pebble.ProcessPool` with the "spawn" or "forkserver" context: a process that is only forked holds
    what its parent had in memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A Ctrl-C in the terminal is the parent's to handle.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _end_with_parent()
    _scrub_environment()
    _limit(resource.RLIMIT_AS, memory_limit)
    _limit(resource.RLIMIT_CORE, 0)
    objection = _forbid_network()
    if objection:
        log.warning("processes that read data files keep the network: %s", objection)
    # What every scan needs is loaded once, and after the environment is clean: HDF5 reads it then.
    from h5py import h5pl

    from scicat_watch.pipeline.reading import read  # noqa: F401

    # Should HDF5 have been loaded before: no code from files. Compressions come with hdf5plugin, which needs no path.
    while h5pl.size():
        h5pl.remove(0)


def _scrub_environment() -> None:
    for name in list(os.environ):
        if name in _DROPPED or not (name in _KEPT or name.startswith(_KEPT_BEGINNINGS)):
            del os.environ[name]
    os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"
    # Threads of the algebra library would cost address space and gain nothing here.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _end_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, even if it hangs in HDF5.

    `multiprocessing` gives every process a pipe that its parent holds open; the kernel is asked to
    send SIGKILL when something happens to it. (The usual PR_SET_PDEATHSIG is of no use: it follows the
    thread that started the process, or the fork server, which goes on as long as there are workers.)
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | fcntl.FASYNC)
    if not parent.is_alive():
        os._exit(1)  # It ended before the kernel knew.


class _Filter(ctypes.Structure):
    """The kernel's `struct sock_fprog`: a program for its packet filter."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _forbid_network() -> str:
    """Refuse this process, all its threads and children any new socket but a local one; why not, if it cannot be."""
    numbers = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or numbers is None or struct.calcsize("P") != 8:
        return f"not known how on {sys.platform} {platform.machine()}"
    program = _program(numbers[0], numbers[2])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return os.strerror(ctypes.get_errno())
    wanted = _Filter(len(program) // 8, program)
    arguments = (_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(wanted))
    return os.strerror(ctypes.get_errno()) if libc.syscall(numbers[1], *arguments) else ""


def _program(machine: int, socket_call: int) -> bytes:
    """Instructions of the classic packet filter, which examines number, machine and arguments of a system call.

    Sockets of the family AF_UNIX stay: the names of users and groups may come through one. Also refused
    is io_uring, which makes sockets without that call.
    """
    load, equal, at_least, result = 0x20, 0x15, 0x35, 0x06
    refuse = _SECCOMP_RET_ERRNO | errno.EPERM
    instructions = (
        # what, lines to skip if true, if false, operand
        (load, 0, 0, 4),  # the machine
        (equal, 0, 7, machine),  # of another one everything is refused
        (load, 0, 0, 0),  # the call's number
        (at_least, 5, 0, _X32_CALLS),
        (equal, 4, 0, _IO_URING_SETUP),
        (equal, 0, 2, socket_call),
        (load, 0, 0, 16),  # the first argument: the family
        (equal, 0, 1, int(socket.AF_UNIX)),
        (result, 0, 0, _SECCOMP_RET_ALLOW),
        (result, 0, 0, refuse),
    )
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
