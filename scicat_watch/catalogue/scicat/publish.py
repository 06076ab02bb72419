"""Brings one scan into the catalogue: finds, creates, completes.

Every write first makes sure that it is still needed, so that publishing may break off anywhere and
be done again: it ends in one dataset, one set of file lists, one thumbnail, and then writes nothing
more. Several scans may be published side by side, one scan only once at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.catalogue.scicat.api import AlreadyThere, Catalogue
from scicat_watch.catalogue.scicat.compare import dataset_changes, folder, plan_attachments, plan_blocks, split
from scicat_watch.documents import Attachment, Bundle, Dataset, OrigDatablock
from scicat_watch.errors import Refused
from scicat_watch.model import Status

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """What the catalogue holds of a scan now."""

    pid: str
    """The dataset's id as the catalogue has it, with the site's prefix."""
    status: Status
    """CREATED, UPDATED or UNCHANGED, for everything together."""
    datablock: Status | None = None
    """The same for the file lists, FAILED if they were refused; None if there are none."""
    attachment: Status | None = None
    """The same for the thumbnails."""
    refused: Mapping[str, Refused] = field(default_factory=dict)
    """Why "datablock" or "attachment" was refused."""


def publish(bundle: Bundle, catalogue: Catalogue) -> Published:
    """Make the catalogue hold just what `bundle` says.

    Raises `Refused` if the dataset was refused; refused file lists and thumbnails are noted in the answer, and
    the other part is done all the same. Raises `Unavailable` as it comes; a later call does what is missing.
    """
    dataset = bundle.dataset
    if not dataset.pid:
        raise Refused("the dataset has no pid, so a second try could not find it: let the schema or the scan name it")
    full_pid, status = _dataset(dataset, catalogue)
    refused: dict[str, Refused] = {}

    def part(name: str, step: Callable[[], Status | None]) -> Status | None:
        try:
            return step()
        except Refused as refusal:
            log.warning("%s of %s was refused: %s", name, full_pid, refusal)
            refused[name] = refusal
            return Status.FAILED

    new = status is Status.CREATED
    datablock = part("datablock", lambda: _blocks(dataset, bundle.datablocks, catalogue, new))
    attachment = part("attachment", lambda: _thumbnails(dataset, bundle.attachments, catalogue, new))
    if status is Status.UNCHANGED and {datablock, attachment} & {Status.CREATED, Status.UPDATED}:
        status = Status.UPDATED
    log.debug("published %s: %s, file list %s, thumbnail %s", full_pid, status, datablock, attachment)
    return Published(full_pid, status, datablock, attachment, refused)


def _dataset(dataset: Dataset, catalogue: Catalogue) -> tuple[str, Status]:
    stored = catalogue.dataset(dataset.pid)
    if stored is None:
        try:
            return catalogue.create_dataset(dataset), Status.CREATED
        except AlreadyThere as there:
            stored = catalogue.dataset(dataset.pid)
            if stored is None:
                raise Refused(f"dataset {dataset.pid} is said to exist, but cannot be found: {there}") from there
    full_pid = str(stored.get("pid") or dataset.pid)
    if folder(stored.get("sourceFolder")) != folder(dataset.source_folder):
        raise Refused(
            f"the catalogue holds another dataset as {full_pid}: its data is in {stored.get('sourceFolder')}, that of "
            f"this scan in {dataset.source_folder}; nothing was changed. Give the scan another name, or have the "
            "stored dataset removed or its sourceFolder corrected"
        )
    changes = dataset_changes(stored, dataset.fields)
    if not changes:
        return full_pid, Status.UNCHANGED
    catalogue.update_dataset(dataset.pid, changes)
    log.info("updated %s: %s", full_pid, ", ".join(sorted(changes)))
    return full_pid, Status.UPDATED


def _blocks(dataset: Dataset, blocks: Sequence[OrigDatablock], catalogue: Catalogue, new: bool) -> Status | None:
    wanted = split(blocks)
    if not wanted:
        return None
    stored = _stored(lambda: catalogue.datablocks(dataset.pid), new)
    plan = plan_blocks(stored, wanted)
    for block_id, block in plan.replace:
        catalogue.replace_datablock(dataset.pid, block_id, block)
    for block in plan.add:
        catalogue.add_datablock(dataset.pid, block)
    for block_id in plan.remove:
        catalogue.remove_datablock(dataset.pid, block_id)
    return _outcome(bool(plan), bool(stored))


def _thumbnails(dataset: Dataset, thumbnails: Sequence[Attachment], catalogue: Catalogue, new: bool) -> Status | None:
    if not thumbnails:
        return None
    stored = _stored(lambda: catalogue.attachments(dataset.pid), new)
    plan = plan_attachments(stored, thumbnails)
    if plan.clear:
        catalogue.remove_attachments(dataset.pid)
    access_groups = dataset.fields.get("accessGroups") or ()
    for thumbnail in plan.add:
        catalogue.add_attachment(dataset.pid, thumbnail, dataset.owner_group, access_groups)
    return _outcome(bool(plan), bool(stored))


def _stored(ask: Callable[[], Sequence[Mapping[str, Any]]], new: bool) -> Sequence[Mapping[str, Any]]:
    """What the dataset has already: even a new one may find leftovers of a removed dataset of the same id."""
    try:
        return ask()
    except Refused:
        # Whoever may create a dataset for other groups may not read it; what is new has nothing yet.
        if new:
            return ()
        raise


def _outcome(changed: bool, was_there: bool) -> Status:
    if not changed:
        return Status.UNCHANGED
    return Status.UPDATED if was_there else Status.CREATED
