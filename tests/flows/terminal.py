"""The program on a terminal of a test: what a person sees."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from tests.flows.program import PROGRAM, Site

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(site: Site, *arguments: str | Path, columns: int = 80) -> tuple[int, list[str]]:
    """Exit status of the program on a terminal, and the lines that stay there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments), "-c", str(site.config)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    output = b""
    try:
        while part := os.read(ours, 1 << 16):
            output += part
    except OSError:
        pass  # The last one has closed the terminal.
    os.close(ours)
    status = process.wait(timeout=60)
    lines = _STEERING.sub("", output.decode()).replace("\r\n", "\n").split("\n")
    return status, [line.rpartition("\r")[2].rstrip() for line in lines]
