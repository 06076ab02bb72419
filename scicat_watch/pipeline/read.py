"""Reads one scan's files: which schema fits, its variables, the NeXus tree, the file list, a picture.

This is what runs in a worker process (see `isolation`): it gets a `ReadJob`, gives back a `Reading`, and
holds no token, no connection and no state of ours. Each part is made by itself: a variable that is not
there or a picture that cannot be drawn is told, and does not stop the others.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from scicat_watch.errors import AssemblyError, ReadingError, SourceError
from scicat_watch.pipeline import filelist, nexus, nxs, plots, select
from scicat_watch.pipeline.links import HDF5_ERRORS, Links
from scicat_watch.pipeline.notes import Notes
from scicat_watch.pipeline.reading import FieldValue, Reading, ReadJob, Unread
from scicat_watch.pipeline.schema import Schema

NOT_HDF5 = (".fio",)
"""Extensions of master files that are listed but not read."""


def read(job: ReadJob) -> Reading:
    """Read the scan of `job`.

    Raises `ReadingError` if its master file cannot be read (now), `AssemblyError` if no schema fits.
    """
    try:
        with _master(job) as links:
            return _read(job, links)
    except MemoryError as error:
        raise ReadingError(
            f"{job.scan.master or job.scan.place}: reading it takes more memory than reading.memory_limit allows"
        ) from error
    except HDF5_ERRORS as error:
        raise ReadingError(
            f"{job.scan.master or job.scan.place}: cannot be read; it is damaged, or changed meanwhile ({error})"
        ) from error


def _master(job: ReadJob) -> Any:
    master = job.scan.master
    if master is None or master.suffix.lower() in NOT_HDF5:
        return nullcontext()
    return Links(master, job.roots)


def _read(job: ReadJob, links: Links | None) -> Reading:
    scan, notes = job.scan, Notes()
    schema, passed_over = _schema(job, links)
    values: dict[str, FieldValue | Unread] = {}
    trees: dict[str, dict[str, Any]] = {}
    if links is not None:
        limit = job.settings.metadata_limit
        values = nxs.values(links, schema.variables, scan.entry, limit)
        for item in schema.items:
            if item.tree is not None:
                trees[item.label] = nexus.tree(links, item.tree, scan.entry, limit, notes)
    picture = plots.picture(scan, job.settings, job.roots, links, notes) if job.settings.pictures else None
    files = filelist.look(scan, job.settings, job.roots, notes)
    return Reading(
        scan=scan,
        schema=schema,
        passed_over=passed_over,
        values=values,
        trees=trees,
        files=files.files,
        picture=picture,
        first_time=files.first_time,
        last_time=files.last_time,
        notes=notes.all(),
    )


def _schema(job: ReadJob, links: Links | None) -> tuple[Schema, dict[str, str]]:
    file = job.scan.master or job.scan.place
    subject = select.Subject(
        file=str(file),
        beamline=str(job.beamtime.metadata.get("beamline") or ""),
        facility=str(job.beamtime.metadata.get("facility") or ""),
        definition=_definition(links, job.scan.entry) if links is not None else "",
    )
    schema, passed_over = select.choose(job.schemas, subject)
    if schema is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
        raise AssemblyError(f"{file}: no metadata schema fits; {reasons or 'there is none'}")
    return schema, passed_over


def _definition(links: Links, entry: str) -> str:
    try:
        definition = nxs.value(links, "/:NXentry/definition", "string", entry, 4096).value
    except (SourceError, *HDF5_ERRORS):
        return ""
    return definition if isinstance(definition, str) else ""
