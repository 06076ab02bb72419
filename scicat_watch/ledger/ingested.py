"""The ingested list: one line per outcome, in the format that DESY's ingestor reads and writes.

    scan_00002 pilatus 1795223410.1822 1795223410.3967 0
    <line of the dataset list> <dataset> <datablock> <attachment>

The stamps are seconds since 1970, 0 for a part that was not posted, -1 for one that was refused. A
line is done when some record of it has a dataset and a datablock and no refused attachment. Records
are appended and flushed to the disk; a last line that a crash tore is repaired before the next one.

    __dataset__ new/scan_00002 11018765/old/scan_00002 1795223410.3967 1795223410.3967 0

says that the scan of this name has the dataset of that id, as after its files were renamed; the last
one counts. What comes to the name that had it before is another scan. Words are percent-encoded.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from collections.abc import Mapping, Set
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote

from scicat_watch.files import append_line, read_ordinary
from scicat_watch.locks import ProcessLock
from scicat_watch.model import FileState, Stamps, line_of_found
from scicat_watch.words import printable

log = logging.getLogger(__name__)

PUBLISHED_AS = "__dataset__"
_LARGEST = 1 << 30
_NONE: frozenset[str] = frozenset()
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer: some network and cluster file systems, NFS without its lock service."""
_PLAIN = "/~:+@,=()"  # Characters of names that need no percent-encoding in a record, beside letters and digits.
_DONE = re.compile("([A-Za-z0-9][A-Za-z0-9_./-]*)(?: [1-9][0-9]*[.][0-9]+){2} (?:0|[1-9][0-9]*[.][0-9]+)")
"""A record as nearly all are: the scan of a name is done."""
_FIRST_STAMP = 1e8  # Stamps are seconds since 1970; before 1973 nobody ingested.


@dataclass(frozen=True, slots=True)
class Record:
    """One line of an ingested list."""

    line: str
    stamps: Stamps

    @property
    def done(self) -> bool:
        """Whether the scan is in the catalogue with its file list, and its thumbnail was not refused."""
        return self.stamps.dataset > 0 and self.stamps.datablock > 0 and self.stamps.attachment != -1

    def __str__(self) -> str:
        return f"{self.line} {' '.join(map(_stamp, astuple(self.stamps)))}"


def parse_record(text: str) -> Record | None:
    """The record of one line; None if it is none.

    A line of one word, as people make them by hand, says that the scan of that name is done.
    """
    words = text.split()
    if len(words) == 1:
        return Record(words[0], Stamps(1.0, 1.0, 0.0))
    parts = text.strip().rsplit(None, 3)
    if len(parts) < 4:
        return None
    try:
        return Record(parts[0], Stamps(*(float(part) for part in parts[1:])))
    except ValueError:
        return None


def parse_unfinished(text: str) -> Record | None:
    """The record of a last line without a newline; None if it may have been cut.

    A cut line can look like a whole one, e.g. "scan_1 5 1795223410.1 1795223410.2" of the line "scan_1 5": it
    counts only if each of its stamps is one that is written, so that nothing is taken for done that is not.
    """
    record = parse_record(text) if len(text.split()) > 3 else None
    is_whole = record is not None and all(stamp in (0, -1) or stamp > _FIRST_STAMP for stamp in astuple(record.stamps))
    return record if is_whole else None


class Contents(NamedTuple):
    """The scans that an ingested list says are done."""

    names: Set[str]
    """Those that are files or folders, by their names in the directory of the list."""
    entries: Set[str]
    """Others, such as entries of a file."""
    published: Mapping[str, str]
    """Ids of datasets by the name of their scan, where they are not those of the names."""
    revision: int
    """Another one each time that something of it changes."""


