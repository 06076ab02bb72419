"""From what was read of a scan to the documents that the catalogue is to hold of it.

The variables of the schema are made in order, the dataset from its items, the file list and the
picture come from the reading. Nothing is posted; the catalogue is only asked, by `look_up`, for what
the schema's SC variables want. An ingestion and a preview both come through here.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote_plus

from scicat_watch.clock import Clock
from scicat_watch.documents import Attachment, Bundle, DataFile, Dataset, OrigDatablock
from scicat_watch.errors import Refused
from scicat_watch.model import Beamtime, Quantity
from scicat_watch.pipeline import dataset
from scicat_watch.pipeline.reading import Reading
from scicat_watch.pipeline.schema import SAMPLE_NAME, SAMPLE_PROPOSAL
from scicat_watch.pipeline.sources.beamtime import BeamtimeSource
from scicat_watch.pipeline.sources.catalogue import CatalogueSource, LookUp
from scicat_watch.pipeline.sources.nexus import NexusSource
from scicat_watch.pipeline.sources.scan import ScanSource, source_folder
from scicat_watch.pipeline.sources.source import Source
from scicat_watch.pipeline.sources.value import ValueSource
from scicat_watch.pipeline.variables import Variables, evaluate

PREDEFINED: Mapping[str, str] = {
    "ingestor_run_id": "a new UUID for every try",
    "data_file_path": "path of the data file; the scan's place if it has none",
    "data_file_name": "its last element",
    "now": "the time, UTC, ISO 8601",
    "ingestor_files_directory": "where ESS's ingestor keeps its own files",
    "ingestor_metadata_schema_id": "the schema's id",
}
"""The variables that every schema may use and redefine, with their meaning."""


@dataclass(frozen=True, slots=True)
class AssemblyOptions:
    """What a site wants otherwise; the defaults are the native behaviour."""

    rules: dataset.DatasetRules = field(default_factory=dataset.DatasetRules)
    """Mandatory fields and defaults."""
    pid: Literal["schema", "generated", "catalogue"] = "schema"
    """Who says the dataset's id: the schema; we, 32 random hexadecimal digits; or the catalogue."""
    paths: Literal["relative", "absolute"] = "relative"
    """Whether paths in the file list are relative to the dataset's `sourceFolder`."""
    totals: bool = False
    """Whether the dataset says `size` and `numberOfFiles` itself; SciCat adds up the file lists by itself."""
    checksums: str = ""
    """Name of the algorithm of the files' checksums."""
    ingestor_files_directory: str = "../ingestor"
    """Value of the predefined variable of this name."""


def assemble(
    reading: Reading,
    beamtime: Beamtime,
    look_up: LookUp,
    clock: Clock,
    *,
    comment: str = "",
    keywords: tuple[str, ...] = (),
    options: AssemblyOptions | None = None,
) -> Bundle:
    """The documents of one scan.

    `comment` and `keywords` are added to what the schema says, e.g. that a file was left behind by its
    writer, or the running measurement. Raises `AssemblyError` if a value that is required or that the
    catalogue demands is missing, and lets `Unavailable` of `look_up` through.
    """
    options = options or AssemblyOptions()
    variables = evaluate(
        reading.schema,
        _sources(reading, beamtime, look_up),
        _predefined(reading, clock, options.ingestor_files_directory),
    )
    made = dataset.make(reading.schema, variables, reading.trees, options.rules, _fixed(reading, options))
    notes = [*reading.notes, *made.notes, *_attach_sample(made.fields, variables, look_up)]
    if comment:
        made.fields["comment"] = "; ".join(filter(None, [made.fields.get("comment"), comment]))
    if keywords:
        made.fields["keywords"] = list(dict.fromkeys([*made.fields.get("keywords", []), *keywords]))
    files, strangers = _placed(reading, beamtime, made.dataset, options)
    if strangers:
        folder = made.dataset.source_folder
        notes.append(f"files are listed relative to the scan directory: {folder} is not above it, nor its core path")
    if not files:
        notes.append("the scan has no files, so that no file list was made")
    return Bundle(
        dataset=made.dataset,
        datablocks=(OrigDatablock(files, options.checksums),) if files else (),
        attachments=(Attachment(reading.picture),) if reading.picture else (),
        notes=tuple(notes),
    )


