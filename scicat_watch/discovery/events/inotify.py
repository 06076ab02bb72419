"""File-system events as hints: one inotify instance, watches on the directories that we look at, and no more.

Events only ever say "look there". An overflowing queue says "look everywhere", which is why the
kernel's interface is used through inotify_simple rather than through a library that hides the
overflow, the limits, and the end of a watch. Where events do not come, because the file system is a
network's, or the limits are reached, `silent` says so and the periodic look does the work alone.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import inotify_simple
from inotify_simple import flags

log = logging.getLogger(__name__)

_DIRECTORY = (
    flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE | flags.CLOSE_WRITE
    | flags.DELETE_SELF | flags.MOVE_SELF
)  # fmt: skip
_FILE = flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF

# A watch on these succeeds and stays mute about what other hosts write (inotify(7), IBM Storage Scale).
_SILENT_TYPES = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "pvfs2", "smb2",
     "smb3", "virtiofs", "wekafs"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in a directory."""

    directory: Path | None
    """None: events were lost, look everywhere."""
    name: str = ""
    """Name in the directory; empty: the directory itself, or its list."""
    is_directory: bool = False
    closed: bool = False
    """Whether a file was closed after writing."""


Sink = Callable[[Event], None]


class Observer:
    """Watches directories and lists for events, and passes what it hears to `sink`, from a thread of its own."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._paths: dict[int, tuple[Path, bool]] = {}
        self._descriptors: dict[Path, int] = {}
        self._lock = threading.Lock()
        self._full = False
        self._notify: inotify_simple.INotify | None = None
        self._stop_reader, self._stop_writer = os.pipe()
        try:
            self._notify = inotify_simple.INotify(nonblocking=True)
        except OSError as error:
            log.warning("no file events: %s; directories are looked at periodically only", error.strerror)
            return
        self._thread = threading.Thread(target=self._listen, name="file events", daemon=True)
        self._thread.start()

    @property
    def deaf(self) -> bool:
        """Whether some directory is not watched, because the kernel's limits are reached or there is no inotify."""
        return self._notify is None or self._full

    def watch(self, path: Path, *, is_list: bool = False) -> None:
        """Hear of changes in the directory `path`, or of the list `path`. To watch twice is harmless."""
        if self._notify is None:
            return
        mask = _FILE if is_list else _DIRECTORY | flags.ONLYDIR
        with self._lock:
            try:
                descriptor = self._notify.add_watch(os.fsencode(path), mask)
            except OSError as error:
                self._not_watched(path, error)
                return
            self._paths[descriptor] = (path, is_list)
            self._descriptors[path] = descriptor

    def close(self) -> None:
        """Hear no more."""
        os.write(self._stop_writer, b"x")
        if self._notify is not None:
            self._thread.join(timeout=5)
            self._notify.close()
        os.close(self._stop_writer)
        os.close(self._stop_reader)

    def _not_watched(self, path: Path, error: OSError) -> None:
        if error.errno in (errno.ENOSPC, errno.EMFILE, errno.ENFILE) and not self._full:
            self._full = True
            log.warning(
                "%s: cannot be watched: the limit of inotify watches is reached (fs.inotify.max_user_watches); "
                "directories are looked at more often instead", path,
            )  # fmt: skip

    def _listen(self) -> None:
        notify = self._notify
        if notify is None:
            return
        poll = select.poll()
        poll.register(notify.fileno(), select.POLLIN)
        poll.register(self._stop_reader, select.POLLIN)
        while True:
            if any(descriptor == self._stop_reader for descriptor, _ in poll.poll()):
                return
            for event in notify.read(timeout=0):
                try:
                    self._pass_on(event)
                except Exception:
                    log.exception("a file event could not be passed on; the periodic look finds what it was about")

    def _pass_on(self, event: inotify_simple.Event) -> None:
        if event.mask & flags.Q_OVERFLOW:
            log.warning("file events were lost (queue overflow); looking everywhere")
            self._sink(Event(None))
            return
        with self._lock:
            known = self._paths.get(event.wd)
            if known is None:
                return
            path, is_list = known
            if event.mask & flags.IGNORED:
                self._paths.pop(event.wd, None)
                if self._descriptors.get(path) == event.wd:
                    del self._descriptors[path]
                return
        if event.mask & flags.MOVE_SELF:
            # Under its new name it is found and watched anew; events under the old one would mislead.
            with self._lock:
                self._forget(event.wd)
        if is_list or event.mask & (flags.DELETE_SELF | flags.MOVE_SELF):
            self._sink(Event(path.parent if is_list else path))
        else:
            folder, closed = bool(event.mask & flags.ISDIR), bool(event.mask & flags.CLOSE_WRITE)
            self._sink(Event(path, event.name, folder, closed))

    def _forget(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # It may be gone already.
            if self._notify is not None:
                self._notify.rm_watch(descriptor)


def silent(path: Path) -> bool:
    """Whether `path` is on a file system that does not tell what other hosts write."""
    kind = file_system(path)
    return kind in _SILENT_TYPES or kind.startswith("fuse")


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on, e.g. "ext4" or "nfs4"; empty if that cannot be told."""
    best, kind = -1, ""
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    where = os.fspath(path.resolve())
    for line in table.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if len(point) >= best and (where == point or where.startswith(point.rstrip("/") + "/")):
            best, kind = len(point), source.split(" ")[0]
    return kind
