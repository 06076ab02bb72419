"""A thumbnail of a scan: the one that lies beside its data file, or the plot that the file describes.

What is to be drawn the reader of the file says (`nexus.plots`, `fio.reader`). One dimension makes a line, two an
image. The drawing libraries are loaded when there is something to draw. Facts: DESY 10.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scicat_watch.errors import SourceError
from scicat_watch.files import Outside, Roots
from scicat_watch.model import Scan
from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.pipeline.reading import libraries
from scicat_watch.pipeline.reading.nexus.links import HDF5_ERRORS
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.words import REPLACED, printable, why

LARGEST_THUMBNAIL = 8 << 20
"""Bytes of the largest ready thumbnail: a catalogue's document has to hold it as text."""
WITH_MARKERS = 24
"""Lines of so many points or fewer show each of them."""
_PNG = b"\x89PNG\r\n\x1a\n"
_ODD_DATA = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, SourceError)
"""What the libraries that understand and draw plots raise, besides, for data that they did not expect."""


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

    @property
    def caption(self) -> str:
        """What is shown, e.g. "counts (cps) against theta (deg)"."""
        shown = self.label or self.heading
        return f"{shown} against {self.x_label}" if self.values.ndim == 1 and self.x_label else shown


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail of a scan."""

    png: bytes
    caption: str
    """What it shows."""


def thumbnail(
    scan: Scan,
    limits: ReadLimits,
    roots: Iterable[Path],
    find: Callable[[Notes], Plot | None] | None,
    notes: Notes,
) -> Thumbnail | None:
    """A thumbnail of the scan; None if there is nothing to show, with a note if that has a reason.

    `find` says what the data file has to draw; None if there is no file that was read.
    """
    ready = _ready(scan, limits, tuple(roots), notes)
    if ready is not None or find is None:
        return ready
    try:
        plot = find(notes)
        return None if plot is None else Thumbnail(draw(plot), plot.caption)
    except (*HDF5_ERRORS, *_ODD_DATA) as error:
        notes.add(f"no thumbnail: the default plot cannot be drawn ({why(error)})")
        return None


def draw(plot: Plot) -> bytes:
    """The thumbnail as PNG of 640 x 480 points; the same bytes for the same plot."""
    libraries.need(libraries.DRAWING)
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Characters without a glyph, axes without a width: it is drawn all the same.
        canvas = _line(plot) if plot.values.ndim == 1 else _image(plot)
        canvas.draw()
    drawn = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(drawn, "PNG", compress_level=3)
    return drawn.getvalue()


def _ready(scan: Scan, limits: ReadLimits, roots: Sequence[Path], notes: Notes) -> Thumbnail | None:
    """The thumbnail that somebody put beside the master file, or into the folder of a scan without one."""
    places = [scan.place, scan.directory / scan.stem]
    if scan.master is None:
        places.append(scan.place / scan.place.name)
    for extension in limits.thumbnail_extensions:
        for place in dict.fromkeys(places):
            path = place.with_name(f"{place.name}.{extension}")
            if path.is_file():
                content = _checked(path, roots, notes)
                if content is not None:
                    return Thumbnail(content, path.name)
    return None


def _checked(path: Path, roots: Sequence[Path], notes: Notes) -> bytes | None:
    from PIL import Image

    try:
        with os.fdopen(Roots(roots).open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(LARGEST_THUMBNAIL + 1)
        if len(content) > LARGEST_THUMBNAIL:
            notes.add(f"{path}: has more than {LARGEST_THUMBNAIL} bytes, too much for the scan's thumbnail")
            return None
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except Outside:
        notes.add(f"{path}: is a link out of the beamtime's directories, and is not taken as the scan's thumbnail")
        return None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        notes.add(f"{path}: is not a whole PNG, and is not taken as the scan's thumbnail ({type(error).__name__})")
        return None
    return content if content.startswith(_PNG) else None


def _short(words: str) -> str:
    return printable(words[:68]).replace(REPLACED, " ")


def _canvas() -> Any:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcdefaults()  # The same thumbnail whoever's account draws it; and no TeX, which is a program to run.
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
