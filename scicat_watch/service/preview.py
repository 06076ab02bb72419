"""What would be posted for a scan: the same reading and assembly as an ingestion, and no write."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scicat_watch.catalogue import connect
from scicat_watch.clock import SystemClock
from scicat_watch.discovery.beamtimes import Broken
from scicat_watch.discovery.pending import Ready
from scicat_watch.discovery.watch import BeamtimeWatch, Ledger
from scicat_watch.documents import Bundle
from scicat_watch.errors import BeamtimeError, ConfigError, ReadingError, Refused, ScicatWatchError
from scicat_watch.pipeline import library
from scicat_watch.pipeline.assemble import assemble
from scicat_watch.pipeline.reading import Reading, ReadJob
from scicat_watch.service.executors.local import LocalExecutor
from scicat_watch.service.oneshot import Target, targets
from scicat_watch.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Preview:
    """One scan as it would be posted."""

    pid: str
    schema: str = ""
    """Id and file of the schema that fits."""
    passed_over: Mapping[str, str] | None = None
    """Schemas that were tried before, with the reason why they do not fit."""
    bundle: Bundle | None = None
    problem: str = ""
    """Why it cannot be ingested; empty if it can."""

    def as_json(self) -> dict[str, Any]:
        """For programs; the picture only by its size."""
        shown: dict[str, Any] = {"pid": self.pid, "schema": self.schema, "passed_over": dict(self.passed_over or {})}
        if self.problem:
            shown["problem"] = self.problem
        if self.bundle is not None:
            shown["dataset"] = dict(self.bundle.dataset.fields)
            shown["origdatablocks"] = [block.as_json() for block in self.bundle.datablocks]
            shown["pictures"] = [{"caption": one.caption, "bytes": len(one.png)} for one in self.bundle.attachments]
            shown["notes"] = list(self.bundle.notes)
        return shown


def previews(path: Path, settings: Settings) -> Iterator[Preview]:
    """The scans that `path` (a data file, a list or a beamtime directory) would bring, one after the other."""
    schemas = library.load(settings.schemas.directory)
    if not schemas.schemas:
        raise ConfigError("there is no usable metadata schema", settings.schemas.directory)
    executor = LocalExecutor(settings.reading)
    try:
        for target in targets((path,), settings):
            if isinstance(target, Broken):
                raise BeamtimeError(target.reason)
            for ready in _scans(target, settings):
                yield _preview(ready, target, schemas, executor, settings)
    finally:
        executor.close()


def _scans(target: Target, settings: Settings) -> Iterator[Ready]:
    clock = SystemClock()
    within = target.file.parent if target.file else None
    watch = BeamtimeWatch(
        target.beamtime, target.watching, target.lists, "", Ledger(target.meant), patient=False, within=within
    )
    ready = watch.step(clock.monotonic(), None).ready
    if not ready and target.file is not None and not target.is_list and next(watch.waiting(), None) is None:
        watch.offer(target.file, clock.monotonic())
    yield from ready
    for waiting in list(watch.waiting()):
        yield Ready(waiting.scan, comment=waiting.reason)


def _preview(
    ready: Ready, target: Target, schemas: library.Library, executor: LocalExecutor, settings: Settings
) -> Preview:
    beamtime = target.beamtime
    job = ReadJob(ready.scan, beamtime, schemas.schemas, settings.reading, (beamtime.directory,))
    reading: Reading | None = None
    bundle, problem = None, ""
    try:
        reading = executor.result_of(executor.read(job), job)
        bundle = assemble(reading, beamtime, _look_up(settings), SystemClock(), comment=ready.comment)
    except ReadingError as error:
        problem = str(error)
    except ScicatWatchError as error:
        problem = str(error)
    if reading is None:
        return Preview(ready.scan.pid, problem=problem)
    schema = f"{reading.schema.id} ({reading.schema.file})"
    return Preview(ready.scan.pid, schema, reading.passed_over, bundle, problem)


def _look_up(settings: Settings) -> Any:
    if settings.catalogue.url is None:

        def nothing(url: str) -> Any:
            raise Refused(f"{url}: a preview does not start the embedded catalogue")

        return nothing
    return connect(settings.catalogue, threading.Event()).look_up
