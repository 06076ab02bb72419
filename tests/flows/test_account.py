"""What the account at the catalogue may not do, and what becomes of a password that is wrong or changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.program import Catalogue, Site, eventually
from tests.flows.terminal import shown
from tests.makers import ID, append, beamtime_directory, nexus

ACCOUNTS: dict[str, tuple[list[str], list[str]]] = {
    "ingestor": ([ID], ["create_with_pid"]),
    "outside": (["staff"], ["create_privileged"]),
    "reader": (["staff"], []),
}


class Server:
    """A catalogue with accounts of its own."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.site = Site(place)
        self.site.var.mkdir()
        accounts = [
            {"username": name, "password": name, "groups": groups, "roles": roles}
            for name, (groups, roles) in ACCOUNTS.items()
        ]
        file = self.site.var / "catalogue-accounts.json"
        file.write_text(json.dumps({"secret": "s" * 64, "accounts": accounts}))
        file.chmod(0o600)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Catalogue]:
    with Server(tmp_path / "server").site.catalogue() as catalogue:
        yield catalogue


def with_account(place: Path, catalogue: Catalogue, account: dict[str, str], **sections: Any) -> Site:
    credentials = place / "credentials"
    credentials.write_text(json.dumps(account))
    credentials.chmod(0o600)
    section = {
        "url": catalogue.api, "credential_file": str(credentials),
        "patience": {"first_wait": 0.1, "longest_wait": 0.5, "give_up_after": 5.0},
    }  # fmt: skip
    return Site(place, catalogue=section, **sections)


def of(name: str) -> dict[str, str]:
    return {"username": name, "password": name}


@pytest.mark.parametrize(("path", "advice"), [("", "/api/v3"), ("/api", "/api/v3"), ("/api/v5", "/api/v5, a version")])
def test_config_check_takes_an_address_without_the_version_of_the_api_for_a_mistake(
    tmp_path: Path, served: Catalogue, path: str, advice: str
) -> None:
    site = with_account(tmp_path, served, of("ingestor"))
    assert site.run("config", "check").returncode == 0
    site.change(catalogue={"url": f"{served.url}{path}"})
    checked = site.run("config", "check")
    assert checked.returncode == 2, checked
    said = checked.stdout + checked.stderr
    assert advice in said
    assert "unreachable" not in said
    assert said.count("API v4 is used") == 0


def test_config_check_says_which_right_the_account_lacks_for_which_beamtime(tmp_path: Path, served: Catalogue) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    beamtimes = {"directories": [str(beamtime)]}
    well = with_account(tmp_path, served, of("ingestor"), beamtimes=beamtimes)
    assert well.ingest(beamtime).returncode == 0
    checked = well.run("config", "check")
    assert checked.returncode == 0, checked.stderr
    assert f"our account is 'ingestor', in {ID}" in checked.stdout + checked.stderr
    assert "may not create" not in checked.stderr

    outside = with_account(tmp_path, served, of("outside"), beamtimes=beamtimes).run("config", "check")
    assert f"'outside' is not in the group '{ID}'" in outside.stdout + outside.stderr
    assert "neither read nor update" in outside.stdout + outside.stderr
    assert outside.returncode == 0

    dead = with_account(tmp_path, served, {"jwt": "no.such.token"}, beamtimes=beamtimes).run("config", "check")
    assert dead.returncode == 2
    assert "has expired or is not valid" in dead.stderr

    wrong = with_account(tmp_path, served, {"username": "ingestor", "password": "guess"}).run("config", "check")
    assert wrong.returncode == 2
    assert "refused the login of 'ingestor'" in wrong.stderr
    assert served.pids() == [f"{ID}/raw/run_1"], "a check writes nothing"


