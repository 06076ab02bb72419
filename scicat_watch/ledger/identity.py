"""Which dataset a scan has already: also after its files were renamed, and after its beamtime got a metadata file.

A dataset belongs to a file and not to a name: a file that is renamed takes its dataset along, what comes to the old
name gets one of its own, and only where the old file is nowhere else in the beamtime has it been changed in its place.

A renamed file keeps its inode, its size, its time and its content. A copy has another inode, and of a hard link both
names are there: each is a scan of its own.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from scicat_watch.errors import NameTaken
from scicat_watch.ledger import naming
from scicat_watch.ledger.ingested import IngestedList
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.known import KnownScan, KnownScans, text
from scicat_watch.ledger.rules import IngestedRules
from scicat_watch.ledger.whereabouts import DataFiles, is_there, whereabouts
from scicat_watch.model import Beamtime, Extent, Request, stem_of
from scicat_watch.scanstate import ScanState

log = logging.getLogger(__name__)


class Identity:
    """Knows the scans of one beamtime again."""

    def __init__(self, known: KnownScans, beamtime: Beamtime, before: str) -> None:
        """`before`: id that the beamtime had before there was a metadata file; what was made under it is ours."""
        self._known, self._beamtime, self._before = known, beamtime.id, before
        self._root = f"{text(beamtime.directory)}/"

    def of(self, request: Request, state: ScanState | None, ingested: IngestedList) -> Request:
        """The same request, for the dataset that its scan has already, if it has one. Changes nothing.

        `ingested`: the list of its directory.
        Raises `NameTaken` if another scan has the dataset of its name; OSError if that cannot be found out now.
        """
        place = request.scan.place
        here = self._known.at(place)
        if here is not None and self._is_untouched(here, state):
            return published_as(request, here.pid, here.source_folder)
        if (moved := self.before_it_moved(request, state, ingested)) is not None:
            # Also where the scan was before, and is noted as done.
            update = request.update if request.listed else Extent.ALL
            return replace(published_as(request, moved.pid, moved.source_folder), update=update)
        if here is not None and not here.moved_to and self._is_same(here, state):
            return published_as(request, here.pid, here.source_folder)
        has_left = request.scan.name in ingested.left or (here is not None and bool(here.moved_to))
        if has_left and request.listed and not _has_files(state):
            raise NameTaken(
                f"no file or folder of the name {place} is there: the scan of this name was renamed, and has kept the "
                f"dataset {request.pid}. Name it as it is called now, or remove the line"
            )
        if has_left or not request.listed:
            free = (pid for pid in self._names(request) if not self._was_given(pid, request, state, ingested))
            return request if (pid := next(free)) == request.pid else published_as(request, pid)
        if (taken := self._other(request.pid, place, state)) is not None:
            name = request.scan.name
            raise NameTaken(
                f"the dataset {request.pid} is that of {taken.place}, and {place} is another scan of this name. Rename "
                f"one of them in its list and on the disk, or let one list in a directory above name both, as A/{name} "
                f"and B/{name}"
            )
        return request

    def before_it_moved(self, request: Request, state: ScanState | None, ingested: IngestedList) -> KnownScan | None:
        """What is known of a scan from before its files were renamed; None if they were not. As `of`."""
        here = self._known.at(request.scan.place)
        if state is None or (here is not None and self._is_untouched(here, state)):
            return None
        for known in self._known.like(state.identity):
            if self._has_left(known, request):
                return known
        name = request.scan.name
        if here is not None or name in ingested.left or not ingested.done_name(name):
            return None
        # The ingested list beside the files was renamed with their directory, and it says which dataset they have;
        # so that is known although the files were changed since.
        left = [known for known in self._known.named(request.pid) if self._has_left(known, request)]
        return left[0] if len(left) == 1 else None

    def make_way(self, requests: Iterable[Request], files: DataFiles) -> bool:
        """Remember where the known files are that gave their places or their ids' names to others; whether some did.

        To be asked before any of the requests is identified, so that it does not matter which one comes first.
        """
        displaced = [known for request in requests for known in self._displaced(request)]
        found = whereabouts(displaced, self._known, files) if displaced else []
        for known, file in found:
            log.info("%s: its files were at %s and are at %s now", known.pid, known.place, stem_of(file))
        self._known.move((known, stem_of(file), file) for known, file in found)
        return bool(found)

    def _displaced(self, request: Request) -> Iterator[KnownScan]:
        """What was at the place of a request, or has the id of its name, and is not where it was."""
        here = self._known.at(request.scan.place)
        for known in (*self._known.named(request.pid), *((here,) if here is not None else ())):
            try:
                if self._is_ours(known) and not known.moved_to and not is_there(known):
                    yield known
            except OSError:
                continue  # It cannot be said now; what depends on it is not decided now either.

    def take(self, request: Request, state: ScanState | None, ingested: IngestedList) -> None:
        """Remember where the files of a scan are now, if they were renamed: what comes to their place is another."""
        if (moved := self.before_it_moved(request, state, ingested)) is not None:
            log.info("%s: its files were at %s and are at %s now", moved.pid, moved.place, request.scan.place)
            self._known.move([(moved, request.scan.place, state.master if state else None)])

    def _has_left(self, known: KnownScan, request: Request) -> bool:
        elsewhere = known.place != text(request.scan.place) and not known.moved_to
        return elsewhere and known.entry == request.scan.entry and self._is_ours(known) and not is_there(known)

    def _is_ours(self, known: KnownScan) -> bool:
        return known.beamtime == self._beamtime or (bool(self._before) and known.beamtime == self._before)

    def _is_untouched(self, known: KnownScan, state: ScanState | None) -> bool:
        """Whether what was published from a place is this scan, and not in another file than then."""
        if known.moved_to or not self._is_same(known, state):
            return False
        return state is None or state.file is None or known.seen is None or state.file.inode == known.seen[0]

    def _is_same(self, known: KnownScan, state: ScanState | None) -> bool:
        """Whether what was published from a place is this scan; its file may have been written anew."""
        if known.beamtime == self._beamtime:
            return True
        if not self._is_ours(known):
            return False
        # Generated ids repeat: what another beamtime left in a directory of the same name is not ours.
        now, then = state.file if state else None, known.seen
        return now.inode == then[0] if now and then else now is None and then is None

    def _other(self, pid: str, place: Path, state: ScanState | None) -> KnownScan | None:
        """Another scan that has the dataset of this id, and is there."""
        return next((known for known in self._elsewhere(pid, place, state) if is_there(known)), None)

    def _was_given(self, pid: str, request: Request, state: ScanState | None, ingested: IngestedList) -> bool:
        """Whether another scan has this dataset, or had it: also one whose files are not there any more."""
        place = request.scan.place
        if ingested.owner(pid) not in ("", request.scan.name):
            return True
        if self._other(pid, place, state) is not None or self._known.is_orphan(pid, (self._beamtime, self._before)):
            return True
        here = self._known.at(place)
        if here is not None and here.moved_to and here.pid == text(pid):
            return True
        # What was under another directory may be the same scan, if all of the beamtime was moved.
        return any(known.place.startswith(self._root) for known in self._elsewhere(pid, place, state))

    def _elsewhere(self, pid: str, place: Path, state: ScanState | None) -> Iterator[KnownScan]:
        """Other scans that have the dataset of this id; not the same file under a path that leads there as well."""
        inode = state.file.inode if state and state.file else None
        for known in self._known.named(pid):
            is_same = inode is not None and known.seen is not None and known.seen[0] == inode
            if known.place != text(place) and not known.moved_to and self._is_ours(known) and not is_same:
                yield known

    def _names(self, request: Request) -> Iterator[str]:
        """Ids for the dataset of a scan: that of its name, and what comes after it."""
        yield request.pid
        first = f"{self._beamtime}/{request.scan.name}"
        for number in itertools.count(2):
            yield f"{first}~{number}"


def _has_files(state: ScanState | None) -> bool:
    """Whether some files of a scan are there, or are not known."""
    return state is None or state.master is not None or state.files.number > 0


class MadeBefore:
    """What was made of a beamtime's scans while it had no metadata file, where the journal does not know the scan."""

    def __init__(self, before: str, beamtime: Beamtime, rules: IngestedRules, journal: Journal) -> None:
        """`before`: the id that the beamtime had then; empty if that is the same."""
        self._before, self._root, self._journal = before, beamtime.directory, journal
        self._name = rules.list_name(before)
        self._is_own = self._name == rules.list_name(beamtime.id)
        self._lists: dict[Path, IngestedList | None] = {}

    def of(self, request: Request) -> Request:
        """The same request, for the dataset that was made of its scan then, if one was. OSError as it comes."""
        if not self._before:
            return request
        begun = self._journal.begun_as(request.key)
        if begun is not None and begun[0] == self._before:
            return published_as(request, begun[1], os.fspath(request.scan.directory))
        for directory in () if self._is_own else naming.between(request.scan.place.parent, self._root):
            name = request.scan.place.relative_to(directory).as_posix()
            ingested = self._list(directory)
            if ingested is not None and ingested.done_name(name):
                pid = ingested.published_as(name) or f"{self._before}/{name}"
                return published_as(request, pid, os.fspath(directory))
        return request

    def _list(self, directory: Path) -> IngestedList | None:
        """The list of then, beside the data only: what is kept elsewhere may be of other data."""
        if directory not in self._lists:
            path = directory / self._name
            self._lists[directory] = found = IngestedList(path) if path.is_file() else None
            if found is not None:
                found.load()
        return self._lists[directory]


def published_as(request: Request, pid: str, source_folder: str = "") -> Request:
    """The same request, for the dataset of this id, which was last published with this source folder."""
    scan = replace(request.scan, published="")
    scan = scan if scan.pid == pid else replace(scan, published=pid)
    return replace(request, pid=pid, scans=(scan, *request.scans[1:]), was_in=source_folder)
