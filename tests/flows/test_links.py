"""References between records survive the way into another catalogue, where the records have other ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.faulty import Fault, SpoilingProxy
from tests.flows.program import Catalogue, Site, free_port

PREFIX = "20.500.12345/"
ELSEWHERE = "10.5072/somebody-elses"
COMMON = {
    "ownerGroup": "ingestor", "owner": "Ada", "contactEmail": "ada@example.org", "sourceFolder": "/data/1",
    "creationTime": "2026-01-01T10:00:00Z", "scientificMetadata": {},
}  # fmt: skip
RAW = COMMON | {"datasetName": "raw", "creationLocation": "/x", "principalInvestigator": "Ada", "type": "raw"}
DERIVED = COMMON | {"datasetName": "fit", "investigator": "Ada", "usedSoftware": ["x"], "type": "derived"}
PROPOSAL = {"proposalId": "P-1", "title": "Films", "email": "p@example.org", "ownerGroup": "ingestor"}


@contextmanager
def target_of(tmp_path: Path, **catalogue: Any) -> Iterator[tuple[Catalogue, Site]]:
    """A catalogue with an instrument of its own, and a site whose configuration names it."""
    port = free_port()
    for name in ("server", "there"):
        (tmp_path / name).mkdir()
    server = Site(tmp_path / "server", embedded={"port": port})
    with server.catalogue(port) as running:
        account = {"url": running.api, "credential_file": str(server.credentials()), "pid_prefix": PREFIX}
        assert running.post("instruments", {"uniqueName": "other", "name": "Other"}).ok
        yield running, Site(tmp_path / "there", catalogue=account | catalogue)


@pytest.fixture
def spoiling() -> Iterator[Callable[[str], SpoilingProxy]]:
    """Makes proxies before a catalogue."""
    with ExitStack() as started:

        def start(url: str) -> SpoilingProxy:
            return started.enter_context(closing(SpoilingProxy(url)))

        yield start


def post(site: Site, model: str, document: dict[str, Any]) -> str:
    """The id of the record that is made."""
    file = site.place / "one.json"
    file.write_text(json.dumps(document))
    made = site.run("post", "-m", model, file)
    assert made.stdout.startswith("created"), made.stdout + made.stderr
    return made.stdout.split()[1]


def filled(site: Site) -> tuple[str, str]:
    """A catalogue of records that refer to each other; the ids that it made for a dataset and an instrument."""
    instrument = post(site, "Instruments", {"uniqueName": "bl07", "name": "BL07"})
    generated = post(site, "Datasets", RAW | {"instrumentId": instrument})
    assert generated.startswith("20.500.99999/")
    post(site, "Proposals", PROPOSAL | {"instrumentIds": [instrument, "free text"]})
    post(
        site, "Datasets", RAW | {"pid": "9/scan_1", "instrumentId": instrument, "proposalId": "P-1", "sampleId": "S-1"}
    )
    post(site, "Datasets", RAW | {"pid": "9/scan_2", "instrumentId": "/PETRA III/P05"})
    post(
        site,
        "Datasets",
        # By its id it comes before those that it refers to.
        DERIVED
        | {"pid": "1/fit", "inputDatasets": ["9/scan_1", generated, ELSEWHERE]}
        | {"relationships": [{"pid": "9/scan_2", "relationship": "IsPartOf"}]},
    )
    return generated, instrument


def examine(catalogue: Catalogue, generated: str) -> None:
    """All is there under the ids of this catalogue, and refers to what is there."""
    uuid = generated.removeprefix("20.500.99999/")
    assert catalogue.pids() == sorted(PREFIX + name for name in ("1/fit", "9/scan_1", "9/scan_2", uuid))
    fit = catalogue.dataset(PREFIX + "1/fit")
    assert fit["inputDatasets"] == [PREFIX + "9/scan_1", PREFIX + uuid, ELSEWHERE]
    assert [one["pid"] for one in fit["relationships"]] == [PREFIX + "9/scan_2"]
    instruments = {one["uniqueName"]: one["pid"] for one in catalogue.get("instruments")}
    for name in ("9/scan_1", uuid):
        assert catalogue.dataset(PREFIX + name)["instrumentIds"] == [instruments["bl07"]]
    scan = catalogue.dataset(PREFIX + "9/scan_1")
    assert (scan["proposalId"], scan["sampleId"]) == ("P-1", "S-1")
    assert catalogue.dataset(PREFIX + "9/scan_2")["instrumentIds"] == ["/PETRA III/P05"]
    (proposal,) = catalogue.get("proposals")
    assert proposal["instrumentIds"] == [instruments["bl07"], "free text"]


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_what_refers_to_other_records_refers_to_them_where_they_are_pushed(tmp_path: Path, version: str) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    generated, instrument = filled(site)
    with target_of(tmp_path, api=version) as (catalogue, target):
        first = site.run("catalogue", "push", "--to", target.config)
        assert (first.returncode, first.stdout) == (0, "6 created, 0 updated, 0 unchanged, 0 failed\n"), first.stderr
        examine(catalogue, generated)
        assert instrument not in json.dumps(catalogue.get("datasets"))
        again = site.run("catalogue", "push", "--to", target.config)
        assert (again.returncode, again.stdout) == (0, "0 created, 0 updated, 6 unchanged, 0 failed\n"), again.stderr


def test_a_push_survives_that_the_catalogue_is_away_for_a_while_and_else_says_how_to_go_on(
    tmp_path: Path, spoiling: Callable[[str], SpoilingProxy]
) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    generated, _ = filled(site)
    with target_of(tmp_path) as (catalogue, target):
        proxy = spoiling(catalogue.api)
        away = [Fault.BUSY] * 15  # Questions are repeated by the client itself.
        proxy.faults.extend([*away, *[Fault.NONE] * 6, *away, Fault.LOST, *away])
        patience = {"first_wait": 0.1, "longest_wait": 0.5}
        target.change(catalogue={"url": proxy.base, "patience": patience | {"give_up_after": 120.0}})
        pushed = site.run("catalogue", "push", "--to", target.config)
        assert (pushed.returncode, pushed.stderr.count("run the command again")) == (0, 0), pushed.stderr
        assert "6 created" in pushed.stdout or "5 created, 0 updated, 1 unchanged" in pushed.stdout, pushed.stdout
        assert "unavailable, tried again for" in pushed.stderr
        examine(catalogue, generated)
        proxy.faults.extend([*[Fault.NONE] * 8, *[Fault.BUSY] * 1000])
        target.change(catalogue={"patience": patience | {"give_up_after": 1.0}})
        given_up = site.run("catalogue", "push", "--to", target.config)
        assert given_up.returncode == 3, given_up.stdout + given_up.stderr
        assert "run the command again to go on" in given_up.stderr
        assert " 0 unchanged" not in given_up.stdout


def test_links_are_carried_by_a_file_in_whatever_order(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    generated, _ = filled(site)
    lines = tmp_path / "catalogue.jsonl"
    assert site.run("catalogue", "export", lines).returncode == 0
    instrument, *others = lines.read_text().splitlines()
    with target_of(tmp_path) as (catalogue, target):
        assert catalogue.post("instruments", json.loads(instrument)["document"]).ok
        lines.write_text("\n".join(reversed(others)))
        assert target.run("catalogue", "import", lines).stdout == "5 created, 0 updated, 0 unchanged, 0 failed\n"
        examine(catalogue, generated)
        lines.write_text("\n".join(others))
        assert target.run("catalogue", "import", lines).stdout == "0 created, 0 updated, 5 unchanged, 0 failed\n"


def test_a_dataset_whose_instrument_cannot_be_made_goes_without_it_until_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    filled(site)
    lines = tmp_path / "catalogue.jsonl"
    assert site.run("catalogue", "export", lines).returncode == 0
    instrument, *others = lines.read_text().splitlines()
    lines.write_text("\n".join(others))
    with target_of(tmp_path) as (catalogue, target):
        first = target.run("catalogue", "import", lines)
        assert first.returncode == 0
        assert first.stderr.count("there is no instrument 'bl07'") == 1
        assert not any(catalogue.dataset(PREFIX + "9/scan_1").get("instrumentIds") or ())
        assert catalogue.dataset(PREFIX + "9/scan_2")["instrumentIds"] == ["/PETRA III/P05"]
        assert catalogue.post("instruments", json.loads(instrument)["document"]).ok
        target.run("catalogue", "import", lines)
        made = {one["uniqueName"]: one["pid"] for one in catalogue.get("instruments")}["bl07"]
        assert catalogue.dataset(PREFIX + "9/scan_1")["instrumentIds"] == [made]
