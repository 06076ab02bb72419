"""Libraries of ours, in C, that are loaded into a daemon to do it harm: compiled where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("gcc") or shutil.which("cc")


def library(name: str, place: Path) -> Path:
    """The library of `NAME.c` in this directory, to be preloaded; the test is skipped without a C compiler."""
    found, made = compiler(), place / f"{name}.so"
    if found is None:
        pytest.skip("there is no C compiler here")
    source = Path(__file__).parent / f"{name}.c"
    command = [found, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(source), "-ldl"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0 and ("cannot find" in ended.stderr or "No such file" in ended.stderr):
        pytest.skip("the C compiler here comes without the C library's headers")
    assert ended.returncode == 0, ended.stderr
    return made
