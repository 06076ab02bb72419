"""What publishing a scan's documents would change in SciCat. Only asks; writes nothing.

The comparison is the one that `update` goes by, so what is said to be equal here is not written there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scicat_watch.catalogue.difference import AttachmentPlan, BlockPlan, Change, Difference, State
from scicat_watch.catalogue.scicat.api import ScicatApi
from scicat_watch.catalogue.scicat.compare import (
    dataset_changes,
    metadata_members,
    plan_attachments,
    plan_blocks,
)
from scicat_watch.catalogue.scicat.parts import folder, split
from scicat_watch.documents import Bundle


def difference(bundle: Bundle, api: ScicatApi) -> Difference:
    """How `bundle` differs from what the catalogue holds. `Unavailable` and `Refused` as the catalogue raises them."""
    dataset = bundle.dataset
    if not dataset.pid:
        return Difference(State.UNKNOWN, "the catalogue chooses the dataset's id, so there is none to look for")
    held = api.holding(dataset.pid)
    if held is None:
        return Difference(State.NEW)
    stored = held.dataset
    pid = str(stored.get("pid") or dataset.pid)
    if folder(stored.get("sourceFolder")) != folder(dataset.source_folder):
        reason = f"the stored dataset's data is in {stored.get('sourceFolder')}, that of this scan in "
        return Difference(State.CONFLICT, reason + dataset.source_folder, pid)
    changes = tuple(_changes(stored, dataset_changes(stored, dataset.fields)))
    wanted = split(bundle.datablocks)
    blocks = plan_blocks(held.blocks, wanted) if wanted else BlockPlan()
    shown = bundle.attachments
    thumbnails = plan_attachments(held.attachments, shown) if shown else AttachmentPlan()
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
