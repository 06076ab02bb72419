"""NXS: NeXus and other HDF5 files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.reading.nexus import plots, tree, values
from scicat_watch.pipeline.reading.nexus.links import Links
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.pipeline.schema.model import TreeOptions


@dataclass(frozen=True)
class NexusFile:
    """A NeXus file, with what it links to; of `entry` only, if it is given."""

    links: Links
    entry: str = ""

    def value(self, path: str, value_type: str, limit: int) -> FieldValue:
        """What is at an HDF5 path; see `nexus.values`."""
        return values.value(self.links, path, value_type, self.entry, limit)

    def tree(self, options: TreeOptions, limit: int, notes: Notes) -> Mapping[str, Any]:
        """The entries' groups and fields; see `nexus.tree`."""
        return tree.tree(self.links, options, self.entry, limit, notes)

    def plot(self, notes: Notes) -> Plot | None:
        """The default plot; see `nexus.plots`."""
        return plots.find(self.links, self.entry, notes)


class NexusReader:
    """Reads HDF5 files."""

    source = "NXS"

    @contextmanager
    def open(self, master: Path, roots: Sequence[Path], entry: str) -> Iterator[NexusFile]:
        """The file; closed with all that was opened for it."""
        with Links(master, roots) as links:
            yield NexusFile(links, entry)
