"""Which beamtimes a person has paused: an empty file for each, in a directory of the state directory.

A file without content can be made on most full disks. Where it cannot, or the state directory is read-only, the file is
in the runtime directory that the control socket would be in, and is lost only when the system starts anew.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scicat_watch.files import sync_directory
from scicat_watch.service.control import place

_NAME = "paused"


class Pauses:
    """The pauses of one state directory, as they outlive the daemon."""

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self.changing = threading.Lock()
        """Held while a beamtime is paused or resumed, and while one of which that is known begins to be watched."""

    def note(self, directory: Path, beamtime: str, paused: bool) -> bool:
        """Note that a beamtime is paused, or that it is not any more; whether the next start will know."""
        return self._add(directory, beamtime) if paused else self._remove(directory, beamtime)

    def has(self, directory: Path, beamtime: str) -> bool:
        """Whether a beamtime is paused."""
        name = _mark(directory, beamtime)
        return any(os.path.lexists(found / name) for found in self._places(make=False))

    def _add(self, directory: Path, beamtime: str) -> bool:
        for found in self._places(make=True):
            with suppress(OSError):
                found.mkdir(mode=0o700, parents=True, exist_ok=True)
                mark = found / _mark(directory, beamtime)
                mark.touch(mode=0o600)
                with suppress(OSError):  # For people.
                    mark.write_text(f"{beamtime} {directory}\n", encoding="utf-8", errors="backslashreplace")
                sync_directory(found)
                return True
        return False

    def _remove(self, directory: Path, beamtime: str) -> bool:
        gone, name = True, _mark(directory, beamtime)
        for found in self._places(make=False):
            try:
                (found / name).unlink(missing_ok=True)
            except NotADirectoryError:
                continue
            except OSError:
                gone = gone and not os.path.lexists(found / name)
        return gone

    def _places(self, *, make: bool) -> Iterator[Path]:
        """The directories for them, in this order; beside the socket, which has a name of its own elsewhere."""
        for number, socket in enumerate(place.places(self._var_dir, make=make)):
            yield socket.with_name(_NAME) if number == 0 else socket.with_suffix(f".{_NAME}")


def _mark(directory: Path, beamtime: str) -> str:
    return hashlib.sha256(os.fsencode(directory) + b"\0" + beamtime.encode("utf-8", "surrogateescape")).hexdigest()[:32]
