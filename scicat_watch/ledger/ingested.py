"""The ingested list: one line per outcome, in the format that DESY's ingestor reads and writes.

    scan_00002 pilatus 1795223410.1822 1795223410.3967 0
    <line of the dataset list> <dataset> <datablock> <attachment>

The stamps are seconds since 1970, 0 for a part that was not posted, -1 for one that was refused. A
line is done when some record of it has a dataset and a datablock and no refused attachment. Records
are appended and flushed to the disk; a last line that a crash tore is repaired before the next one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import filelock

from scicat_watch.files import append_line
from scicat_watch.model import Stamps

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of an ingested list."""

    line: str
    stamps: Stamps

    @property
    def done(self) -> bool:
        """Whether the scan is in the catalogue with its file list, and its picture was not refused."""
        return self.stamps.dataset > 0 and self.stamps.datablock > 0 and self.stamps.attachment != -1

    def __str__(self) -> str:
        stamps = (self.stamps.dataset, self.stamps.datablock, self.stamps.attachment)
        return f"{self.line} {' '.join(_stamp(stamp) for stamp in stamps)}"


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


class IngestedList:
    """The ingested list of one scan directory; missing is the same as empty."""

    def __init__(self, path: Path, older: tuple[Path, ...] = ()) -> None:
        """`older`: further places where records of the same scans may stand, which are only read."""
        self.path = path
        self._older = older
        self._done: dict[str, Stamps] = {}
        self._sound = False

    def load(self) -> None:
        """Read what is on disk; OSError if a list is there and cannot be read."""
        self._done = {}
        for path in (*self._older, self.path):
            for record in _records(path):
                if record.done:
                    self._done[record.line] = record.stamps

    def done(self, line: str) -> bool:
        """Whether a line of the dataset list needs nothing more."""
        return line in self._done

    def stamps(self, line: str) -> Stamps | None:
        """When a line that is done was done."""
        return self._done.get(line)

    @property
    def count(self) -> int:
        """How many lines are done."""
        return len(self._done)

    def note(self, line: str, stamps: Stamps) -> None:
        """Append an outcome; it is on the disk when this returns. OSError if it cannot be written."""
        record = Record(line, stamps)
        if record.done:
            self._done[line] = stamps  # True even if it cannot be written down: a restart would find it unchanged.
        if not self._sound:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            repair(self.path)
        self._sound = False
        append_line(self.path, str(record))
        self._sound = True


def repair(path: Path) -> None:
    """Mend a last line without a newline: a whole record gets one, anything else is a torn one and goes.

    What goes is logged, and costs nothing but one more look: its scan counts as not yet ingested.
    """
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(max(0, size - 65536))
        tail = file.read()
        if tail.endswith(b"\n"):
            return
        torn = tail.rpartition(b"\n")[2]
        record = parse_record(torn.decode("utf-8", "replace")) if len(torn.split()) > 3 else None
        if record is not None:
            file.write(b"\n")
        else:
            log.warning("%s: removed a torn last line %r; its scan will be looked at again", path, torn[:200])
            file.truncate(size - len(torn))
        file.flush()
        os.fsync(file.fileno())


class ListLock:
    """Says that this process, and no other on any host, writes an ingested list."""

    def __init__(self, path: Path) -> None:
        """`path`: the ingested list; the lock is a hidden file beside it."""
        self._lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)

    def acquire(self) -> bool:
        """Take the lock; false if somebody else has it. OSError if there can be no lock file."""
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        except NotImplementedError:
            log.warning(
                "%s: this file system has no locks; make sure that one scicat-watch runs here", self._lock.lock_file
            )
        return True

    def release(self) -> None:
        """Give it back; the end of the process does so too, however it ends."""
        self._lock.release()


def _records(path: Path) -> list[Record]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = text.split("\n")
    torn = lines.pop()  # Without a newline: it counts only as a whole record.
    records = [parse_record(line.replace("\0", "")) for line in lines if line.strip()]
    if len(torn.split()) > 3:
        records.append(parse_record(torn))
    return [record for record in records if record is not None]


def _stamp(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds > 0 else str(int(seconds))
