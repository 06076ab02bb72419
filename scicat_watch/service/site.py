"""One site: settings turned into a catalogue, schemas, readers and a ledger. The only place that wires rooms."""

from __future__ import annotations

import functools
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scicat_watch.catalogue.availability import Availability
from scicat_watch.catalogue.options import CatalogueOptions
from scicat_watch.catalogue.publisher import Publisher, UpdatePolicy
from scicat_watch.catalogue.records import Records
from scicat_watch.catalogue.scicat.connect import connect, records_of
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.discovery.beamtimes import generated_id
from scicat_watch.discovery.events.choose import open_source
from scicat_watch.discovery.events.source import EventSource, Sink
from scicat_watch.discovery.scanfiles import ScanFiles
from scicat_watch.discovery.watch import BeamtimeWatch
from scicat_watch.errors import CatalogueError, ConfigError
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import Beamtime, Request, Scan
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.belonging import belonging as belongs_to
from scicat_watch.pipeline.belonging import matcher
from scicat_watch.pipeline.handover import ReadJob
from scicat_watch.pipeline.reading import sandbox
from scicat_watch.pipeline.schema.library import Library
from scicat_watch.service.answering import needed
from scicat_watch.service.calls import Calls
from scicat_watch.service.catalogue_process import CatalogueProcess
from scicat_watch.service.daemon.pace import Paces
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.executors.executor import Executor
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.service.ingest import Ingestor
from scicat_watch.service.latecheck import LateChecking
from scicat_watch.service.rechecks import Rechecks, SharedTime
from scicat_watch.service.reporting.journal import JournalReporter
from scicat_watch.service.reporting.log import LogReporter
from scicat_watch.service.reporting.reporter import Reporter, Reporters
from scicat_watch.service.serial import SerialThread
from scicat_watch.settings.model import Settings
from scicat_watch.words import why

log = logging.getLogger(__name__)


class Site:
    """Everything that ingesting needs, opened; `close` gives it back."""

    def __init__(
        self, settings: Settings, stopping: threading.Event, clock: Clock | None = None, calls: Calls | None = None
    ) -> None:
        """Raises `ConfigError` for settings that cannot work here. `calls`: on roots, if there were some already."""
        self.settings, self.stopping = settings, stopping
        self.clock: Clock = clock or SystemClock()
        self.calls = calls or Calls(self.clock)
        self.host = this_host()
        self.library = load_schemas(settings)
        for problem in self.library.problems:
            log.error("schema: %s", problem)
        self.journal = open_journal(settings)
        self._embedded = catalogue_process(settings) if settings.catalogue.url is None else None
        try:
            url = settings.catalogue.url or ""
            options = self._embedded.start() if self._embedded else settings.catalogue.options(url)
            memory = self.journal.written(settings.catalogue.url or "")
            self.publisher: Publisher = connect(options, stopping, self.clock, memory)
        except BaseException:
            self._close_parts()
            raise
        self.catalogue_url = options.http.url
        self.page = self._embedded.url if self._embedded else ""
        """Address of the embedded catalogue's page; empty with another catalogue."""
        self.availability = Availability(self.publisher.ping, options.patience, self.clock, stopping)
        self.paces = Paces()
        """How often the beamtimes are rescanned."""
        self.policy = update_policy(settings)
        """What becomes of datasets that are in the catalogue already."""
        self.lookups = Lookups(self.publisher.look_up, self.clock, settings.schemas.keep_lookups)
        self.executor: Executor = open_executor(settings)
        self._time = SharedTime()
        self.reporter: Reporter = Reporters(LogReporter(), JournalReporter(self.journal))

    def take_over(self, settings: Settings, library: Library) -> None:
        """Work by other settings from now on; those of what is open must be the same as before."""
        self.settings, self.library = settings, library
        self.policy = update_policy(settings)
        self.lookups = Lookups(self.publisher.look_up, self.clock, settings.schemas.keep_lookups)

    def ledger(self, beamtime: Beamtime) -> BeamtimeLedger:
        """A ledger of a beamtime; its locks are its own."""
        rules, retrying = self.settings.ingested_rules(self.host), self.settings.retrying.rules()
        return BeamtimeLedger(beamtime, rules, retrying, self.journal, generated_id(beamtime.directory))

    def rechecks(self, beamtime: Beamtime, ledger: BeamtimeLedger, watch: BeamtimeWatch) -> Rechecks:
        """What compares the published scans of a beamtime with their files."""
        files = scan_files(self.settings)
        return Rechecks(beamtime.id, ledger, watch, files, self.settings.change_rules(), self._time, self.clock)

    def read_job(self, request: Request, beamtime: Beamtime) -> ReadJob:
        """What a reading process is to do for a request's scan."""
        return read_job(request.scan, beamtime, self.library, self.settings)

    def serial(self, name: str) -> SerialThread:
        """A thread for calls that must not hold up others."""
        return SerialThread(name)

    def events(self, sink: Sink) -> EventSource:
        """File-system events, passed to `sink` from a thread of their own."""
        return open_source(sink)

    def late_checking(self) -> LateChecking:
        """What reads datasets again to which a write may have arrived late."""
        return LateChecking(self.publisher, self.availability, self.clock, self.serial("late check"))

    def dispatcher(self, give_up_after: float | None = None) -> Dispatcher:
        """Queues that ingest; `give_up_after`: see `Ingestor`."""
        reading = self.settings.reading
        return Dispatcher(
            Ingestor(self, give_up_after), self.clock, self.stopping, connections=self.settings.catalogue.connections,
            readers=reading.workers, hangs=self.calls.hangs,
        )  # fmt: skip

    def close(self) -> None:
        """End the reading processes and the embedded catalogue, close the connections and the journal."""
        self.executor.close()
        self.publisher.close()
        self._close_parts()

    def _close_parts(self) -> None:
        if self._embedded is not None:
            self._embedded.close()
        self.journal.close()


