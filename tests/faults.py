"""Disks and permissions that fail: a full disk and file modes by pyfakefs, other errors by calls that raise them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from scicat_watch import kernel

ROOT, SOMEBODY = 0, 1000


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Within it the fake file system treats us as an ordinary user, and after it as root, whoever runs the tests."""
    set_uid(SOMEBODY)
    try:
        yield
    finally:
        set_uid(ROOT)


@contextlib.contextmanager
def full_disk(fs: FakeFilesystem, place: Path, free: int = 0) -> Iterator[None]:
    """Within it only `free` bytes are left where `place` is."""
    _, used, _ = fs.get_disk_usage(str(place))
    fs.set_disk_usage(used + free, str(place))
    try:
        yield
    finally:
        fs.set_disk_usage(1 << 30, str(place))


@contextlib.contextmanager
def failing(function: str, number: int, path: Path | None = None) -> Iterator[None]:
    """Within it `os.FUNCTION` fails with the errno `number`: for `path` alone, or always."""
    real = getattr(os, function)

    def fail(first: Any = ".", *args: Any, **more: Any) -> Any:
        if path is None or (not isinstance(first, int) and Path(os.fsdecode(first)) == path):
            raise OSError(number, os.strerror(number), None if isinstance(first, int) else os.fspath(first))
        return real(first, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, function, fail)
        yield


@contextlib.contextmanager
def unreadable(path: Path, number: int) -> Iterator[None]:
    """Within it a file that is opened below a directory (`files.Roots`) fails to open, with the errno `number`."""
    real = kernel.open_beneath

    def fail(directory: int, name: str, flags: int) -> int:
        if Path(f"/proc/self/fd/{directory}").readlink() / name == path:
            raise OSError(number, os.strerror(number), name)
        return real(directory, name, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "open_beneath", fail)
        yield
