"""Which directories a process may still read: Landlock, which needs no privileges (Linux 5.13 and later).

A process that has restricted itself reads what is below the directories that it named, and nothing else; it
writes, makes, removes and executes nothing, opens no connection, and signals and traces no process outside. What
it can still do with any path is to ask whether it is there, and for size and times (`stat`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from scicat_watch import kernel

# <linux/landlock.h>, <asm-generic/unistd.h>
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _BELOW_PATH = 1, 1
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_FILE_RIGHTS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""Since which version of Landlock which rights are known: all of the first, REFER, TRUNCATE, IOCTL_DEV."""
_NETWORK_SINCE, _NETWORK = 4, 0b11  # bind and connect
_SCOPES_SINCE, _SCOPES = 6, 0b11  # abstract sockets, signals


def version() -> int:
    """The version of the kernel's Landlock; 0 if it has none, or has it turned off."""
    if sys.platform != "linux":
        return 0
    try:
        return kernel.system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    except OSError:
        return 0


def ruleset(known: int) -> bytes:
    """What is refused unless a rule allows it, as a kernel of this version of Landlock takes it: all that it knows.

    A right or a field that it does not know would be an error. What that leaves to an older one is in part refused by
    `seccomp`: to cut a file off (3), connections (4), settings of devices (5, only typing into terminals), signals (6).
    """
    rights = sum(added for since, added in _FILE_RIGHTS if known >= since)
    network = _NETWORK if known >= _NETWORK_SINCE else 0
    scopes = _SCOPES if known >= _SCOPES_SINCE else 0
    return struct.pack("QQQ", rights, network, scopes)[: 24 if scopes else 16 if network else 8]


def restrict(directories: Iterable[Path]) -> None:
    """Let this thread, and all that it starts, read what is in these directories (or these files), and nothing else.

    Those that are not there are left out. OSError if the kernel cannot do it.
    """
    known = version()
    if not known:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    wanted = ruleset(known)
    rules = kernel.system_call(_CREATE_RULESET, wanted, ctypes.c_size_t(len(wanted)), 0)
    try:
        for directory in dict.fromkeys(directories):
            _allow(rules, directory)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.system_call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        below = struct.pack("=Qi", _READ_FILE | (_READ_DIRECTORY if folder else 0), descriptor)
        kernel.system_call(_ADD_RULE, rules, _BELOW_PATH, below, 0)
    finally:
        os.close(descriptor)