def this_host() -> str:
    """The short name of this host."""
    return socket.gethostname().partition(".")[0]


def load_schemas(settings: Settings) -> Library:
    """The metadata schemas; `ConfigError` if none is usable."""
    with needed(settings.schemas.directory or Path(__file__).parent):
        found = schemas.load(settings.schemas.directory)
    if not found.schemas:
        raise ConfigError("there is no usable metadata schema", settings.schemas.directory)
    return found


def update_policy(settings: Settings) -> UpdatePolicy:
    """What becomes of datasets that are in the catalogue already."""
    return UpdatePolicy(fields=settings.catalogue.update, owned=settings.catalogue.owned_fields)


def open_journal(settings: Settings) -> Journal:
    """The journal in the state directory; `ConfigError` if that is no directory. Other faults stop nothing."""
    with needed(settings.var_dir):
        if settings.var_dir.exists() and not settings.var_dir.is_dir():
            raise ConfigError("the state directory is not a directory; set var_dir to a local one", settings.var_dir)
        return Journal(settings.var_dir / "journal.sqlite")


@contextmanager
def read_ledger(beamtime: Beamtime, settings: Settings) -> Iterator[BeamtimeLedger]:
    """The ledger of a beamtime, to be read only: nothing is made that is not there.

    The state directory may be another account's, the daemon's say. What is not readable there is not known.
    """
    rules, journal = settings.ingested_rules(this_host()), journal_to_read(settings)
    rules = replace(rules, directory=_readable(rules.directory), fallback=_readable(rules.fallback))
    try:
        before = generated_id(beamtime.directory)
        yield BeamtimeLedger(beamtime, rules, settings.retrying.rules(), journal, before)
    finally:
        journal.close()


def journal_to_read(settings: Settings) -> Journal:
    """The journal to be read only; an empty one where there is none, or it cannot be read."""
    path = settings.var_dir / "journal.sqlite"
    try:
        with needed(settings.var_dir):
            return Journal(path if path.exists() else None)
    except OSError as error:
        log.warning("the journal cannot be read, so failures and renamed scans are not known: %s", why(error))
        return Journal(None)


def _readable(directory: Path | None) -> Path | None:
    return directory if directory is not None and os.access(directory, os.R_OK | os.X_OK) else None


def open_executor(settings: Settings) -> Executor:
    """The processes that read data files; says what of their protection this system does not offer."""
    for gap in sandbox.gaps():
        log.warning("%s", gap)
    return LocalExecutor(settings.reading.workers, settings.reading.limits())


def read_job(scan: Scan, beamtime: Beamtime, library: Library, settings: Settings) -> ReadJob:
    """What a reading process is to do for a scan."""
    return ReadJob(scan, beamtime, library.schemas, settings.read_limits(), (beamtime.directory,))


def scan_files(settings: Settings) -> ScanFiles:
    """What says what the files of a scan look like."""
    limits, rules = settings.reading.limits(), settings.watch_rules()
    belonging = functools.partial(belongs_to, rule=limits.file_list)
    return ScanFiles(rules.master_extensions, belonging, matcher(limits.skipped_files))


def catalogue_process(settings: Settings) -> CatalogueProcess:
    """The embedded catalogue of the state directory, not started yet."""

    def answers(options: CatalogueOptions) -> bool:
        try:
            with closing(connect(options, threading.Event())) as publisher:
                publisher.ping(login=True)
        except (CatalogueError, ConfigError):
            return False
        return True

    return CatalogueProcess(settings, answers)


@dataclass(frozen=True, slots=True)
class OpenCatalogue:
    """A catalogue that is used by a command."""

    url: str
    records: Records
    publisher: Publisher


@contextmanager
def open_catalogue(settings: Settings, stopping: threading.Event, clock: Clock) -> Iterator[OpenCatalogue]:
    """The configured catalogue, or the embedded one, which is started if it does not run."""
    process = catalogue_process(settings) if settings.catalogue.url is None else None
    with ExitStack() as opened:
        journal = open_journal(settings)
        opened.callback(journal.close)
        if process is not None:
            opened.callback(process.close)
        url = settings.catalogue.url or ""
        options = (process.find() or process.start()) if process is not None else settings.catalogue.options(url)
        publisher = opened.enter_context(closing(connect(options, stopping, clock, journal.written(url))))
        records = opened.enter_context(closing(records_of(options, stopping, clock)))
        yield OpenCatalogue(options.http.url, records, publisher)


def find_catalogue(settings: Settings, clock: Clock, journal: Journal | None = None) -> tuple[str, Publisher | None]:
    """The configured catalogue with its address, or the embedded one if it is running; nothing is started.

    `journal`: what is remembered there of what we wrote; None: nothing is.
    """
    url = settings.catalogue.url
    options = settings.catalogue.options(url) if url is not None else catalogue_process(settings).find()
    if options is None:
        return "", None
    memory = journal.written(url or "") if journal is not None else None
    return options.http.url, connect(options, threading.Event(), clock, memory)
