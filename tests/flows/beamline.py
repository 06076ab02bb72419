"""The recorded DESY beamtime as a directory that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.recorded import DESY


def recorded_beamtime(place: Path, case: str) -> Path:
    """A writable copy of the recorded DESY beamtime with one of its lists."""
    shutil.copytree(DESY / "beamtime", place, copy_function=shutil.copyfile)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.copyfile(DESY / "lists" / f"{case}.lst", place / "raw" / "scicat-datasets-20990042.lst")
    return place
