"""From what was read of a scan to the documents that the catalogue is to hold of it.

The variables of the schema are made in order, the dataset from its items, the file list and the
thumbnail come from the reading. Nothing is posted; the catalogue is only asked, by `Context.look_up`, for what
the schema's SC variables want. An ingestion wants the documents, a preview also how they came about.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote_plus

from scicat_watch.documents import Attachment, Bundle, DataFile, Dataset, OrigDatablock, cleaned, strict
from scicat_watch.errors import AssemblyError, Refused, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import dataset
from scicat_watch.pipeline.assembly.dataset import DatasetDraft
from scicat_watch.pipeline.assembly.sources import plugins, table
from scicat_watch.pipeline.assembly.sources.datafile import DataFileSource
from scicat_watch.pipeline.assembly.sources.scan import source_folder
from scicat_watch.pipeline.assembly.sources.source import Context, Source
from scicat_watch.pipeline.assembly.variables import Variables, evaluate
from scicat_watch.pipeline.schema.model import SAMPLE_NAME, SAMPLE_PROPOSAL, Variable

_MOST_TRUNCATIONS = 3
"""So many of them are in a dataset's comment."""


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
class Additions:
    """What is added to what the schema says."""

    comment: str = ""
    """E.g. that a file was abandoned by its writer."""
    keywords: tuple[str, ...] = ()
    """E.g. the running measurement."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A scan's documents, and how they came about."""

    variables: Variables
    bundle: Bundle | None
    """None if there can be no documents."""
    refusal: AssemblyError | None = None
    """Why there can be none."""

    def documents(self) -> Bundle:
        """The documents; `AssemblyError` if a value is missing that is required or that the catalogue demands."""
        if self.bundle is None:
            raise self.refusal or AssemblyError("there are no documents")
        return self.bundle


NATIVE = AssemblyOptions()
NOTHING = Additions()


def assemble(context: Context, options: AssemblyOptions = NATIVE, additions: Additions = NOTHING) -> Assembled:
    """The documents of one scan, and its variables, which are there also where there can be no documents.

    Lets `Unavailable` of the catalogue through.
    """
    reading = context.reading
    variables = evaluated(context, options)
    try:
        variables.demand(reading.schema)
        bundle = _bundle(context, variables, options, additions)
    except AssemblyError as refusal:
        return Assembled(variables, None, refusal)
    return Assembled(variables, bundle)


def evaluated(context: Context, options: AssemblyOptions = NATIVE) -> Variables:
    """The variables of the schema that can be made."""
    return evaluate(context.reading.schema, _sources(context), _predefined(context, options))


def _bundle(context: Context, variables: Variables, options: AssemblyOptions, additions: Additions) -> Bundle:
    reading = context.reading
    draft = dataset.make(reading.schema, variables, reading.trees, options.rules, _fixed(context, options))
    notes = [*reading.notes, *draft.notes, *_attach_sample(draft.fields, variables, context)]
    _add(draft, _truncated(reading.truncations), additions)
    files, is_above = _placed(context, draft.dataset, options)
    if not is_above:
        folder = draft.dataset.source_folder
        notes.append(f"files are listed relative to the scan directory: {folder} is not above it, nor its core path")
    if not files:
        notes.append("the scan has no files, so that no file list was made")
    return Bundle(
        dataset=draft.dataset,
        datablocks=(OrigDatablock(files, options.checksums),) if files else (),
        attachments=(Attachment(reading.thumbnail, cleaned(strict(reading.caption))),) if reading.thumbnail else (),
        notes=tuple(cleaned(strict(note)) for note in notes),
    )


def _add(draft: DatasetDraft, truncation: str, additions: Additions) -> None:
    if truncation or additions.comment:
        comments = (draft.fields.get("comment"), additions.comment, truncation)
        draft.fields["comment"] = "; ".join(filter(None, comments))
    if additions.keywords:
        draft.fields["keywords"] = list(dict.fromkeys([*draft.fields.get("keywords", []), *additions.keywords]))


