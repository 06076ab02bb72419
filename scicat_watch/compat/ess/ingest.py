"""One data file, one schema, one dataset: what ESS's offline ingestor does, on the same configuration.

Read, list the files, assemble, look whether the dataset is there, post it and its file list. The
documents are those of ESS's ingestor (facts: ESS 1 to 9); where that one and its manual differ, ours
does what the operator guide's table says. May be run again, and side by side.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scicat_watch.clock import Clock
from scicat_watch.compat.ess import filelist
from scicat_watch.compat.ess.settings import DatasetSection, EssSettings
from scicat_watch.documents import Bundle, Dataset
from scicat_watch.errors import CatalogueError, ConfigError, Refused
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.assemble import AssemblyOptions, assemble
from scicat_watch.pipeline.assembly.dataset import FIELDS_AT_ESS, MANDATORY_AT_ESS, DatasetRules
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.service.executors.single import SingleReader

if TYPE_CHECKING:
    from scicat_watch.compat.ess.catalogue import EssCatalogue

log = logging.getLogger(__name__)

BUILT_IN_FALLBACK = "ess-fallback"
"""Name of the fallback schema that is shipped."""
SOMEBODY_ELSE = 3.0
"""Seconds after which a dataset without a file list is looked at again: another process may be about to add it."""


@dataclass(frozen=True, slots=True)
class _Made:
    """The documents of the data file."""

    dataset: Dataset
    block: Mapping[str, Any]
    """Body of the file list, without the dataset that it belongs to."""


def ingest(settings: EssSettings, reader: SingleReader, clock: Clock, stopping: threading.Event) -> str:
    """Ingest the data file that `settings` name; says what was done.

    Raises a `ScicatWatchError` for whatever made that impossible.
    """
    job = _job(settings)
    reader.start(job, settings.ingestion.file_handling.open_delays())
    # Loaded while the file is being read, as it takes as long.
    from scicat_watch.catalogue.scicat.api import AlreadyThere

    catalogue = _catalogue(settings, stopping)
    try:
        made = _made(settings, job, reader.result(), catalogue, clock)
        stored = _existing(settings, made.dataset, catalogue)
        if settings.ingestion.dry_run:
            return f"dry run: nothing is posted; {_named(made.dataset)} " + (
                "exists already" if stored else "would be made"
            )
        if stored is None:
            try:
                return _posted(made, catalogue)
            except AlreadyThere:
                stored = catalogue.dataset(made.dataset.pid) or {}
        return _completed(stored, made, catalogue, clock, stopping)
    finally:
        catalogue.close()


def _job(settings: EssSettings) -> ReadJob:
    if not settings.nexus_file:
        raise ConfigError("no data file is named: give it as --nexus-file FILE")
    file = Path(settings.nexus_file)
    name = file.name or str(file)
    scan = Scan(beamtime="", place=file, directory=file.parent, line=name, stem=name, master=file)
    # Links in the file may lead to its neighbours, and of a file that is a link itself to those of its target.
    roots = (file.parent, Path(os.path.realpath(file)).parent)
    return ReadJob(scan, Beamtime("", file.parent, {}), _schemas(settings), ReadLimits(thumbnails=False), roots)


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


def _catalogue(settings: EssSettings, stopping: threading.Event) -> EssCatalogue:
    from scicat_watch.compat.ess.catalogue import EssAccess, EssCatalogue

    scicat = settings.scicat
    endpoints = asdict(scicat.api_endpoints)
    access = EssAccess(scicat.host, endpoints, scicat.token, scicat.additional_headers, scicat.seconds())
    return EssCatalogue(access, stopping)


def _made(settings: EssSettings, job: ReadJob, reading: Reading, catalogue: EssCatalogue, clock: Clock) -> _Made:
    handling = settings.ingestion.file_handling
    file = job.scan.master or job.scan.place
    files = filelist.look(file, handling, clock.now())
    times = _times(file)
    reading = replace(reading, files=files, first_time=times, last_time=times)
    options = AssemblyOptions(
        rules=_rules(settings.dataset),
        pid=_pid(settings.dataset, reading.schema),
        paths="absolute",
        totals=True,
        checksums=handling.file_hash_algorithm,
        ingestor_files_directory=handling.ingestor_files_directory,
    )
    bundle = assemble(Context(reading, job.beamtime, Lookups(catalogue.look_up, clock), clock), options).documents()
    for note in bundle.notes:
        log.warning("%s: %s", file, note)
    return _Made(bundle.dataset, _block(bundle, relative=handling.file_path_type == "relative"))


def _times(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _rules(section: DatasetSection) -> DatasetRules:
    defaults = {
        "instrumentId": section.default_instrument_id,
        "proposalId": section.default_proposal_id,
        "ownerGroup": section.default_owner_group,
        "accessGroups": list(section.default_access_groups),
    }
    return DatasetRules(MANDATORY_AT_ESS, defaults, FIELDS_AT_ESS)


def _pid(section: DatasetSection, schema: Schema) -> Literal["schema", "generated", "catalogue"]:
    """Who says the dataset's id."""
    by_schema = any(item.field_type == "high_level" and item.machine_name == "pid" for item in schema.items)
    if not section.allow_dataset_pid and by_schema:
        return "catalogue"
    return "generated" if section.generate_dataset_pid else "schema"


