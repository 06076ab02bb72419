"""What the files of a known scan look like now: cheaply enough to ask for a hundred thousand scans in turns.

All names that belong to the scan count, and the sizes and times of the files beside its master file and of the last
files in its folders, which are those that a detector may still write. The names in one directory are kept as long as
its times are the same, so that the scans in it do not list it one by one.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scicat_watch.discovery.completeness import find_master
from scicat_watch.model import FileState, Scan
from scicat_watch.scanstate import FilesState, ScanState

EXAMINED = 256
"""Files of one folder, the last by name, whose sizes and times count."""
MOST_NAMES = 100_000
"""Names of one folder; of a folder with more only its own times count."""
_HEAD = 1 << 16


class ScanFiles:
    """Examines the files of scans. Not thread-safe."""

    def __init__(
        self, extensions: tuple[str, ...], belonging: Callable[[str], Callable[[str], bool]],
        skipped: Callable[[str], bool],
    ) -> None:  # fmt: skip
        """`extensions`: of master files; `belonging` gives for a beginning which names belong to it."""
        self._extensions, self._belonging, self._skipped = extensions, belonging, skipped
        self._listed: tuple[str, FileState, list[str]] | None = None

    def state(self, scan: Scan, master: Path | None) -> ScanState | None:
        """The files of `scan` with all that is kept of them: their names, and the digest of the head of `master`.

        None if the master file is not there any more, which proves nothing. OSError if something cannot be examined.
        """
        found = self.compared(scan, master, kept=True)
        if found is None or found.master is None:
            return found
        return replace(found, head=_head(found.master))

    def compared(self, scan: Scan, master: Path | None, *, kept: bool = False) -> ScanState | None:
        """The same without what takes longest, which comparisons seldom need (`scanstate.needs_more`)."""
        gathered = _Gathered(self._skipped, kept=kept)
        for beginning in (scan.stem, *scan.extras):
            base = os.path.normpath(scan.directory / beginning)
            belongs = self._belonging(os.path.basename(base))  # noqa: PTH119 - fast
            for name in self._names_from(base):
                if belongs(name):
                    gathered.take(os.path.dirname(base), name)  # noqa: PTH120 - fast
        if master is None and gathered.count:
            master = find_master(scan, self._extensions)
        try:
            status = None if master is None else master.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        state = FilesState(gathered.count, gathered.digest())
        if status is None:
            return ScanState(master, None, state, contents=gathered.contents(), names=gathered.names)
        access = f"{status.st_uid} {status.st_gid} {status.st_mode:o}"
        return ScanState(master, FileState.of(status), state, access=access, names=gathered.names)

    def forget(self) -> None:
        """List directories anew, unchanged or not: a name may have come within a tick of the clock."""
        self._listed = None

    def _names_from(self, base: str) -> list[str]:
        """The names in the directory of `base` that begin like it."""
        directory, beginning = os.path.split(base)
        try:
            state = FileState.of(os.stat(directory))  # noqa: PTH116 - fast
            if self._listed is None or self._listed[:2] != (directory, state):
                self._listed = (directory, state, sorted(os.listdir(directory)))  # noqa: PTH208 - fast
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = self._listed[2]
        low = bisect.bisect_left(names, beginning)
        high = low
        while high < len(names) and names[high].startswith(beginning):
            high += 1
        return names[low:high]


class _Gathered:
    """Files and folders of one scan."""

    def __init__(self, skipped: Callable[[str], bool], *, kept: bool) -> None:
        """`kept`: gather their names as well, and what a rename leaves as it is."""
        self._skipped = skipped
        self._hash = hashlib.blake2b(digest_size=16)
        self._beside = 0
        self._lasting: list[str] = []
        self.count = 0
        self.names: dict[str, str] | None = {} if kept else None
        """All names, relative to the directory that the scan is in, as in `ScanState`."""

    def digest(self) -> str:
        return self._hash.hexdigest()

    def contents(self) -> str:
        """Digest of what the files keep when they are renamed; empty if it was not gathered, or there are none."""
        lasting = "\0".join(sorted(self._lasting))
        return hashlib.blake2b(lasting.encode(), digest_size=16).hexdigest() if lasting else ""

    def take(self, directory: str, name: str) -> None:
        """Take in a file, or a folder with all that is in it."""
        path = os.path.join(directory, name)  # noqa: PTH118 - fast
        self._beside = len(path) - len(name)
        try:
            status = os.stat(path)  # noqa: PTH116 - fast
        except FileNotFoundError:
            return  # It went meanwhile, or is a link that leads nowhere.
        if not stat.S_ISDIR(status.st_mode):
            self._add(path, status)
            return
        todo = [] if os.path.islink(path) else [path]  # noqa: PTH114 - fast
        while todo:
            todo += self._folder(todo.pop())

    def _folder(self, folder: str) -> list[str]:
        """Take in what is in a folder; the folders in it."""
        try:
            with os.scandir(folder) as entries:
                inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except (FileNotFoundError, PermissionError):
            return []
        if len(inside) > MOST_NAMES:
            self._note(folder, os.stat(folder))  # noqa: PTH116 - fast
            return []
        paths = [f"{folder}/{name}" for name, is_folder in inside if not is_folder and not self._skipped(name)]
        for path in paths[:-EXAMINED]:
            self._note(path, None)
        for path in paths[-EXAMINED:]:
            try:
                self._add(path, os.stat(path))  # noqa: PTH116 - fast
            except FileNotFoundError:
                continue
        return [f"{folder}/{name}" for name, is_folder in reversed(inside) if is_folder]

    def _add(self, path: str, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode) and not self._skipped(path):
            self._note(path, status)

    def _note(self, path: str, status: os.stat_result | None) -> None:
        self.count += 1
        what = "" if status is None else f"{status.st_size} {status.st_mtime_ns}"
        # Only the name: a scan whose directory is renamed has the same files.
        self._hash.update(f"{os.path.basename(path)}\0{what}\0".encode("utf-8", "surrogateescape"))  # noqa: PTH119
        if self.names is None:
            return
        lasting = self.names[path[self._beside :]] = "" if status is None else f"{status.st_ino} {what}"
        if status is not None and status.st_size:
            self._lasting.append(lasting)


def _head(path: Path) -> str:
    """Digest of the beginning of a regular file; empty for anything else. Never waits for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return hashlib.blake2b(os.pread(descriptor, _HEAD, 0), digest_size=16).hexdigest()
    finally:
        os.close(descriptor)
