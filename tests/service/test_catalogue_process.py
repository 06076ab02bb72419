"""The embedded catalogue as a process: how long its start may take."""

from __future__ import annotations

import os
from pathlib import Path

from scicat_watch.service.catalogue_process import start_limit


def test_a_large_database_may_take_longer_to_start(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    least = start_limit(path)
    path.touch()
    assert start_limit(path) == least
    os.truncate(path, 2_000_000_000)  # It has no content, and takes no room.
    assert start_limit(path) == least + 2000
