"""One data file, one schema, one dataset: what ESS's offline ingestor does, on the same configuration.

Read, list the files, assemble, check whether the dataset is there, post it and its file list. The
documents are those of ESS's ingestor (facts: ESS 1 to 9); where that one and its manual differ, ours
does what the operator guide's table says. May be run again, and side by side.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import asdict, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from scicat_watch.clock import Clock
from scicat_watch.compat.ess import filelist, parameters
from scicat_watch.compat.ess.settings import EssSettings
from scicat_watch.documents import Bundle
from scicat_watch.errors import ConfigError
from scicat_watch.model import Beamtime, Scan, Status
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.assemble import assemble
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.assembly.sources.source import Context, LookUp
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.pipeline.schema.model import Schema

if TYPE_CHECKING:
    from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
    from scicat_watch.service.executors.single import SingleReader

log = logging.getLogger(__name__)

BUILT_IN_FALLBACK = "ess-fallback"
"""Name of the fallback schema that is shipped."""


def ingest(settings: EssSettings, reader: SingleReader, clock: Clock, stopping: threading.Event) -> str:
    """Ingest the data file that `settings` name; says what was done.

    Raises a `ScicatWatchError` for whatever made that impossible.
    """
    job = _job(settings)
    running = reader.start(job)
    # Loaded while the file is being read, as it takes as long.
    from scicat_watch.compat.ess.scicat import connect

    endpoints = asdict(settings.scicat.api_endpoints)
    publisher = connect(parameters.catalogue_options(settings), endpoints, stopping, clock)
    try:
        bundle = _bundle(settings, job, running.result(), publisher.look_up, clock)
        done = _found if settings.ingestion.dry_run else _posted
        return done(settings, bundle, publisher)
    finally:
        publisher.close()


def _job(settings: EssSettings) -> ReadJob:
    if not settings.nexus_file:
        raise ConfigError("no data file is named: give it as --nexus-file FILE")
    file = Path(settings.nexus_file)
    name = file.name or str(file)
    scan = Scan(beamtime="", directory=file.parent, name=name, stem=name, master=file)
    # Links in the file may lead to its neighbours, and of a file that is a link itself to those of its target.
    roots = (file.parent, Path(os.path.realpath(file)).parent)
    limits = parameters.read_limits(settings)
    return ReadJob(scan, Beamtime("", file.parent, {}), _schemas(settings), limits, roots)


def _schemas(settings: EssSettings) -> tuple[Schema, ...]:
    """The schemas in the order in which they are tried, the fallback at the end."""
    found = schemas.load(Path(settings.ingestion.schemas_directory))
    for problem in found.problems:
        log.warning("schema: %s", problem)
    for note in (*found.passed_over, *schemas.findings(found.schemas)):
        log.warning("schema: %s", note)
    fallback = settings.ingestion.fallback_schema_file_path
    if not fallback:
        return found.schemas
    shipped: Traversable = resources.files("scicat_watch") / "schemas" / "ess" / f"{BUILT_IN_FALLBACK}.imsc.yml"
    last = schemas.load_file(shipped if fallback == BUILT_IN_FALLBACK else Path(fallback))
    if not last.schemas:
        raise ConfigError(f"the fallback schema cannot be used: {last.problems[0]}")
    return (*found.schemas, replace(last.schemas[0], selector="*"))


def _bundle(settings: EssSettings, job: ReadJob, reading: Reading, look_up: LookUp, clock: Clock) -> Bundle:
    """The documents of the data file."""
    handling = settings.ingestion.file_handling
    file = job.scan.master or job.scan.place
    files = filelist.listed(file, handling, clock.now())
    modified = _modified(file)
    reading = replace(reading, files=files, first_time=modified, last_time=modified)
    context = Context(reading, job.beamtime, Lookups(look_up, clock), clock)
    bundle = assemble(context, parameters.assembly_options(settings, reading.schema)).documents()
    for note in bundle.notes:
        log.warning("%s: %s", file, note)
    if handling.file_path_type != "relative":
        return bundle
    folder = bundle.dataset.source_folder
    blocks = (replace(block, files=filelist.relative(block.files, folder)) for block in bundle.datablocks)
    return replace(bundle, datablocks=tuple(blocks))


def _modified(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _found(settings: EssSettings, bundle: Bundle, publisher: ScicatPublisher) -> str:
    stored = publisher.find(bundle.dataset, parameters.update_policy(settings))
    pid = bundle.dataset.pid
    named = f"dataset {pid}" if pid else "a dataset whose pid the catalogue would choose"
    return f"dry run: nothing is posted; {named} {'exists already' if stored else 'would be made'}"


def _posted(settings: EssSettings, bundle: Bundle, publisher: ScicatPublisher) -> str:
    published = publisher.publish(bundle, parameters.update_policy(settings))
    for refused in published.refused.values():
        raise refused
    match published.status:
        case Status.CREATED:
            return f"dataset {published.pid} was made, with its file list"
        case Status.UPDATED:
            return f"dataset {published.pid} exists already, and got the file list that an earlier run did not add"
    return f"dataset {published.pid} exists already"
