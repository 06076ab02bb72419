"""Which file system a path is on, and whether changes there are reported.

inotify reports what happens through the kernel of this host. On a network file system a watch succeeds, and then
never reports what other hosts write (inotify(7), IBM Storage Scale), so the type of the file system decides, not an
error.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "pvfs2", "smb2",
     "smb3", "virtiofs", "wekafs"}
)  # fmt: skip


def lacks_notifications(path: Path) -> bool:
    """Whether `path` is on a file system that does not report what other hosts write: a network one, or FUSE."""
    kind = file_system(path)
    return kind in _NETWORK or kind.startswith("fuse")


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on, e.g. "ext4" or "nfs4"; empty if it is unknown.

    From `/proc/self/mountinfo` (proc(5)); of several mounts at one place the last one is seen.
    """
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    longest, kind = -1, ""
    place = os.fspath(path.resolve())
    for line in table.split("\n")[:-1]:
        mount, _, source = line.partition(" - ")
        point = _unescaped(mount.split(" ")[4])
        if len(point) >= longest and (place == point or place.startswith(point.rstrip("/") + "/")):
            longest, kind = len(point), source.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """A path of the mount table: blank, tab, newline and backslash stand there as \\040, \\011, \\012 and \\134."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
