"""The default plot of a NeXus file: which field is drawn, over which axis, and what it is called.

`default` and `signal` attributes lead to it, and where they are missing the first NXdata of the first
NXentry is taken. Three dimensions show the frame in their middle. silx knows the rules of NXdata; it follows
links by itself, so that it only gets a group after each member of it was checked, and only names
without a path. Facts: DESY 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5i

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.reading import libraries
from scicat_watch.pipeline.reading.nexus import fields
from scicat_watch.pipeline.reading.nexus.links import HDF5_ERRORS, Links, Node
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.thumbnails import Plot

LARGEST_FRAME = 128 << 20
"""Bytes of the largest image that is read as a whole; of larger ones every so many-th row and column is."""
MOST_POINTS = 200_000
"""So many points of a line are drawn; of longer ones every so many-th."""
MOST_PIXELS = 1200
"""So many rows and columns of an image are drawn."""
MOST_SEARCHED = 2000
"""So many members of a group are searched for a plot that no attribute leads to."""
_AXES_OF_COMMANDS = {"hklscan": ("h", "k", "l"), "qscan": ("qz", "qpar")}
_NAMING = ("signal", "axes", "auxiliary_signals", "uncertainties")
_KINDS = ("NXdata", "NXmonitor", "NXlog")


def find(links: Links, entry: str, notes: Notes) -> Plot | None:
    """The default plot of a file, or of one of its entries; None if it has none."""
    start = links.root
    if entry:
        try:
            start = links.find(entry)
        except SourceError:
            return None
    for group in _data_groups(links, start, notes):
        objection = links.check(group)
        if objection:
            notes.add(f"no thumbnail: {objection}")
            return None
        chosen = _signal(links, group)
        if chosen is not None:
            return _plot(links, group, *chosen)
    return None


def axes_of(command: str) -> tuple[str, ...]:
    """Names of what a scan command moves, e.g. ("th",) for "ascan th 0 1 10 0.1"."""
    words = command.split()
    return _AXES_OF_COMMANDS.get(words[0], tuple(words[1:2])) if words else ()


def step(length: int) -> int:
    """Every so many-th point of a line of this length is drawn."""
    return max(1, math.ceil(length / MOST_POINTS))


def _data_groups(links: Links, start: Node, notes: Notes) -> Iterator[Node]:
    """Groups that may hold the default plot, the likeliest first."""
    group, steps = start, 0
    while isinstance(group, h5g.GroupID) and steps < 16:
        default = fields.attribute(group, "default")
        if fields.nx_class(group) == "NXdata" or fields.attribute(group, "signal") is not None:
            yield group
            break
        if not isinstance(default, str) or not default:
            break
        try:
            group, steps = links.find(default, group), steps + 1
        except SourceError:
            break
    alone = isinstance(start, h5g.GroupID) and fields.nx_class(start) == "NXentry"
    entries = [start] if alone else _of_class(links, start, ("NXentry",), "entry", notes)
    for entry in entries:
        yield from _of_class(links, entry, _KINDS, "data", notes)


def _of_class(links: Links, group: Node, wanted: tuple[str, ...], first: str, notes: Notes) -> list[Node]:
    """Groups of these classes in `group`: by class, then `first`, then by name."""
    if not isinstance(group, h5g.GroupID):
        return []
    found: dict[str, list[Node]] = {nx_class: [] for nx_class in wanted}
    names = sorted(links.members(group), key=lambda name: (name != first.encode(), name))
    if len(names) > MOST_SEARCHED:
        notes.add(f"the default plot was searched for in the first {MOST_SEARCHED} members of a group only")
    for name in names[:MOST_SEARCHED]:
        try:
            member = links.child(group, name)
        except SourceError:
            continue  # A broken link elsewhere does not matter.
        if isinstance(member, h5g.GroupID) and (nx_class := fields.nx_class(member)) in found:
            found[nx_class].append(member)
    return [member for members in found.values() for member in members]


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """A field under the name that it has in its group, which may be a link's."""

    data: h5py.Dataset
    name: str

    @property
    def title(self) -> str:
        long_name = fields.attribute(self.data.id, "long_name")
        return long_name if isinstance(long_name, str) and long_name else self.name

    @property
    def label(self) -> str:
        unit = fields.unit_of(self.data.id)
        return f"{self.title} ({unit})" if unit else self.title


def _signal(links: Links, group: Node) -> tuple[_Field, _Field | None] | None:
    """The field to draw and, if the file says so, the field to draw it over."""
    data = _understood(links, group)
    if data is not None:
        signal = _Field(data.signal, str(data.signal_dataset_name))
        if _drawable(signal):
            over = data.axes_dataset_names if signal.data.ndim == 1 else []
            return signal, _field(links, group, over[0]) if len(over) == 1 else None
    named = fields.attribute(group, "signal")
    names = [fields.text(name) for name in links.members(group)]
    for name in [*([named] if isinstance(named, str) else []), "data", *names]:
        found = _field(links, group, name)
        if found is not None and _drawable(found):
            axes = fields.attribute(group, "axes")
            candidates = [_field(links, group, axis) for axis in (axes if isinstance(axes, list) else [axes])]
            return found, next((axis for axis in candidates if _fits(axis, found)), None)
    return None


