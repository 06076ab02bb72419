"""What stands in for the world in tests of the service: the system's file events, and the far end of the queues.

All of it works on the fake clock and without threads, so that a story is told in one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from scicat_watch.discovery.completeness import Ready
from scicat_watch.discovery.events.source import Event, Gaps, Sink
from scicat_watch.errors import ReaderLost, Unavailable
from scicat_watch.model import Beamtime, Fault, Outcome, Stamps, Status
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.progress import BeamtimeState
from scicat_watch.service.dispatch import Dispatcher, Finished, urgency
from scicat_watch.service.executors import worker
from scicat_watch.service.executors.confined import Order
from scicat_watch.service.ingest import Ingestor
from scicat_watch.service.queues import Load
from scicat_watch.service.reporting.journal import JournalReporter
from scicat_watch.service.reporting.log import LogReporter
from scicat_watch.service.reporting.reporter import Reporters
from scicat_watch.service.serial import Call, SerialThread
from scicat_watch.service.site import Site
from scicat_watch.service.turns import Urgency
from scicat_watch.settings.model import Settings
from tests.fakes import FakeClock


class FakeEvents:
    """File events that a test sends, to a site in the place of the system's."""

    def __init__(self) -> None:
        self.watched: list[Path] = []
        """What was asked to be watched, lists included, in that order."""
        self.incomplete = False
        """Whether some directory could not be watched."""
        self.reports_ours = False
        self.raised = False
        """Whether a limit was raised."""
        self.closed = False
        self._sink: Sink = lambda event: None

    def open(self, sink: Sink) -> Self:
        """The same, now that it is known who wants to hear."""
        self._sink = sink
        return self

    def gaps(self, root: Path) -> Gaps:
        return Gaps("some directory cannot be watched", 1) if self.incomplete else Gaps()

    def watch(self, directory: Path, name: str = "") -> None:
        self.watched.append(directory / name)

    def retry(self, root: Path) -> bool:
        return self.raised

    def unwatch(self, path: Path) -> None:
        self.watched = [one for one in self.watched if one != path]

    def close(self) -> None:
        self.closed = True

    def named(self, path: Path) -> None:
        """A name came into a directory, or left it."""
        self._sink(Event(path.parent, path.name, path.is_dir()))

    def written(self, file: Path) -> None:
        """A file was closed after writing."""
        self._sink(Event(file.parent, file.name, closed=True))

    def appended(self, dataset_list: Path) -> None:
        """A list changed."""
        self._sink(Event(dataset_list.parent))

    def lost(self) -> None:
        """Events were lost."""
        self._sink(Event(None))


