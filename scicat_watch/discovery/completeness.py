"""Whether the scan of a request is complete, as far as can be said without reading its files; if not, why.

Called by `pending`, which knows what is to be examined and when.
"""

from __future__ import annotations

import math
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import superblock
from scicat_watch.discovery.growth import Growth, growth
from scicat_watch.discovery.lines import Names, beginnings, first_from
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.settle import Settling
from scicat_watch.discovery.superblock import Examined
from scicat_watch.files import Inside
from scicat_watch.model import FileState, Request, RequestKey, Scan

WITHOUT_FILES = "no file or folder of its name is there"
LONGEST = 60.0
"""Seconds after which a scan that cannot be examined is examined again."""
_SHORTEST = 0.05


@dataclass(frozen=True, slots=True)
class Ready:
    """A request whose scan is complete, as far as can be said without reading it."""

    request: Request
    state: FileState | None = None
    """Of its master file; None without one."""
    comment: str = ""
    """What the dataset should say about the state of its file; empty if all is well."""
    backlog: bool = False
    """Whether it was there before we watched, or is tried again, so that live scans come first."""


@dataclass(frozen=True, slots=True)
class Held:
    """That a scan is not complete."""

    reason: str
    """Why; said of the scan, e.g. "scan_1.nxs is marked as being written"."""
    until: float = 0.0
    """When to check again."""
    stuck: bool = False
    """Whether time alone will not complete it."""
    awaited: tuple[str, ...] = ()
    """Beginnings of files that are to come before then; none if it is not known what is missing."""


