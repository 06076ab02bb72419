"""Whether the state directory takes anything: said before something that has to be written there is lost."""

from __future__ import annotations

import os
from pathlib import Path

_LEAST = 256 << 10
"""Bytes that the journal may need at any time."""


def shortage(directory: Path) -> str:
    """Why nothing can be written to a state directory on a local disk; empty if something can, or it is not there."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return ""  # Who wants to write there says so.
    if found.f_flag & os.ST_RDONLY:
        return f"var_dir {directory}: is on a file system that is read-only"
    free = (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize
    if free < _LEAST:
        return f"var_dir {directory}: its disk is full ({free >> 10} KB are free)"
    if found.f_files and not found.f_ffree:
        return f"var_dir {directory}: its file system can hold no more files"
    return ""
