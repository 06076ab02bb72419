"""A catalogue that fails in the middle of the work: the daemon goes on, and every scan becomes one dataset."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.catalogue.faulty import Answer, ChanceProxy, Request, SpoilingProxy
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


class Poisoned(SpoilingProxy):
    """Answers documents that hold a word 500, for ever, and is well otherwise."""

    def _spoil(self, request: Request) -> Answer:
        if b"poison" in request.body:
            return Answer(500, b'"Internal server error"')
        return super()._spoil(request)


def test_a_document_that_is_answered_500_for_ever_costs_no_other_beamtime_anything(tmp_path: Path) -> None:
    """The bad scans fail by themselves, at intervals of their own, while those of another beamtime go on."""
    bad, good = beamtime_directory(tmp_path / "bad", "7"), beamtime_directory(tmp_path / "good")
    for directory, beamtime_id, kind in ((bad, "7", "poison"), (good, ID, "run")):
        names = [f"{kind}_{number}" for number in range(4)]
        for name in names:
            nexus(directory / "raw" / f"{name}.nxs")
        append(directory / "raw" / f"scicat-datasets-{beamtime_id}.lst", *names)
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue:
        proxy = Poisoned(catalogue.url)
        section = {"url": proxy.base, "credential_file": str(server.credentials())}
        site = Site(tmp_path, catalogue=section, retrying={"first": 3600.0, "longest": 3600.0})
        with site.daemon(bad, good) as daemon:
            eventually(lambda: len(catalogue.pids()) == 4, "the scans of the good beamtime")
            eventually(lambda: site.status()["totals"]["failed"] == 4, "the bad scans have failed")
            nexus(good / "raw" / "late.nxs")
            append(good / "raw" / f"scicat-datasets-{ID}.lst", "late")
            eventually(lambda: len(catalogue.pids()) == 5, "another good scan, in spite of the bad ones")
            assert all("fails at this one" in one["reason"] for one in site.status()["failed"])
            assert daemon.stop() == 0
        proxy.close()


def test_lost_answers_gateways_and_resets_lose_and_double_nothing(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    names = [f"run_{number:02d}" for number in range(25)]
    for name in names:
        nexus(beamtime / "raw" / f"{name}.nxs")
    append(beamtime / "raw" / f"scicat-datasets-{ID}.lst", *names)
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue:
        proxy = ChanceProxy(catalogue.url, lost=0.15, gateway=0.05, reset=0.03)
        site = Site(tmp_path, catalogue={"url": proxy.base, "credential_file": str(server.credentials())})
        ended = site.ingest(beamtime)
        assert ended.returncode == 0, ended.stderr
        assert "25 created" in ended.stdout
        assert proxy.spoiled > 5
        assert catalogue.pids() == [f"{ID}/{name}" for name in names]
        for name in names:
            stored = catalogue.dataset(f"{ID}/{name}")
            assert (stored["numberOfFiles"], catalogue.files(f"{ID}/{name}")) == (1, [f"{name}.nxs"])
        proxy.close()


def test_without_verifying_an_unchanged_scan_costs_no_request_and_a_new_one_no_question(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for number in range(3):
        nexus(beamtime / "raw" / f"run_{number}.nxs")
    append(beamtime / "raw" / f"scicat-datasets-{ID}.lst", *[f"run_{number}" for number in range(3)])
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue:
        proxy = SpoilingProxy(catalogue.url)
        site = Site(tmp_path, catalogue={"url": proxy.base, "credential_file": str(server.credentials()), "api": "v3"})

        def asked(*arguments: str) -> list[str]:
            proxy.requests.clear()
            ended = site.run("ingest", beamtime, *arguments)
            assert ended.returncode == 0, ended.stderr
            return [one.method for one in proxy.requests if not one.path.endswith("/auth/login")]

        assert asked("--no-verify") == ["POST"] * 6, "three datasets, three file lists"
        assert asked("--no-verify") == []
        assert asked() == ["GET"] * 3
        proxy.close()


class LoginPage(SpoilingProxy):
    """Answers writes with the page of a login for as long as `shown` is set, but for the login itself."""

    shown = True

    def _spoil(self, request: Request) -> Answer:
        if self.shown and request.method != "GET" and not request.path.endswith("/auth/login"):
            return Answer(200, b"<!doctype html><form>user</form>", {"Content-Type": "text/html"})
        return super()._spoil(request)


def test_a_page_in_the_place_of_the_catalogue_fails_no_scan_and_is_said_once(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for folder in "abc":
        nexus(beamtime / "raw" / folder / f"run_{folder}.nxs")
        append(beamtime / "raw" / folder / f"scicat-datasets-{ID}.lst", f"run_{folder}")
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue, contextlib.closing(LoginPage(catalogue.url)) as proxy:
        section = {"url": proxy.base, "credential_file": str(server.credentials())}
        patience = {"first_wait": 0.05, "longest_wait": 0.1, "give_up_after": 3.0}
        site = Site(tmp_path, catalogue=section | {"patience": patience})
        once = site.ingest(beamtime)
        assert (once.returncode, once.stdout) == (3, "0 created, 0 updated, 0 unchanged, 0 failed\n"), once.stderr
        proxy.requests.clear()

        def writes() -> int:
            return sum(one.method == "POST" and "/auth/" not in one.path for one in proxy.requests)

        with site.daemon(beamtime) as daemon:
            eventually(lambda: writes() > 12, "more tries than three for each scan")
            assert "available again" not in site.log.read_text()
            assert site.status()["totals"]["failed"] == 0
            proxy.shown = False
            eventually(lambda: site.status()["totals"]["done"] == 3, "all scans, once the page is gone")
            assert len(catalogue.pids()) == 3
            assert daemon.stop() == 0
        log = site.log.read_text()
        assert "failed" not in log
        assert log.count("the catalogue is available again") == 1


class NoLogin(SpoilingProxy):
    """Answers the first logins with an error of a gateway."""

    left = 8

    def _spoil(self, request: Request) -> Answer:
        if request.path.endswith("/auth/login") and self.left > 0:
            self.left -= 1
            return Answer(504, b"<html>gateway timeout</html>", {"Content-Type": "text/html"})
        return super()._spoil(request)


def test_a_login_without_an_answer_is_no_scan_s_failure(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    (tmp_path / "server").mkdir()
    server = Site(tmp_path / "server")
    with server.catalogue() as catalogue, contextlib.closing(NoLogin(catalogue.url)) as proxy:
        section = {"url": proxy.base, "credential_file": str(server.credentials())}
        site = Site(tmp_path, catalogue=section | {"patience": {"first_wait": 0.05, "longest_wait": 0.1}})
        with site.daemon(beamtime) as daemon:
            eventually(lambda: len(catalogue.pids()) == 1, "the scan, after eight logins without an answer")
            assert daemon.stop() == 0
        assert proxy.left == 0
        assert "failed" not in site.log.read_text()
