"""The words of a beamline as values: beamtime, scan directory, list entry, scan, quantity, outcome.

Nothing here reads a file, asks a server or knows the time. Every other room may use these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

HDF5_EXTENSIONS = ("nxs", "h5", "hdf5", "hdf", "nx", "ndf", "nx5", "nexus", "nxspe", "cxi")
"""Extensions of files that hold HDF5, in the order in which the data file of a scan is looked for."""
DATA_EXTENSIONS = (*HDF5_EXTENSIONS, "fio")
"""Extensions of all data files that describe a scan."""


class Secret:
    """A text that is sent and never shown: it prints as stars."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"


@dataclass(frozen=True, slots=True)
class Beamtime:
    """One beamtime: what its metadata file says, or what was made up from its directory."""

    id: str
    """Beamtime id, e.g. "11018765": `beamtimeId` inside the metadata file."""
    directory: Path
    """Absolute path of the directory that is watched, e.g. /gpfs/current."""
    metadata: Mapping[str, Any] = field(compare=False)
    """The fields of the metadata file, e.g. `title`, `pi`, `proposalId`."""
    file: Path | None = field(default=None, compare=False)
    """The metadata file; None if the beamtime was made up."""

    @property
    def generated(self) -> bool:
        """Whether there was no metadata file."""
        return self.file is None

    @property
    def core_path(self) -> str:
        """Where the catalogue says that the data is: `corePath` of the metadata file, else the directory itself."""
        core = self.metadata.get("corePath")
        path = core.strip().rstrip("/") if isinstance(core, str) else ""
        return path or str(self.directory)


@dataclass(frozen=True, slots=True, order=True)
class ScanDir:
    """A directory that scans are named in: one with a dataset list, or the beamtime directory itself."""

    beamtime: str
    """Beamtime id."""
    path: Path
    """Absolute path of the directory."""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A line of a dataset list that asks for a dataset. Grammar: `discovery.listfile`."""

    line: str
    """The whole line without white space around: what the ingested list repeats."""
    name: str
    """Name of the dataset, e.g. "scan_00012" or "sub/scan_00012"."""
    stem: str
    """Beginning that the scan's files share; differs from `name` where one file holds several scans."""
    entry: str = ""
    """Name of the NXentry that is meant, e.g. "scan_00007"; empty for all of the file."""
    again: str | None = None
    """What follows the colon of a re-ingest line, e.g. "1702988846.07"; None for a first ingestion."""
    extras: tuple[str, ...] = ()
    """Beginnings of further file and folder names that belong to the scan."""


@dataclass(frozen=True, slots=True)
class Command:
    """A `__command__` line of a dataset list: a measurement starts or stops."""

    line: str
    verb: str
    """"start", "stop" or another word, which means nothing."""
    measurement: str = ""
    """Name of the measurement that starts."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a dataset list that cannot be used, and why."""

    line: str
    number: int
    """Its number in the list, from 1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that should have one dataset in the catalogue; equal scans stand for the same one.

    A scan is where its files begin: the list entry `run_00001` of `raw/` and the file
    `raw/run_00001.nxs` that no list names are the same scan, whatever directory names them. How
    often a scan was tried, and with what luck, is the ledger's knowledge.
    """

    beamtime: str
    """Beamtime id: the number in beamtime-metadata-11018765.json."""
    place: Path
    """Absolute path that the scan's files begin with, e.g. /gpfs/current/raw/scan_00042."""
    directory: Path = field(compare=False)
    """Absolute path of the scan directory, which the name and the file list are relative to."""
    line: str = field(compare=False)
    """The line that stands for the scan in the ingested list."""
    stem: str = field(compare=False)
    """Beginning of the names of its files, relative to `directory`."""
    master: Path | None = field(default=None, compare=False)
    """The file that describes the scan; None: a scan that only has a folder of detector files."""
    entry: str = field(default="", compare=False)
    """Name of the NXentry that is meant; empty for all of the file."""
    extras: tuple[str, ...] = field(default=(), compare=False)
    """Beginnings of further file and folder names that belong to the scan."""
    again: bool = field(default=False, compare=False)
    """Whether the line asks for the dataset to be brought up to date."""
    listed: bool = field(default=True, compare=False)
    """Whether a dataset list names the scan; if not, its file was found."""

    @property
    def name(self) -> str:
        """Name within the scan directory, e.g. "scan_00042" or "sub/scan_00042"."""
        return self.place.relative_to(self.directory).as_posix()

    @property
    def pid(self) -> str:
        """Dataset id without the site prefix: the same on every try, so a second post meets the first."""
        return f"{self.beamtime}/{self.name}"


def line_of_found(name: str) -> str:
    """The line that stands in the ingested list for a file of this name that no list names.

    A plain name stands for itself; one that reads like another line's grammar is quoted.
    """
    plain = name.isprintable() and not any(character in name for character in " :;#'\"")
    return name if plain else ascii(name)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with its unit, e.g. Quantity(12.4, "keV"); the unit is empty where there is none."""

    value: Any
    unit: str = ""


class Status(StrEnum):
    """How the ingestion of a scan ended."""

    CREATED = "created"
    """The dataset is new in the catalogue."""
    UPDATED = "updated"
    """The dataset was there; something of it was missing or differed, and was brought up to date."""
    UNCHANGED = "unchanged"
    """The catalogue already held just this."""
    FAILED = "failed"
    """Something went wrong; it will be tried again."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """The three times of a line of the ingested list, in seconds since 1970 (facts: DESY's format).

    Positive: this part is in the catalogue as of then. 0: there was no such part. -1: it was refused.
    """

    dataset: float = 0.0
    datablock: float = 0.0
    attachment: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scan in one try."""

    scan: Scan
    status: Status
    reason: str = ""
    """For people: why it failed."""
    stamps: Stamps = Stamps()
    notes: tuple[str, ...] = ()
    """What was left out or noticed on the way, e.g. a variable without a value."""
    seconds: float = 0.0
    """How long the try took."""

    @property
    def done(self) -> bool:
        """Whether the scan is in the catalogue, complete."""
        return self.status is not Status.FAILED
