"""Queues of the installed daemon: what waits is shown, and no beamtime waits for the end of another's backlog."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.flows.program import PROGRAM, Site, eventually, free_port
from tests.makers import append, beamtime_directory, nexus


@pytest.fixture
def server(tmp_path: Path) -> tuple[Site, int]:
    """A catalogue that can be started at a port; its account is made."""
    (tmp_path / "elsewhere").mkdir()
    server, port = Site(tmp_path / "elsewhere"), free_port()
    with server.catalogue(port):
        pass
    return server, port


def _site(place: Path, server: Site, port: int) -> Site:
    catalogue = {
        "url": f"http://127.0.0.1:{port}/api/v3", "credential_file": str(server.credentials()),
        "patience": {"first_wait": 0.1, "longest_wait": 0.5},
    }  # fmt: skip
    return Site(place, catalogue=catalogue)


def _scans(beamtime: Path, id: str, count: int) -> None:  # noqa: A002
    names = [f"run_{number:05d}" for number in range(count)]
    for name in names:
        nexus(beamtime / "raw" / f"{name}.nxs")
    append(beamtime / "raw" / f"scicat-datasets-{id}.lst", *names)


def test_while_the_catalogue_is_unreachable_status_shows_how_many_scans_wait_for_it_and_since_when(
    tmp_path: Path, server: tuple[Site, int]
) -> None:
    site = _site(tmp_path, *server)
    beamtime = beamtime_directory(tmp_path / "bt", "11018765")
    _scans(beamtime, "11018765", 20)
    with site.daemon(beamtime):
        state = eventually(
            lambda: (one := site.status())["beamtimes"] and one["beamtimes"][0]["stages"]["catalogue"] == 20 and one,
            "20 scans wait for the catalogue",
        )
        assert (state["totals"]["waiting"], state["totals"]["failed"]) == (20, 0)
        assert state["beamtimes"][0]["outage"]["reason"]
        shown = site.run("status").stdout
        assert f"20 waiting for the catalogue since {state['beamtimes'][0]['outage']['since']}, unreachable: " in shown
        command = [PROGRAM, "ingest", str(beamtime), "-c", str(site.config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stderr is not None
            assert "the catalogue is unreachable, and the scans wait for it: " in client.stderr.readline()
            assert site.run("rescan").returncode == 0  # After it the state is reported.
            # The daemon has two requests for each by now, and they are 20 scans all the same.
            assert site.status()["beamtimes"][0]["stages"]["catalogue"] == 20
            with server[0].catalogue(server[1]) as catalogue:
                assert client.wait(300) == 0
                assert len(catalogue.pids()) == 20
                done = eventually(
                    lambda: (one := site.status())["totals"]["done"] == 20 and not one["totals"]["waiting"] and one,
                    "status says so",
                )
                assert done["beamtimes"][0]["outage"] is None


def test_a_new_scan_of_a_fifth_beamtime_does_not_wait_for_the_backlog_of_four(
    tmp_path: Path, server: tuple[Site, int]
) -> None:
    """While the catalogue is unreachable all of it gathers in the queues, so that nothing depends on speed."""
    site, backlog = _site(tmp_path, *server), 40
    beamtimes = [beamtime_directory(tmp_path / f"bt{number}", f"1101876{number}") for number in range(5)]
    for number, beamtime in enumerate(beamtimes[:4]):
        _scans(beamtime, f"1101876{number}", backlog)
    with site.daemon(*beamtimes):
        eventually(lambda: _waiting(site) == 4 * backlog, "the backlog waits for the catalogue")
        _scans(beamtimes[4], "11018764", 1)
        eventually(lambda: _waiting(site) == 4 * backlog + 1, "the new scan as well")
        with server[0].catalogue(server[1]) as catalogue:
            eventually(lambda: len(catalogue.pids()) == 4 * backlog + 1, "all datasets")
            made = catalogue.get("datasets", filter={"fields": ["pid", "createdAt"], "limits": {"limit": 1000}})
    order = [one["pid"] for one in sorted(made, key=lambda one: one["createdAt"])]
    # What had been read before it came goes first (11 scans), and at most one turn is the backlog's.
    assert order.index("11018764/run_00000") < 30
    # Beamtimes take turns: none was done before the others had begun.
    assert {pid.partition("/")[0] for pid in order[:30]} == {f"1101876{number}" for number in range(5)}


def _waiting(site: Site) -> int:
    return sum(one["stages"]["catalogue"] for one in site.status()["beamtimes"])
