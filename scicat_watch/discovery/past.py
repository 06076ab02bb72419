"""What a watch asks about the past of scans: Protocols, whose implementations are the ledger's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from scicat_watch.model import FileState, ListEntry, Origin, Request


class DoneFiles(Protocol):
    """The data files that were found under one scan directory and are done."""

    def has(self, name: str) -> bool:
        """Whether a file of this name, without its extension, is among them."""

    def agrees(self, name: str, path: str) -> bool:
        """Whether one that is among them is at `path`, and as it was when it was ingested, if that is still known."""


class Ledger(Protocol):
    """What a watch asks about the past; the ledger's knowledge, brought by the caller.

    Each raises OSError if an ingested list cannot be read.
    """

    def done_lines(self, directory: Path) -> Mapping[str, str]:
        """The lines of the list in `directory` that need nothing more; a line that is not among them may be done.

        Each with itself: so one text may stand for all that are equal.
        """

    def done_files(self, directory: Path) -> DoneFiles:
        """The same for found files; a file that is not among them may be done."""

    def open_line(self, entry: ListEntry, directory: Path) -> Request | None:
        """The request of a line of the list in `directory`; None if it is done."""

    def of_file(self, file: Path, directory: Path, origin: Origin = Origin.FOUND) -> Request:
        """The request of a data file that no list names; `directory` is the one that names its scans now."""

    def wanted(self, request: Request) -> bool:
        """Whether a request is still to be done."""

    def changed(self, request: Request, state: FileState) -> bool:
        """Whether a found file that is done looks different from then."""