def _field(links: Links, group: Node, name: Any) -> _Field | None:
    """The field at a path from `group`; None if there is none, or its data must not be read."""
    if not isinstance(name, str) or not name:
        return None
    try:
        node = links.find(name, group)
        if isinstance(node, h5d.DatasetID) and not links.storage(node).refusal:
            return _Field(h5py.Dataset(node), name.rpartition("/")[2])
    except (SourceError, *HDF5_ERRORS):
        pass
    return None


def _understood(links: Links, group: Node) -> Any:
    """What silx makes of an NXdata; None if that group does not follow the rules for one."""
    if not _names_only_members(links, group):
        return None
    libraries.need(libraries.DEFAULT_PLOTS)
    from silx.io.nxdata.parse import NXdata

    try:
        data: Any = NXdata(h5py.Group(group))
    except (*HDF5_ERRORS, AssertionError, AttributeError):
        return None  # For example for a broken link beside the signal.
    return data if data.is_valid else None


def _names_only_members(links: Links, group: Node) -> bool:
    """Whether no attribute leads silx by a path out of the group that was checked."""
    nodes = [group]
    for name in links.members(group):
        try:
            nodes.append(links.child(group, name))
        except SourceError:
            continue
    for node in nodes:
        for naming in _NAMING:
            if h5a.exists(node, naming.encode()):
                value = fields.attribute(node, naming)
                if value is None or "/" in repr(value):  # What we cannot read silx might.
                    return False
    return True


def _fits(axis: _Field | None, signal: _Field) -> bool:
    return axis is not None and axis.data.shape == signal.data.shape and axis.data.dtype.kind in "iuf"


def _drawable(field: _Field) -> bool:
    data = field.data
    return bool(data.shape) and data.dtype.kind in "iufb" and data.ndim in {1, 2, 3} and data.size > 1


def _plot(links: Links, group: Node, signal: _Field, axis: _Field | None) -> Plot | None:
    entry = _entry_of(links, group)
    command = _scan_command(links, entry)
    label, values = signal.label, _values(signal.data)
    if signal.data.ndim == 3:
        label = f"{signal.title}[{signal.data.shape[0] // 2}]"
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        return None
    heading = _title(links, entry) or label
    if values.ndim == 2:
        return Plot(values, heading, command, label)
    axis = axis if _fits(axis, signal) else _axis_of(command, links, group, signal)
    if axis is None:
        return Plot(values, heading, command, label)
    return Plot(values, heading, command, label, axis.data[:: step(len(axis.data))], axis.label)


def _entry_of(links: Links, group: Node) -> Node:
    """The NXentry that a group is in; the root of its file if it is in none."""
    path = h5i.get_name(group) or b"/"
    while path.strip(b"/") and fields.nx_class(group) != "NXentry":
        path = path.rpartition(b"/")[0] or b"/"
        group = links.find(path, group)
    return group


def _scan_command(links: Links, entry: Node) -> str:
    try:
        command = fields.attribute(links.find("program_name", entry), "scan_command")
    except SourceError:
        return ""
    return command if isinstance(command, str) else ""


def _axis_of(command: str, links: Links, group: Node, signal: _Field) -> _Field | None:
    """The field that the scan command moves, if it is beside the signal."""
    beside = (_field(links, group, name) for name in axes_of(command))
    moved = [field for field in beside if field is not None and _fits(field, signal) and field.data != signal.data]
    return max(moved, key=lambda field: float(np.ptp(field.data[:: step(len(field.data))])), default=None)


def _values(signal: h5py.Dataset) -> np.ndarray[Any, Any]:
    if signal.ndim == 1:
        return np.asarray(signal[:: step(len(signal))])
    frame = (signal.shape[0] // 2,) if signal.ndim == 3 else ()
    rows, columns = signal.shape[-2:]
    by_rows, by_columns = (max(1, math.ceil(side / MOST_PIXELS)) for side in (rows, columns))
    if rows * columns * signal.dtype.itemsize > LARGEST_FRAME:
        return np.asarray(signal[(*frame, slice(None, None, by_rows), slice(None, None, by_columns))])
    return np.asarray(signal[(*frame, slice(None), slice(None))])[::by_rows, ::by_columns]


def _title(links: Links, entry: Node) -> str:
    title = _field(links, entry, "title")
    if title is None or title.data.size != 1:
        return ""
    value = fields.element(fields.read(title.data.id, fields.LARGEST_ATTRIBUTE))
    return value.strip() if isinstance(value, str) else ""
