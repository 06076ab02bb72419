"""A picture of a scan: the one that lies beside its data file, or its default plot.

The default plot is what NeXus calls so: `default` and `signal` attributes lead to it, and where they
are missing the first NXdata of the first NXentry is taken. One dimension makes a line, two an image, three
the image in their middle. The drawing libraries are loaded when there is something to draw. Facts:
DESY 10.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scicat_watch.errors import SourceError
from scicat_watch.files import inside
from scicat_watch.model import Scan
from scicat_watch.pipeline import fields
from scicat_watch.pipeline.links import HDF5_ERRORS, Links
from scicat_watch.pipeline.notes import Notes
from scicat_watch.settings.model import Reading as ReadingSettings

LARGEST_PICTURE = 8 << 20
"""Bytes of the largest ready picture: a catalogue's document has to hold it as text."""
LARGEST_FRAME = 128 << 20
"""Bytes of the largest image that is read as a whole; of larger ones every so many-th row and column is."""
MOST_POINTS = 200_000
"""So many points of a line are drawn; of longer ones every so many-th."""
MOST_PIXELS = 1200
"""So many rows and columns of an image are drawn."""
WITH_MARKERS = 24
"""Lines of so many points or fewer show each of them."""
_PNG = b"\x89PNG\r\n\x1a\n"
_ODD_DATA = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, SourceError)
"""What the libraries that understand and draw plots raise, besides, for data that they did not expect."""
_AXES_OF_COMMANDS = {"hklscan": ("h", "k", "l"), "qscan": ("qz", "qpar")}


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """What is to be drawn."""

    values: np.ndarray[Any, Any]
    """One- or two-dimensional numbers."""
    heading: str
    """The entry's title, else what the values are."""
    command: str = ""
    """The scan command, e.g. "ascan th 0.0 1.0 10 0.1"."""
    label: str = ""
    """What the values are, with their unit."""
    x: np.ndarray[Any, Any] | None = None
    """Where the points of a line are; None: numbered from 0."""
    x_label: str = ""


def picture(
    scan: Scan, settings: ReadingSettings, roots: Iterable[Path], links: Links | None, notes: Notes
) -> bytes | None:
    """A PNG of the scan; None if there is nothing to show, with a note if that has a reason."""
    ready = _ready(scan, settings, tuple(roots), notes)
    if ready is not None or links is None:
        return ready
    try:
        plot = find(links, scan.entry, notes)
        return None if plot is None else draw(plot)
    except (*HDF5_ERRORS, *_ODD_DATA) as error:
        notes.add(f"no picture: the default plot cannot be drawn ({type(error).__name__}: {error})")
        return None


def find(links: Links, entry: str, notes: Notes) -> Plot | None:
    """The default plot of a file, or of one of its entries; None if it has none."""
    objection = links.check()
    if objection:
        notes.add(f"no picture: {objection}")
        return None
    start = links.file.get(entry) if entry else links.file
    if not isinstance(start, h5py.Group):
        return None
    for group in _data_groups(start):
        chosen = _signal(group)
        if chosen is not None:
            return _plot(group, *chosen)
    return None


