"""Reads one scan's files: which schema fits, its variables, the file's tree, the file list, a thumbnail.

This is what runs in a worker process (see `sandbox`): it gets a `ReadJob`, gives back a `Reading`, and
holds no token, no connection and no state of ours. Each part is made by itself: a variable that is not
there or a thumbnail that cannot be drawn is noted, and does not stop the others. How a data file is read is
for its reader to know (`choose`, `nexus/`, `fio/`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from scicat_watch.errors import AssemblyError, MissingValue, ReadingError, SourceError
from scicat_watch.model import FileState
from scicat_watch.pipeline.handover import FieldValue, Reading, ReadJob, Unread
from scicat_watch.pipeline.reading import filelist, thumbnails
from scicat_watch.pipeline.reading.choose import reader_for
from scicat_watch.pipeline.reading.nexus.links import HDF5_ERRORS
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.reader import OpenFile, Reader
from scicat_watch.pipeline.reading.sizes import json_size
from scicat_watch.pipeline.schema import selector
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.words import why

LONGEST_SELECTED = 4096
"""Bytes of the longest value in a file that a selector compares."""


def read(job: ReadJob) -> Reading:
    """Read the scan of `job`.

    Raises `ReadingError` if its master file cannot be read (now), or changed meanwhile; `AssemblyError`
    if no schema fits.
    """
    master = job.scan.master
    before = _state(master)
    try:
        reading = _readable(job)
    except ReadingError as error:
        if _state(master) != before:
            raise ReadingError(f"{master}: changed while it was read") from error
        raise
    if _state(master) != before:
        raise ReadingError(f"{master}: changed while it was read; what was read of it may be half old, half new")
    return reading


def _readable(job: ReadJob) -> Reading:
    notes = Notes()
    reader = reader_for(job.scan.master, notes) if job.scan.master is not None else None
    try:
        with _opened(job, reader) as file:
            return _read(job, reader.source if reader is not None else "", file, notes)
    except MemoryError as error:
        raise ReadingError(
            f"{job.scan.master or job.scan.place}: reading it takes more memory than reading.memory_limit allows"
        ) from error
    except HDF5_ERRORS as error:
        raise ReadingError(
            f"{job.scan.master or job.scan.place}: cannot be read; it is damaged, or changed meanwhile ({why(error)})"
        ) from error


def _state(master: Path | None) -> FileState | None:
    """What a file looks like now; None if there is none."""
    try:
        return FileState.of(master.stat()) if master is not None else None
    except OSError:
        return None


def _opened(job: ReadJob, reader: Reader | None) -> AbstractContextManager[OpenFile | None]:
    if reader is None or job.scan.master is None:
        return nullcontext()
    return reader.open(job.scan.master, job.roots, job.scan.entry)


def _read(job: ReadJob, source: str, file: OpenFile | None, notes: Notes) -> Reading:
    scan = job.scan
    if file is not None and source == "NXS" and job.limits.end_time_within:
        _check_ended(job, file, notes)
    schema, passed_over = _schema(job, source, file)
    values: dict[str, FieldValue | Unread] = {}
    trees: dict[str, Mapping[str, Any]] = {}
    if file is not None:
        left = job.limits.metadata_limit
        values = file_values(file, source, schema, left)
        for item in schema.items:
            if item.tree is not None:
                trees[item.label] = file.tree(item.tree, left, notes)
                left = max(0, left - json_size(trees[item.label]))
    thumbnail = None
    if job.limits.thumbnails:
        thumbnail = thumbnails.thumbnail(scan, job.limits, job.roots, file.plot if file is not None else None, notes)
    files = filelist.list_files(scan, job.limits, job.roots, notes)
    return Reading(
        scan=scan,
        schema=schema,
        passed_over=passed_over,
        source=source,
        values=values,
        trees=trees,
        files=files.files,
        thumbnail=thumbnail.png if thumbnail else None,
        caption=thumbnail.caption if thumbnail else "",
        first_time=files.first_time,
        last_time=files.last_time,
        truncations=notes.truncations(),
        notes=notes.all(),
    )


def _check_ended(job: ReadJob, file: OpenFile, notes: Notes) -> None:
    """`ReadingError` for a NeXus file without an end_time, which its writer writes last; an old one is only noted."""
    entry, state = job.scan.entry, _state(job.scan.master)
    found = _value(file, f"/{entry}/end_time" if entry else "/:NXentry/end_time", "string", LONGEST_SELECTED)
    if isinstance(found, FieldValue):
        return
    if state is not None and time.time() - state.modified / 1e9 < job.limits.end_time_within:
        raise ReadingError(f"{job.scan.master}: has no end_time yet, which its writer writes last")
    notes.add(f"{job.scan.master} has no end_time; it may be incomplete")


def file_values(file: OpenFile, source: str, schema: Schema, limit: int) -> dict[str, FieldValue | Unread]:
    """The variables of `schema` that are of this `source`, by name; `limit` is in bytes of all of them."""
    read: dict[str, FieldValue | Unread] = {}
    for variable in schema.variables:
        if variable.source == source:
            found = _value(file, variable.path, variable.value_type, limit)
            read[variable.name] = found
            if isinstance(found, FieldValue):
                limit = max(0, limit - json_size(found.value))
    return read


def _value(file: OpenFile, path: str, value_type: str, limit: int) -> FieldValue | Unread:
    try:
        return file.value(path, value_type, limit)
    except SourceError as error:
        return Unread(f"{path} {error}")
    except HDF5_ERRORS as error:
        return Unread(f"{path} cannot be read ({type(error).__name__})")


def _schema(job: ReadJob, source: str, file: OpenFile | None) -> tuple[Schema, dict[str, str]]:
    name = job.scan.master or job.scan.place

    @cache
    def value(wanted: str, path: str) -> str:
        """What selectors see of a value in the file; it is read once."""
        if file is None or wanted.upper() != source.upper():
            raise MissingValue(f"the scan has no data file that is read by {wanted}")
        found = _value(file, path, "string", LONGEST_SELECTED)
        if isinstance(found, Unread):
            raise MissingValue(found.reason)
        return found.value if isinstance(found.value, str) else json.dumps(found.value)

    subject = selector.Subject(
        file=str(name),
        beamline=str(job.beamtime.metadata.get("beamline") or ""),
        facility=str(job.beamtime.metadata.get("facility") or ""),
        value=value,
    )
    schema, passed_over = selector.choose(job.schemas, subject)
    if schema is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
        raise AssemblyError(f"{name}: no metadata schema fits; {reasons or 'there is none'}")
    return schema, passed_over
