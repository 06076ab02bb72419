"""From what was read of a scan to the documents that the catalogue is to hold of it.

The variables of the schema are made in order, the dataset from its items, the file list and the
thumbnail come from the reading. Nothing is posted; the catalogue is only asked, by `look_up`, for what
the schema's SC variables want. An ingestion wants the documents, `assemble`; a preview also how they
came about, `prepare`.
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
from scicat_watch.errors import AssemblyError, Refused, SourceError
from scicat_watch.model import Beamtime, Quantity
from scicat_watch.pipeline.assembly import dataset, plugins
from scicat_watch.pipeline.assembly.sources.beamtime import BeamtimeSource
from scicat_watch.pipeline.assembly.sources.catalogue import CatalogueSource, LookUp
from scicat_watch.pipeline.assembly.sources.datafile import NexusSource
from scicat_watch.pipeline.assembly.sources.scan import ScanSource, source_folder
from scicat_watch.pipeline.assembly.sources.source import Source
from scicat_watch.pipeline.assembly.sources.value import ValueSource
from scicat_watch.pipeline.assembly.variables import Variables, evaluate
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import SAMPLE_NAME, SAMPLE_PROPOSAL, Variable

_CUTS_TOLD = 3


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


@dataclass(frozen=True, slots=True)
class Assembled:
    """A scan's documents, and how they came about."""

    variables: Variables
    bundle: Bundle | None
    """None if there can be no documents."""
    refusal: AssemblyError | None = None
    """Why there can be none."""

    def documents(self) -> Bundle:
        """The documents; `AssemblyError` if there can be none."""
        if self.bundle is None:
            raise self.refusal or AssemblyError("there are no documents")
        return self.bundle


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
    made = prepare(reading, beamtime, look_up, clock, comment=comment, keywords=keywords, options=options)
    return made.documents()


def prepare(
    reading: Reading,
    beamtime: Beamtime,
    look_up: LookUp,
    clock: Clock,
    *,
    comment: str = "",
    keywords: tuple[str, ...] = (),
    options: AssemblyOptions | None = None,
) -> Assembled:
    """The same with the variables, which are there also where a scan can have no documents."""
    options = options or AssemblyOptions()
    sources = _sources(reading, beamtime, look_up, clock)
    variables = evaluate(reading.schema, sources, _predefined(reading, clock, options.ingestor_files_directory))
    try:
        bundle = _bundle(reading, beamtime, look_up, variables, comment, keywords, options)
    except AssemblyError as refusal:
        return Assembled(variables, None, refusal)
    return Assembled(variables, bundle)


def _bundle(
    reading: Reading,
    beamtime: Beamtime,
    look_up: LookUp,
    variables: Variables,
    comment: str,
    keywords: tuple[str, ...],
    options: AssemblyOptions,
) -> Bundle:
    variables.demand(reading.schema)
    made = dataset.make(reading.schema, variables, reading.trees, options.rules, _fixed(reading, options))
    notes = [*reading.notes, *made.notes, *_attach_sample(made.fields, variables, look_up)]
    comments = [made.fields.get("comment"), comment, _cut(reading.truncations)]
    if any(comments[1:]):
        made.fields["comment"] = "; ".join(filter(None, comments))
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
        attachments=(Attachment(reading.thumbnail),) if reading.thumbnail else (),
        notes=tuple(notes),
    )


def _cut(truncations: tuple[str, ...]) -> str:
    """What the dataset says of metadata that is left out because it is too much."""
    if not truncations:
        return ""
    more = f"; and {len(truncations) - _CUTS_TOLD} more" if len(truncations) > _CUTS_TOLD else ""
    return f"scientific metadata is not complete: {'; '.join(cut[:300] for cut in truncations[:_CUTS_TOLD])}{more}"


def _sources(reading: Reading, beamtime: Beamtime, look_up: LookUp, clock: Clock) -> dict[str, Source]:
    sources: dict[str, Source] = {
        "NXS": NexusSource(reading.values),
        "FIO": NexusSource(reading.values),
        "SC": CatalogueSource(look_up),
        "VALUE": ValueSource(),
        "BT": BeamtimeSource(beamtime.metadata),
        "SCAN": ScanSource(reading, beamtime),
    }
    if reading.source:  # A package's reader gave the values for a source of its own.
        sources.setdefault(reading.source, NexusSource(reading.values))
    context = plugins.Context(reading, beamtime, clock)
    for name in {variable.source for variable in reading.schema.variables} - set(sources):
        try:
            brought = plugins.source(name, context)
        except SourceError as error:
            brought = _Failing(str(error))
        if brought is not None:
            sources[name] = brought
    return sources


@dataclass(frozen=True, slots=True)
class _Failing:
    """A source that could not be made: all its variables say why."""

    reason: str

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        raise SourceError(self.reason)


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
