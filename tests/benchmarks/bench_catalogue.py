"""What publishing costs beside the bare requests, and what faults on the way add: a table for docs/performance.md.

The embedded catalogue is a process of its own. A proxy in between counts the requests, and loses answers by chance.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import requests

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions, LoginOptions
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.clock import SystemClock
from scicat_watch.ledger.journal import Journal
from tests.benchmarks.table import head, interleaved, note, show, timed
from tests.catalogue.bundles import bundle
from tests.catalogue.faulty import ChanceProxy
from tests.flows.program import Catalogue, Site, eventually
from tests.makers import INGESTED, LIST, append, beamtime_directory, nexus

LANES = 4
"""Connections side by side: the default of `catalogue.connections`."""
EACH = 5
"""Scans for each of them before the next kind has its turn."""
MIX = {"lost": 0.15, "gateway": 0.05, "reset": 0.03}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[one.__name__ for one in MEASURED], help="leave the others out")
    given = parser.parse_args()
    head()
    with tempfile.TemporaryDirectory() as place:
        for number, measure in enumerate(MEASURED):
            if given.only not in (None, measure.__name__):
                continue
            room = Path(place) / str(number)
            room.mkdir()
            measure(room, given)
    show()


def requests_of_a_scan(place: Path, given: argparse.Namespace) -> None:
    """How many requests `ingest` makes for each scan."""
    with _served(place) as (server, catalogue):
        beamtime = _beamtime(place / "bt", given.scans)
        proxy = ChanceProxy(catalogue.url)
        site = _site(place / "client", proxy, server)
        for kind in ("new", "unchanged"):
            proxy.requests.clear()
            assert site.ingest(beamtime).returncode == 0
            note(f"requests for {given.scans} {kind} scans with thumbnails, logins left out", _counted(proxy))
        proxy.close()


def _counted(proxy: ChanceProxy) -> str:
    methods = Counter(one.method for one in proxy.requests if not one.path.endswith("/auth/login"))
    return ", ".join(f"{count} {method}" for method, count in sorted(methods.items()))


def publish_rate(place: Path, given: argparse.Namespace) -> None:
    """Publishing new scans beside a loop that posts the same bodies; in turns, so that load meets all alike."""
    with _served(place) as (server, catalogue):
        journal = Journal(place / "journal.sqlite")
        login = LoginOptions(credential_file=server.credentials())
        http = HttpClient(HttpOptions(catalogue.api), login)
        memory = journal.written(catalogue.api)
        publisher = ScicatPublisher(ScicatV3(http), threading.Event(), SystemClock(), memory)
        numbers = iter(range(10**6))
        bare = _bare(catalogue, numbers)

        def verified() -> None:
            publisher.publish(bundle(f"ours/{next(numbers)}"), UpdatePolicy(verify=True))

        def unverified() -> None:
            publisher.publish(bundle(f"ours/{next(numbers)}"), UpdatePolicy(verify=False))

        columns = interleaved(given.rounds * given.scans, bare, verified, unverified)
        _rates("one connection", [statistics.median(column) for column in columns])
        with ThreadPoolExecutor(LANES) as lanes:
            several = [partial(_side_by_side, lanes, one) for one in (bare, verified, unverified)]
            columns = interleaved(given.rounds * given.scans // (LANES * EACH), *several)
        _rates(f"{LANES} connections", [sum(column) for column in columns])
        publisher.close()
        journal.close()


def _rates(connections: str, seconds: list[float]) -> None:
    """Note the rates of publishing in all ways beside the first, bare one."""
    bare, *ours = seconds
    for taken, kind in zip(ours, ("with the read that verifies", "without it (`--no-verify`)"), strict=True):
        rate = f"{100 * bare / taken:.0f} %"
        note(f"publish rate of {connections} beside a bare loop of the same 3 posts, {kind}", rate)


def _side_by_side(lanes: ThreadPoolExecutor, action: Callable[[], None]) -> None:
    """Do it a few times on each lane."""
    for done in [lanes.submit(action) for _ in range(LANES * EACH)]:
        done.result()


def _bare(catalogue: Catalogue, numbers: Iterator[int]) -> Callable[[], None]:
    """Post the bodies of a new scan, and nothing else; each thread has its connection."""
    own = threading.local()

    def bare() -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.headers.update({**catalogue.headers, "Content-Type": "application/json"})
        made = bundle(f"bare/{next(numbers)}")
        thumbnail = made.attachments[0]
        shown = {"caption": thumbnail.caption, "thumbnail": thumbnail.thumbnail, "ownerGroup": "bt-7"}
        where = f"{catalogue.api}/datasets/{made.dataset.pid.replace('/', '%2F')}"
        for url, body in (
            (f"{catalogue.api}/datasets", made.dataset.fields),
            (f"{where}/origdatablocks", made.datablocks[0].as_json()),
            (f"{where}/attachments", shown),
        ):
            own.session.post(url, data=json.dumps(body)).raise_for_status()

    return bare


def faults(place: Path, given: argparse.Namespace) -> None:
    """`ingest` of the same scans without faults, and with 15 % lost answers, 5 % 502 and 3 % resets."""
    ratios = []
    for number in range(given.rounds):
        seconds = []
        for kind, chances in (("none", {}), ("mix", MIX)):
            room = place / f"{kind}{number}"
            room.mkdir()
            with _served(room) as (server, catalogue):
                beamtime = _beamtime(room / "bt", given.scans)
                proxy = ChanceProxy(catalogue.url, seed=number + 1, **chances)
                site = _site(room / "client", proxy, server)
                seconds.append(timed(lambda: _checked(site, beamtime)))  # noqa: B023
                _complete(catalogue, given.scans)
                spoiled, total = proxy.spoiled, len(proxy.requests)
                proxy.close()
        ratios.append(seconds[1] / seconds[0])
        note(
            f"`ingest` of {given.scans} scans: no faults; {spoiled} of {total} requests spoiled",
            f"{seconds[0]:.1f} s; {seconds[1]:.1f} s, all complete, none failed",
        )
    note("the same, ratio", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def faults_of_the_daemon(place: Path, given: argparse.Namespace) -> None:
    """The same for a daemon that runs already, from the lines in the list to the last line in the ingested list."""
    ratios = []
    for number in range(given.rounds):
        seconds = []
        for kind, chances in (("none", {}), ("mix", MIX)):
            room = place / f"{kind}{number}"
            room.mkdir()
            with _served(room) as (server, catalogue):
                proxy = ChanceProxy(catalogue.url, seed=number + 1, **chances)
                seconds.append(_by_daemon(_site(room / "client", proxy, server), room / "bt", given.scans))
                _complete(catalogue, given.scans)
                requests_made, spoiled, total = _counted(proxy), proxy.spoiled, len(proxy.requests)
                proxy.close()
            note(f"daemon, {given.scans} scans, faults: {kind}", f"{seconds[-1]:.1f} s; {requests_made}")
        ratios.append(seconds[1] / seconds[0])
        note(f"the daemon: {spoiled} of {total} requests spoiled, all complete, none failed", f"ratio {ratios[-1]:.2f}")
    note("the same, ratio", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _by_daemon(site: Site, place: Path, scans: int) -> float:
    """Seconds that a running daemon takes for scans whose names come all at once; none has failed in between."""
    beamtime, names = _files(place, scans)
    ingested = beamtime / "raw" / INGESTED
    with site.daemon(beamtime) as daemon:
        append(beamtime / "raw" / LIST, names[0])
        eventually(lambda: ingested.exists() and ingested.read_text().count("\n"), "the first scan")
        began = time.perf_counter()
        append(beamtime / "raw" / LIST, *names[1:])
        while ingested.read_text().count("\n") < scans:
            time.sleep(0.01)
        taken = time.perf_counter() - began
        assert site.status()["totals"]["failed"] == 0
        daemon.stop()
    assert "failed" not in ingested.read_text()
    return taken


def _checked(site: Site, beamtime: Path) -> None:
    ended = site.ingest(beamtime)
    assert ended.returncode == 0, ended.stderr[-2000:]


def _complete(catalogue: Catalogue, scans: int) -> None:
    """Every scan has one dataset, one file list and one thumbnail."""
    pids = catalogue.pids()
    assert len(pids) == scans
    for pid in pids:
        assert (len(catalogue.blocks(pid)), len(catalogue.thumbnails(pid))) == (1, 1), pid


@contextlib.contextmanager
def _served(place: Path) -> Iterator[tuple[Site, Catalogue]]:
    (place / "server").mkdir()
    server = Site(place / "server")
    with server.catalogue() as catalogue:
        yield server, catalogue


def _site(place: Path, proxy: ChanceProxy, server: Site) -> Site:
    place.mkdir()
    catalogue = {"url": proxy.base, "credential_file": str(server.credentials()), "patience": {}}
    return Site(place, catalogue=catalogue, reading={"thumbnails": True})


def _beamtime(place: Path, scans: int) -> Path:
    made, names = _files(place, scans)
    append(made / "raw" / LIST, *names)
    return made


def _files(place: Path, scans: int) -> tuple[Path, list[str]]:
    made = beamtime_directory(place)
    names = [f"run_{number:05d}" for number in range(scans)]
    for name in names:
        nexus(made / "raw" / f"{name}.nxs")
        (made / "raw" / f"{name}.png").write_bytes(PNG)
    return made, names


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)
"""A picture of one pixel, so that drawing is not measured."""

MEASURED = (requests_of_a_scan, publish_rate, faults, faults_of_the_daemon)

if __name__ == "__main__":
    main()