class FakeIngest:
    """Stands in for reading and publishing: a request succeeds, unless `faults` has a reason why it does not."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.faults: dict[str, str | Exception] = {}
        """By pid: why ingesting it fails, or what is raised."""
        self.tried: list[tuple[float, str]] = []
        """When, and which dataset, each time."""
        self.comments: dict[str, str] = {}
        """What the datasets say about the state of their files."""
        self.titles: dict[str, object] = {}
        """Of the beamtime, by pid."""

    @property
    def pids(self) -> list[str]:
        """The datasets that were made, in that order."""
        return list(self.titles)

    def __call__(self, ready: Ready, beamtime: Beamtime) -> Outcome:
        pid = ready.request.pid
        self.tried.append((self._clock.monotonic(), pid))
        fault = self.faults.get(pid)
        if isinstance(fault, ReaderLost):
            return Outcome(ready.request, Status.FAILED, str(fault), fault=Fault.READER)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return Outcome(ready.request, Status.FAILED, fault)
        status = Status.UNCHANGED if pid in self.titles else Status.CREATED
        self.titles[pid], self.comments[pid] = beamtime.metadata.get("title"), ready.comment
        now = self._clock.now().timestamp()
        return Outcome(ready.request, status, stamps=Stamps(now, now, 0.0))


class FakeDispatcher(Dispatcher):
    """One queue without a thread: requests are ingested while somebody waits on the clock, `seconds()` for each."""

    def __init__(
        self,
        ingest: Callable[[Ready, Beamtime], Outcome],
        clock: FakeClock,
        stopping: threading.Event,
        seconds: Callable[[], float],
        urgencies: list[tuple[str, Urgency]],
    ) -> None:
        nobody: Any = None
        self.urgencies = urgencies
        super().__init__(nobody, clock, stopping, connections=1, readers=1)
        self._ingest, self._fake, self._seconds = ingest, clock, seconds
        self._queued: list[tuple[Ready, Beamtime, Finished]] = []
        self._planned = False

    def put(self, ready: Ready, beamtime: Beamtime, finished: Finished, *, suspect: bool = False) -> None:
        self.idle.clear()
        self.urgencies.append((ready.request.scan.name, urgency(ready, suspect)))
        self._queued.append((ready, beamtime, finished))
        if not self._planned:
            self._plan()

    def load(self, beamtime: Beamtime) -> Load:
        return Load(queued=sum(item[1] == beamtime for item in self._queued))

    def drop(self, beamtime: Beamtime, seconds: float) -> None:
        self._queued = [item for item in self._queued if item[1] != beamtime]
        if not self._queued:
            self.idle.set()

    def join(self, seconds: float) -> bool:
        return True

    def _plan(self) -> None:
        self._planned = True
        self._fake.at(self._seconds(), self._one)

    def _one(self) -> None:
        if self._queued and not self._stopping.is_set():
            ready, beamtime, finished = self._queued.pop(0)
            try:
                finished(self._ingest(ready, beamtime))
            except Unavailable as error:
                self.unavailable = error
                self._stopping.set()
        self._planned = False
        if self._queued and not self._stopping.is_set():
            self._plan()
        elif not self._queued:
            self.idle.set()


class InlineSerial(SerialThread):
    """Makes each call at once, in the thread that wants it made."""

    def put(self, call: Call) -> None:
        call()


class FakeReporter:
    """Remembers what is reported, and when."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.outcomes: list[Outcome] = []
        self.states: list[tuple[float, BeamtimeState]] = []
        self.gone: list[str] = []

    @property
    def last(self) -> BeamtimeState:
        """The last state that was reported."""
        return self.states[-1][1]

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def beamtime(self, state: BeamtimeState) -> None:
        self.states.append((self._clock.monotonic(), state))

    def left(self, directory: str) -> None:
        self.gone.append(directory)


class InlineReading:
    """A scan that is read in this process, when its result is asked for."""

    def __init__(self, job: ReadJob) -> None:
        self._job = job

    def result(self) -> Reading:
        return worker.named(worker.opened(Order(self._job)))

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        callback()


class InlineExecutor:
    """Reads in this process."""

    def start(self, job: ReadJob, takes_long: Callable[[], object] = lambda: None) -> InlineReading:
        return InlineReading(job)

    def prepare(self) -> None:
        """Nothing is needed."""

    def close(self) -> None:
        """Nothing was opened."""


class FakeSite(Site):
    """A real site, with its journal, ledgers and schemas, but for the fakes above."""

    def __init__(self, settings: Settings, clock: FakeClock) -> None:
        super().__init__(settings, threading.Event(), clock)
        self.fake = clock
        self.source = FakeEvents()
        self.ingest = FakeIngest(clock)
        self.seconds = 0.1
        """How long ingesting a scan takes."""
        self.urgencies: list[tuple[str, Urgency]] = []
        """The name of each scan that came into the queues, and how urgent it was."""
        self.reports = FakeReporter(clock)
        self.reporter = Reporters(LogReporter(), JournalReporter(self.journal), self.reports)

    def read_and_publish(self) -> None:
        """From now on scans are really read and published, in this thread."""
        self.executor.close()
        self.executor = InlineExecutor()
        ingestor = Ingestor(self, self.settings.catalogue.patience.give_up_after)

        def real(ready: Ready, beamtime: Beamtime) -> Outcome:
            read = ingestor.read(ingestor.start(ready, beamtime))
            return read if isinstance(read, Outcome) else ingestor.publish(read)

        made: Any = real
        self.ingest = made

    def events(self, sink: Sink) -> FakeEvents:
        return self.source.open(sink)

    def serial(self, name: str) -> SerialThread:
        return InlineSerial(name)

    def dispatcher(self, give_up_after: float | None = None) -> FakeDispatcher:
        return FakeDispatcher(self.ingest, self.fake, self.stopping, lambda: self.seconds, self.urgencies)