def _sources(reading: Reading, beamtime: Beamtime, look_up: LookUp) -> dict[str, Source]:
    return {
        "NXS": NexusSource(reading.values),
        "SC": CatalogueSource(look_up),
        "VALUE": ValueSource(),
        "BT": BeamtimeSource(beamtime.metadata),
        "SCAN": ScanSource(reading, beamtime),
    }


def _predefined(reading: Reading, clock: Clock, ingestor_files_directory: str) -> dict[str, Quantity]:
    path = reading.scan.master or reading.scan.place
    return {
        "ingestor_run_id": Quantity(str(uuid.uuid4())),
        "data_file_path": Quantity(str(path)),
        "data_file_name": Quantity(path.name),
        "now": Quantity(clock.now().isoformat(timespec="microseconds")),
        "ingestor_files_directory": Quantity(ingestor_files_directory),
        "ingestor_metadata_schema_id": Quantity(reading.schema.id),
    }


def _fixed(reading: Reading, options: AssemblyOptions) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    if options.pid != "schema":
        fixed["pid"] = uuid.uuid4().hex if options.pid == "generated" else None
    if options.totals:
        fixed["size"] = sum(file.size or 0 for file in reading.files)
        fixed["numberOfFiles"] = len(reading.files)
    return fixed


def _attach_sample(fields: dict[str, Any], variables: Variables, look_up: LookUp) -> Iterator[str]:
    """Fill in the id of the sample that the catalogue knows by the name in the data file; yields notes.

    Only if the schema has a `sample_attachment`. SciCat's API v3 has room for one sample; what the
    schema says comes first.
    """
    if not {SAMPLE_NAME, SAMPLE_PROPOSAL} & (set(variables.known) | set(variables.failures)):
        return
    for name in (SAMPLE_NAME, SAMPLE_PROPOSAL):
        if name in variables.failures:
            yield f"the sample was not looked up: {name}: {variables.failures[name]}"
            return
    name, proposal = (variables.known[name].value for name in (SAMPLE_NAME, SAMPLE_PROPOSAL))
    question = json.dumps({"where": {"description": name, "proposalId": proposal}})
    try:
        answer = look_up(f"samples?filter={quote_plus(question)}")
    except Refused as refusal:
        yield f"the sample {name!r} could not be looked up: {refusal}"
        return
    own = fields.get("sampleId")
    ids = own if isinstance(own, list) else [own] if own else []
    records = answer if isinstance(answer, list) else []
    found = [record["sampleId"] for record in records if isinstance(record, Mapping) and record.get("sampleId")]
    samples = list(dict.fromkeys([*ids, *found]))
    if samples:
        fields["sampleId"] = samples[0]
    if len(samples) > 1:
        yield f"a dataset has room for one sample; left out: {', '.join(map(str, samples[1:]))}"


def _placed(
    reading: Reading, beamtime: Beamtime, made: Dataset, options: AssemblyOptions
) -> tuple[tuple[DataFile, ...], bool]:
    """The file list with its paths as the catalogue wants them, and whether `sourceFolder` is not above the files."""
    local = str(reading.scan.directory)
    if options.paths == "absolute":
        return tuple(replace(file, path=posixpath.join(local, file.path)) for file in reading.files), False
    folder = made.source_folder.rstrip("/")
    for base in (source_folder(reading, beamtime), local):
        if base == folder:
            return reading.files, False
        if base.startswith(folder + "/"):
            prefix = base[len(folder) + 1 :]
            moved = (
                replace(file, path=posixpath.normpath(posixpath.join(prefix, file.path))) for file in reading.files
            )
            return tuple(moved), False
    return reading.files, bool(reading.files)
