"""One dataset list on disk: read again when it changed, and only then."""

from __future__ import annotations

import os
from pathlib import Path

from scicat_watch.discovery import complete
from scicat_watch.discovery.complete import Signature
from scicat_watch.discovery.listfile import ListLine, parse_list
from scicat_watch.files import inside
from scicat_watch.model import BadLine, Command, ListEntry

_LARGEST = 256 << 20


class DatasetList:
    """What a list said when it was last read."""

    def __init__(self, path: Path, longest_line: int) -> None:
        self.path = path
        self.entries: list[ListEntry] = []
        self.open: list[ListEntry] = []
        """Those that were still to be ingested at the last look."""
        self.bad: list[BadLine] = []
        self.problem = ""
        """Why the list cannot be read, for people; empty if it can."""
        self.changed_at = 0.0
        """Wall-clock time of its last change, as the file system says."""
        self._longest = longest_line
        self._signature: Signature = ()

    @property
    def claims(self) -> set[Path]:
        """Where files begin that the list speaks for: they are no scans of their own."""
        return {self.path.parent / entry.stem for entry in self.entries}

    def refresh(self, root: Path) -> bool:
        """Read the list if it changed; whether it did. It must be an ordinary file below `root`."""
        try:
            status = self.path.stat()
            if complete.signature(status) == self._signature:
                return False
            data = self._read(root, status.st_size)
        except OSError as error:
            self.problem = f"{self.path}: the list cannot be read: {error.strerror}"
            self._signature = ()
            return False
        # The signature is from before reading: what is appended meanwhile makes it differ at the next look.
        self._signature, self.changed_at, self.problem = complete.signature(status), status.st_ctime, ""
        self._take(parse_list(data, self._longest))
        return True

    def _read(self, root: Path, size: int) -> bytes:
        if not inside(self.path, [root]):
            raise OSError(0, "it is a link that leads out of the beamtime")
        if size > _LARGEST:
            raise OSError(0, f"it has more than {_LARGEST >> 20} MB")
        if not self.path.is_file():
            raise OSError(0, "it is not a regular file")
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def _take(self, lines: list[ListLine]) -> None:
        measurements = {line.measurement for line in lines if isinstance(line, Command) and line.measurement}
        self.entries, self.bad = [], [line for line in lines if isinstance(line, BadLine)]
        for entry in (line for line in lines if isinstance(line, ListEntry)):
            if entry.name in measurements and entry.again is not None:
                self.bad.append(BadLine(entry.line, 0, "asks for the dataset of a measurement; these are not made yet"))
            else:
                self.entries.append(entry)
