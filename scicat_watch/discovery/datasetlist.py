"""One dataset list on disk: read again when it changed, and only then."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

from scicat_watch.discovery.listfile import ListLine, entries, parse_list
from scicat_watch.files import Roots, read_ordinary
from scicat_watch.model import BadLine, Command, FileState, ListEntry

_LARGEST = 256 << 20


class DatasetList:
    """What a list said when it was last read.

    Nearly all lines of a long beamtime are done, so little is kept of each: the line itself and the beginning of its
    scan's files. What is to be done is `open`.
    """

    __slots__ = (
        "_again", "_bad", "_digest", "_last", "_length", "_lines", "_longest", "_measurements", "_name", "_number",
        "_rejected", "_state", "_stems", "changed_at", "directory", "gone", "open", "problem",
    )  # fmt: skip

    def __init__(self, directory: Path, name: str, longest_line: int) -> None:
        self.directory, self._name = directory, name
        self.open: list[ListEntry] = []
        """Those that were still to be ingested at the last rescan, and those that are new."""
        self.gone: tuple[str, ...] = ()
        """The lines that it did not say any more when it was last read."""
        self.problem = ""
        """Why the list cannot be read, for people; empty if it can."""
        self.changed_at = 0.0
        """Wall-clock time of its last change, as the file system says."""
        self._longest = longest_line
        self._state: FileState | None = None
        self._forget()

    def _forget(self) -> None:
        self._length, self._digest, self._number = 0, b"", 0
        """Bytes, digest and number of the lines that have their newline: appending does not change these."""
        self._lines: dict[str, str] = {}
        """The lines that ask for a dataset, each with the stem of its scan."""
        self._stems: dict[str, None] = {}
        """The stems that are not the whole of their line."""
        self._bad: list[BadLine] = []
        self._rejected: dict[bytes | str, None] = {}
        """Lines that cannot be used."""
        self._again: dict[str, ListEntry] = {}
        """The re-ingest lines."""
        self._measurements: dict[str, None] = {}
        self._last: ListLine | None = None
        """The line without a newline at the end, which may go on at the next rescan."""

    @property
    def path(self) -> Path:
        """Where it is. Not kept: there may be ten thousand lists."""
        return self.directory / self._name

    @property
    def state(self) -> FileState | None:
        """What the file was like when it was last read; None if it is to be read again in any case."""
        return self._state

    @property
    def lines(self) -> list[str]:
        """The lines that ask for a dataset, in their order."""
        return list(self._lines)

    @property
    def entries(self) -> list[ListEntry]:
        """The same, parsed once more."""
        return [entry for line in self._lines for entry in entries(parse_list(line.encode(), self._longest))]

    def scans(self) -> Iterator[ListEntry]:
        """The same one by one, without re-ingest lines for scans that another line names."""
        for line in list(self._lines):
            for entry in entries(parse_list(line.encode(), self._longest)):
                if entry.again is None or entry.name not in self._lines:
                    yield entry

    @property
    def bad(self) -> list[BadLine]:
        """The lines that cannot be used."""
        return [*self._bad, *([self._last] if isinstance(self._last, BadLine) else [])]

    def claims(self, beginning: Path) -> bool:
        """Whether the list speaks for files that begin so: they are no scans of their own."""
        return self.claims_stem(os.fspath(beginning)[len(os.fspath(self.directory)) :].lstrip("/"))

    def claims_stem(self, stem: str) -> bool:
        """The same for a beginning relative to the list's directory."""
        return self._lines.get(stem) == stem or stem in self._stems

    def entry_of(self, stem: str) -> ListEntry | None:
        """The first line that names the scan of a stem, if there is one."""
        if not self.claims_stem(stem):
            return None
        line = stem if self._lines.get(stem) == stem else next(one for one, of in self._lines.items() if of == stem)
        return next(entries(parse_list(line.encode(), self._longest)), None)

    def refresh(self, root: Path, done: Callable[[], Mapping[str, str]] = dict) -> bool:
        """Read the list if it changed; whether it did. It must be an ordinary file below `root`.

        `done` gives the lines that need not be opened, each as the text that is kept of it; OSError: none is known.
        """
        path = f"{self.directory}/{self._name}"
        try:
            status = os.stat(path)  # noqa: PTH116 - fast
            state = FileState.of(status)
            if state == self._state:
                return False
            data = read_ordinary(path, _LARGEST, roots=Roots([root]))
        except OSError as error:
            self.unread(f"the list cannot be read: {error.strerror}")
            return False
        # Another file, or not a longer one: what was done of it is asked anew.
        anew = self._state is None or not state.same_file(self._state) or len(data) <= self._length
        # The state is from before reading: what is appended meanwhile makes it differ at the next rescan.
        self._state, self.changed_at, self.problem = state, status.st_ctime, ""
        known: Mapping[str, str] = {}
        with contextlib.suppress(OSError):
            known = done()
        self._take(data, known, anew=anew)
        return True

    def unread(self, problem: str) -> None:
        """Have the list read again at the next rescan, because of `problem`; what it said last still holds."""
        self._state, self.problem = None, f"{self.path}: {problem}"

    def _take(self, data: bytes, done: Mapping[str, str], *, anew: bool) -> None:
        """Read only what was appended if the rest is as it was: a list of a long beamtime grows line by line."""
        if anew or not self._length or _digest(data[: self._length]) != self._digest:
            before = set(self._lines)
            self._forget()
            self.open = []
            new = self._appended(data, done)
        else:
            last, self._last = self._last, None
            before = {last.line} if isinstance(last, ListEntry) else set()
            for line in before:
                self._remove(line)
            new = [entry for entry in self._appended(data, done) if entry.line not in before]
        self.gone = tuple(line for line in before if line not in self._lines)
        gone = set(self.gone)
        self.open = [entry for entry in self.open if entry.line not in gone] + new

    def _appended(self, data: bytes, done: Mapping[str, str]) -> list[ListEntry]:
        """Take in what follows the known lines; those of it that ask for a dataset and are not `done`."""
        length = data.rfind(b"\n") + 1
        seen = _Seen(self._lines, self._rejected) if self._lines or self._rejected else set[bytes | str]()
        appended = parse_list(data[self._length : length], self._longest, self._number + 1, seen)
        self._number += data.count(b"\n", self._length, length)
        last = parse_list(data[length:], self._longest, self._number + 1, _Seen(seen, self._lines, self._rejected))
        self._length, self._digest = length, _digest(data[:length])
        added = list(entries(appended))
        self._rejected |= dict.fromkeys(seen.difference(entry.line for entry in added))
        self._bad += [line for line in appended if isinstance(line, BadLine)]
        commands = (line for line in appended if isinstance(line, Command))
        self._measurements |= {command.measurement: None for command in commands if command.measurement}
        self._last = last[0] if last else None
        added += entries(last)
        for entry in added:
            self._add(entry, done)
        for line in [line for line, entry in self._again.items() if entry.name in self._measurements]:
            self._reject(line, "asks for the dataset of a measurement; these are not made yet")
        return [entry for entry in added if entry.line not in done and entry.line in self._lines]

    def _add(self, entry: ListEntry, done: Mapping[str, str]) -> None:
        line = done.get(entry.line, entry.line)  # The same text: there may be a hundred thousand.
        if entry.stem == line:
            self._lines[line] = line
        else:
            self._lines[line] = entry.stem
            self._stems[entry.stem] = None
        if entry.again is not None:
            self._again[entry.line] = entry

    def _remove(self, line: str) -> None:
        stem = self._lines.pop(line)
        self._again.pop(line, None)
        if stem != line and stem not in self._lines.values():
            self._stems.pop(stem, None)

    def _reject(self, line: str, reason: str) -> None:
        self._remove(line)
        self._bad.append(BadLine(line, 0, reason))
        self._rejected[line] = None


class _Seen(set[bytes | str]):
    """Lines that were read, with those in `others`, which are not copied."""

    def __init__(self, *others: Container[bytes | str]) -> None:
        super().__init__()
        self._others = others

    def __contains__(self, line: object) -> bool:
        return super().__contains__(line) or any(line in other for other in self._others)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