class IngestedList:
    """The ingested list of one scan directory; missing is the same as empty. Used by several threads.

    There may be ten thousand of them, so little is kept that is empty.
    """

    __slots__ = (
        "_done", "_entries", "_left", "_lock", "_names", "_older", "_owners", "_published", "_revision", "_seen",
        "_sound", "_unwritten", "path",
    )  # fmt: skip

    def __init__(self, path: Path, older: tuple[Path, ...] = ()) -> None:
        """`older`: further places where records of the same scans may stand, which are only read."""
        self.path = path
        self._older = older
        self._done: dict[str, str] = {}
        """The lines that are done, each with itself. Of a few strings a dict takes half the memory of a set."""
        self._names: dict[str, str] = {}
        """The same dict as long as each line is a name."""
        self._entries: Set[str] = _NONE
        """Names of datasets that are not those of files: of entries of a file, and such as need quotes."""
        self._published: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._left: dict[str, str] = {}  # Each with itself.
        self._revision = 0
        self._sound = False
        self._seen: FileState | None = None
        self._unwritten: list[Record] = []
        """What the disk did not take, in its order."""
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what is on disk; OSError if a list is there and cannot be read."""
        with self._lock:
            self._load()

    def done(self, line: str) -> bool:
        """Whether a line of the dataset list needs nothing more; OSError as `load`."""
        self.follow()
        return line in self._done

    def lines(self) -> Mapping[str, str]:
        """All lines that need nothing more, each with itself; OSError as `load`."""
        self.follow()
        return self._done

    def done_name(self, name: str) -> bool:
        """Whether some line that asks for the dataset of this name is done, or a found file of this name is."""
        self.follow()
        return self.has_name(name)

    def has_name(self, name: str) -> bool:
        """The same as it was when the list was last read."""
        return name in self._names or (bool(self._done) and line_of_found(name) in self._done)

    def published_as(self, name: str) -> str:
        """Id of the dataset that the scan of this name has instead of its own; empty if it has its own."""
        return self._published.get(name, "")

    def owner(self, pid: str) -> str:
        """The name of the scan that is noted to have a dataset."""
        return self._owners.get(pid, "")

    @property
    def left(self) -> Set[str]:
        """The names that scans have left with their datasets, as the list was last read; not copied."""
        return self._left.keys()

    def contents(self) -> Contents:
        """The scans that are done, as the list was last read; not copied, and not to be changed."""
        return Contents(self._names.keys(), self._entries, self._published, self._revision)

    def note(self, line: str, stamps: Stamps) -> None:
        """Append an outcome; it is on the disk when this returns.

        OSError if it cannot be written: then it is written before the next one, or by `catch_up`.
        """
        with self._lock:
            if (record := Record(line, stamps)).done:
                # True even if it cannot be written down yet: after a restart it would be found unchanged.
                self._take(line)
            self._append(record)

    def note_published(self, name: str, pid: str, when: float) -> None:
        """Append that the scan of this name has the dataset of this id; as `note`."""
        words = (PUBLISHED_AS, *(quote(text, _PLAIN, errors="surrogateescape") for text in (name, pid)))
        with self._lock:
            self._give(name, pid)
            self._revision += 1
            self._append(Record(" ".join(words), Stamps(when, when)))

    def catch_up(self) -> None:
        """Append what the disk did not take before; OSError as `note`."""
        with self._lock:
            self._write()

    def _give(self, name: str, pid: str) -> None:
        """Take in that the scan of a name has a dataset, and that whoever had it before has not."""
        before = self._owners.get(pid, pid.partition("/")[2])
        if before not in ("", name) and self._published.get(before, pid) == pid:
            self._left[before] = before
        self._left.pop(name, None)
        self._published[name], self._owners[pid] = pid, name

    def _take(self, line: str) -> None:
        """Take in a line that is done, and the name that it stands for."""
        if (name := _name(line)) != line and self._names is self._done:
            self._names = dict(self._done)
        self._done[line] = line
        if name:
            self._names[name] = name
        else:
            self._entries = self._entries | {_entry(line)}
        self._revision += 1

    def _append(self, record: Record) -> None:
        self._unwritten.append(record)
        self._write()

    def _write(self) -> None:
        while self._unwritten:
            self._write_line(str(self._unwritten[0]))
            del self._unwritten[0]

    def _write_line(self, line: str) -> None:
        if not self._sound:
            repair(self.path)
        self._sound = False
        try:
            append_line(self.path, line)
            self._sound = True
        finally:
            # What a full disk left of the list is ours as well, and no reason to forget.
            self._seen = _state(self.path)

    def _load(self) -> None:
        self._sound = False
        seen = _state(self.path)
        names: dict[str, str] = {}
        records = [record for path in (*self._older, self.path) for record in _records(path, names)]
        published = [pair for record in records if (pair := _published(record.line))]
        records += self._unwritten
        done = (record.line for record in records if record.done and _published(record.line) is None)
        others = [line for line in done if line not in names]
        # What is known stays known until all lists were read: neither an error nor another thread sees a scan undone.
        lines = names | dict(zip(others, others, strict=True)) if others else names
        names = names | {name: name for name in map(_name, others) if name} if others else names
        self._done, self._names, self._seen = lines, lines if names == lines else names, seen
        self._entries = {_entry(line) for line in others if not _name(line)} or _NONE
        self._published, self._owners, self._left = {}, {}, {}
        for name, pid in published:
            self._give(name, pid)
        self._revision += 1

    def follow(self) -> None:
        """Read the list again if it is another file than it was, or a shorter one: somebody removed or edited it."""
        now, before = _state(self.path), self._seen
        if now == before or (now and before and now.same_file(before) and now.size >= before.size):
            return
        with self._lock:
            self._load()


def repair(path: Path) -> None:
    """Fix a last line without a newline: a whole record gets one, anything else is a torn one and goes.

    What goes is logged, and costs nothing but one more ingestion: its scan counts as not yet ingested.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "r+b") as file:
        begin, torn = _last_line(file)
        if not torn:
            return
        if parse_unfinished(_text(torn)) is not None:
            file.write(b"\n")
        else:
            shown = printable(torn.decode("utf-8", "backslashreplace"), 200)
            log.warning(
                "%s: the last line was written only partly and is removed, its scan is ingested again: %s", path, shown
            )
            file.truncate(begin)
        file.flush()
        os.fsync(file.fileno())


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """Where the last line begins, and what it holds if it has no newline; leaves the file at its end."""
    size = file.seek(0, os.SEEK_END)
    length, tail = min(size, 65536), b""
    while length:
        file.seek(size - length)
        tail = file.read()
        if b"\n" in tail or length == size:
            break
        length = min(size, length * 16)  # After a power cut there may be any amount of NUL.
    torn = tail.rpartition(b"\n")[2]
    return size - len(torn), torn


