"""Which processes run no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scicat_watch import processes
from scicat_watch.processes import Mark, is_over
from tests.flows.program import eventually


def test_a_process_that_lives_or_stands_still_is_not_over_and_one_that_ended_is() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        assert not is_over(child.pid)
        child.send_signal(signal.SIGSTOP)
        assert not is_over(child.pid)
        child.kill()
        eventually(lambda: is_over(child.pid), "it is over before anybody takes its status")
        child.wait()
        assert is_over(child.pid)
    assert not is_over(os.getpid())


@pytest.mark.parametrize(
    ("status", "over"),
    [
        ("State:\tS (sleeping)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000004000\n", False),
        ("State:\tD (disk sleep)\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n", True),
        ("State:\tD (disk sleep)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n", True),
        ("State:\tZ (zombie)\n", True),
        ("", False),
    ],
)
def test_one_that_was_killed_and_hangs_is_over(status: str, over: bool) -> None:
    assert processes._is_dying(status) == over


def test_a_mark_tells_a_process_from_later_ones_and_from_those_of_other_systems() -> None:
    own = Mark.own()
    assert Mark.parse(str(own)) == own
    assert not own.is_over()
    assert replace(own, started="1").is_over()  # Its number was used again.
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = replace(own, process=ended.pid)
    assert gone.is_over()
    assert not replace(gone, boot="another host").is_over()
    assert not replace(gone, namespace="pid:[1]").is_over()


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3", "x a b c", "1 a b c d"])
def test_what_is_no_mark_says_nothing(text: str) -> None:
    assert Mark.parse(text) is None


def test_a_process_of_another_account_that_is_hidden_is_not_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(process: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", forbidden)
    monkeypatch.setattr(processes, "_read", lambda path: "")
    assert not is_over(os.getpid())
    assert not Mark.own().is_over()
