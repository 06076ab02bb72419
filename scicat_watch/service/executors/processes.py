"""How processes that read data files are started: by a server process that was given nothing of the daemon's.

`multiprocessing` starts its fork server with the environment of the process that it is for, where everything that is
forked from it could read tokens, even after they were deleted (/proc/PID/environ). Here it is given a clean one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import util
from multiprocessing.context import ForkServerContext
from typing import Any

from scicat_watch import kernel
from scicat_watch.pipeline.reading import environment


def context() -> ForkServerContext:
    """The context for pools whose processes read data files.

    From now on other processes of this account cannot examine this one either.
    """
    kernel.hide_memory()
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["scicat_watch.service.executors.server"])
    # All helper processes of `multiprocessing` are started by this function, which takes no environment.
    replaced: Any = util
    replaced.spawnv_passfds = _spawned
    return made


def _spawned(path: str | bytes, arguments: list[str | bytes], descriptors: Iterable[int]) -> int:
    """`multiprocessing.util.spawnv_passfds` with a clean environment: the process id of the started program.

    It has the standard streams and `descriptors`, and no others.
    """
    passed = set(descriptors)
    closed = [descriptor for descriptor in _inherited() if descriptor > 2 and descriptor not in passed]
    actions = [
        *((os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in passed),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in closed),
    ]
    return os.posix_spawn(path, arguments, environment.clean(os.environ), file_actions=actions)


def _inherited() -> list[int]:
    """Our descriptors that a program that we start would have."""
    found = []
    for descriptor in map(int, os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")):  # noqa: PTH208
        with suppress(OSError):
            if os.get_inheritable(descriptor):
                found.append(descriptor)
    return found
