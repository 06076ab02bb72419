"""Brings one scan into SciCat so that it holds just what the documents say: finds, creates, updates.

Every write first makes sure that it is still needed, so that publishing may break off anywhere and
be done again: it ends in one dataset, one set of file lists, one thumbnail, and then writes nothing
more. Several scans may be published side by side, one scan only once at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scicat_watch.catalogue.publisher import Published, UpdatePolicy
from scicat_watch.catalogue.scicat.api import AlreadyThere, ScicatApi
from scicat_watch.catalogue.scicat.compare import dataset_changes, plan_attachments, plan_blocks
from scicat_watch.catalogue.scicat.parts import folder, groups, part, split
from scicat_watch.documents import Attachment, Bundle, Dataset, OrigDatablock
from scicat_watch.errors import Refused
from scicat_watch.model import Status

log = logging.getLogger(__name__)


def update(bundle: Bundle, api: ScicatApi, policy: UpdatePolicy) -> Published:
    """Make SciCat hold just what `bundle` says, or the parts of it that `policy` names.

    Raises `Refused` if the dataset was refused; refused file lists and thumbnails are noted in the answer, and
    the other part is done all the same. Raises `Unavailable` as it comes; a later call does what is missing.
    """
    dataset = bundle.dataset
    if not dataset.pid:
        raise Refused("the dataset has no pid, so a second try could not find it: let the schema or the scan name it")
    full_pid, status = _dataset(dataset, api, policy)
    refused: dict[str, Refused] = {}
    new = status is Status.CREATED
    attachments = bundle.attachments if new or policy.parts == "all" else ()
    datablock = part("datablock", full_pid, lambda: _blocks(dataset, bundle.datablocks, api, new), refused)
    attachment = part("attachment", full_pid, lambda: _thumbnails(dataset, attachments, api, new), refused)
    if status is Status.UNCHANGED and {datablock, attachment} & {Status.CREATED, Status.UPDATED}:
        status = Status.UPDATED
    log.debug("published %s: %s, file list %s, thumbnail %s", full_pid, status, datablock, attachment)
    return Published(full_pid, status, datablock, attachment, refused)


def _dataset(dataset: Dataset, api: ScicatApi, policy: UpdatePolicy) -> tuple[str, Status]:
    stored = api.dataset(dataset.pid)
    if stored is None:
        try:
            return api.create_dataset(dataset), Status.CREATED
        except AlreadyThere as there:
            stored = api.dataset(dataset.pid)
            if stored is None:
                raise Refused(f"dataset {dataset.pid} is said to exist, but cannot be found: {there}") from there
    full_pid = str(stored.get("pid") or dataset.pid)
    known = {folder(dataset.source_folder), folder(policy.moved_from or dataset.source_folder)}
    if folder(stored.get("sourceFolder")) not in known:
        raise Refused(
            f"the catalogue holds another dataset as {full_pid}: its data is in {stored.get('sourceFolder')}, that of "
            f"this scan in {dataset.source_folder}; nothing was changed. Give the scan another name, or have the "
            "stored dataset removed or its sourceFolder corrected"
        )
    changes = dataset_changes(stored, _wanted(dataset, policy))
    if not changes:
        return full_pid, Status.UNCHANGED
    api.update_dataset(dataset.pid, changes)
    log.info("updated %s: %s", full_pid, ", ".join(sorted(changes)))
    return full_pid, Status.UPDATED


def _wanted(dataset: Dataset, policy: UpdatePolicy) -> Mapping[str, Any]:
    """The fields that a stored dataset shall have as the documents say."""
    return dataset.fields if policy.parts == "all" else {"sourceFolder": dataset.source_folder}


def _blocks(dataset: Dataset, blocks: Sequence[OrigDatablock], api: ScicatApi, new: bool) -> Status | None:
    wanted = split(blocks)
    if not wanted:
        return None
    stored = _stored(lambda: api.datablocks(dataset.pid), new)
    plan = plan_blocks(stored, wanted)
    for block_id, block in plan.replace:
        api.replace_datablock(dataset.pid, block_id, block)
    for block in plan.add:
        api.add_datablock(dataset.pid, block, groups(dataset))
    for block_id in plan.remove:
        api.remove_datablock(dataset.pid, block_id)
    return _outcome(bool(plan), bool(stored))


def _thumbnails(dataset: Dataset, thumbnails: Sequence[Attachment], api: ScicatApi, new: bool) -> Status | None:
    if not thumbnails:
        return None
    stored = _stored(lambda: api.attachments(dataset.pid), new)
    plan = plan_attachments(stored, thumbnails)
    if plan.clear:
        api.remove_attachments(dataset.pid)
    access_groups = dataset.fields.get("accessGroups") or ()
    for thumbnail in plan.add:
        api.add_attachment(dataset.pid, thumbnail, dataset.owner_group, access_groups)
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
