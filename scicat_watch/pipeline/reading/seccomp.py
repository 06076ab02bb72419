"""Which system calls the processes that read data files are refused by the kernel (seccomp).

`WORKER` is for the process that loads libraries and starts readers, `READER` for the one that opens data files, which
has both. What is not named is allowed: the libraries need more than could be listed, and differ.
A filter stays for the rest of the process's life, and for all that it starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scicat_watch import kernel

# <linux/seccomp.h>, <linux/audit.h>
_PR_GET_SECCOMP = 21
_SET_MODE_FILTER, _FOR_ALL_THREADS = 1, 1
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_X32_CALLS = 0x40000000
"""System calls from here on are those of x86_64's 32-bit interface, with the same meaning."""
_CLONE_THREAD = 0x10000
_WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE
_SIGNALS_BY_FILE = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: the kernel sends any signal to anybody for them.
_TYPE_INTO_TERMINAL = 0x5412  # TIOCSTI

_Numbers = tuple[int | None, int | None]
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""Machine: its column in the tables, audit's number of it, and the number of the system call `seccomp`."""


_OTHER_PROCESSES: Mapping[str, _Numbers] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "execve": (59, 221), "execveat": (322, 281),
}  # fmt: skip
_PRIVILEGED: Mapping[str, _Numbers] = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None), "swapon": (167, 224), "swapoff": (168, 225),
    "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "quotactl": (179, 60), "vhangup": (153, 58), "personality": (135, 92), "syslog": (103, 116),
}  # fmt: skip
_ONLY_READERS: Mapping[str, _Numbers] = {
    # Sockets: names of users and groups are looked up by the worker.
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    # Further processes, and signals and settings of others.
    "fork": (57, None), "vfork": (58, None), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "sched_setaffinity": (203, 122),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # Writing: what Landlock refuses too, and what it does not know (mode, owner, times, attributes).
    "creat": (85, None), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47), "mkdir": (83, None),
    "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37), "symlink": (88, None),
    "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_EXAMINED: Mapping[str, _Numbers] = {
    "socket": (41, 198), "clone": (56, 220), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261),
    "open": (2, None), "openat": (257, 56), "fcntl": (72, 25), "ioctl": (16, 29),
}  # fmt: skip
_UNKNOWN: Mapping[str, _Numbers] = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments cannot be examined. For ENOSYS the libraries turn to `clone` and `openat`, whose can be."""
CALLS = MappingProxyType({**_OTHER_PROCESSES, **_PRIVILEGED, **_ONLY_READERS, **_EXAMINED, **_UNKNOWN})
"""Numbers of all system calls that are refused or examined, on x86_64 and aarch64; None where there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one system call that is not simply allowed."""

    call: str
    error: int = errno.EPERM
    """What the caller gets when it is refused."""
    argument: int | None = None
    """Which argument decides, from 0; None: none, it is always refused."""
    equal: tuple[int, ...] = ()
    """Values of the argument that make a difference."""
    bits: int = 0
    """Instead: bits of the argument, any of which makes a difference."""
    refuses: bool = False
    """Whether those values are refused and all others allowed; otherwise only they are allowed."""


WORKER = (
    *map(Rule, (*_OTHER_PROCESSES, *_PRIVILEGED)),
    Rule("socket", argument=0, equal=(int(socket.AF_UNIX),)),
)
"""No network, no other programs, no other process's memory. Local sockets stay: names of users come by them."""


_OURSELVES = 0xFFFFFFF0
"""In an argument: the id of the process that installs the filter."""
READER = (
    *map(Rule, _ONLY_READERS),
    *(Rule(call, errno.ENOSYS) for call in _UNKNOWN),
    Rule("clone", argument=0, bits=_CLONE_THREAD),
    *(Rule(call, argument=0, equal=(_OURSELVES,)) for call in ("kill", "tgkill")),
    Rule("prlimit64", argument=0, equal=(0, _OURSELVES)),
    Rule("open", errno.EACCES, argument=1, bits=_WRITING, refuses=True),
    Rule("openat", errno.EACCES, argument=2, bits=_WRITING, refuses=True),
    Rule("fcntl", argument=1, equal=_SIGNALS_BY_FILE, refuses=True),
    Rule("ioctl", argument=1, equal=(_TYPE_INTO_TERMINAL,), refuses=True),
)
"""What a process that opens data files is refused besides: to start and signal processes, to write, any socket."""


class _Filter(ctypes.Structure):
    """The kernel's `struct sock_fprog`: a program for its packet filter."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def possible() -> bool:
    """Whether this system can refuse system calls."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or struct.calcsize("P") != 8:
        return False
    try:
        kernel.prctl(_PR_GET_SECCOMP, 0)
    except OSError:
        return False
    return True


class Program:
    """Rules as the kernel takes them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._call, self._code = 0, b""
        if possible():
            column, audit, self._call = _MACHINES[platform.machine()]
            self._code = instructions(rules, column, audit)

    def install(self) -> str:
        """Have the kernel apply them to this process, its threads and children from now on; why not, if it cannot."""
        if not self._code:
            return f"not known how on {sys.platform} {platform.machine()}"
        code = self._code.replace(struct.pack("I", _OURSELVES), struct.pack("I", os.getpid()))
        wanted = _Filter(len(code) // 8, code)
        try:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.system_call(self._call, _SET_MODE_FILTER, _FOR_ALL_THREADS, ctypes.byref(wanted))
        except OSError as error:
            return error.strerror or "refused"
        return ""


# Instructions of the classic packet filter: load a word, compare, test bits, end.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _END = 0x20, 0x15, 0x35, 0x45, 0x06


def instructions(rules: Iterable[Rule], column: int, audit: int) -> bytes:
    """The filter's instructions, which examine number, machine and the arguments' low words of a system call."""
    code = [
        (_LOAD, 0, 0, 4),  # the machine
        (_EQUAL, 1, 0, audit),
        (_END, 0, 0, _REFUSE | errno.EPERM),  # of another one everything is refused
        (_LOAD, 0, 0, 0),  # the call's number
        (_AT_LEAST, 0, 1, _X32_CALLS),
        (_END, 0, 0, _REFUSE | errno.EPERM),
    ]
    for rule in rules:
        number = CALLS[rule.call][column]
        if number is not None:
            decision = _decision(rule)
            code += [(_EQUAL, 0, len(decision), number), *decision]
    code.append((_END, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _decision(rule: Rule) -> list[tuple[int, int, int, int]]:
    """The instructions for one call, of which each way through ends."""
    refused, allowed = (_END, 0, 0, _REFUSE | rule.error), (_END, 0, 0, _ALLOW)
    if rule.argument is None:
        return [refused]
    met, unmet = (refused, allowed) if rule.refuses else (allowed, refused)
    tests = [(_ANY_BIT, rule.bits)] if rule.bits else [(_EQUAL, value) for value in rule.equal]
    jumps = [(test, len(tests) - place, 0, operand) for place, (test, operand) in enumerate(tests)]
    return [(_LOAD, 0, 0, 16 + 8 * rule.argument), *jumps, unmet, met]
