"""The one-shot: every scan of the given beamtimes, lists or files once, then a summary.

It does the daemon's work, with two differences: scans that are done are looked at again, and brought
up to date where they changed; and it ends. A scan that is not complete is waited for while it
changes, and counts as failed when it does not.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import Broken
from scicat_watch.discovery.rules import BeamtimeRules, WatchRules
from scicat_watch.discovery.watch import Hints
from scicat_watch.errors import ConfigError
from scicat_watch.model import Beamtime, Outcome, Scan, Status
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.ingest import Ingestor
from scicat_watch.service.site import Site
from scicat_watch.service.work import BeamtimeWork
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What one argument of `ingest` means."""

    beamtime: Beamtime
    rules: WatchRules
    meant: Callable[[Scan], bool]
    """Whether a scan of the beamtime is asked for."""
    file: Path | None = None
    """The list or data file that was named; None for all of the beamtime."""
    is_list: bool = False


@dataclass(slots=True)
class Summary:
    """How a one-shot ended."""

    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    failures: list[tuple[str, str]] = field(default_factory=list)
    """What failed, each with its reason."""
    unavailable: str = ""
    """Why the catalogue could not be reached; empty if it could."""
    left: int = 0
    """Scans that were not tried, because the catalogue was away or the program was stopped."""

    @property
    def exit_status(self) -> int:
        """0 all done, 1 something failed, 3 the catalogue is unreachable."""
        return 3 if self.unavailable else 1 if self.failures or self.left else 0


def targets(paths: tuple[Path, ...], settings: Settings) -> Iterator[Target | Broken]:
    """What the arguments mean; without any, all configured beamtimes. `ConfigError` for a path that is none."""
    for path in map(Path.absolute, paths or tuple(beamtimes.directories(settings.beamtimes.rules()))):
        if path.is_dir():
            yield from _of_directory(path, settings)
        elif path.is_file():
            yield _of_file(path, settings)
        else:
            raise ConfigError("there is no such file or directory", path)


def _of_directory(path: Path, settings: Settings) -> Iterator[Target | Broken]:
    try:
        found = beamtimes.find(path, settings.beamtimes.rules())
    except OSError as error:
        raise ConfigError(f"the directory cannot be looked at: {error.strerror}", path) from None
    if not found:
        log.warning("%s: holds only beamtimes that the configuration skips", path)
    for beamtime in found:
        if isinstance(beamtime, Broken):
            yield beamtime
        else:
            yield Target(beamtime, settings.watch_rules(), lambda scan: True)


def _of_file(path: Path, settings: Settings) -> Target | Broken:
    beamtime = _beamtime_above(path.parent, settings.beamtimes.rules())
    if isinstance(beamtime, Broken):
        return beamtime
    rules = settings.watch_rules()
    if path.suffix.lower().lstrip(".") in rules.master_extensions:
        return Target(beamtime, rules, lambda scan: _describes(path, scan), path)
    if path.suffix != ".lst" and not fnmatch.fnmatchcase(path.name, rules.list_name("*", "*")):
        raise ConfigError("is neither a data file nor a dataset list (scicat-datasets-….lst)", path)
    name = path.name.replace("{", "{{").replace("}", "}}")
    rules = dataclasses.replace(rules, trigger="lists", below_lists=True, dataset_list=name)
    return Target(beamtime, rules, lambda scan: scan.directory == path.parent, path, is_list=True)


def _beamtime_above(directory: Path, rules: BeamtimeRules) -> Beamtime | Broken:
    for above in (directory, *directory.parents):
        if beamtimes.metadata_files(above, rules) and (found := beamtimes.find(above, rules)):
            return found[0]
    return beamtimes.generated(directory)


