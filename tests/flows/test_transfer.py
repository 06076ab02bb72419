"""Records carried by hand, to files and to other catalogues: the installed program, over HTTP."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml

from tests.catalogue.faulty import Answer, Request, SpoilingProxy
from tests.flows.program import Catalogue, Site, free_port
from tests.makers import ID, beamtime_directory, nexus

SAMPLE = {"sampleId": "S-1", "ownerGroup": "ingestor", "description": "a film", "sampleCharacteristics": {"d": 1}}
PROPOSAL = {"proposalId": "P-1", "title": "Films", "email": "p@example.org", "ownerGroup": "ingestor"}
DERIVED = {
    "pid": "derived/1", "type": "derived", "ownerGroup": "ingestor", "owner": "Ada", "contactEmail": "ada@example.org",
    "investigator": "Ada", "sourceFolder": "/derived/1", "creationTime": "2026-01-01T10:00:00Z", "inputDatasets": [],
    "usedSoftware": ["x"], "datasetName": "one", "scientificMetadata": {"fit": {"value": 1.5, "unit": "mm"}},
}  # fmt: skip

COMPARED = (
    "type", "owner", "ownerGroup", "description", "scientificMetadata", "principalInvestigators", "proposalIds",
    "creationTime", "size", "numberOfFiles",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site", reading={"thumbnails": True})


def records(catalogue: Catalogue, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = catalogue.get(kind)
    return found


def test_documents_are_posted_once_and_updated_on_request(site: Site, tmp_path: Path) -> None:
    one, several = tmp_path / "sample.json", tmp_path / "proposals.yml"
    one.write_text(json.dumps(SAMPLE))
    several.write_text(yaml.safe_dump([PROPOSAL, PROPOSAL | {"proposalId": "P-2"}]))
    first = site.run("post", "-m", "Samples", one)
    assert (first.returncode, first.stdout) == (0, "created   S-1\n"), first.stderr
    assert site.run("post", "-m", "Proposals", several).stdout == "created   P-1\ncreated   P-2\n"
    assert site.run("post", "-m", "Samples", one).stdout == "unchanged S-1\n"
    one.write_text(json.dumps(SAMPLE | {"description": "two films", "sampleCharacteristics": {"d": 2}}))
    differing = site.run("post", "-m", "Samples", one)
    assert differing.returncode == 1
    assert "differs in description, sampleCharacteristics" in differing.stdout
    assert site.run("post", "-m", "Samples", one, "--update").stdout == "updated   S-1\n"
    assert site.run("post", "-m", "Samples", one).returncode == 0
    with site.catalogue() as catalogue:
        (sample,) = records(catalogue, "samples")
        assert (sample["description"], sample["sampleCharacteristics"]) == ("two films", {"d": 2})
        assert len(records(catalogue, "proposals")) == 2


def test_derived_datasets_and_instruments_are_posted_and_mistakes_are_named(site: Site, tmp_path: Path) -> None:
    derived, instruments = tmp_path / "derived.json", tmp_path / "instruments.json"
    derived.write_text(json.dumps({name: value for name, value in DERIVED.items() if name != "type"}))
    instruments.write_text(json.dumps([{"uniqueName": "bl07", "name": "BL07"}, {"name": "without"}]))
    for status in ("created", "unchanged"):
        assert site.run("post", "-m", "DerivedDatasets", derived).stdout.split() == [status, "derived/1"]
    made = site.run("post", "-m", "Instruments", instruments)
    assert made.returncode == 1
    assert made.stdout.splitlines()[0].startswith("created")
    assert "uniqueName" in made.stdout.splitlines()[1]
    assert site.run("post", "-m", "Instruments", instruments).stdout.splitlines()[0].startswith("unchanged")
    derived.write_text(json.dumps(DERIVED | {"description": "later"}))
    assert "differs in description" in site.run("post", "-m", "Datasets", derived).stdout
    assert site.run("post", "-m", "Datasets", derived, "--update").stdout.startswith("updated")
    wrong = site.run("post", "-m", "Proposal", derived)
    assert "the catalogue has no model 'Proposal'; did you mean 'Proposals'?" in wrong.stdout
    derived.write_text(json.dumps({name: value for name, value in DERIVED.items() if name != "pid"}))
    assert "the document has no id: posted again, it makes another record" in (
        site.run("post", "-m", "Datasets", derived).stdout
    )
    (tmp_path / "broken.json").write_text("{")
    assert site.run("post", "-m", "Samples", tmp_path / "broken.json").returncode == 1
    with site.catalogue() as catalogue:
        assert catalogue.dataset("derived/1")["description"] == "later"


def state(catalogue: Catalogue) -> dict[str, Any]:
    """What a catalogue holds, without what its server makes."""
    found = {}
    for pid in catalogue.pids():
        stored = catalogue.dataset(pid)
        fields = {name: stored.get(name) for name in COMPARED}
        fields["proposalIds"] = [one for one in stored.get("proposalIds") or () if one]
        thumbnails = sorted((one["caption"], one["thumbnail"]) for one in catalogue.thumbnails(pid))
        found[pid] = (fields, catalogue.files(pid), thumbnails)
    return found


def filled(site: Site, tmp_path: Path) -> dict[str, Any]:
    raw = beamtime_directory(tmp_path / "bt") / "raw"
    for number in range(3):
        nexus(raw / f"run_{number}.nxs", title=f"scan {number}")
    assert site.ingest(raw.parent).returncode == 0
    for model, document in (("Samples", SAMPLE), ("Proposals", PROPOSAL), ("Datasets", DERIVED)):
        (tmp_path / "one.json").write_text(json.dumps(document))
        assert site.run("post", "-m", model, tmp_path / "one.json").returncode == 0
    with site.catalogue() as catalogue:
        body = {"caption": "a photo", "thumbnail": "data:image/jpeg;base64,/9j/", "ownerGroup": "any"}
        address = f"{catalogue.api}/datasets/{quote('derived/1', safe='')}/attachments"
        requests.post(address, json=body, headers=catalogue.headers, timeout=60).raise_for_status()
        return state(catalogue)


def test_what_is_exported_is_imported_elsewhere_once(site: Site, tmp_path: Path) -> None:
    before = filled(site, tmp_path)
    assert sorted(before) == [f"{ID}/raw/run_{number}" for number in range(3)] + ["derived/1"]
    lines = tmp_path / "catalogue.jsonl"
    exported = site.run("catalogue", "export", lines)
    assert (exported.returncode, exported.stderr) == (0, f"6 records written to {lines}\n")
    assert len(lines.read_text().splitlines()) == 6
    assert all(isinstance(json.loads(line), dict) for line in lines.read_text().splitlines())
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    first = other.run("catalogue", "import", lines)
    assert (first.returncode, first.stdout) == (0, "6 created, 0 updated, 0 unchanged, 0 failed\n"), first.stderr
    assert other.run("catalogue", "import", lines).stdout == "0 created, 0 updated, 6 unchanged, 0 failed\n"
    with other.catalogue() as catalogue:
        assert state(catalogue) == before
        assert [one["sampleId"] for one in records(catalogue, "samples")] == ["S-1"]
    spoilt = [
        b'{"dataset": {"pid": "x"}}', b"nothing", b'{"model": "Samples", "document": [1]}', b"caf\xe9", b"[" * 100_000,
        b'{"model": "Datasets", "document": {"pid": "y"}}', b'{"model": "Sample", "document": {"sampleId": "S-9"}}',
        b'{"model": "Samples", "document": {}, "links": 3}',
    ]  # fmt: skip
    lines.write_bytes(b"\n".join([*spoilt, lines.read_bytes()]))
    beside = other.run("catalogue", "import", lines)
    assert beside.returncode == 1
    failed = [line for line in beside.stderr.splitlines() if line.startswith("failed")]
    for number, start in enumerate((
        "failed x: its dataset has no ownerGroup", "failed line 2: it is not JSON", "failed line 3: its document",
        "failed line 4: it is not UTF-8", "failed line 5: it is not JSON", "failed y: ",
        "failed S-9: the catalogue has no model 'Sample'; did you mean 'Samples'?", "failed line 8: its links",
    )):  # fmt: skip
        assert failed[number].startswith(start), failed
    assert "Traceback" not in beside.stderr
    assert beside.stdout == "0 created, 0 updated, 6 unchanged, 8 failed\n"


class Meeting(SpoilingProxy):
    """Lets datasets be created only four at a time."""

    def __init__(self, upstream: str) -> None:
        self.together = threading.Barrier(4)
        self.order: list[str] = []
        super().__init__(upstream)

    def _spoil(self, request: Request) -> Answer:
        if request.method == "POST" and not request.path.endswith("/auth/login"):
            self.order.append(request.path.rsplit("/", 1)[-1])
        if request.method == "POST" and request.path.endswith("/datasets"):
            self.together.wait(120)
        return super()._spoil(request)


def test_datasets_are_pushed_over_several_connections_and_after_what_they_refer_to(site: Site, tmp_path: Path) -> None:
    lines = [{"model": "Samples", "document": SAMPLE}, {"model": "Proposals", "document": PROPOSAL}]
    datasets = [{"dataset": DERIVED | {"pid": f"derived/{number}"}} for number in range(8)]
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, [*lines, *datasets])))
    (tmp_path / "there").mkdir()
    with site.catalogue() as catalogue:
        proxy = Meeting(catalogue.url)
        there = Site(
            tmp_path / "there", catalogue={"url": proxy.base, "credential_file": str(site.credentials()), "api": "v3"}
        )
        brought = there.run("catalogue", "import", tmp_path / "lines")
        assert brought.stdout == "10 created, 0 updated, 0 unchanged, 0 failed\n", brought.stderr
        assert proxy.order[:2] == ["samples", "proposals"]
        assert len(catalogue.pids()) == 8
        proxy.close()


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_a_catalogue_is_pushed_to_another_one_and_again_after_it_has_grown(
    site: Site, tmp_path: Path, version: str
) -> None:
    before = filled(site, tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "there").mkdir()
    other = Site(tmp_path / "other", embedded={"port": free_port()})
    with other.catalogue(int(yaml.safe_load(other.config.read_text())["embedded"]["port"])) as catalogue:
        target = Site(
            tmp_path / "there",
            catalogue={"url": catalogue.api, "credential_file": str(other.credentials()), "api": version},
        )
        first = site.run("catalogue", "push", "--to", target.config)
        assert (first.returncode, first.stdout) == (0, "6 created, 0 updated, 0 unchanged, 0 failed\n"), first.stderr
        assert state(catalogue) == before
        nexus(tmp_path / "bt" / "raw" / "run_3.nxs", title="later")
        nexus(tmp_path / "bt" / "raw" / "run_0.nxs", title="corrected", points=40)
        assert site.ingest(tmp_path / "bt").returncode == 0
        again = site.run("catalogue", "push", "--to", target.config)
        assert again.stdout == "1 created, 1 updated, 5 unchanged, 0 failed\n", again.stderr
        assert catalogue.dataset(f"{ID}/raw/run_0")["scientificMetadata"]["title"]["value"] == "corrected"
    gone = site.run("catalogue", "push", "--to", target.config)
    assert gone.returncode == 3
    assert gone.stdout == "0 created, 0 updated, 0 unchanged, 0 failed\n"
    assert "run the command again to go on" in gone.stderr


def test_an_export_that_ends_early_leaves_the_file_as_it_was(site: Site, tmp_path: Path) -> None:
    lines = tmp_path / "catalogue.jsonl"
    lines.write_text("what was exported before\n")
    site.change(catalogue={"url": f"http://127.0.0.1:{free_port()}/api/v3", "patience": {"give_up_after": 0.5}})
    assert site.run("catalogue", "export", lines).returncode == 3
    assert lines.read_text() == "what was exported before\n"
    assert sorted(tmp_path.iterdir()) == [lines, tmp_path / "site"]
    nowhere = site.run("catalogue", "export", tmp_path / "nowhere" / "x.jsonl")
    assert nowhere.returncode == 1
    assert "cannot be written" in nowhere.stderr
