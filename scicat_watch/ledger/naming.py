"""How a scan's dataset is named: under the scan directory that named it first. The only place that makes requests.

A dataset list names its scans relative to its own directory, e.g. ID/run_7. A data file that no list names is found
under the nearest directory above that has a list, or else under the beamtime directory, e.g. ID/raw/run_7, because
stems repeat. Lists come and go while a beamtime runs, and a dataset keeps the name that it was given when its
ingestion began: whoever asks for the scan later, by whichever way, asks for the same dataset. Pure but for what is
asked of `Known`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from scicat_watch.model import Beamtime, ListEntry, Origin, Request, RequestKey, Scan, line_of_found


class Known(Protocol):
    """What is known of a scan directory's past. OSError if its ingested list cannot be read."""

    def begun_in(self, directory: Path, name: str) -> bool:
        """Whether a scan of this name has begun to be ingested under the directory, or was, by whichever way."""

    def published_as(self, directory: Path, name: str) -> str:
        """Id of the dataset of the scan of this name, if it is noted that it has another than that of its name."""


def of_line(beamtime: Beamtime, entry: ListEntry, directory: Path, known: Known) -> Request:
    """The request of a line of the dataset list in `directory`.

    Its outcome is noted there; its dataset may be named under another directory, if it was ingested under that before.
    """
    return as_begun(beamtime, as_listed(beamtime, entry, directory), known)


def as_listed(beamtime: Beamtime, entry: ListEntry, directory: Path) -> Request:
    """The same, before it is asked what the scan was called before."""
    scan = Scan.listed(beamtime.id, directory, entry)
    again = entry.again is not None or bool(entry.entry)
    return Request(RequestKey(directory, entry.line), scan.pid, (scan,), Origin.LISTED, again)


def of_file(beamtime: Beamtime, file: Path, directory: Path, known: Known, origin: Origin = Origin.FOUND) -> Request:
    """The request of a data file that no list names; `directory` is the one that names the scans around it now."""
    scan = _as_begun(Scan.found(beamtime.id, directory, file), beamtime.directory, known)
    return Request(key_of_found(scan), scan.pid, (scan,), origin)


def as_begun(beamtime: Beamtime, request: Request, known: Known) -> Request:
    """The same request, if need be under the name that its scan was given by another one since this one was made."""
    scan = _as_begun(request.scan, beamtime.directory, known)
    if scan == request.scan:
        return request
    if scan.directory == request.scan.directory:
        return replace(request, pid=scan.pid, scans=(scan, *request.scans[1:]))
    key = _key_of_listed(request, scan) if request.listed else key_of_found(scan)
    return replace(request, key=key, pid=scan.pid, scans=(scan, *request.scans[1:]))


def _key_of_listed(request: Request, scan: Scan) -> RequestKey:
    """Where the outcome of a line is noted: at its own list, but for a scan that a directory below has named.

    That is noted there, as the line of the list that has gone: noted at both it could later be of either name.
    """
    directory = request.key.directory
    if scan.directory == directory or not scan.directory.is_relative_to(directory):
        return request.key
    between = f"{scan.directory.relative_to(directory).as_posix()}/"
    return RequestKey(scan.directory, request.key.line.removeprefix(between))


def key_of_found(scan: Scan) -> RequestKey:
    """Where the outcome of a scan that no list names is noted."""
    return RequestKey(scan.directory, line_of_found(scan.name))


def _as_begun(scan: Scan, root: Path, known: Known) -> Scan:
    """The scan under the directory that has named it already, if there is one, and as what it is published."""
    scan = _under_its_directory(scan, root, known)
    published = known.published_as(scan.directory, scan.name)
    return replace(scan, published=published) if published != scan.published else scan


def _under_its_directory(scan: Scan, root: Path, known: Known) -> Scan:
    directory, place = scan.directory, scan.place
    if (above := _begun_above(place, directory, root, known)) is not None:
        return scan.under(above)
    if "/" not in scan.name or known.begun_in(directory, scan.name):
        return scan
    below = _begun_below(place, directory, known)
    return (scan.below(below) if below else None) or scan  # The list of a directory below had named it, and has gone.


def _begun_above(place: Path, directory: Path, root: Path, known: Known) -> Path | None:
    """The directory above `directory` under which the scan is known, the topmost first; None if it is under none."""
    for above in reversed(_between(os.fspath(directory), os.fspath(root))[1:]):
        if known.begun_in(above, _name(place, above)):
            return above
    return None


def _begun_below(place: Path, directory: Path, known: Known) -> Path | None:
    """The directory below `directory` that named the scan while it had a list; None if none did."""
    for below in _between(os.fspath(place).rpartition("/")[0], os.fspath(directory))[:-1]:
        if known.begun_in(below, _name(place, below)):
            return below
    return None


def _name(place: Path, directory: Path) -> str:
    """The name of a scan within a directory. Asked several times for each line of a list: `relative_to` takes long."""
    return os.fspath(place)[len(os.fspath(directory)) :].lstrip("/")


@functools.lru_cache(maxsize=128)
def _between(low: str, high: str) -> tuple[Path, ...]:
    """As `between`; asked for thousands of scans of the same directories."""
    return tuple(between(Path(low or "/"), Path(high)))


def between(low: Path, high: Path) -> Iterator[Path]:
    """The directories from `low` up to `high`, which is above it or the same; `high` itself as the last."""
    while low not in (high, low.parent):
        yield low
        low = low.parent
    yield high