class Completeness:
    """Examines the scans of one beamtime."""

    def __init__(self, rules: WatchRules, roots: tuple[Path, ...], list_name: str, *, patient: bool) -> None:
        """See `Pending`."""
        self._rules, self._roots, self._list_name, self._patient = rules, roots, list_name, patient
        self._settling: Settling[RequestKey] = Settling(rules.ingestion_delay)
        self._moment = (math.nan, 0.0)
        """The last monotonic time with its time of day."""
        self.names = Names()
        """Of the directories that were listed; this and the next two only as long as one rescan lasts."""
        self._inside = Inside(roots)
        """Which files are in the roots."""
        self._with_list: dict[Path, bool] = {}
        """Whether directories have their list."""

    def begin(self) -> None:
        """A rescan begins: what directories held before counts no more."""
        self.names.forget()
        self._inside = Inside(self._roots)
        self._with_list.clear()

    def forget(self, key: RequestKey) -> None:
        """A request is pending no longer."""
        self._settling.forget(key)

    def of(self, request: Request, since: float, now: float) -> Ready | Held | None:
        """What the scan of a request is like; None if its files are gone, and it was found or is done.

        `since`: monotonic time since which the request has been there.
        """
        scan = request.scan
        if not _is_text(scan.name):
            return Held("its name is not UTF-8 text; rename it", now + LONGEST, stuck=True)
        master = self._find_master(scan) if request.listed else scan.master
        if master is not None:
            return self._of_file(request, master, since, now)
        if request.done and not self._has_files(scan):
            return None  # They were renamed, archived or deleted, or never came: the dataset says more than we know.
        if not self._has_list(request.key.directory):
            awaited = (*beginnings(scan, scan.directory), os.fspath(request.key.directory / self._list_name))
            return Held("its scan directory or dataset list is not there", math.inf, stuck=True, awaited=awaited)
        return self._of_folder(request, since, now)

    def _of_file(self, request: Request, master: Path, since: float, now: float) -> Ready | Held | None:
        listed, scan = request.listed, request.scan
        try:
            examined = superblock.examine(master, allocated="allocated" in self._rules.complete_when)
            folder = None if listed else _folder(f"{scan.directory}/{scan.name}")
        except FileNotFoundError:
            return Held(f"{master.name} vanished", now + self.later(0.0)) if listed else None
        except OSError as error:
            return Held(f"{master.name} cannot be examined: {error.strerror}", now + LONGEST, stuck=True)
        if not self._inside.holds(os.fspath(master)):
            return Held(f"{master.name} is a link that leads out of the beamtime", now + LONGEST, stuck=True)
        siblings = self._siblings(scan, since, now)
        age = self.age(max(examined.state.changed / 1e9, siblings.changed), now)
        if not self._settling.check(request.key, (examined.state, folder, siblings.signature), now, age):
            why = f"{master.name} {examined.obstacle}" if examined.obstacle else self._unsettled
            return Held(why, self._settling.ready_at(request.key))
        if examined.obstacle:
            return self._obstructed(request, master, examined, now)
        named_at = since + self._rules.ingestion_delay
        if listed and now < named_at:
            return Held(self._newly_named, named_at)
        return Ready(request.described_by(master), examined.state)

    def _of_folder(self, request: Request, since: float, now: float) -> Ready | Held:
        """A listed scan without a data file: it has detector files, or files that are to come, or none."""
        named_at, waited = since + self._rules.ingestion_delay, now - since
        key, scan, settled = request.key, request.scan, False
        if found := self._has_files(scan):
            siblings = self._siblings(scan, since, now)
            settled = self._settling.check(key, siblings.signature, now, self.age(siblings.changed, now))
        if now < named_at:
            return Held(self._newly_named, named_at)
        if found and settled:
            return Ready(request)
        if found:
            return Held(self._unsettled, self._settling.ready_at(key))
        if waited < self._rules.without_files_after:
            until = since + self._rules.without_files_after
            return Held(WITHOUT_FILES, until, stuck=True, awaited=beginnings(scan, scan.directory))
        return Ready(request, comment="No files of this scan were found.")

    @property
    def _unsettled(self) -> str:
        delay = self._rules.ingestion_delay
        return f"waits until none of its files has changed for {delay:g} s (watching.ingestion_delay)"

    @property
    def _newly_named(self) -> str:
        return f"waits until its list has named it for {self._rules.ingestion_delay:g} s (watching.ingestion_delay)"

    def _has_files(self, scan: Scan) -> bool:
        for beginning in beginnings(scan, scan.directory):
            directory, _, start = beginning.rpartition("/")
            names = self.names(directory)
            if start == first_from(names, start):
                return True
            if any(first_from(names, goes_on := start + after).startswith(goes_on) for after in "._"):
                return True
        return False

    def _siblings(self, scan: Scan, since: float, now: float) -> Growth:
        """The other files of a scan as far as they count: not for ever, as a log file may grow for ever."""
        if "siblings" not in self._rules.complete_when or now - since >= self._rules.siblings_within:
            return Growth()
        return growth(beginnings(scan, scan.directory), self.names)

    def _has_list(self, directory: Path) -> bool:
        if (there := self._with_list.get(directory)) is None:
            there = self._with_list[directory] = (directory / self._list_name).exists()
        return there

    def _find_master(self, scan: Scan) -> Path | None:
        """As `find_master`, without a system call if the directory was listed and there is nothing of the name."""
        base = scan.directory / scan.stem
        names = self.names.known(base.parent)
        if names is not None and not first_from(names, base.name).startswith(base.name):
            return None
        return find_master(scan, self._rules.master_extensions)

    def _obstructed(self, request: Request, master: Path, examined: Examined, now: float) -> Ready | Held:
        quiet = self._settling.quiet_for(request.key, now)
        if examined.left_as and quiet >= self._rules.abandoned_after and self._rules.abandoned == "ingest":
            comment = f"{master.name} {examined.left_as}; it may be incomplete."
            return Ready(request.described_by(master), examined.state, comment)
        return Held(f"{master.name} {examined.obstacle}", now + self.later(quiet), stuck=True)

    def later(self, quiet: float) -> float:
        """How long to leave a file or directory alone that has been `quiet` for so many seconds."""
        return max(_SHORTEST, self._rules.ingestion_delay, min(quiet / 2, LONGEST))

    def age(self, changed_at: float | None, now: float) -> float:
        """How old a change is at the monotonic time `now`.

        The one comparison with the time of day: who names a file by hand has seen it, and does not want to wait.
        """
        if self._patient or changed_at is None:
            return 0.0
        if self._moment[0] != now:  # In one rescan all is of one time: the lines of a list come due together, in order.
            self._moment = (now, time.time())
        return max(0.0, self._moment[1] - changed_at)


def find_master(scan: Scan, extensions: tuple[str, ...]) -> Path | None:
    """The file that describes a listed scan: beside its folder, or else in it; None if there is none."""
    beside = scan.directory / scan.stem
    for base in (beside, beside / beside.name) if beside.is_dir() else (beside,):
        for extension in extensions:
            if (path := base.with_name(f"{base.name}.{extension}")).is_file():
                return path
    return None


def _folder(path: str) -> FileState | None:
    """The state of the folder of this path; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - fast
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState.of(status) if stat.S_ISDIR(status.st_mode) else None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
