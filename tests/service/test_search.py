"""The search for beamtimes, as far as it knows file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.service.daemon import search


@pytest.mark.parametrize(
    ("path", "hangs"), [("/data", False), ("/nfs/current", True), ("/beamtimes", True), ("/auto/one", True)]
)
def test_a_directory_may_hang_that_is_on_such_a_file_system_or_has_one_below(
    monkeypatch: pytest.MonkeyPatch, path: str, hangs: bool
) -> None:
    mounts = Mounts(
        {"/": "ext4", "/nfs": "nfs4", "/beamtimes/1": "fuse.sshfs", "/beamtimes/2": "xfs", "/auto": "autofs"}
    )
    monkeypatch.setattr(Mounts, "now", lambda: mounts)
    assert search.may_hang(Path(path)) == hangs
