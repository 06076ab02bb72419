"""Which reader is for which file: by its extension; one of ours, or one that another package brings.

A package that is installed beside scicat-watch names its readers in its own metadata (`pipeline.plugins`):

    [project.entry-points."scicat_watch.readers"]
    spec = "my_package:SpecReader"          # a `reading.reader.Reader`, or a class of them; for *.spec

The name of the entry point is the extension. A reader is loaded when the first such file is met, in the
process that reads it and nowhere else. One that cannot be loaded, or is for an extension of ours, is
named in the notes of the scan, which is then listed but not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scicat_watch.documents import strict
from scicat_watch.errors import AssemblyError, ReadingError, ScicatWatchError, SourceError
from scicat_watch.files import inside
from scicat_watch.model import DATA_EXTENSIONS, HDF5_EXTENSIONS
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.plugins import Plugins, Unusable
from scicat_watch.pipeline.reading import libraries, sizes
from scicat_watch.pipeline.reading.fio.reader import FioReader
from scicat_watch.pipeline.reading.nexus.reader import NexusReader
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.reader import OpenFile, Reader
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.pipeline.schema.model import TreeOptions

_NEXUS: Reader = NexusReader()
_OTHERS: Mapping[str, Reader] = {"fio": FioReader()}
BUILT_IN: Mapping[str, Reader] = {
    extension: _NEXUS if extension in HDF5_EXTENSIONS else _OTHERS[extension] for extension in DATA_EXTENSIONS
}
"""Our readers by extension. A file of an extension that nobody knows is taken for HDF5."""


def reader_for(master: Path, notes: Notes) -> Reader | None:
    """The reader of a file; None, with a note, if it belongs to a package's reader that cannot be used."""
    extension = master.suffix.lower().removeprefix(".")
    if extension in BUILT_IN:
        if objection := READERS.objection(extension):
            notes.add(objection)
        return BUILT_IN[extension]
    if extension in READERS.names():
        libraries.need(libraries.READER_OF + extension)
    try:
        return READERS.get(extension) or _NEXUS
    except Unusable as error:
        notes.add(f"{master}: is only listed: {error}")
        return None


def _accepted(whose: str, thing: object) -> Reader:
    reader = thing() if isinstance(thing, type) else thing
    source = getattr(reader, "source", None)
    if not isinstance(source, str) or not source or not callable(getattr(reader, "open", None)):
        raise Unusable(f"the reader {whose} is no reader: it has no source or cannot open files")
    return _GuardedReader(whose, source, reader)


READERS: Plugins[Reader] = Plugins(plugins.READERS, BUILT_IN, _accepted, any_case=True)
"""The readers that packages bring, by extension."""


@dataclass(frozen=True)
class _GuardedReader:
    """A package's reader, whose faults do no more harm than ours and whose values are plain."""

    whose: str
    source: str
    inner: Any

    @contextmanager
    def open(self, master: Path, roots: Sequence[Path], entry: str) -> Iterator[OpenFile]:
        if not inside(master, roots):
            raise ReadingError(f"{master}: is a link out of the beamtime's directories, and is not read")
        with self.inner.open(master, roots, entry) as file:
            yield _GuardedFile(self.whose, file)


@dataclass(frozen=True)
class _GuardedFile:
    """A data file that a package's reader opened."""

    whose: str
    inner: OpenFile

    def value(self, path: str, value_type: str, limit: int) -> FieldValue:
        try:
            found = self.inner.value(path, value_type, limit)
            plain = replace(found, value=strict(found.value))
        except ScicatWatchError as error:
            raise error if isinstance(error, SourceError) else SourceError(str(error)) from error
        except Exception as error:
            raise SourceError(self._failed(error)) from error
        if (size := sizes.json_size(plain.value)) > limit:
            raise SourceError(f"holds {size} bytes, more than the {limit} that reading.metadata_limit leaves")
        return plain

    def tree(self, options: TreeOptions, limit: int, notes: Notes) -> Mapping[str, Any]:
        try:
            return sizes.truncated(strict(dict(self.inner.tree(options, limit, notes))), limit, notes)
        except (AssemblyError, SourceError) as error:
            notes.add(f"no metadata of the file: the reader {self.whose}: {error}")
        except Exception as error:  # noqa: BLE001 (another package's code)
            notes.add(f"no metadata of the file: {self._failed(error)}")
        return {}

    def plot(self, notes: Notes) -> Plot | None:
        try:
            found = self.inner.plot(notes)
        except Exception as error:  # noqa: BLE001 (another package's code)
            notes.add(f"no thumbnail: {self._failed(error)}")
            return None
        return found if isinstance(found, Plot) else None

    def _failed(self, error: Exception) -> str:
        return f"the reader {self.whose} failed: {plugins.described(error)}"
