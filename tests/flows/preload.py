"""Libraries of ours that are loaded into a daemon to do it harm: compiled where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("gcc") or shutil.which("cc")


def built(name: str, place: Path) -> Path:
    """The library of `NAME.c` in this directory, in `place`; the test is skipped without a C compiler."""
    program = compiler()
    if program is None:
        pytest.skip("there is no C compiler here")
    library = place / f"{name}.so"
    source = Path(__file__).parent / f"{name}.c"
    command = [program, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0 and ("cannot find" in made.stderr or "No such file" in made.stderr):
        pytest.skip("the C compiler here comes without the C library's headers")
    assert made.returncode == 0, made.stderr
    return library
