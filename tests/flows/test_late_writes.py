"""A write that the catalogue gets long after we gave up waiting for it doubles nothing for ever, whatever ends when."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.faulty import HoldingProxy, Request
from tests.flows.program import Catalogue, Site, eventually
from tests.makers import ID, append, beamtime_directory, nexus

PID = f"{ID}/run_1"


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    directory = beamtime_directory(tmp_path / "bt")
    nexus(directory / "raw" / "run_1.nxs")
    append(directory / "raw" / f"scicat-datasets-{ID}.lst", "run_1")
    return directory


def holds(catalogue: Catalogue) -> dict[str, Any]:
    stored = catalogue.dataset(PID)
    lists, shown = len(catalogue.blocks(PID)), len(catalogue.thumbnails(PID))
    return {"lists": lists, "thumbnails": shown, "files": stored["numberOfFiles"]}


ONCE = {"lists": 1, "thumbnails": 1, "files": 1}


@pytest.mark.parametrize("word", ["origdatablocks", "attachments"])
def test_what_arrives_after_a_kill_is_removed_by_the_next_daemon(tmp_path: Path, beamtime: Path, word: str) -> None:
    def held(request: Request) -> bool:
        return request.method == "POST" and request.path.endswith(word)

    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue, contextlib.closing(HoldingProxy(catalogue.url, held)) as proxy:
        section = {"url": proxy.base, "credential_file": str(server.credentials()), "timeout": 5.0}
        site = Site(tmp_path, catalogue=section, reading={"thumbnails": True})
        with site.daemon(beamtime) as daemon:
            eventually(lambda: site.status()["totals"]["done"] == 1, "the second one was answered")
            (unsure,) = site.status()["unsure"]
            assert unsure["pid"] == PID
            assert f"unsure   {PID}" in site.run("status").stdout
            daemon.kill()
        assert holds(catalogue) == ONCE
        proxy.release()
        assert proxy.arrived.wait(120)
        assert holds(catalogue) != ONCE, "the first one has arrived"
        assert site.status()["unsure"], "it is known without a daemon"
        _make_due(site)
        with site.daemon(beamtime) as daemon:
            eventually(lambda: holds(catalogue) == ONCE, "it is there once, and the totals are right")
            assert daemon.stop() == 0
        assert "arrived late" in site.log.read_text()
        eventually(lambda: _is_settled_by_ingest(site, beamtime), "a one-time ingest makes the last late check")


def _is_settled_by_ingest(site: Site, beamtime: Path) -> bool:
    # What the end of the daemon interrupted is doubtful as well, and has late checks of its own.
    _make_due(site, made=2)
    assert site.ingest(beamtime).returncode == 0
    return not site.status()["unsure"]


def _make_due(site: Site, made: int = 0) -> None:
    """Let the time pass until the next late check; `made`: as if so many were made."""
    with contextlib.closing(sqlite3.connect(site.var / "journal.sqlite", timeout=60)) as journal, journal:
        assert journal.execute("update late_checks set due=0, made=?", (made,)).rowcount == 1
