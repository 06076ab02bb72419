"""The ledger of one beamtime: its ingested lists with their locks, and its part of the journal."""

from __future__ import annotations

import errno
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from scicat_watch.ledger import naming
from scicat_watch.ledger.counting import Counting
from scicat_watch.ledger.donefiles import DoneFiles
from scicat_watch.ledger.identity import Identity, MadeBefore
from scicat_watch.ledger.ingested import IngestedList, ListLock
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.known import KnownScan
from scicat_watch.ledger.plan import Action, Decision, Past, failed, plan
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.ledger.whereabouts import DataFiles
from scicat_watch.model import (
    Beamtime,
    Extent,
    FileState,
    ListEntry,
    Origin,
    Outcome,
    Request,
    RequestKey,
    Scan,
    Stamps,
)
from scicat_watch.scanstate import ScanState, files_only
from scicat_watch.words import why

log = logging.getLogger(__name__)


def without_locks(directory: Path) -> str:
    """The message about a directory whose file system has no locks."""
    return (
        f"{directory}: its file system has no locks, so nothing keeps a second scicat-watch away; make sure that "
        "only one ingests this directory, also from other hosts"
    )


class BeamtimeLedger:
    """What is known of the requests of one beamtime. Used by its watcher's thread and by one thread per queue."""

    def __init__(
        self, beamtime: Beamtime, rules: IngestedRules, retrying: RetryRules, journal: Journal, before: str = ""
    ) -> None:
        """`before`: id that the beamtime had while it had no metadata file; what was made under it stays as it is."""
        self._beamtime, self._rules, self._retrying, self._journal = beamtime, rules, retrying, journal
        self._before = before if before != beamtime.id else ""
        self._identity = Identity(journal.known, beamtime, self._before)
        self._made_before = MadeBefore(self._before, beamtime, rules, journal)
        self._name = rules.list_name(beamtime.id)
        self._ingested: dict[Path, IngestedList] = {}
        self._locks: dict[Path, ListLock] = {}
        self._unlocked: set[Path] = set()
        self._unwritten: dict[Path, str] = {}
        self.appending: Callable[[Path], Callable[[], None]] = lambda directory: lambda: None
        """Called before a line is appended in a directory; what it gives is called after it."""
        self._counting = Counting(beamtime.id)

    def ingested(self, directory: Path) -> IngestedList:
        """The ingested list of a scan directory. OSError if it is there and cannot be read."""
        if directory not in self._ingested:
            path, older = self._paths(directory)
            ingested = IngestedList(path, older)
            ingested.load()
            self._ingested[directory] = ingested
        return self._ingested[directory]

    def count_done(self, directories: Iterable[Path]) -> tuple[int, list[str]]:
        """How many scans are done by the lists of some scan directories, and which of these cannot be read."""
        lists, unreadable = {}, []
        for directory in directories:
            try:
                lists[directory] = self.ingested(directory).contents()
            except OSError as error:
                unreadable.append(f"{directory}: what was ingested cannot be read: {why(error)}")
        return self._counting.count(lists), unreadable

    def ours(self, directory: Path) -> bool:
        """Whether this process may ingest the scans of a directory; false if another scicat-watch does.

        OSError if the directory is not there, or there can be no lock.
        """
        if (held := self._locks.get(directory)) is not None:
            if held.holds:
                return True
            self._locks.pop(directory).release()
        path = self.ingested(directory).path
        if path.parent != directory:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the directory is not there", str(directory))
        lock = ListLock(path)
        if not lock.acquire() and not (self._release_moved() and lock.acquire()):
            return False
        if lock.unsupported and directory not in self._unlocked:
            log.warning("%s", without_locks(directory))
            self._unlocked.add(directory)
        self._locks[directory] = lock
        self._ingested[directory].load()  # The other one may have written until a moment ago.
        return True

    def catch_up(self) -> None:
        """Write to the lists what could not be written before."""
        for directory in list(self._unwritten):
            self._written(directory, lambda directory=directory: self.ingested(directory).catch_up())  # type: ignore[misc]

    def problems(self) -> list[str]:
        """Lists that could not be written yet: what is done there is done, but would be unknown after a restart."""
        written = list(self._unwritten.items())  # Another thread may note meanwhile.
        return [
            f"{directory}: what is ingested cannot be written to the ingested list: {error}"
            for directory, error in written
        ]

    def notes(self) -> list[str]:
        """What a person should know of the lists, though it holds nothing up."""
        return [without_locks(directory) for directory in sorted(self._unlocked)]

    def _release_moved(self) -> bool:
        """Give back the locks of directories that were renamed or removed; whether there were any.

        Such a lock went with its directory: under the new name it would be taken for another's.
        """
        moved = [directory for directory, lock in self._locks.items() if not lock.holds]
        for directory in moved:
            self._locks.pop(directory).release()
        return bool(moved)

    def of_line(self, entry: ListEntry, directory: Path) -> Request:
        """The request of a line of the dataset list in `directory`; OSError as `ingested`."""
        return self._with_past(naming.of_line(self._beamtime, entry, directory, self))

    def as_listed(self, entry: ListEntry, directory: Path) -> Request:
        """The same as its list names it, whatever its scan was called before."""
        return naming.as_listed(self._beamtime, entry, directory)

    def done_lines(self, directory: Path) -> Mapping[str, str]:
        """The lines of the list in `directory` that are done, each with itself; OSError as `ingested`."""
        return self.ingested(directory).lines()

    def done_files(self, directory: Path) -> DoneFiles:
        """The found files under a scan directory that are done; OSError as `ingested`."""
        ingested = self.ingested(directory)
        left = self._journal.known.left_in(directory) | ingested.left
        return DoneFiles(ingested, functools.partial(self._journal.states, directory), left)

    def open_line(self, entry: ListEntry, directory: Path) -> Request | None:
        """The same, if the line is not done yet; None if it is."""
        if not self.ingested(directory).done(entry.line) or self.has_left(directory, entry.name):
            return self.of_line(entry, directory)
        return None

    def of_file(self, file: Path, directory: Path, origin: Origin = Origin.FOUND) -> Request:
        """The request of a data file that no list names, in a directory whose scans `directory` names now."""
        return naming.of_file(self._beamtime, file, directory, self, origin)

    def as_begun(self, request: Request) -> Request:
        """The same request under the name that its scan has by now; OSError as `ingested`."""
        return self._with_past(naming.as_begun(self._beamtime, request, self))

    def _with_past(self, request: Request) -> Request:
        """The same request, with whether its line is done; there is no such thing of a file that was found."""
        done = request.listed and self.ingested(request.key.directory).done(request.key.line)
        return request if done == request.done else replace(request, done=done)

    def begun_in(self, directory: Path, name: str) -> bool:
        """Whether a scan of this name has begun to be ingested under the directory, or was, by whichever way."""
        return self._journal.begun(directory, name) or self.ingested(directory).done_name(name)

    def published_as(self, directory: Path, name: str) -> str:
        """Id of the dataset that a scan has instead of that of its name; empty if it has that."""
        return self.ingested(directory).published_as(name)

    def identified(self, request: Request, state: ScanState | None) -> Request:
        """The same request, for the dataset that its scan has already, wherever its files were when it was made.

        Raises `NameTaken` if another scan has the dataset of its name; OSError if that cannot be found out now.
        """
        found = self._identity.of(request, state, self.ingested(request.scan.directory))
        return found if found.was_in else self._made_before.of(found)

    def has_moved(self, request: Request, state: ScanState) -> bool:
        """Whether the files of a scan were renamed since it was published; OSError as `identified`."""
        return self._identity.before_it_moved(request, state, self.ingested(request.scan.directory)) is not None

    def make_way(self, requests: Iterable[Request], files: DataFiles) -> bool:
        """Remember where known files are that have left their places; before any of `requests` is identified."""
        return self._identity.make_way(requests, files)

    def take_moved(self, request: Request, state: ScanState | None) -> None:
        """Remember where the files of a scan are now, if they were renamed; OSError as `identified`."""
        self._identity.take(request, state, self.ingested(request.scan.directory))

    def has_left(self, directory: Path, name: str) -> bool:
        """Whether the scan of a name has left it with its dataset: what is there now is another one."""
        return name in self.ingested(directory).left or self._journal.known.left(directory / name)

    def known(self, place: Path) -> KnownScan | None:
        """What is known of the published scan whose files begin with a path."""
        found = self._journal.known.at(place)
        ours = found is not None and not found.moved_to and found.beamtime in (self._beamtime.id, self._before)
        return found if ours else None

    def with_names(self, known: KnownScan) -> ScanState:
        """The files of a published scan with their names, as far as these are known."""
        return replace(known.state, names=self._journal.known.names(known.place))

    def accept(self, request: Request, state: ScanState) -> None:
        """Take a scan that is done, and of which nothing else is known, as it is now."""
        self._know(request, self._beamtime.source_folder(request.scan.directory), state)

    def saw(self, known: KnownScan, state: ScanState, *, same: bool) -> None:
        """Remember by what a scan is known again if it is renamed next; `same`: its content is the published one."""
        kept = replace(known.state, file=state.file, access=known.state.access or state.access) if same else known.state
        self._journal.known.note(replace(known, state=replace(kept, names=None), identity=state.identity))

    def is_adopted(self, known: KnownScan) -> bool:
        """Whether a scan was published under the id that the beamtime had before it had a metadata file."""
        return bool(self._before) and known.beamtime == self._before

    def wanted(self, request: Request) -> bool:
        """Whether a request is not done yet; OSError as `ingested`."""
        ingested = self.ingested(request.key.directory)
        done = ingested.done(request.key.line) if request.listed else ingested.done_name(request.scan.name)
        return not done or self.has_left(request.scan.directory, request.scan.name)

    def changed(self, request: Request, state: FileState) -> bool:
        """Whether a scan's master file looks different from when it was last tried, if that is still known."""
        known = self._journal.state(request.key)
        return known is not None and not known.agrees(state)

    def rewritten(self, request: Request, state: FileState) -> bool:
        """The same, as far as size and time say it: a file system that is mounted anew may number its files anew."""
        known = self._journal.state(request.key)
        return known is not None and not known.agrees(state) and not known.changed_only(state)

    def begin(self, request: Request, now: float) -> None:
        """Note that an ingestion begins: whatever lists come and go meanwhile, the scan stays the same dataset."""
        self._journal.begin(request, now)

    def decide(self, request: Request, state: FileState | None, now: float) -> Decision:
        """What to do with a request whose scan is complete; `now` in seconds since 1970."""
        try:
            done = not self.wanted(request)
        except OSError as error:
            log.error("%s: it waits, because what was ingested cannot be read: %s", request.pid, why(error))
            return Decision(Action.WAIT, now + self._retrying.first)
        changed = state is not None and self.changed(request, state)
        return plan(request, Past(done, changed, self._journal.attempt(request.key)), now, self._retrying)

    def failed(self, request: Request) -> bool:
        """Whether the last attempt failed."""
        return self._journal.attempt(request.key) is not None

    def forget_gone(self, is_there: Callable[[RequestKey], bool]) -> None:
        """What failed counts as failed no longer if it is not there any more."""
        for entry in self._journal.failed():
            key = RequestKey(Path(entry.directory), entry.line)
            if entry.beamtime != self._beamtime.id or not key.directory.is_relative_to(self._beamtime.directory):
                continue
            if not is_there(key):
                self._journal.tell_failure(key, there=False)

    def is_back(self, request: Request) -> None:
        """A request that failed is to be tried again: it counts as failed until then."""
        self._journal.tell_failure(request.key, there=True)

    def suspect(self, request: Request) -> bool:
        """Whether reading its scan hung or ended a worker process since it last succeeded."""
        attempt = self._journal.attempt(request.key)
        return attempt is not None and attempt.readers_lost > 0

    def note(
        self, outcome: Outcome, state: FileState | None, now: float, files: ScanState | None = None
    ) -> float | None:
        """Write down how an ingestion ended; when to try again (seconds since 1970), None if it is done.

        `files`: those of the scan before they were read, for later comparisons.
        Infinite if the request is quarantined: only another file, or somebody who asks for it, brings it again.
        A ledger that cannot be written is reported in the log and does not stop the work: what is in
        the catalogue is found there again.
        """
        request, attempt = outcome.request, None
        if not outcome.done:
            changed = state is not None and self.changed(request, state)
            before = None if changed else self._journal.attempt(request.key)
            attempt = failed(before, outcome.fault, outcome.reason, now, self._retrying)
        if outcome.done or outcome.stamps != Stamps():
            for scan in _under_both(request):
                self._note_dataset(scan, now)
            self._write(request, outcome.stamps)
        self._journal.note(outcome, attempt, now, state)
        if outcome.done and request.scan.directory != request.key.directory:
            self._note_home(outcome, state, now)
        if outcome.done and files is not None:
            self._note_files(outcome, files)
        return attempt.next_try if attempt else None

    def release(self) -> None:
        """Give the locks back."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()

    def _note_home(self, outcome: Outcome, state: FileState | None, now: float) -> None:
        """The same for the found scan as which a listed one began: it has the dataset, and is done with it."""
        home = naming.key_of_found(outcome.request.scan)
        found = replace(outcome, request=replace(outcome.request, key=home, origin=Origin.FOUND))
        if not self.ingested(home.directory).done(home.line):
            self._write(found.request, outcome.stamps)
        self._journal.note(found, None, now, state)

    def _note_dataset(self, scan: Scan, now: float) -> None:
        """Note which dataset a scan has if that is not the one of its name; before it is noted as done."""
        ingested = self.ingested(scan.directory)
        is_noted = scan.pid == (ingested.published_as(scan.name) or replace(scan, published="").pid)
        if is_noted and scan.name not in ingested.left:
            return
        try:
            ingested.note_published(scan.name, scan.pid, now)
        except OSError as error:
            log.error(
                "%s: that scan %s has the dataset %s cannot be written: %s",
                ingested.path,
                scan.name,
                scan.pid,
                why(error),
            )

    def _note_files(self, outcome: Outcome, files: ScanState) -> None:
        """Remember what the files of a scan were when it was published."""
        request, place = outcome.request, outcome.request.scan.place
        here = self._journal.known.at(place)
        if here is not None and here.moved_to and here.pid == request.pid:
            return  # Its files were renamed while it was published; it is known where they are.
        newest = files.identity
        if request.update is Extent.FILES and (before := self.known(place)) is not None:
            files = files_only(before.state, files)
        self._know(request, outcome.source_folder, files, newest)

    def _know(self, request: Request, source_folder: str, state: ScanState, newest: str = "") -> None:
        scan = request.scan
        self._journal.known.note(
            KnownScan(
                str(scan.place), self._beamtime.id, request.pid, scan.entry, source_folder, state, identity=newest
            )
        )

    def _write(self, request: Request, stamps: Stamps) -> None:
        def note() -> None:
            ingested = self.ingested(request.key.directory)
            appended = self.appending(ingested.path.parent)
            ingested.note(request.key.line, stamps)
            appended()

        if error := self._written(request.key.directory, note):
            log.error(
                "%s: is in the catalogue, but cannot be noted as ingested, and is compared again later: %s",
                request.pid,
                error,
            )

    def _written(self, directory: Path, write: Callable[[], None]) -> str:
        """Write to the list of a directory; what went wrong, which is remembered until it goes well."""
        try:
            write()
        except OSError as error:
            self._unwritten[directory] = error.strerror or str(error)
            return why(error)
        self._unwritten.pop(directory, None)
        return ""

    def _paths(self, directory: Path) -> tuple[Path, tuple[Path, ...]]:
        if self._rules.directory is not None:
            return self._rules.aside(directory)[0] / self._name, ()
        beside = directory / self._name
        if self._rules.fallback is None:
            return beside, ()
        fallback = self._rules.aside(directory)[-1] / self._name
        if (os.access(beside, os.W_OK) or not beside.exists()) and os.access(directory, os.W_OK | os.X_OK):
            return beside, (fallback,) if fallback.exists() else ()
        log.info("%s: this account cannot write there; the ingested list is in %s", directory, fallback.parent)
        return fallback, (beside,)


def _under_both(request: Request) -> tuple[Scan, ...]:
    """A scan as it is named, and as the line names it that asks for it: each of the two lists goes where it goes."""
    scan, directory = request.scan, request.key.directory
    below = scan.below(directory) if directory != scan.directory else None
    return (scan,) if below is None else (scan, replace(below, published=request.pid))