def test_an_account_that_may_not_create_is_told_so(tmp_path: Path, served: Catalogue) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    beamtimes = {"directories": [str(beamtime)]}
    mine = {"pid": "1/published", "type": "raw", "ownerGroup": ID, "accessGroups": ["staff"]}
    body = mine | {
        "owner": "o", "contactEmail": "o@example.org", "sourceFolder": "/x", "creationTime": "2024-05-01T08:00:00Z",
        "creationLocation": "/x", "principalInvestigator": "p", "datasetName": "x",
    }  # fmt: skip
    assert served.post("datasets", body).status_code == 201
    checked = with_account(tmp_path, served, of("reader"), beamtimes=beamtimes).run("config", "check")
    assert checked.returncode == 2
    assert "'reader' may not create its datasets" in checked.stderr
    assert "CREATE_DATASET_WITH_PID_GROUPS" in checked.stderr


def test_what_cannot_be_found_out_of_an_account_that_sees_nothing_is_said(tmp_path: Path, served: Catalogue) -> None:
    beamtimes = {"directories": [str(beamtime_directory(tmp_path / "bt"))]}
    for name, what in (("reader", "it may create them all the same"), ("ingestor", "it may choose the ids")):
        checked = with_account(tmp_path, served, of(name), beamtimes=beamtimes).run("config", "check")
        assert checked.returncode == 0, checked.stderr
        assert f"whether {what}" in checked.stdout
        assert "could not be found out, because our account sees no dataset there" in checked.stdout
        assert "all well" not in checked.stdout


def test_on_a_terminal_all_is_wrapped_and_each_failure_said_once(tmp_path: Path, served: Catalogue) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for number in range(3):
        nexus(beamtime / "raw" / f"run_{number}.nxs")
    site = with_account(tmp_path, served, of("reader"), beamtimes={"directories": [str(beamtime)]})
    unbroken = len(str(tmp_path))

    def fits(line: str) -> bool:
        """Paths and addresses are not broken."""
        return len(line) <= 80 or (len(line.split()) == 1 and len(line) <= unbroken + 80)

    status, lines = shown(site, "ingest")
    assert status == 1, lines
    assert [line for line in lines if not fits(line)] == []
    assert sum("run_1" in line for line in lines) == 1, lines
    assert sum("CREATE_DATASET_PRIVILEGED_GROUPS" in line for line in lines) == 1, lines
    for command in (["status"], ["config", "check"], ["preview", str(beamtime / "raw" / "run_1.nxs")]):
        _, lines = shown(site, *command)
        assert [line for line in lines if not fits(line)] == []
        assert len(lines) > 5, lines
    _, lines = shown(site, "status")
    assert sum("CREATE_DATASET_PRIVILEGED_GROUPS" in line for line in lines) == 1, lines
    piped = site.run("status").stdout.splitlines()
    assert sum("CREATE_DATASET_PRIVILEGED_GROUPS" in line for line in piped) == 3
    assert sum("failed " in line and "run_1" in line for line in piped) == 1


def test_work_waits_for_a_password_and_goes_on_as_soon_as_it_is_right(tmp_path: Path, served: Catalogue) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for number in range(3):
        nexus(beamtime / "raw" / f"run_{number}.nxs")
    append(beamtime / "raw" / f"scicat-datasets-{ID}.lst", *[f"run_{number}" for number in range(3)])
    site = with_account(tmp_path, served, {"username": "ingestor", "password": "old"})

    def waiting() -> bool:
        shown = site.status()["beamtimes"]
        return bool(shown) and "refused the login of 'ingestor'" in ((shown[0]["outage"] or {}).get("reason") or "")

    with site.daemon(beamtime) as daemon:
        eventually(waiting, "the refused login in the status")
        assert site.status()["totals"]["failed"] == 0, "no scan is blamed"
        (tmp_path / "credentials").write_text(json.dumps(of("ingestor")))
        eventually(lambda: len(served.pids()) == 3, "all scans, without a restart and long before a next attempt", 50)
        assert daemon.stop() == 0
    assert "failed" not in site.log.read_text()


def test_a_one_time_ingest_does_not_wait_for_a_password(tmp_path: Path, served: Catalogue) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    site = with_account(tmp_path, served, {"username": "ingestor", "password": "old"})
    ended = site.ingest(beamtime)
    assert ended.returncode == 3
    assert ended.stderr.count("refused the login of 'ingestor'") == 1
    assert "1 not tried" in ended.stderr
