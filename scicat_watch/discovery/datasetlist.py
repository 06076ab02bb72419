"""One dataset list on disk: read again when it changed, and only then."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.discovery.listfile import ListLine, parse_list
from scicat_watch.files import inside, read_ordinary
from scicat_watch.model import BadLine, Command, FileState, ListEntry

_LARGEST = 256 << 20


@dataclass(slots=True)
class _Whole:
    """What is known of the lines of a list that have their newline: appending does not change them."""

    length: int = 0
    """In bytes."""
    digest: bytes = b""
    number: int = 0
    """How many lines they are."""
    lines: list[ListLine] = field(default_factory=list)
    seen: set[bytes | str] = field(default_factory=set)


class DatasetList:
    """What a list said when it was last read."""

    def __init__(self, path: Path, longest_line: int) -> None:
        self.path = path
        self.entries: list[ListEntry] = []
        self.claims: set[Path] = set()
        """Where files begin that the list speaks for: they are no scans of their own."""
        self.open: list[ListEntry] = []
        """Those that were still to be ingested at the last rescan, and those that are new."""
        self.bad: list[BadLine] = []
        self.problem = ""
        """Why the list cannot be read, for people; empty if it can."""
        self.changed_at = 0.0
        """Wall-clock time of its last change, as the file system says."""
        self._longest = longest_line
        self._state: FileState | None = None
        self._whole = _Whole()

    def refresh(self, root: Path) -> bool:
        """Read the list if it changed; whether it did. It must be an ordinary file below `root`."""
        try:
            status = self.path.stat()
            state = FileState.of(status)
            if state == self._state:
                return False
            if not inside(self.path, [root]):
                raise OSError(0, "it is a link that leads out of the beamtime")
            data = read_ordinary(self.path, _LARGEST)
        except OSError as error:
            self.unread(f"the list cannot be read: {error.strerror}")
            return False
        if self._state is None or not state.same_file(self._state) or len(data) <= self._whole.length:
            self._whole = _Whole()  # Another file, or not a longer one: what was done of it is asked anew.
        # The state is from before reading: what is appended meanwhile makes it differ at the next rescan.
        self._state, self.changed_at, self.problem = state, status.st_ctime, ""
        self._take(data)
        return True

    def unread(self, problem: str) -> None:
        """Have the list read again at the next rescan, because of `problem`; what it said last still holds."""
        self._state, self.problem = None, f"{self.path}: {problem}"

    def _take(self, data: bytes) -> None:
        """Read only what was appended if the rest is as it was: a list of a long beamtime grows line by line."""
        known = self._whole
        if not known.length or _digest(data[: known.length]) != known.digest:
            known = _Whole()
            self.entries, self.claims, self.open = [], set(), []
        length = data.rfind(b"\n") + 1
        appended = parse_list(data[known.length : length], self._longest, known.number + 1, known.seen)
        number = known.number + data.count(b"\n", known.length, length)
        self._whole = _Whole(length, _digest(data[:length]), number, known.lines + appended, known.seen)
        # The last line may go on at the next rescan.
        last = parse_list(data[length:], self._longest, number + 1, set(known.seen))
        before = {entry.line for entry in self.entries}
        self._sort(self._whole.lines + last)
        new = [entry for entry in self.entries if entry.line not in before]
        still = {entry.line for entry in self.entries}
        self.open = [entry for entry in self.open if entry.line in still] + new
        if before <= still:
            self.claims |= {self.path.parent / entry.stem for entry in new}
        else:  # A last line that went on speaks for another file now.
            self.claims = {self.path.parent / entry.stem for entry in self.entries}

    def _sort(self, lines: list[ListLine]) -> None:
        measurements = {line.measurement for line in lines if isinstance(line, Command) and line.measurement}
        self.entries, self.bad = [], [line for line in lines if isinstance(line, BadLine)]
        for entry in (line for line in lines if isinstance(line, ListEntry)):
            if entry.name in measurements and entry.again is not None:
                self.bad.append(BadLine(entry.line, 0, "asks for the dataset of a measurement; these are not made yet"))
            else:
                self.entries.append(entry)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
