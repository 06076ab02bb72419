"""Large beamtimes for the benchmarks: sites with many of them, lists, data files and detector files, all of it done.

The files are empty: nothing here is read. On a tmpfs a million of them takes about 1 GB of memory and 60 s.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.makers import METADATA

STAMPS = "1795223410.1822 1795223410.3967 0"


@dataclass(frozen=True)
class SiteTree:
    """What a site of beamtimes holds."""

    beamtimes: int = 200
    directories: int = 50
    """Scan directories of each beamtime."""
    scans: int = 10
    """Scans of each scan directory; all of them are noted as ingested."""
    detector_files: int = 100
    """Detector files of each scan directory, in a folder of their own."""
    listed: bool = True
    """Whether each scan directory has a dataset list."""

    def make(self, base: Path) -> list[Path]:
        """The beamtime directories below `base`."""
        return [self._beamtime(base, f"{20000000 + number}") for number in range(self.beamtimes)]

    def _beamtime(self, base: Path, name: str) -> Path:
        made = base / name
        found: list[str] = []
        for number in range(self.directories):
            directory = made / "raw" / f"sample_{number:03d}"
            (directory / "pilatus").mkdir(parents=True)
            scans = [f"scan_{number:05d}" for number in range(self.scans)]
            for scan in scans:
                touch(directory / f"{scan}.nxs")
            for file in range(self.detector_files):
                touch(directory / "pilatus" / f"frame_{file:05d}.cbf")
            if self.listed:
                write_lines(directory / f"scicat-datasets-{name}.lst", scans)
                write_ingested(directory / f"scicat-ingested-datasets-{name}.lst", scans)
            else:
                found += [f"raw/{directory.name}/{scan}" for scan in scans]
        if found:
            write_ingested(made / f"scicat-ingested-datasets-{name}.lst", found)
        write_metadata(made, name)
        self._make_old(made)
        return made

    def _make_old(self, made: Path) -> None:
        """Nothing has changed in the directories since yesterday."""
        yesterday = time.time() - 86400.0
        samples = [made / "raw" / f"sample_{number:03d}" for number in range(self.directories)]
        for directory in (*(sample / "pilatus" for sample in samples), *samples, made / "raw", made):
            os.utime(directory, (yesterday, yesterday))


def write_metadata(directory: Path, name: str) -> None:
    """Make `directory` a beamtime directory."""
    directory.mkdir(parents=True, exist_ok=True)
    known = METADATA | {"beamtimeId": name, "corePath": f"/core/{name}"}
    (directory / f"beamtime-metadata-{name}.json").write_text(json.dumps(known))


def write_lines(path: Path, lines: list[str]) -> None:
    """A dataset list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_ingested(path: Path, lines: list[str]) -> None:
    """An ingested list that has all `lines` as done."""
    write_lines(path, [f"{line} {STAMPS}" for line in lines])


def touch(path: Path) -> None:
    """An empty file; faster than `Path.touch`."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o664))
