"""The schemas that come with scicat-watch, end to end: real files, read and assembled."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import pytest

from scicat_watch.documents import Bundle
from scicat_watch.errors import AssemblyError
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly.dataset import MANDATORY
from scicat_watch.pipeline.assembly.schemas import load
from scicat_watch.pipeline.handover import ReadJob, ReadLimits
from scicat_watch.pipeline.reading.read import read
from tests.fakes import FakeClock
from tests.pipeline.hand_made import documents, reading, scan, shipped
from tests.recorded import DESY

PERSON = {"firstname": "Lee", "lastname": "Leader", "email": "lee.leader@lab.example", "username": "lleader"}
DESY_METADATA = {
    "beamtimeId": "20990042",
    "proposalId": "20990007",
    "facility": "PETRA III",
    "beamline": "p99",
    "corePath": "/asap3/data/20990042",
    "title": "Spin waves",
    "eventEnd": "2099-05-08T08:00:00",
    "leader": PERSON,
    "pi": PERSON | {"email": "pat.pi@lab.example"},
    "applicant": PERSON | {"email": "jo@uni.example", "lastname": "Applicant"},
}


def test_the_shipped_schemas_have_no_problems_and_the_special_one_comes_first() -> None:
    library = load()
    assert [schema.id for schema in library.schemas] == ["desy", "nexus"]
    assert (library.problems, library.passed_over) == ((), ())


def ingest(master: Path | None, about: Scan, beamtime: Beamtime) -> Bundle:
    settings = ReadLimits(thumbnails=False)
    job = ReadJob(replace(about, master=master), beamtime, load().schemas, settings, (beamtime.directory,))
    return documents(read(job), beamtime)


# DESY ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "master", "entry"),
    [
        ("run_00001", "run_00001.nxs", ""),
        ("run_00002", "run_00002.nxs", ""),
        ("sub/run_00005", "sub/run_00005.nxs", ""),
        ("pic_00006", "pic_00006.nxs", ""),
        ("pair_00007", "pair.nxs", "scan_00007"),
        ("pair_00008", "pair.nxs", "scan_00008"),
        ("frames_00009", None, ""),
    ],
)
def test_datasets_of_desy(tmp_path: Path, name: str, master: str | None, entry: str) -> None:
    directory = tmp_path / "current"
    shutil.copytree(DESY / "beamtime", directory)
    file = directory / "beamtime-metadata-20990042.json"
    beamtime = Beamtime("20990042", directory, json.loads(file.read_text()), file)
    raw = directory / "raw"
    stem = Path(master).with_suffix("").as_posix() if master else name
    about = Scan("20990042", raw, name, stem, entry=entry)
    bundle = ingest(raw / master if master else None, about, beamtime)
    expected = (DESY / "expected/payloads" / f"{name.replace('/', '__')}.dataset.json").read_text()
    assert bundle.dataset.fields == json.loads(expected)


def desy(change: dict[str, Any] | None = None, name: str = "scan_1", without: tuple[str, ...] = ()) -> dict[str, Any]:
    metadata = {key: value for key, value in (DESY_METADATA | (change or {})).items() if key not in without}
    beamtime = Beamtime("20990042", Path("/gpfs/current"), metadata, Path("/gpfs/current/beamtime-metadata-1.json"))
    read_by_hand = reading(shipped("desy"), about=scan(name))
    return dict(documents(read_by_hand, beamtime).dataset.fields)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({}, "owner", "Leader"),
        ({"leader": PERSON | {"email": "", "lastname": ""}}, "owner", "Applicant"),
        ({"leader": PERSON | {"email": ""}}, "ownerEmail", "jo@uni.example"),
        ({"leader": None}, "ownerEmail", "jo@uni.example"),
        ({"pi": {"email": ""}}, "contactEmail", "jo@uni.example"),
        ({"applicant": None}, "principalInvestigator", "lee.leader@lab.example"),
        ({"ownerGroup": "mine"}, "ownerGroup", "mine"),
        ({"accessGroups": ["a", "b"]}, "accessGroups", ["a", "b"]),
        ({}, "accessGroups", ["20990042-dmgt", "20990042-clbt", "20990042-part", "p99dmgt", "p99staff"]),
        ({"facility": "PETRA IV"}, "instrumentId", "/petra4/p99"),
        ({"facility": "FLASH", "beamline": "FL24"}, "instrumentId", "/flash/fl24"),
        ({"beamlineAlias": "P99-EH1"}, "creationLocation", "/DESY/PETRA III/P99-EH1"),
        ({}, "creationLocation", "/DESY/PETRA III/p99"),
        ({}, "proposalId", "20990042"),
        ({}, "endTime", "2099-05-08T08:00:00"),
        ({"eventEnd": None}, "creationTime", FakeClock().now().isoformat(timespec="microseconds")),
    ],
    ids=str,
)
def test_rules_of_desy(change: dict[str, Any], field: str, expected: Any) -> None:
    assert desy(change)[field] == expected


def test_a_number_is_no_name_at_desy() -> None:
    assert desy(name="sub/00012")["datasetName"] == "sub"
    assert desy(name="00012")["datasetName"] == "00012"


@pytest.mark.parametrize("key", ["beamtimeId", "proposalId", "beamline", "facility"])
def test_a_beamtime_file_without_what_desy_needs_is_refused(key: str) -> None:
    with pytest.raises(AssemblyError, match=key):
        desy(without=(key,))


# Any NeXus file -----------------------------------------------------------------------------------------------------

ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*\.[a-z]{2,}")


def valid(fields: dict[str, Any]) -> bool:
    """Whether SciCat's API v3 takes these fields for a raw dataset."""
    times = {"creationTime", "startTime", "endTime"}
    texts = all(isinstance(fields[name], str) and fields[name] for name in (*MANDATORY, "pid", "type"))
    lists = all(isinstance(fields[name], list) for name in ("accessGroups", "techniques", "keywords"))
    dates = all(datetime.fromisoformat(fields[name]).tzinfo for name in times & set(fields))
    addresses = all(ADDRESS.fullmatch(fields[name]) for name in ("contactEmail", "ownerEmail"))
    return texts and lists and dates and addresses and isinstance(fields["scientificMetadata"], dict)


