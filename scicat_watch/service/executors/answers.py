"""What a reading process sends back, and how it is checked: values, and nothing else.

A process that a crafted file has taken over can send whatever it likes. What it sends is taken apart by an unpickler
that knows three classes of plain values, and scan and schema are not taken from it at all. This module must stay quick
to import.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from scicat_watch.pipeline.handover import Reading, ReadJob

LARGEST = 256 << 20
"""Bytes of the longest answer that is sent, or taken."""


class Wanted(Exception):
    """A reader needs a library first; its name (`reading.libraries`) is the argument."""


_OURS = ("scan", "schema")
"""Members of a reading that are not taken from an answer: what asks the catalogue comes from no data file."""


def made(job: ReadJob, read: Callable[[], Reading], memory_limit: int, without: tuple[str, ...] = ()) -> bytes:
    """Read a scan with `read`, and say what became of it; called in the reading process.

    `memory_limit`: bytes that the process may use. `without`: members of the reading that nobody wants.
    """
    what = job.scan.master or job.scan.place
    try:
        answer = pickle.dumps(_made(job, read, (*_OURS, *without)))
    except MemoryError:
        reason = f"{what}: needs more memory than {memory_limit >> 20} MB (reading.memory_limit)"
        answer = pickle.dumps(("failed", reason, 0))
    if len(answer) > LARGEST:
        return pickle.dumps(("failed", f"{what}: what was read of it has {len(answer) >> 20} MB, which is too much", 0))
    return answer


def understood(job: ReadJob, answer: bytes) -> Reading:
    """The reading that `made` sent.

    Raises `ReadingError` if the file cannot be read, `ReaderLost` if this is no answer at all, `AssemblyError` if no
    schema fits; a reader also `Wanted`.
    """
    from scicat_watch.errors import AssemblyError, ReaderLost, ReadingError
    from scicat_watch.words import why

    what = job.scan.master or job.scan.place
    try:
        kind, found, number = _Checked(io.BytesIO(answer)).load()
        if kind == "read":
            return _reading(job, number, found)
    except (pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ReaderLost(f"{what}: the process that read it gave no usable answer ({why(error)})") from None
    known = {"no schema": AssemblyError, "failed": ReadingError, "lost": ReaderLost, "load": Wanted}
    if not isinstance(kind, str) or kind not in known:
        raise ReaderLost(f"{what}: the process that read it gave no usable answer")
    raise known[kind](str(found))


def _made(job: ReadJob, read: Callable[[], Reading], without: tuple[str, ...]) -> tuple[str, Any, int]:
    """What became of it, the reading's members or a message, and the number of the schema that fits."""
    from scicat_watch.errors import AssemblyError, ReaderLost, ScicatWatchError
    from scicat_watch.pipeline.reading.libraries import NotLoaded

    try:
        reading = read()
    except NotLoaded as wanted:
        return "load", str(wanted), 0
    except ReaderLost as error:
        return "lost", str(error), 0
    except AssemblyError as error:
        return "no schema", str(error), 0
    except ScicatWatchError as error:
        return "failed", str(error), 0
    found = {field.name: getattr(reading, field.name) for field in fields(reading) if field.name not in without}
    return "read", found, next(number for number, one in enumerate(job.schemas) if one is reading.schema)


def _reading(job: ReadJob, number: int, found: dict[str, Any]) -> Reading:
    from scicat_watch.documents import DataFile
    from scicat_watch.pipeline.handover import Reading

    notes, truncations = (tuple(map(str, found.pop(name))) for name in ("notes", "truncations"))
    files, thumbnail = tuple(found.pop("files", ())), found.pop("thumbnail", None)
    caption = str(found.pop("caption", ""))
    if not isinstance(thumbnail, bytes | None) or not all(isinstance(one, DataFile) for one in files):
        raise TypeError("its files or its thumbnail are something else")
    return Reading(
        job.scan, job.schemas[number], files=files, notes=notes, thumbnail=thumbnail, caption=caption,
        truncations=truncations, **found,
    )  # fmt: skip


class _Checked(pickle.Unpickler):
    """Takes values apart that hold nothing but plain data and what was read of fields and files."""

    def find_class(self, module: str, name: str) -> Any:
        from scicat_watch.documents import DataFile
        from scicat_watch.pipeline.handover import FieldValue, Unread

        for known in (FieldValue, Unread, DataFile):
            if (module, name) == (known.__module__, known.__name__):
                return known
        raise pickle.UnpicklingError(f"it holds a {name}")
