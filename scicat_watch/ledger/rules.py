"""The parameters of this room: where the ingested lists are kept, and when a failed scan is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class IngestedRules:
    """Where we note what is ingested."""

    name: str = "scicat-ingested-datasets-{beamtime}.lst"
    """Pattern of the name of ingested lists; may hold {beamtime} and {host}."""
    directory: Path | None = None
    """Directory below which all of them are kept, under the path of their scan directory; None: beside the data."""
    fallback: Path | None = Path("ingested")
    """Directory for those of scan directories that cannot be written to; None: there is none, nothing is written."""
    host: str = ""
    """Short name of this host."""

    def list_name(self, beamtime: str) -> str:
        """The name of a beamtime's ingested lists, e.g. "scicat-ingested-datasets-11018765.lst"."""
        return self.name.format(beamtime=beamtime, host=self.host)

    def aside(self, directory: Path) -> tuple[Path, ...]:
        """Where the list of a scan directory may be kept instead of in it; the fallback last."""
        kept = directory.relative_to(directory.anchor)
        return tuple(base.absolute() / kept for base in (self.directory, self.fallback) if base is not None)


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When a failed scan is tried again: the intervals grow from `first` to `longest` seconds."""

    first: float = 30.0
    longest: float = 3600.0
    quarantine_after: int = 5
    """Attempts in which reading hung or ended its worker process, after which the scan is not tried again by itself."""


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """When published scans are compared with their files, and what becomes of those that have changed."""

    after: tuple[float, ...] = (10.0, 60.0, 600.0)
    """Seconds after a scan was published: files that come late come then."""
    interval: float = 60.0
    """Seconds in which all are compared in turns, if that does not cost too much."""
    listed: Literal["files", "update", "report"] = "files"
    """What becomes of listed scans: their file list is brought up to date and the rest reported, all of the dataset is
    brought up to date, or all is reported. Found scans are brought up to date in any case."""
    vanished: Literal["keep", "drop"] = "keep"
    """What becomes of files that the catalogue lists and that are gone: nothing is changed and they are reported, or
    they count as any other change, and the file list loses them."""
