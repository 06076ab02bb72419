"""Whether a beamtime directory is there, or something else is in its place.

A file system that is not mounted looks like an empty directory, or like none. So what was in a directory counts as
deleted only while the directory itself is the one that it was: same device, same inode.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """What tells a directory from another one in its place."""

    device: int
    inode: int

    @classmethod
    def of(cls, directory: Path) -> Identity:
        """That of a directory; OSError if it is not there."""
        status = directory.stat()
        return cls(status.st_dev, status.st_ino)


class Presence:
    """One beamtime directory over time. `check` is called by one thread, the rest by any."""

    def __init__(self, directory: Path, file: Path | None = None) -> None:
        """`file`: the metadata file, which is in the directory when that is there."""
        self._directory, self._file = directory, file
        self.known: Identity | None = None
        """Of the directory when it was last there; None if it was never."""

    def check(self) -> str:
        """Why the directory is not there; empty if it is, which is then the one that is known."""
        why, found = self._compare()
        if not why and found is not None:
            self.known = found
        return why

    def why_away(self) -> str:
        """The same, without taking note of it."""
        return self._compare()[0]

    def _compare(self) -> tuple[str, Identity | None]:
        try:
            found = Identity.of(self._directory)
            if found == self.known or self.known is None:
                return "", found
            with os.scandir(self._directory) as entries:
                empty = next(entries, None) is None
            if empty:
                return "it is empty; is its file system mounted?", None
            if self._file is not None and not self._file.exists():
                return f"another directory without {self._file.name} is in its place", None
        except PermissionError:
            return "", None  # It is there; that it cannot be read is reported by who reads it.
        except OSError as error:
            return error.strerror or str(error), None
        return "", found