class OneShot:
    """One run over some targets."""

    def __init__(
        self, site: Site, stopping: threading.Event, told: Callable[[Outcome, int], None] = lambda outcome, total: None
    ) -> None:
        """`told` hears each outcome and how many scans there are so far, one call at a time."""
        self._site, self._stopping, self._told = site, stopping, told
        self._summary = Summary()
        self._lock = threading.Lock()
        self._total = 0
        self._left = 0
        patience = site.settings.catalogue.patience.give_up_after
        self._lanes = Dispatcher(
            Ingestor(site, give_up_after=patience), site.settings.catalogue.connections,
            site.settings.reading.workers, stopping,
        )  # fmt: skip

    def run(self, found: list[Target | Broken]) -> Summary:
        """Ingest all of it; the summary."""
        works: list[tuple[BeamtimeWork, Target]] = []
        for target in found:
            if isinstance(target, Broken):
                self._fail(str(target.file), target.reason)
                continue
            if target.beamtime.generated:
                log.info(
                    "%s: has no beamtime metadata file; taken as beamtime %r",
                    target.beamtime.directory, target.beamtime.id,
                )  # fmt: skip
            works.append((self._work(target), target))
        for work, target in works:
            self._exhaust(work, target)
        while not self._lanes.idle and not self._stopping.is_set():
            self._lanes.wait_until_changed(0.5)
        return self._end([work for work, _ in works])

    def _work(self, target: Target) -> BeamtimeWork:
        return BeamtimeWork(
            self._site, target.beamtime, self._lanes, rules=target.rules,
            finished=self._finished, once=target.meant, within=target.file.parent if target.file else None,
        )  # fmt: skip

    def _exhaust(self, work: BeamtimeWork, target: Target) -> None:
        """Look until nothing is pending but what does not change any more."""
        hints: Hints | None = None
        while not self._stopping.is_set():
            findings = work.step(hints)
            with self._lock:
                self._total += len(findings.ready)
            if hints is None and target.file and not target.is_list and not findings.ready and not self._pending(work):
                work.watch.offer(target.file, self._site.clock.monotonic())
            hints = Hints()  # Everything was looked at; now only what is pending.
            if all(waiting.stuck for waiting in work.watch.waiting()):
                break
            if (due := work.watch.next_look()) is not None:
                self._site.clock.wait(due - self._site.clock.monotonic(), self._stopping)
        self._take_stock(work)

    def _pending(self, work: BeamtimeWork) -> bool:
        return next(work.watch.waiting(), None) is not None

    def _take_stock(self, work: BeamtimeWork) -> None:
        """Count as failed what cannot be ingested."""
        for waiting in work.watch.waiting():
            self._fail(waiting.scan.pid, f"not complete: {waiting.reason}")
        for path, line in work.watch.bad_lines():
            self._fail(f"{path}:{line.number}" if line.number else str(path), f"the line {line.line!r} {line.reason}")
        for problem in work.problems():
            where, _, why = problem.partition(": ")
            self._fail(where, why)
        for directory in work.foreign():
            self._fail(str(directory), "another scicat-watch ingests this directory, perhaps the daemon; stop it first")

    def _finished(self, outcome: Outcome) -> None:
        with self._lock:
            self._summary.counts[outcome.status] += 1
            if not outcome.done:
                self._summary.failures.append((outcome.scan.pid, outcome.reason))
            self._left += 1
            self._told(outcome, self._total)

    def _fail(self, what: str, why: str) -> None:
        with self._lock:
            self._summary.counts[Status.FAILED] += 1
            self._summary.failures.append((what, why))

    def _end(self, works: list[BeamtimeWork]) -> Summary:
        self._stopping.set()
        self._lanes.join(time.monotonic() + 10.0)
        for work in works:
            work.take_results()
            if not work.foreign():  # Otherwise what `status` shows is the other's to tell.
                work.show()
            work.ledger.release()
        summary = self._summary
        summary.left = max(0, self._total - self._left)
        if self._lanes.unavailable is not None:
            summary.unavailable = str(self._lanes.unavailable)
        return dataclasses.replace(summary)


def _describes(file: Path, scan: Scan) -> bool:
    """Whether `file` is the master file of a scan."""
    if not scan.listed:
        return scan.master == file
    beside = scan.directory / scan.stem
    return file.with_name(file.stem) in (beside, beside / beside.name)
