"""What the files of a scan looked like at one moment, and what has changed since then. Pure.

The state of a scan is noted when its dataset is published (`ledger.known`) and compared later (`service.rechecks`).
It says whether the files are still the same, as far as names, sizes and times say it, and which file of another
name is the same one: a copy has another inode, a renamed file has not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
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
    access: str = ""
    """Owner, group and mode of the master file; empty if they are not known."""
    contents: str = ""
    """Of a scan without a master file, what its files keep when they are renamed; empty if that is not known."""
    names: Mapping[str, str] | None = field(default=None, compare=False)
    """Names of all files, each with what it keeps when it is renamed, or nothing if it was not examined; None if they
    were not gathered."""

    @property
    def identity(self) -> str:
        """What the files keep when they are renamed, or their file system mounted anew; empty if not known.

        That of the master file, or of all files where there is none.
        """
        if self.master is None:
            return f"files:{self.contents}" if self.contents else ""
        if self.file is None or not self.head:
            return ""
        return f"{self.file.inode}:{self.file.size}:{self.file.modified}:{self.head}"

    def as_json(self) -> str:
        """The state as one line of text, without the names."""
        master = None if self.master is None else str(self.master)
        return json.dumps([master, self.file, self.files, self.head, self.access, self.contents])

    @classmethod
    def from_json(cls, text: str) -> ScanState:
        """The state of which `as_json` made the text; ValueError for any other text."""
        try:
            master, file, files, head, *more = json.loads(text)
            made = cls(Path(master) if master else None, FileState(*file) if file else None, FilesState(*files), head)
            access, contents = more or ("", "")  # Journals of before have neither.
            return replace(made, access=access, contents=contents)
        except TypeError as error:
            raise ValueError(f"{text!r} is no state of a scan") from error


@dataclass(frozen=True, slots=True)
class Change:
    """How the files of a scan differ from what they were."""

    master: str = ""
    """What became of the master file's content, for people; empty if nothing did."""
    touched: bool = False
    """Whether the master file has another owner or mode, and the same content by all signs."""
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
    if before.files == now.files:
        return Change(master, touched)
    come, gone = _come_and_gone(before, now)
    missing = "" if not gone else f"{_count(gone)} not there any more"
    files = f"{come} {'file has' if come == 1 else 'files have'} come" if come else "" if gone else _OTHERWISE
    return Change(master, touched, files, missing)


def needs_more(before: ScanState, now: ScanState) -> bool:
    """Whether what has changed can be said only with the head of the master file and the names of all files."""
    old, new = before.file, now.file
    doubtful = old is not None and new is not None and not now.head and old.changed_only(new)
    return doubtful or (before.files != now.files and now.names is None)


def files_only(before: ScanState, now: ScanState) -> ScanState:
    """What is known after only the list of files was brought up to date: of the master file what was published."""
    if not _master(before, now)[0]:
        return now
    return replace(now, file=before.file, head=before.head, contents=before.contents)


def _come_and_gone(before: ScanState, now: ScanState) -> tuple[int, int]:
    """How many files have come, and how many are gone.

    One that was renamed within the scan is not gone. A hidden one is not missed: rsync copies under such names.
    """
    if before.names is None or now.names is None:
        more = now.files.number - before.files.number  # The names of before are not known.
        return max(more, 0), max(-more, 0)
    come, gone = now.names.keys() - before.names.keys(), before.names.keys() - now.names.keys()
    renamed = {now.names[name] for name in come} - {""}
    missed = [name for name in gone if not PurePath(name).name.startswith(".")]
    return len(come), sum(before.names[name] not in renamed for name in missed)


def _count(gone: int) -> str:
    return "1 file is" if gone == 1 else f"{gone} files are"


def _master(before: ScanState, now: ScanState) -> tuple[str, bool]:
    """What became of the master file, and whether only its owner or mode is another."""
    if now.file is None:
        return "", False
    name = now.master.name if now.master else "the master file"
    if before.file is None:
        return f"{name} has come", False
    old, new = before.file, now.file
    if (old.size, old.modified) != (new.size, new.modified):
        return f"{name} was {'written to' if old.inode == new.inode else 'replaced'}", False
    # A file system may number its files anew when it is mounted, and a time of change is not one of content.
    if now.head and before.head and now.head != before.head:
        return f"{name} was {'written to' if old.inode == new.inode else 'replaced'}", False
    if old.inode != new.inode and not (now.head and before.head):
        return f"{name} was replaced", False
    return "", bool(before.access and now.access) and before.access != now.access