def _block(bundle: Bundle, *, relative: bool) -> Mapping[str, Any]:
    dataset, block = bundle.dataset, bundle.datablocks[0]
    if relative:
        block = replace(block, files=filelist.relative(block.files, dataset.source_folder))
    groups = {name: dataset.fields.get(name) for name in ("ownerGroup", "accessGroups")}
    return block.as_json() | {name: value for name, value in groups.items() if value is not None}


def _existing(settings: EssSettings, dataset: Dataset, catalogue: EssCatalogue) -> Mapping[str, Any] | None:
    """The dataset as it is in the catalogue already, found by the checks that are turned on."""
    ingestion = settings.ingestion
    if ingestion.check_if_dataset_exists_by_pid and dataset.pid:
        try:
            if stored := catalogue.dataset(dataset.pid):
                return stored
        except Refused as refused:
            # Posting will tell: a pid that is taken is refused.
            log.warning("whether dataset %s exists cannot be told: %s", dataset.pid, refused)
    key = ingestion.check_if_dataset_exists_by_metadata_key
    entry = dataset.fields["scientificMetadata"].get(key)
    value = entry.get("value") if isinstance(entry, Mapping) else None
    if ingestion.check_if_dataset_exists_by_metadata and value is not None:
        try:
            return catalogue.dataset_with(key, value)
        except Refused as refused:
            log.warning("whether a dataset with %s %s exists cannot be told: %s", key, value, refused)
    return None


def _posted(made: _Made, catalogue: EssCatalogue) -> str:
    pid = catalogue.create(made.dataset.fields)
    log.info("created dataset %s", pid)
    catalogue.add_files(pid, {"datasetId": pid, **made.block})
    return f"dataset {pid} was made, with its file list"


def _completed(
    stored: Mapping[str, Any], made: _Made, catalogue: EssCatalogue, clock: Clock, stopping: threading.Event
) -> str:
    """Add the file list that an earlier run owes the stored dataset; anything else of it stays as it is."""
    pid = str(stored.get("pid") or made.dataset.pid)
    there = f"dataset {pid} exists already"
    if str(stored.get("sourceFolder") or "").rstrip("/") != made.dataset.source_folder.rstrip("/"):
        log.warning("%s; it is left as it is", there)
        return there
    try:
        owed = not catalogue.has_files(pid)
        if owed:
            clock.wait(SOMEBODY_ELSE, stopping)
            owed = not catalogue.has_files(pid)
    except CatalogueError as error:
        log.warning("%s; whether its file list is there cannot be told: %s", there, error)
        return there
    if not owed:
        log.warning("%s; it is left as it is", there)
        return there
    catalogue.add_files(pid, {"datasetId": pid, **made.block})
    return f"{there}, and got the file list that an earlier run did not add"


def _named(dataset: Dataset) -> str:
    return f"dataset {dataset.pid}" if dataset.pid else "a dataset whose pid the catalogue would choose"
