"""What a reading process wants of a data file: values of variables, a tree, a plot.

A reader is for the files of some extensions. It gives its name to the source of the variables that it
reads: `source: FIO` in a schema stands for what `FioReader` finds at the variable's path. It only
reads; it runs in a process without network and secrets, and what it finds goes back as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.pipeline.schema.model import TreeOptions


class OpenFile(Protocol):
    """One data file that is open."""

    def value(self, path: str, value_type: str, limit: int) -> FieldValue:
        """What is at `path`, for a variable of type `value_type`, of at most `limit` bytes.

        `MissingValue` if there is nothing, any other `SourceError` if it cannot be read; both say why.
        """

    def tree(self, options: TreeOptions, limit: int, notes: Notes) -> Mapping[str, Any]:
        """All that the file says, as nested objects of at most `limit` bytes of JSON; what is left out is noted."""

    def plot(self, notes: Notes) -> Plot | None:
        """What a thumbnail of the scan shows; None if there is nothing to draw."""


class Reader(Protocol):
    """One kind of data files."""

    @property
    def source(self) -> str:
        """The source of the variables that it reads, e.g. "NXS"; a plain attribute will do."""

    def open(self, master: Path, roots: Sequence[Path], entry: str) -> AbstractContextManager[OpenFile]:
        """Open a scan's master file; `ReadingError` if it cannot be.

        Nothing outside of `roots` may be read. `entry` is the part of the file that is the scan, if
        the list names one.
        """
