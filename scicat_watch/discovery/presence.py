"""Whether a beamtime directory is there, or something else is in its place.

A file system that is not mounted looks like an empty directory, or like none. So what was in a directory counts as
deleted only while the directory itself is the one that it was: same device, same inode. Another one in its place may
be the same beamtime, mounted anew or restored, or what is there while it is not mounted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from scicat_watch.discovery.events.filesystems import Mounts


class Known(NamedTuple):
    """What tells a directory from another one in its place."""

    device: int
    inode: int
    mount: Path
    """Where its file system is mounted."""

    @classmethod
    def of(cls, directory: Path) -> Known:
        """That of a directory; OSError if it is not there."""
        status = directory.stat()
        return cls(status.st_dev, status.st_ino, Mounts.now().holding(directory).point)

    def is_there(self, directory: Path) -> bool:
        """Whether the directory is the same one; OSError if there is none."""
        status = directory.stat()
        return (status.st_dev, status.st_ino) == (self.device, self.inode)


def why_away(directory: Path, known: Known, file: Path | None) -> str:
    """Why a directory that was known is not there; empty if it is, be it another one that holds the same.

    `file`: the metadata file, which is in the directory when that is there.
    """
    try:
        if known.is_there(directory) or (file is not None and file.exists()):
            return ""
        mount = Mounts.now().holding(directory).point
        if mount != known.mount and known.mount.is_relative_to(mount):
            return f"its file system is not mounted at {known.mount}"
        with os.scandir(directory) as entries:
            if next(entries, None) is None:
                return "it is empty; is its file system mounted?"
    except PermissionError:
        return ""  # It is there; that it cannot be read is reported by who reads it.
    except OSError as error:
        return error.strerror or str(error)
    return "" if file is None else f"another directory without {file.name} is in its place"


class Presence:
    """One beamtime directory over time. `check` is called by one thread, the rest by any."""

    def __init__(self, directory: Path, file: Path | None = None) -> None:
        """`file`: the metadata file, which is in the directory when that is there."""
        self._directory, self._file = directory, file
        self.known: Known | None = None
        """The directory when it was last there; None if it was never."""

    def check(self) -> str:
        """Why the directory is not there; empty if it is, which is then the one that is known."""
        if why := self.why_away():
            return why
        try:
            if self.known is None or not self.known.is_there(self._directory):
                self.known = Known.of(self._directory)
        except PermissionError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def why_away(self) -> str:
        """The same, without taking note of it."""
        return "" if self.known is None else why_away(self._directory, self.known, self._file)
