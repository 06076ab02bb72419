"""Which file system a path is on, whether changes there are reported, and whether it may not answer.

inotify reports what happens through the kernel of this host. On a network file system a watch succeeds, and then
never reports what other hosts write (inotify(7), IBM Storage Scale), so the type of the file system decides, not an
error. All of this comes from the mount table: no file system that may not answer is asked.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "pvfs2", "smb2",
     "smb3", "virtiofs", "wekafs"}
)  # fmt: skip
_LINKS = 40  # As many as the kernel follows.


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system and where it is mounted."""

    point: Path
    kind: str
    """Its type, e.g. "ext4" or "nfs4"; empty if it is unknown."""

    @property
    def lacks_notifications(self) -> bool:
        """Whether it does not report what other hosts write: a network file system, or FUSE."""
        return self.kind in _NETWORK or self.kind.startswith("fuse")

    @property
    def may_hang(self) -> bool:
        """Whether a call on it may get no answer, because another host or program has to give it."""
        return self.lacks_notifications or self.kind == "autofs"


@dataclass(frozen=True, slots=True)
class Mounts:
    """The mount table as it was at one moment."""

    kinds: Mapping[str, str]
    """Type of the file system by mount point; of several mounts at one place the last one, which is seen."""

    @classmethod
    def now(cls) -> Self:
        """The table of this process, from `/proc/self/mountinfo` (proc(5)); empty where there is none."""
        try:
            table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return cls({})
        return cls(_kinds(table))

    def holding(self, path: Path) -> Mount:
        """The mount that `path` is on, with the links on the way followed."""
        return self._on(os.fspath(self.follow(path)))

    def below(self, path: Path) -> Iterable[Mount]:
        """The mounts below `path`, which has no links in it."""
        beginning = f"{os.fspath(path).rstrip('/')}/"
        points = [point for point in self.kinds if point.startswith(beginning) and point != beginning]
        return [Mount(Path(point), self.kinds[point]) for point in points]

    def follow(self, path: Path) -> Path:
        """`path` without links, as far as that is known without asking a file system that may not answer."""
        # With texts: this is asked for each beamtime at each rescan, and paths take ten times as long.
        todo, real, links = os.fspath(path.absolute()).split("/")[:0:-1], "", 0
        while todo:
            if (name := todo.pop()) in ("", "."):
                continue
            if name == "..":
                real = real.rpartition("/")[0]
                continue
            step = f"{real}/{name}"
            if links > _LINKS or self._on(step).may_hang:
                return Path(step, *reversed(todo))
            try:
                target = os.readlink(step)  # noqa: PTH115
            except OSError:
                real = step  # No link, or not there.
                continue
            links += 1
            real = "" if target.startswith("/") else real
            todo += reversed(target.split("/"))
        return Path(real or "/")

    def _on(self, path: str) -> Mount:
        while path:
            if (kind := self.kinds.get(path)) is not None:
                return Mount(Path(path), kind)
            path = path.rpartition("/")[0]
        return Mount(Path("/"), self.kinds.get("/", ""))


@functools.lru_cache(maxsize=1)
def _kinds(table: str) -> Mapping[str, str]:
    """Type of the file system by mount point. The table is read often, and changes rarely."""
    kinds = {}
    for line in table.split("\n")[:-1]:
        mount, _, source = line.partition(" - ")
        kinds[_unescaped(mount.split(" ")[4])] = source.split(" ")[0]
    return kinds


def lacks_notifications(path: Path) -> bool:
    """Whether `path` is on a file system that does not report what other hosts write."""
    return Mounts.now().holding(path).lacks_notifications


def _unescaped(text: str) -> str:
    """A path of the mount table: blank, tab, newline and backslash stand there as \\040, \\011, \\012 and \\134."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
