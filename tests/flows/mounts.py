"""File systems that a test mounts, and lets go wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


class Hanging:
    """A FUSE file system that hangs while a test wants it to: whoever touches it then, hangs as well.

    The test is skipped where nothing can be mounted.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.under, self._control = place / "hanging", place / "under", place / "control"
        self.place.mkdir()
        self.under.mkdir()
        command = [sys.executable, str(Path(__file__).with_name("hanging.py")), str(self.under), str(self.place)]
        self._server = subprocess.Popen([*command, str(self._control)], stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        said = self._server.stdout.readline().strip()
        if said != "mounted":
            self._server.communicate()
            assert said.startswith("cannot be mounted")
            pytest.skip(f"FUSE {said}")

    def hang(self) -> None:
        self._control.touch()

    def answer(self) -> None:
        self._control.unlink(missing_ok=True)

    def close(self) -> None:
        self.answer()
        subprocess.run(["umount", "--lazy", self.place], check=True)
        self._server.kill()  # The kernel ends what still waits for an answer.
        self._server.communicate()
