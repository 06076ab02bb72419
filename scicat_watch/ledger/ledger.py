"""The ledger of one beamtime: its ingested lists with their locks, and its part of the journal."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

from scicat_watch.ledger.ingested import IngestedList, ListLock
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.plan import Action, Attempt, Decision, Past, next_try, plan
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.model import Beamtime, Outcome, Scan, Stamps, line_of_found

log = logging.getLogger(__name__)

_GRACE = 600.0  # Seconds in which a daemon that was started again takes up what it had begun.


class BeamtimeLedger:
    """What is known of the scans of one beamtime. Used by its watcher's thread and by one thread per list."""

    def __init__(self, beamtime: Beamtime, rules: IngestedRules, retrying: RetryRules, journal: Journal) -> None:
        self._beamtime, self._rules, self._retrying, self._journal = beamtime, rules, retrying, journal
        self._name = rules.name.format(beamtime=beamtime.id, host=rules.host)
        self._ingested: dict[Path, IngestedList] = {}
        self._locks: dict[Path, ListLock] = {}
        self._begun_here: set[str] = set()
        self._waited_since: dict[str, float] = {}

    def ingested(self, directory: Path) -> IngestedList:
        """The ingested list of a scan directory. OSError if it is there and cannot be read."""
        if directory not in self._ingested:
            path, older = self._paths(directory)
            ingested = IngestedList(path, older)
            ingested.load()
            self._ingested[directory] = ingested
        return self._ingested[directory]

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
        if not lock.acquire():
            return False
        self._locks[directory] = lock
        self._ingested[directory].load()  # The other one may have written until a moment ago.
        return True

    def wanted(self, scan: Scan) -> bool:
        """Whether a scan's line is not done yet. OSError if the ingested list cannot be read."""
        return not self.ingested(scan.directory).done(scan.line) and not self._done_nearer(scan)

    def begin(self, scan: Scan, now: float) -> None:
        """Note that the ingestion of a found scan begins: if a list names it meanwhile, it stays the same dataset."""
        if not scan.listed:
            self._begun_here.add(scan.line)
            self._journal.begin(scan, now)

    def begun(self, scan: Scan) -> bool:
        """Whether a scan is one that was found under the beamtime directory: under way, or for a found file, done."""
        return self._root_begun(scan) or (not scan.listed and self._root_done(scan))

    def changed(self, scan: Scan, signature: tuple[int, ...]) -> bool:
        """Whether a found file looks different from when it was ingested, if that is still known."""
        known = self._journal.signature(scan)
        return bool(known) and known != signature

    def decide(self, scan: Scan, signature: tuple[int, ...], now: float) -> Decision:
        """What to do with a complete scan; `now` in seconds since 1970."""
        try:
            done, found = not self.wanted(scan), self._is_elsewhere(scan) and self._root_done(scan)
        except OSError as error:
            log.error("%s: what was ingested cannot be told: %s", scan.pid, error)
            return Decision(Action.WAIT, now + self._retrying.first)
        past = Past(
            done=done,
            found_elsewhere=found,
            begun_elsewhere=self._is_elsewhere(scan) and self._ends_elsewhere(scan, now),
            changed=self.changed(scan, signature),
            attempt=self._journal.attempt(scan),
        )
        return plan(scan, past, now)

    def note(self, outcome: Outcome, signature: tuple[int, ...], now: float) -> float | None:
        """Write down how an ingestion ended; when to try again (seconds since 1970), None if it is done.

        A ledger that cannot be written is reported in the log and does not stop the work: what is in
        the catalogue is found there again.
        """
        scan, attempt = outcome.scan, None
        if not outcome.done:
            before = self._journal.attempt(scan)
            tries = (before.tries if before else 0) + 1
            at = next_try(tries, now, self._retrying.first, self._retrying.longest)
            attempt = Attempt(tries, at, outcome.reason)
        if outcome.done or outcome.stamps != Stamps():
            self._write(scan, outcome.stamps)
        self._journal.note(outcome, attempt, now, signature)
        return attempt.next_try if attempt else None

    def as_known(self, scan: Scan) -> Scan:
        """The scan under the name that it has in the catalogue.

        That is its own, but for a scan that was found under the beamtime directory before a list named it: it keeps
        the dataset that it was given then.
        """
        if not self._is_elsewhere(scan) or not (self._root_done(scan) or self._root_begun(scan)):
            return scan
        root = self._beamtime.directory
        folder = scan.directory.relative_to(root).as_posix()
        extras = tuple(f"{folder}/{extra}" for extra in scan.extras)
        return replace(scan, directory=root, stem=f"{folder}/{scan.stem}", extras=extras)

    def note_found(self, scan: Scan) -> None:
        """Write down a listed scan whose file was ingested before, under the beamtime directory."""
        root = self.ingested(self._beamtime.directory)
        self._write(scan, root.stamps(_found_line(scan, self._beamtime)) or Stamps(1.0, 1.0))

    def release(self) -> None:
        """Give the locks back."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()

    def _write(self, scan: Scan, stamps: Stamps) -> None:
        try:
            self.ingested(scan.directory).note(scan.line, stamps)
        except OSError as error:
            path = self._ingested[scan.directory].path
            log.error("%s: %s could not be noted as ingested: %s", path, scan.pid, error)

    def _is_elsewhere(self, scan: Scan) -> bool:
        """Whether the scan, before a list named it, would have been found under the beamtime directory."""
        return scan.listed and scan.directory != self._beamtime.directory

    def _ends_elsewhere(self, scan: Scan, now: float) -> bool:
        """Whether to wait until the scan has ended as the found one that it began as.

        It can only if its file is still where it was found, and if somebody is at it: after a restart that takes
        it up again within the grace, or never, because of other settings.
        """
        line = _found_line(scan, self._beamtime)
        if scan.master is None or scan.master.parent != scan.place.parent or not self._root_begun(scan):
            return False
        waited = now - self._waited_since.setdefault(line, now)
        return line in self._begun_here or abs(waited) < _GRACE

    def _done_nearer(self, scan: Scan) -> bool:
        """Whether a found scan was done as one of a directory nearer to it, whose list is gone."""
        if scan.listed:
            return False
        for directory in scan.place.parents:
            if directory == scan.directory or not directory.is_relative_to(scan.directory):
                return False
            if self.ingested(directory).done_name(scan.place.relative_to(directory).as_posix()):
                return True
        return False

    def _root_done(self, scan: Scan) -> bool:
        return self.ingested(self._beamtime.directory).done(_found_line(scan, self._beamtime))

    def _root_begun(self, scan: Scan) -> bool:
        return self._journal.begun(self._beamtime.directory, _found_line(scan, self._beamtime))

    def _paths(self, directory: Path) -> tuple[Path, tuple[Path, ...]]:
        beside, fallback = directory / self._name, _below(self._rules.fallback, directory) / self._name
        if self._rules.directory is not None:
            return _below(self._rules.directory, directory) / self._name, ()
        if os.access(beside if beside.exists() else directory, os.W_OK) and os.access(directory, os.W_OK | os.X_OK):
            return beside, (fallback,) if fallback.exists() else ()
        log.info("%s: cannot be written to; what is ingested is noted in %s", directory, fallback.parent)
        return fallback, (beside,)


def _below(base: Path, directory: Path) -> Path:
    return base.absolute() / directory.relative_to(directory.anchor)


def _found_line(scan: Scan, beamtime: Beamtime) -> str:
    """The line of the scan if it was found under the beamtime directory."""
    return line_of_found(scan.place.relative_to(beamtime.directory).as_posix())
