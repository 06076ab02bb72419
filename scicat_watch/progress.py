"""How far the work is, as values that are reported: to the log, to `status`, and to who asks the running daemon.

Nothing here reads a file, asks a server or knows the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class WaitingScan:
    """A scan that is not ingested yet, and why."""

    pid: str
    reason: str


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line of a dataset list that asks for nothing that can be had."""

    list: str
    """Path of the list."""
    line: str
    number: int
    """From 1; 0 if it is not known."""
    reason: str


@dataclass(frozen=True, slots=True)
class ChangedScan:
    """A scan whose files have changed since its dataset was published, how, and that is left for a person to decide."""

    pid: str
    reason: str


@dataclass(frozen=True, slots=True)
class WatchState:
    """How changes in a beamtime directory are noticed."""

    method: str
    """"notifications" or "polling"."""
    reason: str = ""
    """Why it is polled; empty with notifications."""
    interval: float = 0.0
    """Seconds from one full rescan to the next."""
    rescanned: str = ""
    """When the last full rescan ended, in UTC."""
    seconds: float = 0.0
    """How long it took."""
    missed: int = 0
    """In how many directories full rescans found changes that no event had reported."""
    overflows: int = 0
    """How often events were lost because more came than the kernel's queue holds."""
    unwatched: int = 0
    """How many directories and lists cannot be watched."""


@dataclass(frozen=True, slots=True)
class Stages:
    """How many scans wait, by what for."""

    incomplete: int = 0
    """Until they are complete."""
    queued: int = 0
    """For their turn to be read."""
    reading: int = 0
    """They are being read."""
    publishing: int = 0
    """They were read, and are published now or next."""
    catalogue: int = 0
    """For the catalogue, which is unavailable: all that are complete and not being read."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.incomplete + self.queued + self.reading + self.publishing + self.catalogue


@dataclass(frozen=True, slots=True)
class Outage:
    """That the catalogue is unavailable."""

    since: str
    """When that was noticed, in UTC."""
    reason: str
    full: bool = False
    """Whether it answers, but has no room for what is written."""


@dataclass(frozen=True, slots=True)
class LateCheck:
    """That a dataset is to be read again, as a write to it may arrive late."""

    pid: str
    """The dataset's id as the catalogue has it."""
    since: float
    """When the write was not answered; seconds since 1970, as `due`."""
    due: float
    documents: str = ""
    """What the catalogue is to hold, as JSON."""
    made: int = 0
    """How many late checks were made since the dataset was last written."""
    reason: str = ""
    """Why the last one could not be made; empty if it could, or there was none."""


@dataclass(frozen=True, slots=True)
class BeamtimeState:
    """How far the work on one beamtime is, for reports: log, status, later metrics."""

    directory: str
    """Path of the beamtime directory; of the metadata file for one that cannot be used."""
    id: str
    """Beamtime id; "?" if it is not known."""
    title: str = ""
    generated: bool = False
    done: int = 0
    """How many scans are done, each counted once."""
    waiting: int = 0
    """How many scans are found and neither done nor waiting for another try."""
    waiting_scans: tuple[WaitingScan, ...] = ()
    """The first of those that are not complete yet."""
    stages: Stages = Stages()
    """What those that wait do wait for."""
    outage: Outage | None = None
    """Why scans wait for the catalogue; None while it is available, or none does."""
    skipped: int = 0
    """How many lines cannot be used."""
    skipped_lines: tuple[SkippedLine, ...] = ()
    """The first of them."""
    changed: int = 0
    """How many scans have changed since their datasets were published, which were left so."""
    changed_scans: tuple[ChangedScan, ...] = ()
    """The first of them."""
    elsewhere: tuple[str, ...] = ()
    """Scan directories that another scicat-watch ingests."""
    problems: tuple[str, ...] = ()
    """What cannot be read or worked on."""
    counted: str = ""
    """When the numbers were counted, in UTC."""
    stale: bool = False
    """Whether they may be others by now, as the directory cannot be reached."""
    paused: bool = False
    """Whether a person paused it: nothing new of it is read or published."""
    notes: tuple[str, ...] = ()
    """What a person should know, though it holds nothing up, e.g. a file system without locks."""
    watch: WatchState | None = None
    """How changes are noticed; None if nothing is watched, as in a one-time ingest."""

    def but_for_times(self) -> BeamtimeState:
        """The same without when it was counted, when the last rescan was, and how long it took."""
        watch = self.watch
        watch = None if watch is None else replace(watch, interval=0.0, rescanned="", seconds=0.0)
        return replace(self, counted="", watch=watch)
