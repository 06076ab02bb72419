"""Generated beamtimes: NeXus files as a beamline writes them, lists as a control system appends them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np

from tests.recorded import DESY

ID = "11018765"
LIST = f"scicat-datasets-{ID}.lst"
INGESTED = f"scicat-ingested-datasets-{ID}.lst"


def make_beamtime(place: Path, beamtime: str = ID) -> Path:
    """A beamtime directory with a metadata file and an empty `raw`."""
    (place / "raw").mkdir(parents=True)
    person = {"email": "pat@lab.example", "firstname": "Pat", "lastname": "Example", "username": "pat"}
    metadata = {
        "beamtimeId": beamtime, "proposalId": "20990007", "title": "Spin waves in garnets", "beamline": "p99",
        "beamlineAlias": "p99", "facility": "Test source", "proposalType": "C", "corePath": f"/core/{beamtime}",
        "applicant": person, "leader": person, "pi": person, "eventStart": "2099-05-03T08:00:00",
        "eventEnd": "2099-05-08T08:00:00",
    }  # fmt: skip
    (place / f"beamtime-metadata-{beamtime}.json").write_text(json.dumps(metadata))
    return place


def write_nexus(path: Path, title: str = "a scan", points: int = 21) -> Path:
    """A small, complete NeXus file with a plottable NXdata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        entry["title"] = title
        entry["end_time"] = "2099-05-04T10:07:30+0200"
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": "th"})
        data["th"] = np.linspace(0.0, 1.0, points)
        data["th"].attrs["units"] = "deg"
        data["counts"] = np.arange(points)
        data["temperature"] = 293.5
        data["temperature"].attrs["units"] = "K"
    return path


def append(dataset_list: Path, *lines: str) -> None:
    """As Sardana appends: the newline first, none at the end."""
    with dataset_list.open("a") as file:
        for line in lines:
            file.write(f"\n{line}")


def recorded_beamtime(place: Path, case: str) -> Path:
    """A writable copy of the recorded DESY beamtime with one of its lists."""
    shutil.copytree(DESY / "beamtime", place, copy_function=shutil.copyfile)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.copyfile(DESY / "lists" / f"{case}.lst", place / "raw" / "scicat-datasets-20990042.lst")
    return place
