"""Published scans of one beamtime are compared with their files, and what has changed is brought up to date.

They are compared some times soon after they were published, when late files come, and all of them in turns. Each step
is short, and all beamtimes together take only a small share of the time, so that there may be a hundred thousand
scans. What becomes of a scan that has changed is decided by its origin and the site's policy.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.scanfiles import ScanFiles
from scicat_watch.discovery.watch import BeamtimeWatch
from scicat_watch.ledger.known import KnownScan
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.ledger.rules import ChangeRules
from scicat_watch.model import Extent, ListEntry, Request, RequestKey, Scan
from scicat_watch.progress import ChangedScan
from scicat_watch.scanstate import Change, ScanState, change, needs_more
from scicat_watch.words import why

log = logging.getLogger(__name__)

_STEP = 0.01
"""Seconds that one step may take, unless a single scan takes longer."""
_SHARE = 0.01
"""Most of a core that comparing may take, for all beamtimes together."""
_WAITING_SHARE = 0.1
_LONGEST_STEP = 1.0  # Seconds of a step that count at most for when the next one is.
"""Most of the time that it may wait for file systems, or for a core on a busy host."""
_MOST_SOON = 20_000
"""Scans that are remembered to be compared soon; of more the turns take care."""


class SharedTime:
    """Shares out what comparing may take between all beamtimes. Used by all their threads."""

    def __init__(self) -> None:
        self._free = -math.inf
        self._lock = threading.Lock()

    def first(self, now: float) -> float:
        """Monotonic time of a beamtime's first step: those of all that are found at a start would come at once."""
        with self._lock:
            at = max(self._free, now)
            self._free = at + _STEP / _SHARE
            return at

    def next(self, now: float, spent: float, used: float) -> float:
        """Monotonic time of the next step of a beamtime whose last one took `spent` seconds, `used` of a core."""
        spent = min(spent, _LONGEST_STEP)  # A file system that did not answer for hours is no reason to wait for days.
        with self._lock:
            self._free = max(self._free, now) + max(spent / _WAITING_SHARE, used / _SHARE)
            return self._free


@dataclass(frozen=True, slots=True)
class _Item:
    """A scan that is there."""

    scan: Scan
    listed: bool
    request: Callable[[], Request]
    """Makes the request of it; OSError if what was ingested cannot be read."""


@dataclass(frozen=True, slots=True, order=True)
class _Soon:
    """A scan that was published, to be compared once more."""

    due: float
    number: int
    """Makes the order of scans that are due at the same time."""
    item: _Item = field(compare=False)
    times: int = field(compare=False)
    """How often it was compared since."""


