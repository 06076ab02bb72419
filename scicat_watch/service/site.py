"""One site: settings turned into a catalogue, schemas, readers and a ledger. The only place that wires rooms."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path

from scicat_watch.catalogue.availability import Availability
from scicat_watch.catalogue.scicat.api import Catalogue
from scicat_watch.catalogue.scicat.connect import connect
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.errors import ConfigError
from scicat_watch.ledger.journal import Journal
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.handover import ReadJob
from scicat_watch.service.catalogue_process import CatalogueProcess
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)


class Site:
    """Everything that ingesting needs, opened; `close` gives it back."""

    def __init__(self, settings: Settings, stopping: threading.Event, clock: Clock | None = None) -> None:
        """Raises `ConfigError` for settings that cannot work here."""
        self.settings, self.stopping = settings, stopping
        self.clock: Clock = clock or SystemClock()
        self.host = socket.gethostname().partition(".")[0]
        self.library = schemas.load(settings.schemas.directory)
        for problem in self.library.problems:
            log.error("schema: %s", problem)
        if not self.library.schemas:
            raise ConfigError("there is no usable metadata schema", settings.schemas.directory)
        self.journal = open_journal(settings)
        self._embedded = CatalogueProcess(settings) if settings.catalogue.url is None else None
        try:
            reached = (
                self._embedded.start() if self._embedded else settings.catalogue.options(settings.catalogue.url or "")
            )
            self.catalogue: Catalogue = connect(reached, stopping, self.clock)
        except BaseException:
            self._close_parts()
            raise
        self.catalogue_url = reached.http.url
        self.page = self._embedded.url if self._embedded else ""
        """Address of the embedded catalogue's page; empty with another catalogue."""
        self.availability = Availability(self.catalogue.ping, reached.patience, self.clock, stopping)
        self.lookups = Lookups(self.catalogue.look_up, self.clock, settings.schemas.keep_lookups)
        self.limits = settings.reading.limits()
        self.executor = LocalExecutor(settings.reading.workers, self.limits)

    def ledger(self, beamtime: Beamtime) -> BeamtimeLedger:
        """The ledger of a beamtime."""
        rules, retrying = self.settings.ingested_rules(self.host), self.settings.retrying.rules()
        return BeamtimeLedger(beamtime, rules, retrying, self.journal)

    def read_job(self, scan: Scan, beamtime: Beamtime) -> ReadJob:
        """What a reading process is to do for a scan."""
        return ReadJob(scan, beamtime, self.library.schemas, self.limits, (beamtime.directory,))

    def close(self) -> None:
        """End the reading processes and the embedded catalogue, close the journal."""
        self.executor.close()
        self._close_parts()

    def _close_parts(self) -> None:
        if self._embedded is not None:
            self._embedded.close()
        self.journal.close()


def open_journal(settings: Settings) -> Journal:
    """The journal in the state directory; `ConfigError` if that cannot be written to."""
    path: Path = settings.var_dir / "journal.sqlite"
    try:
        return Journal(path)
    except OSError as error:
        raise ConfigError(f"the state directory cannot be used: {error}; set var_dir to a local directory") from None
