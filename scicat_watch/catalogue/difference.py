"""How the documents of a scan differ from what a catalogue holds: for people, and for what is to be written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scicat_watch.documents import Attachment, OrigDatablock


class State(StrEnum):
    """What is in the catalogue of a scan."""

    NEW = "new"
    """Nothing: the dataset would be created."""
    EQUAL = "equal"
    """Just this: nothing would be written."""
    DIFFERENT = "different"
    """Something else: it would be brought up to date."""
    CONFLICT = "conflict"
    """A dataset of the same id from another folder: it would be refused, and nothing written."""
    UNKNOWN = "unknown"
    """There is no catalogue to ask, or it cannot say."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field, or one member of the scientific metadata, that would change."""

    field: str
    """E.g. "description" or "scientificMetadata.temperature"."""
    stored: Any
    """What the catalogue has; None for nothing."""
    wanted: Any
    """What it would get; None for nothing."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What is to be done to the stored file lists: replacing comes first, removing last."""

    replace: tuple[tuple[str, OrigDatablock], ...] = ()
    """Ids of stored lists that are wrong, each with a list that is missing."""
    add: tuple[OrigDatablock, ...] = ()
    remove: tuple[str, ...] = ()
    """Ids of stored lists that are too many."""

    def __bool__(self) -> bool:
        return bool(self.replace or self.add or self.remove)


@dataclass(frozen=True, slots=True)
class AttachmentPlan:
    """What is to be done to the stored thumbnails."""

    clear: bool = False
    """Whether all are removed first, as all are ours: single ones cannot be removed safely everywhere."""
    add: tuple[Attachment, ...] = ()
    remove: tuple[str, ...] = ()
    """Ids of outdated ones of ours beside others', which stay; removed last."""

    def __bool__(self) -> bool:
        return self.clear or bool(self.add or self.remove)


@dataclass(frozen=True, slots=True)
class Difference:
    """What would change for one scan."""

    state: State
    reason: str = ""
    """For CONFLICT and UNKNOWN: why."""
    pid: str = ""
    """The dataset's id as the catalogue has it."""
    changes: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()
    """What differs and would be left, as somebody else changed it."""
    blocks: BlockPlan = field(default_factory=BlockPlan)
    """What would be done to the file lists."""
    thumbnails: AttachmentPlan = field(default_factory=AttachmentPlan)
    """What would be done to the thumbnails."""
