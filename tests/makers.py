"""The one maker each of what tests need: beamtimes, scans, dataset lists, NeXus files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scicat_watch.model import Beamtime, Origin, Request, RequestKey, Scan
from scicat_watch.progress import BeamtimeState

ID = "11018765"
LIST = f"scicat-datasets-{ID}.lst"
INGESTED = f"scicat-ingested-datasets-{ID}.lst"
PERSON = {"email": "pat@lab.example", "firstname": "Pat", "lastname": "Example", "username": "pat"}
METADATA: dict[str, Any] = {
    "proposalId": "20990007", "title": "Spin waves in garnets", "beamline": "p99", "beamlineAlias": "p99",
    "facility": "Test source", "proposalType": "C", "applicant": PERSON, "leader": PERSON, "pi": PERSON,
    "eventStart": "2099-05-03T08:00:00", "eventEnd": "2099-05-08T08:00:00",
}  # fmt: skip

SCHEMA_FIELDS = """\
  pi: {field_type: high_level, machine_name: principalInvestigator, value: Pat, type: string}
  where: {field_type: high_level, machine_name: creationLocation, value: lab, type: string}
  owner: {field_type: high_level, machine_name: owner, value: Pat, type: string}
  group: {field_type: high_level, machine_name: ownerGroup, value: staff, type: string}
  folder: {field_type: high_level, machine_name: sourceFolder, value: <folder>, type: string}
  contact: {field_type: high_level, machine_name: contactEmail, value: pat@lab.example, type: email}
  when: {field_type: high_level, machine_name: creationTime, value: '2099-05-04T10:07:30Z', type: date}
"""
"""Items of a metadata schema that a dataset needs and that most tests do not care about; needs a variable `folder`."""


def beamtime(directory: Path, id: str = ID, *, generated: bool = False, **metadata: Any) -> Beamtime:  # noqa: A002
    """A beamtime; nothing is written."""
    known = {"beamtimeId": id, "corePath": f"/core/{id}", **METADATA, **metadata}
    return Beamtime(id, directory, known, None if generated else directory / f"beamtime-metadata-{id}.json")


def beamtime_directory(place: Path, id: str = ID, **metadata: Any) -> Path:  # noqa: A002
    """A beamtime directory on disk, with a metadata file and an empty `raw`."""
    made = beamtime(place, id, **metadata)
    (place / "raw").mkdir(parents=True)
    (place / f"beamtime-metadata-{id}.json").write_text(json.dumps(dict(made.metadata)))
    return place


def scan(directory: Path, name: str = "scan_1", master: Path | str | None = ".nxs", **more: Any) -> Scan:
    """A scan of a directory; nothing is written.

    `master`: its data file, or the extension of one that is named like the scan; None: it has none. `more`: `stem`
    (the name, if it is not given), `entry`, `extras`, `beamtime`.
    """
    file = directory / f"{name}{master}" if isinstance(master, str) else master
    more = {"beamtime": ID, "stem": name} | more
    return Scan(directory=directory, name=name, master=file, **more)


def request(about: Scan, origin: Origin = Origin.LISTED, line: str = "", directory: Path | None = None) -> Request:
    """The wish for the dataset of a scan, noted in its own directory under its name unless told otherwise."""
    key = RequestKey(directory or about.directory, line or about.name)
    return Request(key, about.pid, (about,), origin)


def state(directory: Path, id: str = ID, **more: Any) -> BeamtimeState:  # noqa: A002
    """The state of the work on a beamtime."""
    return BeamtimeState(str(directory), id, **more)


def nexus(
    path: Path, fill: Callable[[h5py.Group], None] | None = None, *, title: str = "a scan", points: int = 21
) -> Path:
    """A NeXus file with one NXentry "entry", which `fill` fills; without it, a scan of so many points with a plot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        fill(entry) if fill else _line_plot(entry, title, points)
    return path


def append(dataset_list: Path, *lines: str) -> Path:
    """Lines of a dataset list as Sardana appends them: the newline first, none at the end."""
    dataset_list.parent.mkdir(parents=True, exist_ok=True)
    with dataset_list.open("a") as file:
        file.write("".join(f"\n{line}" for line in lines))
    return dataset_list


def _line_plot(entry: h5py.Group, title: str, points: int) -> None:
    entry.attrs["default"] = "data"
    entry["title"] = title
    entry["end_time"] = "2099-05-04T10:07:30+0200"
    data = entry.create_group("data")
    data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": "th"})
    data["th"] = np.linspace(0.0, 1.0, points)
    data["th"].attrs["units"] = "deg"
    data["counts"] = np.arange(points)
    data["temperature"] = 293.5
    data["temperature"].attrs["units"] = "K"
