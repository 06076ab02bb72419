"""What would be posted for a scan, how it comes about, and what it would change: reading and assembly as in an
ingestion, questions to the catalogue, and no write.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scicat_watch.catalogue.options import CatalogueOptions
from scicat_watch.catalogue.scicat.api import Catalogue
from scicat_watch.catalogue.scicat.connect import connect
from scicat_watch.catalogue.scicat.difference import Difference, State, difference
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.discovery.beamtimes import Broken
from scicat_watch.discovery.pending import Ready, find_master
from scicat_watch.discovery.watch import BeamtimeWatch, Ledger
from scicat_watch.documents import Bundle
from scicat_watch.errors import BeamtimeError, CatalogueError, ConfigError, Refused, ScicatWatchError, Unavailable
from scicat_watch.model import Scan
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.assemble import NATIVE, Additions, Assembled, AssemblyOptions, assemble
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.assembly.variables import Evaluated
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.service.catalogue_process import CatalogueProcess
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.service.oneshot import Target, targets
from scicat_watch.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Preview:
    """One scan as it would be posted."""

    scan: Scan
    schema: Schema | None = None
    """The one that fits."""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    """The other schemas by id, with the reason why they are not taken."""
    variables: tuple[Evaluated, ...] = ()
    """Those of the schema, in order."""
    bundle: Bundle | None = None
    """The documents; None if there can be none."""
    difference: Difference = field(default_factory=lambda: Difference(State.UNKNOWN))
    """What they would change in the catalogue."""
    waiting: str = ""
    """Why an ingestion would still wait, e.g. for the file to be quiet; empty if it would not."""
    problem: str = ""
    """Why the scan cannot be ingested; empty if it can."""
    unreachable: str = ""
    """Why the catalogue could not be asked, if it could not be."""


class Previewer:
    """Makes previews; nothing that it does changes the catalogue, the ledger or a list."""

    def __init__(self, settings: Settings, options: AssemblyOptions | None = None, clock: Clock | None = None) -> None:
        """Raises `ConfigError` if there is no usable schema."""
        self._settings, self._options = settings, options or NATIVE
        self._clock = clock or SystemClock()
        self.library = schemas.load(settings.schemas.directory)
        if not self.library.schemas:
            raise ConfigError("there is no usable metadata schema", settings.schemas.directory)
        reached = _reached(settings)
        self.catalogue_url = reached.http.url if reached is not None else ""
        """Address of the catalogue that is asked; empty if there is none."""
        self._catalogue = None if reached is None else connect(reached, threading.Event(), self._clock)
        self._lookups = _Questions(self._catalogue, self._clock, settings.schemas.keep_lookups)
        self._limits = settings.reading.limits()
        self._executor = LocalExecutor(settings.reading.workers, self._limits)

    def of(self, path: Path) -> Iterator[Preview]:
        """The scans that `path` (a data file, a list or a beamtime directory) would bring, one after the other."""
        for target in targets((path,), self._settings):
            if isinstance(target, Broken):
                raise BeamtimeError(target.reason)
            for ready, waiting in _scans(target):
                yield replace(self._preview(ready, target), waiting=waiting)

    def close(self) -> None:
        """End the reading processes."""
        self._executor.close()

    def _preview(self, ready: Ready, target: Target) -> Preview:
        beamtime = target.beamtime
        job = ReadJob(ready.scan, beamtime, self.library.schemas, self._limits, (beamtime.directory,))
        try:
            reading = self._executor.result_of(self._executor.read(job), job)
        except ScicatWatchError as error:
            return Preview(ready.scan, problem=str(error))
        self._lookups.unavailable = ""
        context = Context(reading, beamtime, self._lookups, self._clock)
        return self._shown(reading, assemble(context, self._options, Additions(ready.comment)))

    def _shown(self, reading: Reading, made: Assembled) -> Preview:
        passed_over = dict(reading.passed_over)
        for schema in self.library.schemas:
            if schema.id not in passed_over and schema.id != reading.schema.id:
                passed_over[schema.id] = f"not tried: {reading.schema.id} comes before it (order {schema.order:g})"
        bundle, problem, unreachable = made.bundle, str(made.refusal or ""), self._lookups.unavailable
        if unreachable:
            # With what the catalogue knows the documents would be others; an ingestion waits for it.
            bundle, problem = None, f"the scan waits until the catalogue answers: {unreachable}"
        found = Difference(State.UNKNOWN, unreachable)
        if bundle is not None:
            try:
                found = self._difference(bundle)
            except Unavailable as error:
                unreachable = str(error)
                found = Difference(State.UNKNOWN, unreachable)
            except CatalogueError as error:
                found = Difference(State.UNKNOWN, str(error))
        return Preview(
            reading.scan,
            reading.schema,
            passed_over,
            made.variables.evaluated,
            bundle,
            found,
            problem=problem,
            unreachable=unreachable,
        )

    def _difference(self, bundle: Bundle) -> Difference:
        if self._catalogue is None:
            return Difference(State.UNKNOWN, "no catalogue.url is set, and the embedded catalogue is not running")
        return difference(bundle, self._catalogue)


class _Questions:
    """Look-ups of a preview: an unavailable catalogue is noted, and the other variables are made all the same."""

    def __init__(self, catalogue: Catalogue | None, clock: Clock, keep: float) -> None:
        self.unavailable = ""
        """Why the catalogue did not answer, if it did not."""
        self._lookups = None if catalogue is None else Lookups(catalogue.look_up, clock, keep)

    def __call__(self, url: str) -> Any:
        if self._lookups is None:
            raise Refused(f"{url}: a preview does not start the embedded catalogue")
        if self.unavailable:
            raise Refused(f"the catalogue is unavailable: {self.unavailable}")
        try:
            return self._lookups(url)
        except Unavailable as error:
            self.unavailable = str(error)
            raise Refused(f"the catalogue is unavailable: {error}") from error


def _reached(settings: Settings) -> CatalogueOptions | None:
    """How to reach the configured catalogue, or the embedded one if it is running; None without."""
    url = settings.catalogue.url
    return settings.catalogue.options(url) if url is not None else CatalogueProcess(settings).find()


def _scans(target: Target) -> Iterator[tuple[Ready, str]]:
    """The scans of a target, each with the reason why it is not complete yet, if it is not."""
    clock = SystemClock()
    within = target.file.parent if target.file else None
    watch = BeamtimeWatch(target.beamtime, target.rules, "", Ledger(target.meant), patient=False, within=within)
    ready = watch.step(clock.monotonic(), None).ready
    if not ready and target.file is not None and not target.is_list and next(watch.waiting(), None) is None:
        watch.offer(target.file, clock.monotonic())
    for complete in ready:
        yield complete, ""
    for waiting in list(watch.waiting()):
        master = waiting.scan.master or find_master(waiting.scan, target.rules.master_extensions)
        yield Ready(replace(waiting.scan, master=master)), waiting.reason
