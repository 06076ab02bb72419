"""The words of a beamline as values: beamtime, list entry, scan, request, file state, quantity, outcome.

Nothing here reads a file, asks a server or knows the time. Every other room may use these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scicat_watch.words import REPLACED, harmless

if TYPE_CHECKING:
    from os import stat_result

HDF5_EXTENSIONS = ("nxs", "h5", "hdf5", "hdf", "nx", "ndf", "nx5", "nexus", "nxspe", "cxi")
"""Extensions of files that hold HDF5, in the order in which the data file of a scan is searched."""
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
    """One beamtime: what its metadata file says, or what was generated from its directory."""

    id: str
    """Beamtime id, e.g. "11018765": `beamtimeId` inside the metadata file."""
    directory: Path
    """Absolute path of the directory that is watched, e.g. /gpfs/current."""
    metadata: Mapping[str, Any] = field(compare=False)
    """The fields of the metadata file, e.g. `title`, `pi`, `proposalId`."""
    file: Path | None = field(default=None, compare=False)
    """The metadata file; None if the beamtime was generated."""

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

    def source_folder(self, directory: Path) -> str:
        """A directory below the core path, if it is one of the beamtime's; else as it is."""
        inside = directory.is_relative_to(self.directory)
        return str(Path(self.core_path) / directory.relative_to(self.directory)) if inside else str(directory)


class FileState(NamedTuple):
    """What a file or directory looked like at one moment: equal states mean equal content, as far as `stat` says."""

    size: int
    """In bytes."""
    modified: int
    """Nanoseconds since 1970."""
    changed: int
    """The same for the last change of content, name or mode (ctime)."""
    inode: int
    device: int = 0
    """0: not known, as in journals of before version 0.2."""

    @classmethod
    def of(cls, status: stat_result) -> FileState:
        """The state that `os.stat` reports."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)

    def same_file(self, other: FileState) -> bool:
        """Whether it is the same file, whatever became of its content."""
        return (self.inode, self.device) == (other.inode, other.device)

    def changed_only(self, other: FileState) -> bool:
        """Whether both are of one size and time, and differ in what says little of the content: number, owner, links.

        Where a file system does not keep the inodes of its files, a mount changes them.
        """
        same = (self.size, self.modified) == (other.size, other.modified)
        return same and (self.inode, self.changed) != (other.inode, other.changed)

    def agrees(self, other: FileState) -> bool:
        """Whether both may be states of the same content.

        The device does not count: a file system that is mounted anew, as after a restart of the host, may have another.
        """
        return self._replace(device=0) == other._replace(device=0)


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
    """One scan as it lies on the disk: where it is, and which of the files there are its own."""

    beamtime: str
    """Beamtime id: the number in beamtime-metadata-11018765.json."""
    directory: Path
    """Absolute path of the scan directory, which `name`, `stem` and the file list are relative to."""
    name: str
    """Name within the scan directory, e.g. "scan_00042" or "sub/scan_00042"."""
    stem: str
    """Beginning of the names of its files; differs from `name` where one file holds several scans."""
    master: Path | None = None
    """The file that describes the scan; None: a scan that only has a folder of detector files."""
    entry: str = ""
    """Name of the NXentry that is meant; empty for all of the file."""
    extras: tuple[str, ...] = ()
    """Beginnings of further file and folder names that belong to the scan."""
    published: str = ""
    """Id of its dataset, if that is another than beamtime and name say: as for files that were renamed since."""

    @classmethod
    def listed(cls, beamtime: str, directory: Path, entry: ListEntry) -> Scan:
        """The scan that a line of the dataset list in `directory` names; which file describes it is not known yet."""
        return cls(beamtime, directory, entry.name, entry.stem, entry=entry.entry, extras=entry.extras)

    @classmethod
    def found(cls, beamtime: str, directory: Path, file: Path) -> Scan:
        """The scan that a data file below `directory` is by itself."""
        # With texts: twenty thousand may be found at once.
        name = str(file)[len(str(directory)) :].lstrip("/")
        above, slash, last = name.rpartition("/")
        name = f"{above}{slash}{last.rpartition('.')[0] or last}"
        return cls(beamtime, directory, name, name, master=file)

    def under(self, directory: Path) -> Scan:
        """The same scan as one of a directory above its own: all names begin with the folders between."""
        if directory == self.directory:
            return self
        between = self.directory.relative_to(directory).as_posix()
        extras = tuple(f"{between}/{extra}" for extra in self.extras)
        return replace(
            self, directory=directory, name=f"{between}/{self.name}", stem=f"{between}/{self.stem}", extras=extras
        )

    def below(self, directory: Path) -> Scan | None:
        """The same scan as one of a directory below its own; None if some of its names lead elsewhere."""
        between = f"{directory.relative_to(self.directory).as_posix()}/"
        if not all(name.startswith(between) for name in (self.name, self.stem, *self.extras)):
            return None
        name, stem, *extras = (name.removeprefix(between) for name in (self.name, self.stem, *self.extras))
        return replace(self, directory=directory, name=name, stem=stem, extras=tuple(extras))

    @property
    def place(self) -> Path:
        """Absolute path that the scan's files begin with, e.g. /gpfs/current/raw/scan_00042."""
        return self.directory / self.name

    @property
    def pid(self) -> str:
        """Dataset id without the site prefix: the same on every try, so a second post meets the first."""
        return self.published or f"{self.beamtime}/{_distinct(self.name)}"


