"""Where the files of known scans are now that are not where they were.

Asked before anything at a place that is known counts as written anew: whatever is seen first, a file that was renamed
is found before another one takes its place in the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from scicat_watch.ledger.known import KnownScan, KnownScans, text
from scicat_watch.model import stem_of

DataFiles = Callable[[Collection[int]], Iterable[Path]]
"""Gives the data files of a beamtime, as it is now, that may have one of some inodes."""
Seen = tuple[int, int, int]


def is_there(known: KnownScan) -> bool:
    """Whether the files of a scan are still where they were; OSError if that cannot be said now.

    A file of the same size and time is the same one also where the file system does not keep inodes.
    """
    try:
        status = os.stat(known.state.master or known.place)  # noqa: PTH116 - names that are no text
    except (FileNotFoundError, NotADirectoryError):
        return False
    seen = known.seen
    return seen is None or status.st_ino == seen[0] or (status.st_size, status.st_mtime_ns) == seen[1:]


def whereabouts(scans: Iterable[KnownScan], known: KnownScans, files: DataFiles) -> list[tuple[KnownScan, Path]]:
    """Those of `scans`, which are not where they were, that are elsewhere, each with its data file.

    Where one of them is now there may have been another scan, which is then looked for as well, and so on.
    """
    found: dict[str, tuple[KnownScan, Path]] = {}
    sought = {one.seen: one for one in scans if one.seen is not None and not one.entry}
    while sought:
        others: dict[Seen, KnownScan] = {}
        for seen, path in _lying(sought, known, files):
            found[sought[seen].place] = (sought[seen], path)
            there = known.at(stem_of(path))
            if there is not None and not there.moved_to and there.place not in found and there.seen is not None:
                others[there.seen] = there
        places = {one.place for one, _ in found.values()}
        sought = {seen: one for seen, one in others.items() if one.place not in places and not is_there(one)}
    return list(found.values())


def _lying(sought: Mapping[Seen, KnownScan], known: KnownScans, files: DataFiles) -> Iterator[tuple[Seen, Path]]:
    """Each of the sought files that is there, but for names that are scans of their own."""
    for path in files({seen[0] for seen in sought}):
        try:
            status = path.stat()
        except OSError:
            continue  # It was renamed again; what it is will be seen there.
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen in sought and _can_be(sought[seen], path, seen[0], known):
            yield seen, path


def _can_be(scan: KnownScan, path: Path, inode: int, known: KnownScans) -> bool:
    place = stem_of(path)
    there = known.at(place)
    is_another = there is not None and not there.moved_to and there.seen is not None and there.seen[0] == inode
    return text(place) != scan.place and not is_another
