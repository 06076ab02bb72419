"""NeXus files made by hand, and jobs that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scicat_watch.model import Scan
from scicat_watch.pipeline.handover import ReadJob, ReadLimits
from scicat_watch.pipeline.reading.nexus.links import Links
from scicat_watch.pipeline.schema.model import Item, Schema, TreeOptions, Variable
from tests import makers


def group(parent: Any, name: str, nx_class: str, **attributes: Any) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["NX_class"] = nx_class
    for key, value in attributes.items():
        made.attrs[key] = value
    return made


def nexus(path: Path, fill: Callable[[h5py.Group], None] | None = None) -> Path:
    """A file with one NXentry "entry", which `fill` fills; without it, it is empty, and nothing is its default."""
    path = makers.nexus(path, fill or (lambda _: None))
    with h5py.File(path, "r+") as file:
        del file.attrs["default"]
    return path


def line_plot(entry: h5py.Group) -> None:
    entry["title"] = "theta scan"
    data = group(entry, "data", "NXdata", signal="counts", axes="th")
    data["th"] = np.linspace(0.0, 1.0, 11)
    data["th"].attrs["units"] = "deg"
    data["counts"] = np.arange(11)
    entry["program_name"] = "macro"
    entry["program_name"].attrs["scan_command"] = "ascan th 0 1 10 0.1"


def opened(path: Path, *roots: Path) -> Links:
    return Links(path, roots or (path.parent,))


def scan(directory: Path, name: str, master: str | None = None, **more: Any) -> Scan:
    found = directory / (master or f"{name}.nxs")
    return makers.scan(directory, name, found if found.exists() else None, **{"beamtime": "20990042"} | more)


def schema(variables: Sequence[Variable] = (), tree: TreeOptions | None = None, selector: Any = "*") -> Schema:
    return Schema(
        "test",
        "Test",
        "",
        1.0,
        selector,
        tuple(variables),
        (Item("tree", "nexus_tree", "", tree=tree or TreeOptions()),),
    )


def job(made: Scan, *schemas: Schema, root: Path | None = None, **settings: Any) -> ReadJob:
    beamtime = makers.beamtime(root or made.directory, "20990042", facility="PETRA III")
    return ReadJob(made, beamtime, schemas or (schema(),), ReadLimits(**settings), (root or made.directory,))
