"""Programs that run as a user whom file modes lock out; the tests themselves may be root's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

_BECOME = """
def become_nobody():
    import os
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def run_as_nobody(program: str, where: Path) -> list[str]:
    """What `program` prints, by word; it calls `become_nobody()` after its imports and gets `where` as argument.

    `where` is in a `public` directory.
    """
    told = subprocess.run(
        [sys.executable, "-c", _BECOME + textwrap.dedent(program), where], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.split()
