"""What the files of a scan looked like at one moment, and what has changed since then. Pure.

The state of a scan is noted when its dataset is published (`ledger.known`) and compared later (`service.rechecks`).
It says whether the files are still the same, as far as names, sizes and times say it, and which file of another
name is the same one: a copy has another inode, a renamed file has not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from scicat_watch.model import FileState


class FilesState(NamedTuple):
    """What the files of a scan were, its master file among them."""

    number: int = 0
    """How many files and folders."""
    digest: str = ""
    """Of their names, and of the sizes and times of those that were examined."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """A scan's files at one moment."""

    master: Path | None
    """The file that describes the scan."""
    file: FileState | None
    """Its state; None without one."""
    files: FilesState
    head: str = ""
    """Digest of the master file's beginning; empty if it was not read."""

    @property
    def identity(self) -> str:
        """What the master file keeps when it is renamed, or its file system mounted anew; empty if not known."""
        if self.file is None or not self.head:
            return ""
        return f"{self.file.inode}:{self.file.size}:{self.file.modified}:{self.head}"

    def as_json(self) -> str:
        """The state as one line of text."""
        master = None if self.master is None else str(self.master)
        return json.dumps([master, self.file, self.files, self.head])

    @classmethod
    def from_json(cls, text: str) -> ScanState:
        """The state of which `as_json` made the text; ValueError for any other text."""
        try:
            master, file, files, head = json.loads(text)
            return cls(Path(master) if master else None, FileState(*file) if file else None, FilesState(*files), head)
        except TypeError as error:
            raise ValueError(f"{text!r} is no state of a scan") from error


@dataclass(frozen=True, slots=True)
class Change:
    """How the files of a scan differ from what they were."""

    master: str = ""
    """What became of the master file's content, for people; empty if nothing did."""
    touched: bool = False
    """Whether the master file has another owner, mode or number of links, and the same content by all signs."""
    files: str = ""
    """What became of the list of files, for people; empty if nothing did."""
    missing: str = ""
    """How many files are not there any more, for people. That is no reason to change a dataset: files that are
    unreachable look the same."""

    def __bool__(self) -> bool:
        return bool(self.master or self.touched or self.files or self.missing)

    def __str__(self) -> str:
        files = "" if self.master and self.files == _OTHERWISE else self.files  # The master file is one of them.
        return ", ".join(filter(None, (self.master, files, self.missing)))


_OTHERWISE = "files have changed"


def change(before: ScanState, now: ScanState) -> Change:
    """What has changed since `before`."""
    master, touched = _master(before, now)
    count = now.files.number - before.files.number
    if before.files == now.files:
        return Change(master, touched)
    if count < 0:
        gone = "1 file is" if count == -1 else f"{-count} files are"
        return Change(master, touched, missing=f"{gone} not there any more")
    come = "1 file has come" if count == 1 else f"{count} files have come"
    return Change(master, touched, come if count else _OTHERWISE)


def _master(before: ScanState, now: ScanState) -> tuple[str, bool]:
    if now.file is None:
        return "", False
    if before.file is None:
        return f"{now.master.name if now.master else 'the master file'} has come", False
    old, new = before.file, now.file
    if (old.size, old.modified, old.inode) == (new.size, new.modified, new.inode):
        return "", old.changed != new.changed
    name = now.master.name if now.master else "the master file"
    if old.inode != new.inode:
        return f"{name} was replaced", False
    return f"{name} was written to", False


def files_only(before: ScanState, now: ScanState) -> ScanState:
    """What is known after only the list of files was brought up to date: of the master file what was published."""
    return now if not _master(before, now)[0] else replace(now, file=before.file, head=before.head)
