"""DESY's whole mapping: each scan of the recorded beamtime gives the documents that the reference posts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_watch.documents import Bundle
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly.schemas import load
from scicat_watch.pipeline.handover import ReadJob, ReadLimits
from scicat_watch.pipeline.reading.read import read
from tests.pipeline.hand_made import documents
from tests.recorded import DESY

SCANS = {
    "frames_00009": ("frames_00009", None, "", ()),
    "pair_00007": ("pair_00007", "pair.nxs", "scan_00007", ()),
    "pair_00008": ("pair_00008", "pair.nxs", "scan_00008", ()),
    "pic_00006": ("pic_00006", "pic_00006.nxs", "", ()),
    "run_00001": ("run_00001", "run_00001.nxs", "", ()),
    "run_00002": ("run_00002", "run_00002.nxs", "", ()),
    "run_00002+extra": ("run_00002", "run_00002.nxs", "", ("lambda_extra",)),
    "run_00003": ("run_00003", "run_00003.fio", "", ()),
    "sub__run_00005": ("sub/run_00005", "sub/run_00005.nxs", "", ()),
}
"""File of the expected documents: name, master file, entry and further folders of the scan."""
PAYLOADS = DESY / "expected/payloads"
DRAWN = "<data:image/png;base64 of a 640x480 picture>"


@pytest.fixture(autouse=True)
def _in_hamburg(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local zone of the recording: dates without a zone are in it."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def beamtime(tmp_path: Path) -> Beamtime:
    directory = tmp_path / "current"
    shutil.copytree(DESY / "beamtime", directory)
    file = directory / "beamtime-metadata-20990042.json"
    return Beamtime("20990042", directory, json.loads(file.read_text()), file)


def _bundle(beamtime: Beamtime, expected: str) -> Bundle:
    name, master, entry, extras = SCANS[expected]
    raw = beamtime.directory / "raw"
    stem = Path(master).with_suffix("").as_posix() if master else name
    path = raw / master if master else None
    scan = Scan("20990042", raw, name, stem, path, entry, extras)
    reading = read(ReadJob(scan, beamtime, load().schemas, ReadLimits(), (beamtime.directory,)))
    assert reading.schema.id == "desy"
    assert reading.notes == ()
    return documents(reading, beamtime)


def test_every_expected_document_is_tried() -> None:
    """The measurement `garnets` is made of these by another part."""
    names = {path.name.partition(".")[0] for path in PAYLOADS.iterdir()}
    assert names - {"garnets"} == set(SCANS)


@pytest.mark.parametrize("expected", SCANS)
def test_the_documents_are_those_of_the_reference(beamtime: Beamtime, expected: str) -> None:
    bundle = _bundle(beamtime, expected)
    dataset, datablock, attachment = (
        PAYLOADS / f"{expected}.{kind}.json" for kind in ("dataset", "origdatablock", "attachment")
    )
    if dataset.exists():
        assert bundle.dataset.fields == json.loads(dataset.read_text())
    posted = json.loads(datablock.read_text())
    block = bundle.datablocks[0].as_json()
    assert block["size"] == posted["size"]
    assert [(file["path"], file["size"]) for file in block["dataFileList"]] == [
        (file["path"], file["size"]) for file in posted["dataFileList"]
    ]
    if expected.endswith("+extra"):
        return
    thumbnails = [thumbnail.thumbnail for thumbnail in bundle.attachments]
    assert len(thumbnails) == attachment.exists()
    if attachment.exists() and (thumbnail := json.loads(attachment.read_text())["thumbnail"]) != DRAWN:
        assert thumbnails == [thumbnail]