class Rechecks:
    """Compares the published scans of one beamtime; stepped by the beamtime's thread alone."""

    def __init__(
        self, beamtime: str, ledger: BeamtimeLedger, watch: BeamtimeWatch, files: ScanFiles, rules: ChangeRules,
        shared: SharedTime, clock: Clock,
    ) -> None:  # fmt: skip
        self._beamtime = beamtime
        self._ledger, self._watch, self._files = ledger, watch, files
        self._rules, self._shared, self._clock = rules, shared, clock
        self._soon: list[_Soon] = []
        self._numbers = itertools.count()
        self._turn: Iterator[_Item] | None = None
        self._turn_at = clock.monotonic()
        self._step_at = shared.first(self._turn_at)
        self._left: dict[Path, ChangedScan] = {}
        self._unseen: set[Path] = set()
        """Places of `_left` to which this turn has not come yet."""
        self._hinted: set[Path] = set()
        """Places that are to be compared because a file there was closed."""
        self._replaced: list[tuple[_Item, Request]] = []
        """Those with another master file; only as long as one step lasts."""
        self._unreadable: set[Path] = set()

    def changed(self) -> list[ChangedScan]:
        """The scans that have changed since they were published, and were left so."""
        return list(self._left.values())

    def published(self, request: Request) -> None:
        """A scan was published just now: what was known of its changes is settled, and it is compared soon."""
        if request.update is not Extent.FILES:
            self._left.pop(request.scan.place, None)
        self._come_again(_Item(request.scan, request.listed, lambda: self._ledger.as_begun(request)), 0)

    def closed(self, files: Iterable[Path], wait: float) -> None:
        """Files were closed after writing: listed scans that have a dataset are compared in `wait` seconds.

        Found ones are ingested again without a comparison in turn, see `BeamtimeWatch.step`.
        """
        for file in files:
            line = self._watch.line_of(file)
            if line is None or self._watch.is_under_way(RequestKey(line[0], line[1].line)):
                continue
            item = self._listed(*line)
            if item.scan.place not in self._hinted and len(self._hinted) < _MOST_SOON:
                self._hinted.add(item.scan.place)
                self._soon_again(item, wait, len(self._rules.after))

    def next_due(self) -> float:
        """Monotonic time of the next step."""
        soon = self._soon[0].due if self._soon else math.inf
        return max(self._step_at, min(soon, self._turn_at))

    def step(self) -> bool:
        """Compare some scans that are due; whether there is something new to report."""
        began, used = self._clock.monotonic(), time.thread_time()
        if began < self.next_due():
            return False
        left = dict(self._left)
        for item in self._due(began):
            self._compare(item)
            if self._clock.monotonic() - began > _STEP:
                break
        self._compare_replaced()
        ended = self._clock.monotonic()
        self._step_at = self._shared.next(ended, ended - began, time.thread_time() - used)
        return left != self._left

    def state_of(self, request: Request, master: Path | None) -> ScanState | None:
        """The files of a scan that is about to be read; None if they cannot be examined."""
        try:
            return self._files.state(request.scan, master)
        except OSError:
            return None  # It is taken as it is when it is compared for the first time.

    def left_to_do(self, request: Request, state: ScanState | None) -> Request | None:
        """What is to be done of a request that nobody asked for, now that its files are known; None if nothing is.

        A scan that has a dataset comes again when an event says that its file was written, or after a comparison.
        """
        known = None if state is None else self._ledger.known(request.scan.place)
        passes = known is None or self._ledger.is_adopted(known) or self._ledger.failed(request)
        if state is None or known is None or passes or request.again or self._ledger.wanted(request):
            return request
        found = change(self._ledger.with_names(known), state)
        self._keep_identity(known, state, found)
        if request.update is not None and not found:
            return None
        extent = self._report(request.scan.place, request.listed, found, known.pid)
        return None if extent is None else replace(request, update=extent)

    def _due(self, now: float) -> Iterator[_Item]:
        while self._soon and self._soon[0].due <= now:
            soon = heapq.heappop(self._soon)
            self._hinted.discard(soon.item.scan.place)
            self._come_again(soon.item, soon.times + 1)
            yield soon.item
        if now < self._turn_at:
            return
        if self._turn is None:
            self._files.forget()
            self._turn, self._unseen = self._all(), set(self._left)
        while (item := next(self._turn, None)) is not None:  # `yield from` would end the turn with the step.
            self._unseen.discard(item.scan.place)
            yield item
        self._turn, self._turn_at = None, now + self._rules.interval
        for place in self._unseen:  # They were renamed, or neither their files nor their lines are there any more.
            self._left.pop(place, None)

    def _all(self) -> Iterator[_Item]:
        """All scans that are there now; what comes meanwhile comes in the next turn."""
        for directory, entry in self._watch.listed():
            yield self._listed(directory, entry)
        for directory, file in self._watch.found():
            scan = Scan.found(self._beamtime, directory, file)
            yield _Item(scan, False, functools.partial(self._ledger.of_file, file, directory))

    def _listed(self, directory: Path, entry: ListEntry) -> _Item:
        scan = Scan.listed(self._beamtime, directory, entry)
        return _Item(scan, True, functools.partial(self._ledger.of_line, entry, directory))

    def _come_again(self, item: _Item, times: int) -> None:
        if times < len(self._rules.after) and len(self._soon) < _MOST_SOON:
            wait = self._rules.after[times] - (self._rules.after[times - 1] if times else 0.0)
            self._soon_again(item, max(0.0, wait), times)

    def _soon_again(self, item: _Item, wait: float, times: int) -> None:
        heapq.heappush(self._soon, _Soon(self._clock.monotonic() + wait, next(self._numbers), item, times))

    def _compare_replaced(self) -> None:
        """Compare the scans that have another master file than before, which may have been renamed.

        For all of a step together it is found out first where the files are that were there: that lists the beamtime.
        """
        replaced, self._replaced = self._replaced, []
        try:
            if replaced:
                self._ledger.make_way((request for _, request in replaced), self._watch.data_files)
        except OSError as error:
            log.info("%s: the files that were renamed cannot be found now: %s", self._watch.beamtime.directory, error)
            return  # What was replaced and what was renamed is not known, so nothing is decided.
        for item, _ in replaced:
            self._compare(item, made_way=True)

    def _compare(self, item: _Item, *, made_way: bool = False) -> None:
        """Compare one scan; what cannot be examined now is left for the next time, and costs the others nothing."""
        try:
            self._compare_one(item, made_way=made_way)
        except OSError as error:
            if item.scan.directory not in self._unreadable:
                log.info("%s: cannot be compared with its files now, but later: %s", item.scan.place, why(error))
                self._unreadable.add(item.scan.directory)
            return
        self._unreadable.discard(item.scan.directory)

    def _compare_one(self, item: _Item, *, made_way: bool) -> None:
        known = self._ledger.known(item.scan.place)
        if known is None:
            self._first(item)
            return
        before, master = known.state, known.state.master or item.scan.master
        now = self._files.compared(item.scan, master)
        if now is not None and needs_more(before, now):
            before, now = self._ledger.with_names(known), self._files.state(item.scan, master)
        if now is None:
            # The file is not there: it may be unreachable, and comes back. Nothing can differ meanwhile.
            self._left.pop(item.scan.place, None)
            return
        found = change(before, now)
        if found.master and not made_way:
            self._replaced.append((item, item.request()))
            return
        self._keep_identity(known, now, found)
        if self._ledger.is_adopted(known):
            self._update(item, Extent.ALL)
        else:
            self._settle(item, found, known.pid)

    def _keep_identity(self, known: KnownScan, now: ScanState, found: Change) -> None:
        """Remember by what the files are known again when they are renamed, also while the dataset says otherwise."""
        anew = not found.master and now.head and now.file != known.state.file
        if now.identity and (anew or now.identity != known.identity):
            self._ledger.saw(known, now, same=not found.master)

    def _first(self, item: _Item) -> None:
        """A scan of which it is not known how it was published: either it was renamed, or it is taken as it is."""
        request, now = item.request(), self._files.state(item.scan, item.scan.master)
        if self._ledger.wanted(request):
            # As one at the place of a scan that was renamed: it is not done, whoever saw it.
            if not item.listed or (now is not None and now.files.number and self._left_by_another(request.scan)):
                self._watch.update(request, self._clock.monotonic())
            return
        if now is None:
            return
        if self._ledger.has_moved(request, now):
            self._settle(item, Change(files="its files were renamed"), request.pid)
        elif now.file is not None and self._ledger.rewritten(request, now.file) and not item.listed:
            self._update(item, Extent.ALL)
        else:
            self._ledger.accept(request, now)

    def _left_by_another(self, scan: Scan) -> bool:
        return self._ledger.has_left(scan.directory, scan.name)

    def _settle(self, item: _Item, found: Change, pid: str) -> None:
        """Bring a scan that has changed up to date, as far as its origin and the policy allow; report the rest."""
        extent = self._report(item.scan.place, item.listed, found, pid)
        if extent is not None:
            self._update(item, extent)

    def _report(self, place: Path, listed: bool, found: Change, pid: str) -> Extent | None:
        """Report what of a change is left to a person; what is to be brought up to date."""
        extent, report = what_to_do(listed, found, self._rules)
        if report:
            self._left[place] = ChangedScan(pid, report)
        else:
            self._left.pop(place, None)
        return extent

    def _update(self, item: _Item, extent: Extent) -> None:
        request = item.request()
        if not self._ledger.wanted(request):
            self._watch.update(replace(request, update=extent), self._clock.monotonic())


def what_to_do(listed: bool, found: Change, rules: ChangeRules) -> tuple[Extent | None, str]:
    """What is to be brought up to date of a scan that has changed, and what is to be reported of it.

    Where files are missing nothing is, whatever else has changed: they may be archived, or away for a moment, and the
    catalogue would lose them. But a site may know better.
    """
    if not found:
        return None, ""
    if (found.missing and rules.vanished == "keep") or (listed and rules.listed == "report"):
        return None, str(found)
    if listed and rules.listed == "files":
        return (Extent.FILES if found.files or found.touched or found.missing else None), found.master
    return (Extent.ALL if found.master or found.files or found.missing else Extent.FILES), ""
