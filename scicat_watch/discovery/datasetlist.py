"""One dataset list on disk: read again when it changed, and only then."""

from __future__ import annotations

from pathlib import Path

from scicat_watch.discovery import complete
from scicat_watch.discovery.complete import Signature
from scicat_watch.discovery.listfile import ListLine, parse_list
from scicat_watch.files import inside, read_ordinary
from scicat_watch.model import BadLine, Command, ListEntry

_LARGEST = 256 << 20


class DatasetList:
    """What a list said when it was last read."""

    def __init__(self, path: Path, longest_line: int) -> None:
        self.path = path
        self.entries: list[ListEntry] = []
        self.claims: frozenset[Path] = frozenset()
        """Where files begin that the list speaks for: they are no scans of their own."""
        self.open: list[ListEntry] = []
        """Those that were still to be ingested at the last look."""
        self.bad: list[BadLine] = []
        self.problem = ""
        """Why the list cannot be read, for people; empty if it can."""
        self.changed_at = 0.0
        """Wall-clock time of its last change, as the file system says."""
        self._longest = longest_line
        self._signature: Signature = ()

    def refresh(self, root: Path) -> bool:
        """Read the list if it changed; whether it did. It must be an ordinary file below `root`."""
        try:
            status = self.path.stat()
            if complete.signature(status) == self._signature:
                return False
            if not inside(self.path, [root]):
                raise OSError(0, "it is a link that leads out of the beamtime")
            data = read_ordinary(self.path, _LARGEST)
        except OSError as error:
            self.unread(f"the list cannot be read: {error.strerror}")
            return False
        # The signature is from before reading: what is appended meanwhile makes it differ at the next look.
        self._signature, self.changed_at, self.problem = complete.signature(status), status.st_ctime, ""
        self._take(parse_list(data, self._longest))
        return True

    def unread(self, problem: str) -> None:
        """Have the list read again at the next look, because of `problem`; what it said last still holds."""
        self._signature, self.problem = (), f"{self.path}: {problem}"

    def _take(self, lines: list[ListLine]) -> None:
        measurements = {line.measurement for line in lines if isinstance(line, Command) and line.measurement}
        self.entries, self.bad = [], [line for line in lines if isinstance(line, BadLine)]
        for entry in (line for line in lines if isinstance(line, ListEntry)):
            if entry.name in measurements and entry.again is not None:
                self.bad.append(BadLine(entry.line, 0, "asks for the dataset of a measurement; these are not made yet"))
            else:
                self.entries.append(entry)
        self.claims = frozenset(self.path.parent / entry.stem for entry in self.entries)
