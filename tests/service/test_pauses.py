"""Pauses that outlive the daemon, wherever they can be noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.service.daemon.pauses import Pauses


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def test_a_beamtime_is_paused_by_directory_and_id_until_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    pauses, root = Pauses(tmp_path / "var"), tmp_path / "bt"
    assert not pauses.has(root, "1")
    assert pauses.note(root, "1", True)
    again = Pauses(tmp_path / "var")
    assert (again.has(root, "1"), again.has(root, "2"), again.has(tmp_path, "1")) == (True, False, False)
    assert again.note(root, "1", False)
    assert not pauses.has(root, "1")
    assert list((tmp_path / "run").iterdir()) == []  # Only what is needed is made.


def test_where_the_state_directory_takes_nothing_the_runtime_one_does(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "paused").write_text("in the way")
    pauses = Pauses(tmp_path / "var")
    assert pauses.note(tmp_path / "bt", "1", True)
    assert Pauses(tmp_path / "var").has(tmp_path / "bt", "1")
    assert not Pauses(tmp_path / "other").has(tmp_path / "bt", "1")
    assert pauses.note(tmp_path / "bt", "1", False)
    assert not pauses.has(tmp_path / "bt", "1")


def test_what_can_be_noted_nowhere_is_known_to_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var").write_text("no directory")
    monkeypatch.setattr("scicat_watch.service.control.place._runtime_directories", lambda account: ())
    pauses = Pauses(tmp_path / "var")
    assert not pauses.note(tmp_path / "bt", "1", True)
    assert not pauses.has(tmp_path / "bt", "1")
    assert pauses.note(tmp_path / "bt", "1", False)  # It is not paused after a restart.
