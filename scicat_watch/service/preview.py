"""What would be posted for a scan, how it comes about, and what it would change: reading and assembly as in an
ingestion, questions to the catalogue, and no write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scicat_watch.catalogue.difference import Difference, State
from scicat_watch.catalogue.publisher import Publisher
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.completeness import Ready, find_master
from scicat_watch.discovery.watch import BeamtimeWatch
from scicat_watch.documents import Bundle
from scicat_watch.errors import BeamtimeError, CatalogueError, NameTaken, Refused, ScicatWatchError, Unavailable
from scicat_watch.model import Scan
from scicat_watch.pipeline.assembly.assemble import NATIVE, Additions, Assembled, AssemblyOptions, assemble
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.assembly.variables import Evaluated
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.service.answering import ATTENDANT, needed
from scicat_watch.service.site import (
    find_catalogue,
    journal_to_read,
    load_schemas,
    open_executor,
    read_job,
    read_ledger,
    scan_files,
    this_host,
    update_policy,
)
from scicat_watch.service.targets import Once, Target, targets
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
        self.library = load_schemas(settings)
        self._journal = journal_to_read(settings)
        self.catalogue_url, self._publisher = find_catalogue(settings, self._clock, self._journal)
        """Address of the catalogue that is asked; empty if there is none."""
        self._lookups = _Questions(self._publisher, self._clock, settings.schemas.keep_lookups)
        self._executor = open_executor(settings)
        self._files = scan_files(settings)

    def of(self, path: Path) -> Iterator[Preview]:
        """The scans that `path` (a data file, a list or a beamtime directory) would bring, one after the other."""
        with needed(path.absolute()):
            found = targets((path,), self._settings)
        for target in found:
            if isinstance(target, BrokenBeamtime):
                raise BeamtimeError(target.reason)
            for ready, waiting, problem in self._scans(target):
                made = Preview(ready.request.scan, problem=problem) if problem else self._preview(ready, target)
                yield replace(made, waiting=waiting)

    def close(self) -> None:
        """End the reading processes, close the connections."""
        self._executor.close()
        if self._publisher is not None:
            self._publisher.close()
        self._journal.close()

    def _scans(self, target: Target) -> Iterator[tuple[Ready, str, str]]:
        """The scans of a target, each with why it is not complete yet, and with why it cannot be ingested."""
        directory = target.beamtime.directory
        with read_ledger(target.beamtime, self._settings) as ledger:
            once = Once(ledger, target.means)
            with needed(directory):
                found = list(self._found(target, once))
            for ready, waiting in found:
                try:
                    with needed(directory):
                        identified = self._identified(ready, once)
                except (NameTaken, OSError) as error:
                    yield ready, waiting, str(error)
                else:
                    yield identified, waiting, ""

    def _identified(self, ready: Ready, once: Once) -> Ready:
        """The same for the dataset that the scan has already, as when it is ingested."""
        state = self._files.state(ready.request.scan, ready.request.scan.master)
        return replace(ready, request=once.ledger.identified(once.ledger.as_begun(ready.request), state))

    def _found(self, target: Target, ledger: Once) -> Iterator[tuple[Ready, str]]:
        watch = BeamtimeWatch(
            target.beamtime, target.rules, this_host(), ledger, ATTENDANT.calls.about, patient=False,
            within=target.within,
        )  # fmt: skip
        findings = watch.step(self._clock.monotonic(), None)
        watch.offer_missing(target.files, findings, self._clock.monotonic())
        for complete in findings.ready:
            yield complete, ""
        for waiting in list(watch.waiting()):
            scan = waiting.request.scan
            master = scan.master or find_master(scan, target.rules.master_extensions)
            yield Ready(waiting.request.described_by(master)), waiting.reason

    def _preview(self, ready: Ready, target: Target) -> Preview:
        beamtime, scan = target.beamtime, ready.request.scan
        # It is read alone, so that it may take its time.
        job = replace(read_job(scan, beamtime, self.library, self._settings), suspect=True)
        try:
            reading = self._executor.start(job).result()
        except ScicatWatchError as error:
            return Preview(scan, problem=str(error))
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
        if self._publisher is None:
            return Difference(State.UNKNOWN, "no catalogue.url is set, and the embedded catalogue is not running")
        return self._publisher.difference(bundle, update_policy(self._settings))


class _Questions:
    """Look-ups of a preview: an unavailable catalogue is noted, and the other variables are made all the same."""

    def __init__(self, publisher: Publisher | None, clock: Clock, keep: float) -> None:
        self.unavailable = ""
        """Why the catalogue did not answer, if it did not."""
        self._lookups = None if publisher is None else Lookups(publisher.look_up, clock, keep)

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