class ListLock:
    """Says that this process, and no other on any host, writes an ingested list."""

    def __init__(self, path: Path) -> None:
        """`path`: the ingested list; the lock is a hidden file beside it."""
        self._path = path.with_name(f".{path.name}.lock")
        self._lock = ProcessLock(self._path)
        self._held: FileState | None = None
        self.unsupported = False
        """Whether the file system has no locks, so that nothing keeps another scicat-watch away."""

    def acquire(self) -> bool:
        """Take the lock; false if somebody else has it. OSError if there can be no lock file.

        Where the file system has no locks it counts as taken: see `unsupported`.
        """
        try:
            if not self._lock.acquire():
                return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self.unsupported = True
        self._held = _state(self._path)
        return True

    @property
    def holds(self) -> bool:
        """Whether the lock that was taken still is the one beside the list: a directory may go and come anew."""
        now = _state(self._path)
        return now is self._held is None or (now is not None and self._held is not None and now.same_file(self._held))

    def release(self) -> None:
        """Give it back; the end of the process does so too, however it ends."""
        self._lock.release()


def _name(line: str) -> str:
    """The name of the dataset that a line asks for; empty if it is one entry's, which is not that of the file."""
    first = line.split(None, 1)[0]
    return "" if "::" in first or line[0] in "'\"" else first.partition(":")[0]


def _entry(line: str) -> str:
    """What stands for the dataset of a line that `_name` has none for: its name, or all of a line in quotes."""
    if line[0] in "'\"":
        return line
    first = line.split(None, 1)[0]
    stem, _, rest = first.partition("::")
    name = rest.partition(";")[2]
    return (name or stem).partition(":")[0]


def _published(line: str) -> tuple[str, str] | None:
    """Name and id of a line that says which dataset a scan has; None for any other line."""
    words = line.split() if line.startswith(f"{PUBLISHED_AS} ") else []
    if len(words) != 3:
        return None
    name, pid = (unquote(word, errors="surrogateescape") for word in words[1:])
    return name, pid


def _records(path: Path, names: dict[str, str]) -> list[Record]:
    """The records of a list, but for those of names that are done, as nearly all are: these come into `names`."""
    try:
        data = read_ordinary(path, _LARGEST, follow=False)  # It is never written through a link either.
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", "replace").split("\n")
    torn = lines.pop()
    others = []
    for line in lines:
        if (done := _DONE.fullmatch(line)) is not None:
            name = done[1]
            names[name] = name
        elif line.strip() and "\0" not in line:  # With NUL it lost a part of itself: it could be another scan's.
            others.append(line)
    records = [*map(parse_record, others), parse_unfinished(torn)]
    return [record for record in records if record is not None]


def _state(path: Path) -> FileState | None:
    """What is there; None if nothing is."""
    try:
        return FileState.of(os.stat(path))  # noqa: PTH116  # Asked for each line of a list: Path.stat takes longer.
    except FileNotFoundError:
        return None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _stamp(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds > 0 else str(int(seconds))
