"""A site that compares often, and what changes are seen by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.flows.program import Catalogue, Site
from tests.makers import beamtime_directory

SOON = {"ingestion_delay": 0.3, "rescan_interval": 1.0, "recheck_after": [1.0, 2.0, 4.0]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, watching=SOON)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The directory of the data of a beamtime."""
    return beamtime_directory(tmp_path / "bt") / "raw"


def title_of(catalogue: Catalogue, pid: str) -> Any:
    """The title in a dataset, which is that of the content that was published last."""
    return catalogue.dataset(pid)["scientificMetadata"]["title"]["value"]


def sizes_of(catalogue: Catalogue, pid: str) -> dict[str, int]:
    """The files of a dataset with their sizes."""
    return {file["path"]: file["size"] for block in catalogue.blocks(pid) for file in block["dataFileList"]}


def reported(site: Site) -> list[str]:
    """What `status` says of the scans that changed and are left so."""
    return [one["reason"] for beamtime in site.status()["beamtimes"] for one in beamtime["changed_scans"]]
