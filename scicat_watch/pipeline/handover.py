"""What crosses from the process that reads a scan's files to the one that makes its documents, and back.

Plain frozen values only: the reading process holds nothing of ours but these, and what it gives back
is checked by being made of nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scicat_watch.documents import DataFile
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.schema.model import Schema


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much is read of a scan, and which of its files; the defaults are those of the native configuration."""

    time_limit: float = 30.0
    """Seconds after which the process that reads the scan is ended, without those of `retry_delays`."""
    first_time_limit: float = 10.0
    """Seconds after which reading is ended and begun anew apart from the other scans, if that is not `time_limit`."""
    retry_delays: tuple[float, ...] = ()
    """Seconds before each further try to read a data file that cannot be read yet."""
    memory_limit: int = 1 << 30
    """Bytes of address space that the process may use."""
    metadata_limit: int = 8 << 20
    """Bytes of JSON that the scan's metadata may have; the rest is left out, and the dataset says so."""
    thumbnails: bool = True
    """Whether there is to be a thumbnail."""
    thumbnail_extensions: tuple[str, ...] = ("png",)
    """Extensions of a ready thumbnail beside the data file."""
    file_list: Literal["exact", "prefix"] = "exact"
    """Which files belong to scan_1: `reading.filelist`."""
    end_time_within: float = 0.0
    """Seconds for which a NeXus file that has not changed may be without an end_time; 0: it needs none."""
    skipped_files: tuple[str, ...] = ("*.pyc", "*~", "*.scan.json", "*.origdatablock.json", "*.attachment.json")
    """Shell patterns of files that are left out of file lists."""

    @property
    def longest(self) -> float:
        """Seconds that reading may take, waits included."""
        return self.time_limit + sum(self.retry_delays)

    @property
    def first(self) -> float:
        """Seconds that reading may take among the other scans, waits included."""
        return min(self.first_time_limit, self.time_limit) + sum(self.retry_delays)


@dataclass(frozen=True, slots=True)
class ReadJob:
    """One scan to read, with all that the reading process needs to know."""

    scan: Scan
    beamtime: Beamtime
    schemas: tuple[Schema, ...]
    """In the order in which they are tried."""
    limits: ReadLimits
    roots: tuple[Path, ...]
    """Directories that links in data files may lead into: those of the beamtime."""
    suspect: bool = False
    """Whether reading the scan hung or ended its worker process before, so that it is read apart from the others."""


@dataclass(frozen=True, slots=True)
class FieldValue:
    """What an HDF5 field holds, as plain Python values."""

    value: Any
    """Text, number, bool or None for one element; nested lists for more."""
    unit: str | None = None
    """The `units` attribute; None if there is none."""
    shape: tuple[int, ...] = ()
    """Shape in the file: () for a scalar, (1,) for an array of one element."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a variable could not be read from the file."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read of one scan."""

    scan: Scan
    schema: Schema
    """The one that fits the scan."""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    """Ids of the schemas that were tried before, each with the reason why it does not fit."""
    source: str = ""
    """The source of variables that the data file was read for, e.g. "NXS"; empty if none was read."""
    values: Mapping[str, FieldValue | Unread] = field(default_factory=dict)
    """The schema's variables of that source by name."""
    trees: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Trees of the data file by the name of the schema item that asks for them."""
    files: tuple[DataFile, ...] = ()
    """The scan's files; paths relative to the scan directory."""
    thumbnail: bytes | None = field(default=None, repr=False)
    """A PNG."""
    caption: str = ""
    """What the thumbnail shows."""
    first_time: float | None = None
    """Oldest modification time of the scan's files, seconds since 1970."""
    last_time: float | None = None
    """Newest modification time."""
    truncations: tuple[str, ...] = ()
    """What is missing in the trees because it is too much; also in the notes. The dataset says so."""
    notes: tuple[str, ...] = ()
    """For people: what was left out, not followed, or not drawn, and why."""
