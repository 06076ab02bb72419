"""SCAN (*new*): what is known of the scan itself, whatever its files say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from scicat_watch.model import Beamtime, Quantity
from scicat_watch.pipeline.assembly.findings import Brought, Names, Remark, unless_default
from scicat_watch.pipeline.assembly.sources.source import descend
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import Variable
from scicat_watch.words import nearest

FACTS: Mapping[str, str] = {
    "name": 'within the scan directory, e.g. "sub/scan_00012"',
    "dataset_name": "its last component",
    "pid": '"<beamtime>/<name>"',
    "beamtime": "beamtime id",
    "generated": "whether the beamtime has no metadata file",
    "directory": "the scan directory on this host",
    "relative_path": 'the scan directory relative to the beamtime directory, e.g. "raw"; "" if they are the same',
    "core_path": "where the catalogue says that the beamtime's data is",
    "source_folder": "the scan directory there",
    "master_file": "path of the data file; no value without one",
    "master_name": "its name",
    "entry": "the NXentry that is meant; no value if it is all of the file",
    "extras": "beginnings of further file names",
    "first_time": "time of the oldest of the scan's files, ISO 8601 in UTC",
    "last_time": "time of the newest",
}
"""What a SCAN variable may ask for, with its meaning."""


class ScanSource:
    """SCAN: what is known of the scan, by the names of `FACTS`."""

    def __init__(self, reading: Reading, beamtime: Beamtime) -> None:
        scan = reading.scan
        relative = relative_path(reading, beamtime)
        self.facts: Mapping[str, Any] = {
            "name": scan.name,
            "dataset_name": scan.name.rpartition("/")[2],
            "pid": scan.pid,
            "beamtime": scan.beamtime,
            "generated": beamtime.generated,
            "directory": str(scan.directory),
            "relative_path": relative,
            "core_path": beamtime.core_path,
            "source_folder": source_folder(reading, beamtime),
            "master_file": str(scan.master) if scan.master else None,
            "master_name": scan.master.name if scan.master else None,
            "entry": scan.entry or None,
            "extras": list(scan.extras),
            "first_time": _iso(reading.first_time),
            "last_time": _iso(reading.last_time),
        }

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The fact that the variable's path names; the unit is the definition's."""
        return Quantity(descend(self.facts, variable.path, "the scan"), variable.unit)


def check(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    """What is wrong with a variable of the source SCAN."""
    if variable.path.partition(".")[0] not in FACTS:
        unknown = Remark(f"a scan has no {variable.path!r}{nearest(variable.path, FACTS)}")
        yield from unless_default(variable, [unknown])


def relative_path(reading: Reading, beamtime: Beamtime) -> str | None:
    """The scan directory relative to the beamtime directory; None if it is elsewhere."""
    if not reading.scan.directory.is_relative_to(beamtime.directory):
        return None
    relative = reading.scan.directory.relative_to(beamtime.directory).as_posix()
    return "" if relative == "." else relative


def source_folder(reading: Reading, beamtime: Beamtime) -> str:
    """The scan directory below the core path; a directory outside the beamtime's is named as it is."""
    return beamtime.source_folder(reading.scan.directory)


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
