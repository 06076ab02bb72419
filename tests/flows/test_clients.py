"""Other people's SciCat clients read from the embedded catalogue what was written."""

from __future__ import annotations

import json
from pathlib import Path

from tests.flows.program import Site
from tests.makers import ID, beamtime_directory, nexus


def test_pyscicat_reads_a_dataset_and_its_files(tmp_path: Path) -> None:
    from pyscicat.client import ScicatClient  # type: ignore[import-untyped]

    site = Site(tmp_path)
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    assert site.ingest(beamtime).returncode == 0
    with site.catalogue() as catalogue:
        account = json.loads(site.credentials().read_text())
        client = ScicatClient(base_url=catalogue.api, username=account["username"], password=account["password"])
        found = client.datasets_get_one(f"{ID}/raw/run_1")
        assert found is not None
        assert found["datasetName"] == "run_1"
        assert found["scientificMetadata"]["data"]["temperature"] == {
            "value": 293.5, "unit": "K", "valueSI": 293.5, "unitSI": "K",
        }  # fmt: skip
        blocks = client.datasets_origdatablocks_get_one(f"{ID}/raw/run_1")
        assert [file["path"] for block in blocks for file in block["dataFileList"]] == ["raw/run_1.nxs"]