_ALTERED = re.compile(f"{REPLACED}.*~[0-9a-f]{{16}}$", re.DOTALL)


def _distinct(name: str) -> str:
    """`name` as a part of a pid: itself, unless it holds characters that are not for others to see.

    These are replaced, and what follows makes the result that of no other name.
    """
    clean = harmless(name).replace("\n", REPLACED).replace("\r", REPLACED).replace("\t", REPLACED)
    if clean == name and not _ALTERED.search(name):
        return name
    return f"{clean}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def stem_of(file: Path) -> Path:
    """The path of a data file without its last extension: where the scan's files begin."""
    return file.with_name(file.name.rpartition(".")[0] or file.name)


def line_of_found(name: str) -> str:
    """The line that stands in the ingested list for a file of this name that no list names.

    A plain name stands for itself; one that reads like another line's grammar is quoted.
    """
    plain = name.isprintable() and not any(character in name for character in " :;#'\"")
    return name if plain else ascii(name)


class Origin(StrEnum):
    """How a request came about."""

    LISTED = "listed"
    """A line of a dataset list names the scan."""
    FOUND = "found"
    """Its data file was found, and no list names it."""
    BY_HAND = "by hand"
    """Somebody named its data file."""


class Extent(StrEnum):
    """What of a dataset is to be brought up to date."""

    ALL = "all"
    """Everything."""
    FILES = "files"
    """Its file list, and the folder that it is relative to."""


class RequestKey(NamedTuple):
    """What tells requests apart, and where their outcome is noted. Two lines may ask for the same scan."""

    directory: Path
    """The scan directory whose ingested list the outcome is noted in."""
    line: str
    """The line that stands for it there."""


@dataclass(frozen=True, slots=True)
class Request:
    """The wish for one dataset. How it is named is decided by `ledger.naming`, and nowhere else."""

    key: RequestKey
    pid: str
    """Dataset id without the site prefix, e.g. "11018765/scan_00042"."""
    scans: tuple[Scan, ...]
    """One; several for a measurement."""
    origin: Origin
    again: bool = False
    """Whether the dataset is to be brought up to date although it is done."""
    update: Extent | None = None
    """What is to be brought up to date of a dataset that is done, because its files have changed since."""
    was_in: str = ""
    """Source folder of the dataset when it was last published, if that is known: it may have moved since."""
    done: bool = False
    """Whether its line was done before it came again: nothing is to be done if no files of it are there any more."""

    @property
    def scan(self) -> Scan:
        """The scan, or the first one of a measurement."""
        return self.scans[0]

    @property
    def listed(self) -> bool:
        """Whether a dataset list asks for it."""
        return self.origin is Origin.LISTED

    def described_by(self, master: Path | None) -> Request:
        """The same request, now that it is known which file describes the scan."""
        return replace(self, scans=(replace(self.scan, master=master), *self.scans[1:]))


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


class Fault(StrEnum):
    """What is at fault where an ingestion failed, as far as it matters for further attempts."""

    READER = "reader"
    """Reading hung or ended its worker process: the scan is read apart from the others, and in the end quarantined."""
    STORAGE = "storage"
    """The scan's directory did not answer; the scan itself may be good."""
    OTHER = "other"
    """Anything else: a damaged file, no schema, a refusal of the catalogue."""


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
    """What became of one request in one try."""

    request: Request
    status: Status
    reason: str = ""
    """For people: why it failed."""
    stamps: Stamps = Stamps()
    notes: tuple[str, ...] = ()
    """What was left out or noticed on the way, e.g. a variable without a value."""
    seconds: float = 0.0
    """How long the try took."""
    fault: Fault = Fault.OTHER
    """What is at fault, if it failed."""
    source_folder: str = ""
    """Folder that the published files are relative to; empty if nothing was published."""

    @property
    def done(self) -> bool:
        """Whether the scan is in the catalogue, complete."""
        return self.status is not Status.FAILED