def _truncated(truncations: tuple[str, ...]) -> str:
    """What the dataset says of metadata that is left out because it is too much."""
    if not truncations:
        return ""
    first = "; ".join(truncation[:300] for truncation in truncations[:_MOST_TRUNCATIONS])
    more = f"; and {len(truncations) - _MOST_TRUNCATIONS} more" if len(truncations) > _MOST_TRUNCATIONS else ""
    return f"scientific metadata is not complete: {first}{more}"


def _sources(context: Context) -> dict[str, Source]:
    """The sources that the schema's variables have, and all of ours."""
    reading = context.reading
    sources = {kind.name: kind.make(context) for kind in table.SOURCES}
    if reading.source:  # A package's reader gave the values for a source of its own.
        sources.setdefault(reading.source, DataFileSource(reading.values))
    for name in {variable.source for variable in reading.schema.variables} - set(sources):
        try:
            make = plugins.SOURCES.get(name)
            if make is not None:
                sources[name] = make(context)
        except SourceError as error:
            sources[name] = _Failing(str(error))
    return sources


@dataclass(frozen=True, slots=True)
class _Failing:
    """A source that could not be made: all its variables say why."""

    reason: str

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        raise SourceError(self.reason)


def _predefined(context: Context, options: AssemblyOptions) -> dict[str, Quantity]:
    scan = context.reading.scan
    path = scan.master or scan.place
    return {
        "ingestor_run_id": Quantity(str(uuid.uuid4())),
        "data_file_path": Quantity(str(path)),
        "data_file_name": Quantity(path.name),
        "now": Quantity(context.clock.now().isoformat(timespec="microseconds")),
        "ingestor_files_directory": Quantity(options.ingestor_files_directory),
        "ingestor_metadata_schema_id": Quantity(context.reading.schema.id),
    }


def _fixed(context: Context, options: AssemblyOptions) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    if options.pid != "schema":
        fixed["pid"] = uuid.uuid4().hex if options.pid == "generated" else None
    if options.totals:
        fixed["size"] = sum(file.size or 0 for file in context.reading.files)
        fixed["numberOfFiles"] = len(context.reading.files)
    return fixed


def _attach_sample(fields: dict[str, Any], variables: Variables, context: Context) -> Iterator[str]:
    """Fill in the id of the sample that the catalogue knows by the name in the data file; yields notes.

    Only if the schema has a `sample_attachment`. SciCat's API v3 has room for one sample; what the
    schema says comes first.
    """
    if not context.reading.schema.sample_attachment:
        return
    for name in (SAMPLE_NAME, SAMPLE_PROPOSAL):
        if name in variables.failures:
            yield f"the sample was not looked up: {name}: {variables.failures[name]}"
            return
    name, proposal = (variables.known[name].value for name in (SAMPLE_NAME, SAMPLE_PROPOSAL))
    question = json.dumps({"where": {"description": name, "proposalId": proposal}})
    try:
        answer = context.look_up(f"samples?filter={quote_plus(question)}")
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


def _placed(context: Context, made: Dataset, options: AssemblyOptions) -> tuple[tuple[DataFile, ...], bool]:
    """The file list with its paths as the catalogue wants them, and whether `sourceFolder` is above the files."""
    reading, local = context.reading, str(context.reading.scan.directory)
    if options.paths == "absolute":
        return tuple(replace(file, path=posixpath.join(local, file.path)) for file in reading.files), True
    folder = made.source_folder.rstrip("/")
    for base in (source_folder(reading, context.beamtime), local):
        if base == folder:
            return reading.files, True
        if base.startswith(folder + "/"):
            prefix = base[len(folder) + 1 :]
            moved = (
                replace(file, path=posixpath.normpath(posixpath.join(prefix, file.path))) for file in reading.files
            )
            return tuple(moved), True
    return reading.files, not reading.files
