"""What Linux is asked for directly: memory that is hidden, files opened below a directory."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scicat_watch import kernel


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator may become another account")
def test_a_process_of_the_same_account_cannot_read_our_environment() -> None:
    seen, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_as_nobody, args=(theirs,))
    process.start()
    assert seen.poll(60)
    assert seen.recv() == ["read", "PermissionError"]
    process.join()
    for one in (seen, theirs):
        one.close()


def _as_nobody(given: Connection) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    found = [_what_a_child_reads()]
    kernel.hide_memory()
    given.send([*found, _what_a_child_reads()])


def _what_a_child_reads() -> str:
    reading, writing = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            answer = "read" if Path(f"/proc/{parent}/environ").read_bytes() else "empty"
        except OSError as error:
            answer = type(error).__name__
        os.write(writing, answer.encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 100).decode()
