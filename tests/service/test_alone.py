"""One daemon for each state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from scicat_watch.errors import ConfigError
from scicat_watch.service.daemon.alone import alone
from tests.fakes import FakeClock


def test_the_second_one_is_told_who_runs(tmp_path: Path, clock: FakeClock) -> None:
    with alone(tmp_path / "var", clock), pytest.raises(ConfigError) as told, alone(tmp_path / "var", clock):
        pass
    assert f"pid {os.getpid()} on " in str(told.value)
    assert "since 2026-05-04 " in str(told.value)
    with alone(tmp_path / "var", clock):
        pass  # It was given back.


def test_a_kill_gives_it_back(tmp_path: Path, clock: FakeClock) -> None:
    program = (
        "import os, sys, pathlib\nfrom scicat_watch.service.daemon.alone import alone\n"
        "with alone(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert (tmp_path / "daemon.lock").read_text().startswith("pid ")
    with alone(tmp_path, clock):
        assert f"pid {os.getpid()} " in (tmp_path / "daemon.lock").read_text()


def test_a_directory_that_takes_no_lock_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **keywords: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with alone(tmp_path), alone(tmp_path):
        pass
    assert "Read-only" in caplog.text
