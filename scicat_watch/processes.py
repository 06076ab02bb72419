"""Whether a process still does anything, by what the system says of it.

A process that was killed while a thread of it waits for a file system stays, with all that it has open, until that
answers. It runs no further instruction of its own, though, so whoever meets it may take it for ended.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_KILLED = 1 << (signal.SIGKILL - 1)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def is_over(process: int) -> bool:
    """Whether a process of this system has ended, or will run no further instruction; false if that is not known."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # Another account's, which may be hidden from us as well.
    return _is_dying(_read(Path(f"/proc/{process}/status")))


def _is_dying(status: str) -> bool:
    """By its `status` (proc(5)): its first thread has ended, or was killed, as all threads are then."""
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    killed = int(fields.get("SigPnd", "0"), 16) | int(fields.get("ShdPnd", "0"), 16)
    return fields.get("State", "")[:1] in ("Z", "X") or bool(killed & _KILLED)


@dataclass(frozen=True, slots=True)
class Mark:
    """Says of a process which one it is, for other processes, also on other hosts and at other times."""

    process: int
    boot: str
    """Which start of which system it runs in."""
    namespace: str
    """Where its number means something: containers count for themselves."""
    started: str
    """When, in ticks since the system's start: numbers of processes are used again."""

    @classmethod
    def own(cls) -> Self:
        """That of this process. OSError where the system says too little."""
        boot, namespace = _BOOT.read_text(encoding="ascii").strip(), os.readlink("/proc/self/ns/pid")  # noqa: PTH115
        return cls(os.getpid(), boot, namespace, _started(Path("/proc/self/stat").read_text(encoding="utf-8")))

    def __str__(self) -> str:
        return f"{self.process} {self.boot} {self.namespace} {self.started}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The mark of a text; None if it is none."""
        words = text.split()
        return cls(int(words[0]), *words[1:]) if len(words) == 4 and words[0].isdecimal() else None

    def is_over(self) -> bool:
        """Whether the process is; false if that is not known here, as of one on another host."""
        try:
            own = self.own()
            if (self.boot, self.namespace) != (own.boot, own.namespace):
                return False
        except OSError:
            return False
        stat = _read(Path(f"/proc/{self.process}/stat"))
        return is_over(self.process) or (bool(stat) and _started(stat) != self.started)


def _started(stat: str) -> str:
    return stat.rpartition(")")[2].split()[19]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
