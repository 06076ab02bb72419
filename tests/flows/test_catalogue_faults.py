"""A catalogue that fails in the middle of the work: the daemon goes on, and every scan becomes one dataset."""

from __future__ import annotations

from pathlib import Path

from tests.catalogue.faulty import Answer, Request, SpoilingProxy
from tests.flows.program import Site, eventually
from tests.makers import ID, append, beamtime_directory, nexus


class Failing(SpoilingProxy):
    """Says that it is well, and fails at everything else for as long as `failing` is set."""

    failing = True

    def _spoil(self, request: Request) -> Answer:
        if self.failing and not request.path.endswith(("/health", "/auth/login")):
            return Answer(500, b'"Internal server error"')
        return super()._spoil(request)


def test_a_catalogue_that_is_there_and_fails_at_everything_does_not_end_the_daemon(tmp_path: Path) -> None:
    """The scans of several lists meet it at once: one scan has had enough while another one has just met it."""
    beamtime = beamtime_directory(tmp_path / "bt")
    for folder in "abcd":
        for number in range(3):
            nexus(beamtime / "raw" / folder / f"run_{folder}{number}.nxs")
        append(beamtime / "raw" / folder / f"scicat-datasets-{ID}.lst", *[f"run_{folder}{n}" for n in range(3)])
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue:
        proxy = Failing(catalogue.url)
        site = Site(
            tmp_path,
            catalogue={
                "url": proxy.base, "credential_file": str(server.credentials()),
                "patience": {"first_wait": 0.05, "longest_wait": 0.1},
            },
            retrying={"first": 0.2, "longest": 0.5},
        )  # fmt: skip
        with site.daemon(beamtime) as daemon:
            eventually(
                lambda: site.log.read_text().count("unavailable") > 40 or daemon.process.poll() is not None, "failures"
            )
            assert daemon.process.poll() is None, "the daemon goes on"
            proxy.failing = False
            eventually(lambda: len(catalogue.pids()) == 12, "all scans, once the catalogue works")
            assert daemon.stop() == 0
        proxy.close()
