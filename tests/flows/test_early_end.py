"""Ctrl-C while a command is still loading."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.flows.program import PROGRAM

_INTERRUPTS = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
"""


@pytest.mark.parametrize(
    ("at", "command"),
    [
        ("scicat_watch.service.daemon.guard", ["status"]),
        ("scicat_watch.service.answering", ["status"]),
        ("click", ["catalogue"]),
        ("click", []),
    ],
)
def test_ctrl_c_while_a_command_loads_ends_it_without_a_word(tmp_path: Path, at: str, command: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPTS)
    ended = subprocess.run(
        [PROGRAM, *command], env=os.environ | {"PYTHONPATH": str(tmp_path), "AT": at}, cwd=tmp_path,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
