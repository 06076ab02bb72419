"""How a scan's dataset is named: under the scan directory that named it first. The only place that makes requests.

A dataset list names its scans relative to its own directory, e.g. ID/run_7. A data file that no list names is found
under the nearest directory above that has a list, or else under the beamtime directory, e.g. ID/raw/run_7, because
stems repeat. Lists come and go while a beamtime runs, and a dataset keeps the name that it was given when its
ingestion began: whoever asks for the scan later, by whichever way, asks for the same dataset. Pure but for what is
asked of `Known`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from scicat_watch.model import Beamtime, ListEntry, Origin, Request, RequestKey, Scan, line_of_found, stem_of


class Known(Protocol):
    """What is known of a scan directory's past. OSError if its ingested list cannot be read."""

    def begun_in(self, directory: Path, name: str) -> bool:
        """Whether a scan of this name has begun to be ingested under the directory, or was, by whichever way."""


def of_line(beamtime: Beamtime, entry: ListEntry, directory: Path, known: Known) -> Request:
    """The request of a line of the dataset list in `directory`.

    Its outcome is noted there; its dataset may be named under another directory, if it was ingested under that before.
    """
    scan = Scan.listed(beamtime.id, directory, entry)
    again = entry.again is not None or bool(entry.entry)
    named = None
    if (above := _begun_above(scan.place, directory, beamtime.directory, known)) is not None:
        named = scan.under(above)
    elif not known.begun_in(directory, scan.name) and (below := _begun_below(scan.place, directory, known)) is not None:
        named = scan.below(below)  # The list of a directory below had named it, and has gone.
    named = named or scan
    return Request(RequestKey(directory, entry.line), named.pid, (named,), Origin.LISTED, again)


def of_file(beamtime: Beamtime, file: Path, directory: Path, known: Known, origin: Origin = Origin.FOUND) -> Request:
    """The request of a data file that no list names; `directory` is the one that names the scans around it now."""
    place, root = stem_of(file), beamtime.directory
    home = _begun_above(place, directory, root, known)
    if home is None and not known.begun_in(directory, place.relative_to(directory).as_posix()):
        home = _begun_below(place, directory, known)
    scan = Scan.found(beamtime.id, home or directory, file)
    return Request(RequestKey(scan.directory, line_of_found(scan.name)), scan.pid, (scan,), origin)


def _begun_above(place: Path, directory: Path, root: Path, known: Known) -> Path | None:
    """The directory above `directory` under which the scan is known, the topmost first; None if it is under none."""
    for above in reversed(list(_between(directory, root))):
        if above != directory and known.begun_in(above, place.relative_to(above).as_posix()):
            return above
    return None


def _begun_below(place: Path, directory: Path, known: Known) -> Path | None:
    """The directory below `directory` that named the scan while it had a list; None if none did."""
    for below in _between(place.parent, directory):
        if below != directory and known.begun_in(below, place.relative_to(below).as_posix()):
            return below
    return None


def _between(low: Path, high: Path) -> Iterator[Path]:
    """The directories from `low` up to `high`, both included."""
    for directory in (low, *low.parents):
        if directory.is_relative_to(high):
            yield directory
