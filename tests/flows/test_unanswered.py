"""A catalogue that takes a request and does not answer: `status` and the log say which, and since when."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from tests.catalogue.faulty import HoldingProxy, Request
from tests.flows.program import Site, eventually
from tests.makers import ID, append, beamtime_directory, nexus

WORDS = "has not answered POST datasets for "


def _is_creation(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/datasets")


def test_who_looks_sees_which_request_has_no_answer_and_since_when(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    append(beamtime / "raw" / f"scicat-datasets-{ID}.lst", "run_1")
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue, contextlib.closing(HoldingProxy(catalogue.url, _is_creation)) as proxy:
        # Longer than the test may take: it is the proxy that ends the silence.
        section = {"url": proxy.base, "credential_file": str(server.credentials()), "timeout": 600.0}
        site = Site(tmp_path, catalogue=section)
        before = datetime.now(UTC).replace(microsecond=0)
        with site.daemon(beamtime) as daemon:
            silent = eventually(lambda: site.status()["unanswered"], "status knows of the request")
            assert silent["request"] == "POST datasets"
            assert silent["seconds"] >= 5
            assert before <= datetime.fromisoformat(silent["since"]) <= datetime.now(UTC)
            shown = " ".join(site.run("status").stdout.split())
            assert WORDS in shown
            assert "since 20" in shown
            eventually(lambda: WORDS in site.log.read_text(), "the log says it")
            beat = site.status()["daemon"]["heartbeat"]
            eventually(lambda: site.status()["daemon"]["heartbeat"] != beat, "the daemon has looked again")
            proxy.release()
            eventually(lambda: site.status()["totals"]["done"] == 1, "the scan, once somebody answers")
            eventually(lambda: site.status()["unanswered"] is None, "nothing is waited for any more")
            assert site.log.read_text().count(WORDS) == 1
            assert catalogue.pids() == [f"{ID}/run_1"]
            assert daemon.stop() == 0
