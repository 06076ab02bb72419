"""Locks whose holders may be killed and stay all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scicat_watch.locks import ProcessLock
from scicat_watch.processes import Mark

_HOLDER = """
import os, sys, time
from pathlib import Path
from scicat_watch.locks import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
assert lock.acquire()

"""
_LEAVES_A_CHILD = """
for one in os.listdir("/proc/self/fd"):
    if os.path.realpath(f"/proc/self/fd/{one}") == sys.argv[1]:
        os.dup(int(one))
holder = os.getpid()
if os.fork() == 0:
    from scicat_watch.processes import is_over
    while not is_over(holder):
        time.sleep(0.01)
    print("held", flush=True)
    sys.stdin.read()
os._exit(0)
"""
"""The child stands for the kernel, which keeps what is open for a thread that hangs."""


@contextmanager
def held(path: Path, then: str) -> Iterator[int]:
    """A process that holds a lock; its number."""
    command = [sys.executable, "-c", _HOLDER + then, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.communicate()


def test_one_process_holds_it_and_says_who_it_is(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "one.lock")
    with held(tmp_path / "one.lock", "print('held', flush=True)\nsys.stdin.read()") as process:
        assert not lock.acquire()
        assert lock.holder().startswith(f"pid {process} on ")
    assert lock.acquire()
    assert lock.holder().startswith(f"pid {os.getpid()} on ")
    lock.release()


def test_what_a_process_keeps_that_runs_no_more_is_taken_over(tmp_path: Path) -> None:
    path, lock = tmp_path / "one.lock", ProcessLock(tmp_path / "one.lock")
    with held(path, _LEAVES_A_CHILD):
        inode = path.stat().st_ino
        assert lock.acquire()
        assert path.stat().st_ino != inode
        assert not ProcessLock(path).acquire()  # Nor is it taken over from a process that lives.
    lock.release()


def test_a_holder_on_another_host_is_never_taken_for_ended(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with held(path, _LEAVES_A_CHILD) as process:
        text = path.read_text().splitlines()
        mark = Mark.parse(text[1])
        assert mark is not None
        assert mark.process == process
        path.write_text(f"{text[0]}\n{replace(mark, boot='another')}\n")
        assert not ProcessLock(path).acquire()
        path.write_text(f"{text[0]}\n")
        assert not ProcessLock(path).acquire()  # Nor one of which nothing is known.