def draw(plot: Plot) -> bytes:
    """The picture as PNG of 640 x 480 points; the same bytes for the same plot."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Characters without a glyph, axes without a width: it is drawn all the same.
        canvas = _line(plot) if plot.values.ndim == 1 else _image(plot)
        canvas.draw()
    drawn = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(drawn, "PNG", compress_level=3)
    return drawn.getvalue()


def _ready(scan: Scan, settings: ReadingSettings, roots: Sequence[Path], notes: Notes) -> bytes | None:
    """The picture that somebody put beside the master file, or into the folder of a scan without one."""
    places = [scan.place, scan.directory / scan.stem]
    if scan.master is None:
        places.append(scan.place / scan.place.name)
    for extension in settings.picture_extensions:
        for place in dict.fromkeys(places):
            path = place.with_name(f"{place.name}.{extension}")
            if path.is_file():
                content = _checked(path, roots, notes)
                if content is not None:
                    return content
    return None


def _checked(path: Path, roots: Sequence[Path], notes: Notes) -> bytes | None:
    from PIL import Image

    if not inside(path, roots):
        notes.add(f"{path}: is a link out of the beamtime's directories, and is not taken as the scan's picture")
        return None
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_PICTURE + 1)
        if len(content) > LARGEST_PICTURE:
            notes.add(f"{path}: has more than {LARGEST_PICTURE} bytes, too much for the scan's picture")
            return None
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        notes.add(f"{path}: is not a whole PNG, and is not taken as the scan's picture ({type(error).__name__})")
        return None
    return content if content.startswith(_PNG) else None


def _data_groups(start: h5py.Group) -> Iterator[h5py.Group]:
    """Groups that may hold the default plot, the likeliest first."""
    group, steps = start, 0
    while isinstance(group, h5py.Group) and steps < 16:
        default = fields.attribute(group.id, "default")
        if _class(group) == "NXdata" or "signal" in group.attrs:
            yield group
            break
        if not isinstance(default, str) or not default:
            break
        group, steps = group.get(default), steps + 1
    for entry in [start] if _class(start) == "NXentry" else _of_class(start, "NXentry", "entry"):
        for wanted in ("NXdata", "NXmonitor", "NXlog"):
            yield from _of_class(entry, wanted, "data")


def _of_class(group: h5py.Group, wanted: str, first: str) -> list[h5py.Group]:
    members = [group.get(name) for name in sorted(group, key=lambda name: (name != first, name))]
    return [member for member in members if isinstance(member, h5py.Group) and _class(member) == wanted]


def _class(group: h5py.Group) -> str:
    return fields.nx_class(group.id)


def _signal(group: h5py.Group) -> tuple[h5py.Dataset, Any] | None:
    """The field to draw and, if the file says so, the field or values to draw it over."""
    data = _understood(group)
    if data is not None and _drawable(data.signal):
        return data.signal, data.axes[0] if data.signal.ndim == 1 and len(data.axes) == 1 else None
    named = fields.attribute(group.id, "signal")
    for name in [*([named] if isinstance(named, str) else []), "data", *sorted(group)]:
        signal = group.get(name)
        if isinstance(signal, h5py.Dataset) and _drawable(signal):
            axes = fields.attribute(group.id, "axes")
            over = [group.get(axis) for axis in (axes if isinstance(axes, list) else [axes]) if isinstance(axis, str)]
            return signal, next((axis for axis in over if _fits(axis, signal)), None)
    return None


def _understood(group: h5py.Group) -> Any:
    """What silx makes of an NXdata; None if that group does not follow the rules for one."""
    from silx.io.nxdata.parse import NXdata

    try:
        data: Any = NXdata(group)
    except (*HDF5_ERRORS, AssertionError, AttributeError):
        return None  # For example for a broken link beside the signal.
    return data if data.is_valid else None


def _fits(axis: Any, signal: h5py.Dataset) -> bool:
    return isinstance(axis, h5py.Dataset) and axis.shape == signal.shape and axis.dtype.kind in "iuf"


def _drawable(field: h5py.Dataset) -> bool:
    return field.dtype.kind in "iufb" and field.ndim in {1, 2, 3} and all(field.shape) and field.size > 1


def _plot(group: h5py.Group, signal: h5py.Dataset, axis: Any) -> Plot | None:
    entry = group
    while _class(entry) != "NXentry" and entry.name != "/":
        entry = entry.parent
    program = entry.get("program_name")
    command = fields.attribute(program.id, "scan_command") if isinstance(program, h5py.Dataset) else None
    command = command if isinstance(command, str) else ""
    label, values = _label(signal), _values(signal)
    if signal.ndim == 3:
        label = f"{_name(signal)}[{signal.shape[0] // 2}]"
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        return None
    heading = _title(entry) or label
    if values.ndim == 2:
        return Plot(values, heading, command, label)
    axis = axis if axis is not None and len(axis) == len(signal) else _axis_of(command, group, signal)
    if axis is None:
        return Plot(values, heading, command, label)
    x = axis[:: _step(len(signal))]
    return Plot(values, heading, command, label, x, _label(axis) if isinstance(axis, h5py.Dataset) else "")


def _axis_of(command: str, group: h5py.Group, signal: h5py.Dataset) -> h5py.Dataset | None:
    """The field that the scan command moves, if it is beside the signal."""
    words = command.split()
    names = _AXES_OF_COMMANDS.get(words[0], tuple(words[1:2])) if words else ()
    moved = [field for name in names if _fits(field := group.get(name), signal) and field.name != signal.name]
    return max(moved, key=lambda field: float(np.ptp(field[:: _step(len(field))])), default=None)


def _values(signal: h5py.Dataset) -> np.ndarray[Any, Any]:
    if signal.ndim == 1:
        return np.asarray(signal[:: _step(len(signal))])
    frame = (signal.shape[0] // 2,) if signal.ndim == 3 else ()
    rows, columns = signal.shape[-2:]
    by_rows, by_columns = (max(1, math.ceil(side / MOST_PIXELS)) for side in (rows, columns))
    if rows * columns * signal.dtype.itemsize > LARGEST_FRAME:
        return np.asarray(signal[(*frame, slice(None, None, by_rows), slice(None, None, by_columns))])
    return np.asarray(signal[(*frame, slice(None), slice(None))])[::by_rows, ::by_columns]


def _step(length: int) -> int:
    return max(1, math.ceil(length / MOST_POINTS))


def _title(entry: h5py.Group) -> str:
    title = entry.get("title")
    if not isinstance(title, h5py.Dataset) or title.size != 1:
        return ""
    value = fields.element(fields.read(title.id, fields.LARGEST_ATTRIBUTE))
    return value.strip() if isinstance(value, str) else ""


def _name(field: h5py.Dataset) -> str:
    long_name = fields.attribute(field.id, "long_name")
    return long_name if isinstance(long_name, str) and long_name else str(field.name).rpartition("/")[2]


def _label(field: h5py.Dataset) -> str:
    unit = fields.unit_of(field.id)
    return f"{_name(field)} ({unit})" if unit else _name(field)


def _short(words: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in words[:68])


def _canvas() -> Any:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcdefaults()  # The same picture whoever's account draws it; and no TeX, which is a program to run.
    mpl.rcParams["text.parse_math"] = False  # A dollar in a title is a dollar.
    mpl.rcParams["axes.titley"] = 1.0  # Saves looking for a place for it, a fifth of the time.
    mpl.rcParams["agg.path.chunksize"] = 20_000
    return FigureCanvasAgg(Figure(figsize=(6.4, 4.8), dpi=100))


@cache
def _canvas_for_lines() -> Any:
    """One canvas with axes and an empty line, for all lines: making them takes longer than drawing."""
    canvas = _canvas()
    canvas.figure.add_subplot().plot([], [])
    return canvas


@cache
def _canvas_for_images() -> Any:
    return _canvas()


def _line(plot: Plot) -> Any:
    canvas = _canvas_for_lines()
    axes = canvas.figure.axes[0]
    line = axes.lines[0]
    line.set_data(np.arange(len(plot.values)) if plot.x is None else plot.x, plot.values)
    line.set_marker("o" if len(plot.values) <= WITH_MARKERS else "")
    axes.relim()
    axes.autoscale()
    axes.set_xlabel(_short(plot.x_label))
    axes.set_ylabel(_short(plot.label))
    axes.set_title(_short(plot.command))
    canvas.figure.suptitle(_short(plot.heading))
    return canvas


def _image(plot: Plot) -> Any:
    canvas = _canvas_for_images()
    for axes in list(canvas.figure.axes):
        canvas.figure.delaxes(axes)
    axes = canvas.figure.add_subplot()
    shown, kind = plot.values.astype("f8"), plot.values.dtype
    if kind.kind == "u" and kind.itemsize > 1:
        shown[plot.values == np.iinfo(kind).max] = np.nan  # Detectors mark gaps and dead pixels so.
    lopsided = max(shown.shape) > 10 * min(shown.shape)
    image = axes.imshow(shown, origin="lower", aspect="auto" if lopsided else "equal", interpolation="nearest")
    canvas.figure.colorbar(image, ax=axes)
    axes.set_title(_short(plot.command))
    canvas.figure.suptitle(_short(f"{plot.heading}: {plot.label}"))
    return canvas
