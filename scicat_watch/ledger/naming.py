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

    def found_in(self, directory: Path, name: str) -> bool:
        """Whether a found scan of this name has begun to be ingested under the directory, or was."""

    def done_in(self, directory: Path, name: str) -> bool:
        """Whether the directory's ingested list says that the dataset of this name is done."""


def of_line(beamtime: Beamtime, entry: ListEntry, directory: Path, known: Known) -> Request:
    """The request of a line of the dataset list in `directory`.

    Its outcome is noted there; its dataset may be named under a directory above, if its file was found before.
    """
    scan = Scan.listed(beamtime.id, directory, entry)
    home = _found_above(scan.place, directory, beamtime.directory, known) or directory
    again = entry.again is not None or bool(entry.entry)
    named = scan.under(home)
    return Request(RequestKey(directory, entry.line), named.pid, (named,), Origin.LISTED, again)


def of_file(beamtime: Beamtime, file: Path, directory: Path, known: Known, origin: Origin = Origin.FOUND) -> Request:
    """The request of a data file that no list names; `directory` is the one that names the scans around it now."""
    place, root = stem_of(file), beamtime.directory
    home = _found_above(place, directory, root, known)
    if home is None and not known.found_in(directory, place.relative_to(directory).as_posix()):
        home = _known_below(place, directory, known)
    scan = Scan.found(beamtime.id, home or directory, file)
    return Request(RequestKey(scan.directory, line_of_found(scan.name)), scan.pid, (scan,), origin)


def _found_above(place: Path, directory: Path, root: Path, known: Known) -> Path | None:
    """The directory above `directory` under which the scan was found, the topmost first; None if it was not."""
    for above in reversed(list(_between(directory, root))):
        if above != directory and known.found_in(above, place.relative_to(above).as_posix()):
            return above
    return None


def _known_below(place: Path, directory: Path, known: Known) -> Path | None:
    """The directory below `directory` that named the scan while it had a list; None if none did."""
    for below in _between(place.parent, directory):
        name = place.relative_to(below).as_posix()
        if below != directory and (known.done_in(below, name) or known.found_in(below, name)):
            return below
    return None


def _between(low: Path, high: Path) -> Iterator[Path]:
    """The directories from `low` up to `high`, both included."""
    for directory in (low, *low.parents):
        if directory.is_relative_to(high):
            yield directory
