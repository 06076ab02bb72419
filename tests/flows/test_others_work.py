"""What people change in the catalogue survives what the program does later: the installed program, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.flows.program import Catalogue, Site, free_port
from tests.makers import ID, beamtime_directory, nexus

PID = f"{ID}/raw/run_1"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return beamtime_directory(tmp_path / "bt") / "raw"


def curate(catalogue: Catalogue, **fields: Any) -> None:
    address = f"{catalogue.api}/datasets/{quote(PID, safe='')}"
    requests.patch(address, json=fields, headers=catalogue.headers, timeout=60).raise_for_status()


def added_picture(catalogue: Catalogue) -> str:
    body = {"caption": "", "thumbnail": "data:image/png;base64,QURB", "ownerGroup": "any"}
    address = f"{catalogue.api}/datasets/{quote(PID, safe='')}/attachments"
    requests.post(address, json=body, headers=catalogue.headers, timeout=60).raise_for_status()
    return body["thumbnail"]


def again(site: Site, raw: Path, **content: Any) -> str:
    """Ingest the file with another content; what is printed and logged."""
    nexus(raw / "run_1.nxs", **content)
    ended = site.ingest(raw / "run_1.nxs")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_corrections_survive_a_change_of_the_file_and_conflicts_are_reported(
    tmp_path: Path, raw: Path, version: str
) -> None:
    site = Site(tmp_path, reading={"thumbnails": True}, catalogue={"api": version})
    again(site, raw, title="first")
    with site.catalogue() as catalogue:
        first = catalogue.dataset(PID)
        metadata = first["scientificMetadata"] | {"remark": "the beam was lost"}
        curate(catalogue, keywords=["mine"], scientificMetadata=metadata)
        picture = added_picture(catalogue)
    again(site, raw, title="second", points=50)
    with site.catalogue() as catalogue:
        second = catalogue.dataset(PID)
        assert second["keywords"] == ["mine"]
        assert second["scientificMetadata"]["remark"] == "the beam was lost"
        assert second["scientificMetadata"]["title"]["value"] == "second"
        assert picture in {one["thumbnail"] for one in catalogue.thumbnails(PID)}
        title = second["scientificMetadata"]["title"] | {"value": "by hand"}
        curate(catalogue, scientificMetadata=second["scientificMetadata"] | {"title": title}, size=0, numberOfFiles=0)
    assert "scientificMetadata.title was changed in the catalogue and in the files" in again(site, raw, title="third")
    with site.catalogue() as catalogue:
        third = catalogue.dataset(PID)
        assert third["scientificMetadata"]["title"]["value"] == "by hand"
        assert third["numberOfFiles"] == 1
        assert third["size"] == (raw / "run_1.nxs").stat().st_size


def test_after_the_journal_was_lost_only_owned_fields_are_updated(tmp_path: Path, raw: Path) -> None:
    site = Site(tmp_path, catalogue={"owned_fields": ["scientificMetadata.title"]})
    again(site, raw, title="first")
    with site.catalogue() as catalogue:
        curate(catalogue, keywords=["mine"], endTime="2020-01-01T00:00:00.000Z")
    for file in site.var.glob("journal.sqlite*"):
        file.unlink()
    again(site, raw, title="second")
    with site.catalogue() as catalogue:
        found = catalogue.dataset(PID)
        assert (found["keywords"], found["endTime"]) == (["mine"], "2020-01-01T00:00:00.000Z")
        assert found["scientificMetadata"]["title"]["value"] == "second"


@pytest.mark.parametrize(("policy", "keywords", "title"), [("ours", ["scan"], "second"), ("never", ["mine"], "first")])
def test_the_setting_says_whose_the_fields_are(
    tmp_path: Path, raw: Path, policy: str, keywords: list[str], title: str
) -> None:
    site = Site(tmp_path, catalogue={"update": policy})
    again(site, raw, title="first")
    with site.catalogue() as catalogue:
        curate(catalogue, keywords=["mine"])
    again(site, raw, title="second")
    with site.catalogue() as catalogue:
        found = catalogue.dataset(PID)
        assert (found["keywords"], found["scientificMetadata"]["title"]["value"]) == (keywords, title)


def test_a_preview_says_what_would_change_and_what_would_be_left(tmp_path: Path, raw: Path) -> None:
    port = free_port()
    site = Site(tmp_path, embedded={"port": port})
    again(site, raw, title="first")
    with site.catalogue(port) as catalogue:
        metadata = catalogue.dataset(PID)["scientificMetadata"]
        curate(catalogue, scientificMetadata=metadata | {"title": metadata["title"] | {"value": "by hand"}})
        nexus(raw / "run_1.nxs", title="second", points=60)
        shown = site.run("preview", raw / "run_1.nxs")
        assert "scientificMetadata.title" in shown.stdout, shown.stdout + shown.stderr
        assert "left as it is" in shown.stdout