def nexus_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        entry = file.create_group("measurement")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"] = "theta scan"
        entry["start_time"] = "2026-06-01T10:00:00+02:00"
        entry["end_time"] = "2026-06-01 10:05:00Z"
        entry["definition"] = "NXsaxs"
        for name, nx_class, members in [
            ("probe", "NXsample", {"name": "YIG"}),
            ("beamline", "NXinstrument", {"name": "P99"}),
            ("someone", "NXuser", {"name": "Example, Ada", "email": "ada@example.org"}),
        ]:
            group = entry.create_group(name)
            group.attrs["NX_class"] = nx_class
            for key, value in members.items():
                group[key] = value
    return path


def any_beamtime(directory: Path, metadata: dict[str, Any]) -> Beamtime:
    return Beamtime("mybeamtime", directory, metadata, None)


GENERATED = {
    "beamtimeId": "mybeamtime",
    "title": "mybeamtime",
    "facility": "",
    "beamline": "",
    "contact": {"email": "user@host.invalid"},
    "leader": PERSON,
    "pi": PERSON,
    "applicant": PERSON,
}


def test_a_nexus_file_says_what_it_is(tmp_path: Path) -> None:
    master = nexus_file(tmp_path / "raw/scan_1.nxs")
    about = Scan("mybeamtime", tmp_path / "raw", "scan_1", "scan_1")
    fields = ingest(master, about, any_beamtime(tmp_path, GENERATED)).dataset.fields
    assert valid(dict(fields))
    assert {name: fields[name] for name in sorted(set(fields) - {"scientificMetadata"})} == {
        "accessGroups": ["mybeamtime"],
        "contactEmail": "ada@example.org",
        "creationLocation": "P99",
        "creationTime": "2026-06-01T10:05:00.000000+0000",
        "datasetName": "scan_1",
        "description": "theta scan",
        "endTime": "2026-06-01T10:05:00.000000+0000",
        "instrumentId": "P99",
        "isPublished": False,
        "keywords": ["scan"],
        "owner": "Lee Leader",
        "ownerEmail": "lee.leader@lab.example",
        "ownerGroup": "mybeamtime",
        "pid": "mybeamtime/scan_1",
        "principalInvestigator": "Ada Example",
        "sampleId": "YIG",
        "sourceFolder": str(tmp_path / "raw"),
        "startTime": "2026-06-01T10:00:00+02:00",
        "techniques": [{"name": "small angle x-ray scattering", "pid": "http://purl.org/pan-science/PaNET/PaNET01188"}],
        "type": "raw",
    }
    assert fields["scientificMetadata"]["probe"]["name"]["value"] == "YIG"


@pytest.mark.parametrize(
    "metadata", [{}, GENERATED, DESY_METADATA | {"facility": "MAX IV"}, {"pi": None, "contact": "None"}]
)
@pytest.mark.parametrize("kind", ["folder", "empty", "no entry"])
def test_any_scan_makes_a_valid_dataset(tmp_path: Path, metadata: dict[str, Any], kind: str) -> None:
    (tmp_path / "scan_1").mkdir()
    (tmp_path / "scan_1/frame.tif").write_bytes(b"x")
    master = None if kind == "folder" else tmp_path / "scan_1.h5"
    if master:
        with h5py.File(master, "w") as file:
            if kind == "no entry":
                file["title"] = [1, 2, 3]
    about = Scan("mybeamtime", tmp_path, "scan_1", "scan_1")
    bundle = ingest(master, about, any_beamtime(tmp_path, metadata))
    assert valid(dict(bundle.dataset.fields))
    assert bundle.datablocks


@pytest.mark.parametrize(
    "field", ["title", "end_time", "definition", "experiment_description", "experiment_identifier"]
)
@pytest.mark.parametrize(
    "value", [[1.5, 2.5], 7, "", "\x01", "<pid>", b"\xff\xfe", "x" * 100_000], ids=lambda v: repr(v)[:12]
)
def test_odd_contents_do_no_harm(tmp_path: Path, field: str, value: Any) -> None:
    master = tmp_path / "scan_1.nxs"
    with h5py.File(master, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry[field] = value
    about = Scan("mybeamtime", tmp_path, "scan_1", "scan_1")
    fields = ingest(master, about, any_beamtime(tmp_path, GENERATED)).dataset.fields
    assert valid(dict(fields))
    json.dumps(fields, allow_nan=False)


def test_the_most_odd_beamtime_is_still_described(tmp_path: Path) -> None:
    about = reading(shipped("nexus"), about=scan(directory=tmp_path))
    bundle = documents(about, any_beamtime(tmp_path, {"title": 3, "pi": "x", "leader": [], "facility": {}}))
    assert valid(dict(bundle.dataset.fields))
    assert bundle.dataset.fields["owner"] == "unknown"
