"""File systems that a test mounts, and lets go wrong."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


class Hanging:
    """A FUSE file system that hangs while a test wants it to: whoever touches it then, hangs as well.

    The test is skipped where nothing can be mounted.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.under, self._control = place / "hanging", place / "under", place / "control"
        self._at = place / "control.at"
        self.place.mkdir()
        self.under.mkdir()
        self.mount()

    def mount(self, number: int = 0) -> None:
        """`number` is added to all inodes, as by a file system that numbers its files anew with each mount."""
        program = str(Path(__file__).with_name("hanging.py"))
        arguments = [str(self.under), str(self.place), str(self._control), str(number)]
        self._server = subprocess.Popen([sys.executable, program, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        said = self._server.stdout.readline().strip()
        if said != "mounted":
            self._server.communicate()
            assert said.startswith("cannot be mounted")
            pytest.skip(f"FUSE {said}")

    def hang(self) -> None:
        self._control.touch()

    def hang_at(self, name: str, *, create: bool = False) -> None:
        """Hang when a file of this name is looked up, or created."""
        self._at.write_text(f"{35 if create else 1} {name}")

    @contextlib.contextmanager
    def full(self, name: str) -> Iterator[None]:
        """Within it, nothing can be written to files of this name, as on a full disk."""
        (said := self._control.with_suffix(".full")).write_text(name)
        yield
        said.unlink()

    def asked(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._control.with_suffix(".asked").exists()

    def answer(self) -> None:
        self._at.unlink(missing_ok=True)
        self._control.unlink(missing_ok=True)
        self._control.with_suffix(".asked").unlink(missing_ok=True)

    def close(self) -> None:
        self.answer()
        subprocess.run(["umount", "--lazy", self.place], check=True)
        self._server.kill()  # The kernel ends what still waits for an answer.
        self._server.communicate()


class Tmpfs:
    """A file system in memory that is mounted and unmounted at one place."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()

    def mount(self) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "tmpfs", self.place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        """Also while files on it are open, as the daemon's lock is."""
        subprocess.run(["umount", "--lazy", self.place], check=True)

    def close(self) -> None:
        while os.path.ismount(self.place):
            self.unmount()
