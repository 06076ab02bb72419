"""A simulated beamline: writes a new NeXus scan every few seconds, as a control system would.

A separate program, so that another process than the watching one writes the files:
`python -m scicat_watch.service.simulator DIRECTORY --every 3`.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np

BEAMTIME = "99000042"
_SAMPLES = ("YIG #3", "Fe film", "lysozyme", "SrTiO3", "silica spheres")


def begin(directory: Path) -> None:
    """Create the beamtime directory with its metadata file."""
    (directory / "raw").mkdir(parents=True, exist_ok=True)
    today = datetime.now(UTC).replace(microsecond=0)
    person = {"firstname": "Ada", "lastname": "Example", "email": "ada@beamline.example", "username": "ada"}
    metadata = {
        "beamtimeId": BEAMTIME,
        "proposalId": "99000007",
        "title": "Demonstration beamtime",
        "beamline": "demo",
        "facility": "Simulated light source",
        "applicant": person,
        "leader": person,
        "pi": person,
        "eventStart": today.isoformat(),
        "eventEnd": (today + timedelta(days=3)).isoformat(),
        "corePath": str(directory),
    }
    (directory / f"beamtime-metadata-{BEAMTIME}.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")


def write_scan(directory: Path, number: int, pause: float = 0.0) -> str:
    """Write scan `number`, append its line to the dataset list, and return its name.

    The file stays open for `pause` seconds while it is written.
    """
    raw, name = directory / "raw", f"scan_{number:05d}"
    random = np.random.default_rng(number)
    started = datetime.now(UTC)
    with h5py.File(raw / f"{name}.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry", default="data")
        entry["title"] = f"{'image' if number % 3 == 0 else 'rocking curve'} of {_SAMPLES[number % len(_SAMPLES)]}"
        entry["start_time"] = started.isoformat()
        entry["definition"] = "NXscan"
        sample = _group(entry, "sample", "NXsample")
        sample["name"] = _SAMPLES[number % len(_SAMPLES)]
        _field(sample, "temperature", 293.15 + float(random.normal(0, 0.2)), "K")
        instrument = _group(entry, "instrument", "NXinstrument")
        instrument["name"] = "demo beamline"
        _field(_group(instrument, "mono", "NXmonochromator"), "energy", 7112.0, "eV")
        data = _group(entry, "data", "NXdata", signal="counts")
        (_image if number % 3 == 0 else _curve)(data, random)
        file.flush()
        threading.Event().wait(pause)
        entry["end_time"] = datetime.now(UTC).isoformat()
    frames = raw / name / "pilatus"
    frames.mkdir(parents=True, exist_ok=True)
    for frame in range(3):
        (frames / f"{name}_{frame:04d}.cbf").write_bytes(random.bytes(2048))
    with (raw / f"scicat-datasets-{BEAMTIME}.lst").open("a", encoding="utf-8") as dataset_list:
        dataset_list.write(f"\n{name}")
    return name


def _curve(data: h5py.Group, random: np.random.Generator) -> None:
    angle = np.linspace(-1.0, 1.0, 81)
    centre, width = random.normal(0, 0.2), random.uniform(0.08, 0.25)
    counts = random.poisson(20 + 900 * np.exp(-0.5 * ((angle - centre) / width) ** 2))
    data.attrs["axes"] = "omega"
    _field(data, "omega", angle, "deg")
    _field(data, "counts", counts, "counts")


def _image(data: h5py.Group, random: np.random.Generator) -> None:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    radius = np.hypot(x, y)
    rings = sum(200 * np.exp(-(((radius - ring) / 0.03) ** 2)) for ring in random.uniform(0.2, 1.0, 3))
    _field(data, "counts", random.poisson(5 + 400 * np.exp(-((radius / 0.15) ** 2)) + rings).astype("u2"), "counts")


def _group(parent: h5py.Group, name: str, nx_class: str, **attributes: Any) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    for key, value in attributes.items():
        group.attrs[key] = value
    return group


def _field(group: h5py.Group, name: str, value: Any, units: str) -> None:
    group.create_dataset(name, data=value).attrs["units"] = units


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--every", default=3.0, show_default=True, help="Seconds from scan to scan.")
@click.option("--scans", default=0, help="How many scans to write; 0: until stopped.")
def main(directory: Path, every: float, scans: int) -> None:
    """Write scans into DIRECTORY/raw."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which terminates this process.
    over = threading.Event()
    threading.Thread(target=_wait_for_end_of_input, args=(over,), daemon=True).start()
    begin(directory)
    number = 0
    while not over.is_set() and (not scans or number < scans):
        number += 1
        write_scan(directory, number, pause=min(1.0, every / 3))
        over.wait(every * 2 / 3)


def _wait_for_end_of_input(over: threading.Event) -> None:
    while os.read(0, 1 << 16):
        pass
    over.set()


if __name__ == "__main__":
    main()
