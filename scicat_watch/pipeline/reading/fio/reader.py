"""FIO: the text files that Sardana and Spectra write at DESY. How they are read: `fio.text`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scicat_watch.errors import MissingValue, ReadingError, SourceError
from scicat_watch.files import Outside, Roots, read_ordinary
from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.reading.fio.text import Fio, parse
from scicat_watch.pipeline.reading.nexus import plots
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.sizes import json_size, truncated
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.pipeline.schema import treepaths
from scicat_watch.pipeline.schema.model import TreeOptions

LARGEST = 64 << 20
"""Bytes of the largest file that is read."""


@dataclass(frozen=True)
class FioFile:
    """A FIO file that was read."""

    fio: Fio

    def value(self, path: str, value_type: str, limit: int) -> FieldValue:
        """What is at a path.

        Paths are `ScanCommand`, `start_time`, `end_time`, `comments.line_1`, `parameters.energy`,
        `parameters.energy@unit`, `data.omega`; all after the first dot is one name.
        """
        found, unit = self._found(path)
        size = json_size(found)
        if size > limit:
            raise SourceError(f"holds {size} bytes, more than the {limit} that reading.metadata_limit leaves")
        return FieldValue(found, unit, (len(found),) if isinstance(found, list) else ())

    def tree(self, options: TreeOptions, limit: int, notes: Notes) -> Mapping[str, Any]:
        """Comments, command, times and parameters; with `one_dimensional` the columns of the data, too."""
        fio = self.fio
        times = {"start_time": fio.start_time, "end_time": fio.end_time}
        made: dict[str, Any] = {
            "comments": {f"line_{number}": line for number, line in enumerate(fio.comments, 1)},
            "parameters": {name: self._parameter(name, options) for name in fio.parameters},
        }
        made = {name: members for name, members in made.items() if members}
        made |= {name: {"value": time, "unit": ""} for name, time in times.items() if time}
        if fio.command:
            made["ScanCommand"] = fio.command
        if options.one_dimensional and fio.columns:
            made["data"] = {name: _column(column, options) for name, column in fio.columns.items()}
        return truncated(treepaths.chosen(made, options), limit, notes)

    def plot(self, notes: Notes) -> Plot | None:
        """The signal over what the scan command moves."""
        columns = {name: _numbers(column) for name, column in self.fio.columns.items()}
        label = self._signal(list(columns))
        values = columns.get(label)
        if values is None or len(values) < 2 or not np.isfinite(values).any():
            return None
        fitting = {name: x for name, x in columns.items() if name != label and len(x) == len(values)}
        spans = {name: float(np.ptp(x)) for name, x in fitting.items() if np.isfinite(x).all()}
        moved = [name for name in plots.axes_of(self.fio.command) if name in spans]
        first = next(iter(columns))
        x_label = max(moved, key=lambda name: spans[name], default=first if first in spans else "")
        step = plots.step(len(values))
        x = fitting[x_label][::step] if x_label else None
        return Plot(values[::step], label, self.fio.command, label, x, x_label)

    def _found(self, path: str) -> tuple[Any, str | None]:
        fio = self.fio
        section, _, name = path.partition(".")
        alone = {"ScanCommand": fio.command, "start_time": fio.start_time, "end_time": fio.end_time}
        if not name and alone.get(section):
            return alone[section], None
        if section == "parameters" and name in fio.parameters:
            return fio.parameters[name], fio.attributes.get(name, {}).get("unit")
        parameter, at, attribute = name.rpartition("@")
        if section == "parameters" and at and attribute in fio.attributes.get(parameter, {}):
            return fio.attributes[parameter][attribute], None
        if section == "data" and name in fio.columns:
            return _sayable(fio.columns[name]), None
        comments = {f"line_{number}": line for number, line in enumerate(fio.comments, 1)}
        if section == "comments" and name in comments:
            return comments[name], None
        raise MissingValue("is not there")

    def _parameter(self, name: str, options: TreeOptions) -> Any:
        value, attributes = self.fio.parameters[name], self.fio.attributes.get(name)
        if attributes is None:
            return value
        shown = attributes if options.attributes else {key: attributes[key] for key in attributes if key == "unit"}
        return {key: member for key, member in shown.items() if key not in options.hidden_attributes} | {"value": value}

    def _signal(self, columns: list[str]) -> str:
        """The column that is counted: the one that a parameter names, else the second, else the first."""
        named = [self.fio.parameters.get(name) for name in ("signalcounter", "signal")]
        return next((name for name in [*named, *columns[1:2], *columns[:1]] if name in columns), "")


class FioReader:
    """Reads FIO files."""

    source = "FIO"

    @contextmanager
    def open(self, master: Path, roots: Sequence[Path], entry: str) -> Iterator[FioFile]:
        """The file, read as a whole."""
        yield FioFile(parse(_text(master, roots)))


def _text(master: Path, roots: Sequence[Path]) -> str:
    try:
        raw = read_ordinary(master, LARGEST, roots=Roots(roots))
    except Outside as error:
        raise ReadingError(f"{master}: is a link out of the beamtime's directories, and is not read") from error
    except FileNotFoundError as error:
        raise ReadingError(f"{master}: vanished before it was read") from error
    except OSError as error:
        raise ReadingError(f"{master}: cannot be read: {error.strerror}") from error
    raw = raw.replace(b"\0", b"")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _sayable(column: list[float | str]) -> list[Any]:
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in column]


def _column(column: list[float | str], options: TreeOptions) -> list[Any]:
    if len(column) > options.max_one_dimensional:
        return _sayable([column[0], column[-1]])
    return _sayable(column)


def _numbers(column: list[float | str]) -> np.ndarray[Any, Any]:
    return np.array([value if isinstance(value, float) else math.nan for value in column])
