"""What all ways of publishing to SciCat share: folders, groups, file lists in its form, and parts that are refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from scicat_watch.documents import DataFile, Dataset, OrigDatablock
from scicat_watch.errors import Refused
from scicat_watch.model import Status

log = logging.getLogger(__name__)

MOST_FILES = 10_000
"""Files of one file list; more are split."""
LONGEST_LIST = 8 << 20
"""Bytes of JSON of one file list; a backend's database stops at 16 MiB, and takes more room than JSON."""


def folder(path: Any) -> str:
    """A source folder without the slashes at its end, of which the backend takes one away."""
    return str(path or "").rstrip("/")


def groups(dataset: Dataset) -> dict[str, Any]:
    """The groups of a dataset, which its file lists belong to as well."""
    known = {name: dataset.fields.get(name) for name in ("ownerGroup", "accessGroups")}
    return {name: value for name, value in known.items() if value is not None}


def part(name: str, pid: str, step: Callable[[], Status | None], refused: dict[str, Refused]) -> Status | None:
    """What became of one part of a dataset; that it was refused is noted in `refused`, and the other parts go on."""
    try:
        return step()
    except Refused as refusal:
        log.warning("%s of %s was refused: %s", name, pid, refusal)
        refused[name] = refusal
        return Status.FAILED


def split(
    blocks: Sequence[OrigDatablock], most_files: int = MOST_FILES, longest: int = LONGEST_LIST
) -> tuple[OrigDatablock, ...]:
    """File lists that a backend can store: none with more files or more bytes of JSON, none without files."""
    return tuple(
        replace(block, files=files) for block in blocks for files in _portions(block.files, most_files, longest)
    )


def _portions(files: Sequence[DataFile], most_files: int, longest: int) -> Iterator[tuple[DataFile, ...]]:
    portion: list[DataFile] = []
    length = 0
    for file in files:
        more = len(json.dumps(file.as_json(), ensure_ascii=False).encode()) + 1
        if portion and (len(portion) >= most_files or length + more > longest):
            yield tuple(portion)
            portion, length = [], 0
        portion.append(file)
        length += more
    if portion:
        yield tuple(portion)
