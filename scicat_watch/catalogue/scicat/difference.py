"""What publishing a scan's documents would change in the catalogue. Only asks; writes nothing.

The comparison is the one that `publish` goes by, so what is said to be equal here is not written there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scicat_watch.catalogue.scicat.api import Catalogue
from scicat_watch.catalogue.scicat.compare import (
    AttachmentPlan,
    BlockPlan,
    dataset_changes,
    folder,
    metadata_members,
    plan_attachments,
    plan_blocks,
    split,
)
from scicat_watch.documents import Bundle


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
class Difference:
    """What would change for one scan."""

    state: State
    reason: str = ""
    """For CONFLICT and UNKNOWN: why."""
    pid: str = ""
    """The dataset's id as the catalogue has it."""
    changes: tuple[Change, ...] = ()
    blocks: BlockPlan = field(default_factory=BlockPlan)
    """What would be done to the file lists."""
    thumbnails: AttachmentPlan = field(default_factory=AttachmentPlan)
    """What would be done to the thumbnails."""


def difference(bundle: Bundle, catalogue: Catalogue) -> Difference:
    """How `bundle` differs from what the catalogue holds. `Unavailable` and `Refused` as the catalogue raises them."""
    dataset = bundle.dataset
    if not dataset.pid:
        return Difference(State.UNKNOWN, "the catalogue chooses the dataset's id, so there is none to look for")
    stored = catalogue.dataset(dataset.pid)
    if stored is None:
        return Difference(State.NEW)
    pid = str(stored.get("pid") or dataset.pid)
    if folder(stored.get("sourceFolder")) != folder(dataset.source_folder):
        reason = f"the stored dataset's data is in {stored.get('sourceFolder')}, that of this scan in "
        return Difference(State.CONFLICT, reason + dataset.source_folder, pid)
    changes = tuple(_changes(stored, dataset_changes(stored, dataset.fields)))
    wanted = split(bundle.datablocks)
    blocks = plan_blocks(catalogue.datablocks(dataset.pid), wanted) if wanted else BlockPlan()
    shown = bundle.attachments
    thumbnails = plan_attachments(catalogue.attachments(dataset.pid), shown) if shown else AttachmentPlan()
    state = State.DIFFERENT if changes or blocks or thumbnails else State.EQUAL
    return Difference(state, "", pid, changes, blocks, thumbnails)


def _changes(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> Iterator[Change]:
    for name, wanted in patch.items():
        there = stored.get(name)
        if name == "scientificMetadata" and isinstance(there, Mapping) and isinstance(wanted, Mapping):
            for member in metadata_members(there, wanted):
                yield Change(f"{name}.{member}", there.get(member), wanted.get(member))
        elif there != wanted:
            yield Change(name, there, wanted)
