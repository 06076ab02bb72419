"""The clients that people have: each creates, reads, finds and changes datasets, origdatablocks and attachments.

They need other releases of libraries than we do, so each is installed into an environment of its own, once for all test
runs; where that is not possible (no network, say), its test is skipped.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.embedded.conftest import PASSWORD, Running

CLIENTS = Path(__file__).parent / "clients"
_INSTALLING = 200
"""Seconds that installing a client may take."""


def environment(requirement: str, cache: Path) -> str:
    """The interpreter of an environment that has this client; skips the test if it cannot be made."""
    place = cache / hashlib.sha256(f"{requirement} {sys.version}".encode()).hexdigest()[:16]
    interpreter, ready = place / "bin" / "python", place / "ready"
    with FileLock(f"{place}.lock"):
        if not ready.exists():
            pip = [str(interpreter), "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "20", requirement]
            try:
                subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True, timeout=_INSTALLING)
                subprocess.run(pip, check=True, capture_output=True, text=True, timeout=_INSTALLING)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"{requirement} cannot be installed here: {str(error)[-200:]}")
            ready.touch()
    return str(interpreter)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("requirement", "script", "more"),
    [
        ("pyscicat>=0.4.6,<1", "pyscicat_client.py", []),
        ("scitacean==26.2.0", "scitacean_client.py", ["v3"]),
        ("scitacean==26.10.1", "scitacean_client.py", ["v4"]),
        ("scicat-sdk-py==5.3.3", "sdk_client.py", []),
    ],
    ids=["pyscicat", "scitacean for v3", "scitacean for v4", "scicat-sdk-py"],
)
def test_a_real_client_works(
    served: Callable[..., Running],
    request: pytest.FixtureRequest,
    requirement: str,
    script: str,
    more: list[str],
) -> None:
    interpreter = environment(requirement, Path(request.config.cache.mkdir("clients")))
    catalogue = served()
    command = [interpreter, str(CLIENTS / script), catalogue.url, "everything", PASSWORD, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()[-4:]) == (0, "done"), done.stderr[-3000:]
