"""Programs and libraries of ours, in C, that do harm to a daemon: compiled where there is a compiler."""

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
    return _compiled(name, place / f"{name}.so", "-shared", "-fPIC", "-ldl")


def program(name: str, place: Path, package: str) -> Path:
    """The program of `NAME.c`, which needs the library `package`; the test is skipped without that, too."""
    try:
        command = ["pkg-config", "--cflags", "--libs", package]
        flags = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"the headers of {package} are not here")
    return _compiled(name, place / name, *flags)


def _compiled(name: str, made: Path, *flags: str) -> Path:
    found = compiler()
    if found is None:
        pytest.skip("there is no C compiler here")
    command = [found, "-O1", "-Wall", "-Werror", "-o", str(made), str(Path(__file__).parent / f"{name}.c"), *flags]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0 and ("cannot find" in ended.stderr or "No such file" in ended.stderr):
        pytest.skip("the C compiler here comes without the C library's headers")
    assert ended.returncode == 0, ended.stderr
    return made
