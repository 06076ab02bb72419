"""An account that may create datasets and then read nothing, and a daemon that is killed between the parts of one.

What the journal says was not sent is sent by the next daemon. Where the kill leaves open whether a part was sent, it is
not sent a second time, and `status` says so, until an account that may read sees what is there.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.catalogue.faulty import Answer, Request, Reset, SpoilingProxy
from tests.flows.program import Catalogue, Daemon, Site, eventually
from tests.makers import ID, append, beamtime_directory, nexus

ACCOUNTS = [
    {"username": "outside", "password": "outside", "groups": ["staff"], "roles": ["create_privileged"]},
    {"username": "inside", "password": "inside", "groups": [ID], "roles": ["create_privileged"]},
    {"username": "ingestor", "password": "ingestor", "groups": [], "roles": ["admin"]},
]
DATASET, READING, FILE_LIST, THUMBNAIL = "POST datasets", "GET datasets", "POST origdatablocks", "POST attachments"
KILLS = {
    "dataset_unsent": (DATASET, False), "dataset_sent": (DATASET, True), "read": (READING, False),
    "files_unsent": (FILE_LIST, False), "files_sent": (FILE_LIST, True),
    "shown_unsent": (THUMBNAIL, False), "shown_sent": (THUMBNAIL, True),
}  # fmt: skip
"""By the names of scans: at which request the daemon is killed, and whether the catalogue gets that before."""
IN_DOUBT = {"files_unsent", "files_sent", "shown_unsent", "shown_sent"}


class Deadly(SpoilingProxy):
    """Kills a daemon at the next request of a kind."""

    def __init__(self, upstream: str) -> None:
        self._at: tuple[str, bool, int] | None = None
        self.killed = threading.Event()
        super().__init__(upstream)

    def kills(self, daemon: Daemon, kind: str, after: bool) -> None:
        self.killed.clear()
        self._at = (kind, after, daemon.pid)

    def _spoil(self, request: Request) -> Answer:
        if self._at is None or _kind(request) != self._at[0]:
            return super()._spoil(request)
        (_, after, pid), self._at = self._at, None
        if after:
            assert self._passed_on(request).status == 201
        os.kill(pid, signal.SIGKILL)
        self.killed.set()
        raise Reset


def _kind(request: Request) -> str:
    path = request.path.partition("?")[0].removeprefix("/api/v3/").removeprefix("/api/v4/").split("/")
    return f"{request.method} {path[-1] if request.method == 'POST' else path[0]}"


@pytest.fixture
def proxy(served: Catalogue) -> Iterator[Deadly]:
    made = Deadly(served.url)
    yield made
    made.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Catalogue]:
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    server.var.mkdir()
    file = server.var / "catalogue-accounts.json"
    file.write_text(json.dumps({"secret": "s" * 64, "accounts": ACCOUNTS}))
    file.chmod(0o600)
    with server.catalogue() as catalogue:
        yield catalogue


def test_a_kill_between_the_parts_of_a_dataset_that_may_not_be_read_loses_and_doubles_none(
    tmp_path: Path, served: Catalogue, proxy: Deadly
) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    credentials, dataset_list = tmp_path / "credentials", beamtime / "raw" / f"scicat-datasets-{ID}.lst"
    patience = {"first_wait": 0.1, "longest_wait": 0.5}
    section = {"url": proxy.base, "credential_file": str(credentials), "patience": patience}
    site = Site(tmp_path, catalogue=section, reading={"thumbnails": True})

    def failed() -> set[str]:
        return {one["pid"].rpartition("/")[2] for one in site.status()["failed"] if "was lost" in one["reason"]}

    def done() -> set[str]:
        noted = [path.read_text() for path in beamtime.rglob("scicat-ingested-datasets-*")]
        return {line.split()[0] for line in "".join(noted).splitlines() if line.split()[1:] and "-1" not in line}

    def parts(name: str) -> tuple[int, int]:
        return len(served.blocks(f"{ID}/{name}")), len(served.thumbnails(f"{ID}/{name}"))

    _account(credentials, "outside")
    for number, (name, kill) in enumerate(KILLS.items()):
        with site.daemon(beamtime) as daemon:
            _settled(done, failed, number)
            proxy.kills(daemon, *kill)
            nexus(beamtime / "raw" / f"{name}.nxs")
            append(dataset_list, name)
            assert proxy.killed.wait(120), f"the daemon comes to {name}"
    with site.daemon(beamtime) as daemon:
        _settled(done, failed, len(KILLS))
        assert failed() == IN_DOUBT
        assert {name: parts(name) for name in KILLS} == {
            name: (int(name != "files_unsent"), int(name != "shown_unsent")) for name in KILLS
        }
        assert daemon.stop() == 0

    _account(credentials, "inside")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: done() == set(KILLS), "who may read sees what is missing")
        assert daemon.stop() == 0
    assert served.pids() == sorted(f"{ID}/{name}" for name in KILLS)
    for name in KILLS:
        assert (parts(name), served.files(f"{ID}/{name}")) == ((1, 1), [f"{name}.nxs"])
        assert served.dataset(f"{ID}/{name}")["numberOfFiles"] == 1


def _settled(done: Callable[[], set[str]], failed: Callable[[], set[str]], scans: int) -> None:
    eventually(lambda: len(done() | failed()) == scans, "each scan is done, or said to be in doubt")


def _account(credentials: Path, name: str) -> None:
    credentials.write_text(json.dumps({"username": name, "password": name}))
    credentials.chmod(0o600)
