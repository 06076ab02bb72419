"""Brings one scan into SciCat so that it holds just what the documents say: creates, reads, updates.

Every write first makes sure that it is still needed, so that publishing may break off anywhere and
be done again: it ends in one dataset, one set of file lists, one thumbnail, and then writes nothing
more. Several scans may be published side by side, one scan only once at a time.

A dataset that we never wrote is created without asking, as the answer says whether its id is taken. Reading it
afterwards shows what a removed dataset of the same id has left behind. After a write of which nobody knows whether it
was done, what is stored is read at once, and only what is missing is written again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from scicat_watch.catalogue.memory import Memory, Part, Written, digest
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.catalogue.publisher import Published, UpdatePolicy
from scicat_watch.catalogue.scicat.api import AlreadyThere, Holding, ScicatApi, Unreadable
from scicat_watch.catalogue.scicat.compare import dataset_changes, plan_attachments, plan_blocks
from scicat_watch.catalogue.scicat.parts import folder, groups, part, split
from scicat_watch.documents import Attachment, Bundle
from scicat_watch.errors import Refused, Unavailable
from scicat_watch.model import Status

log = logging.getLogger(__name__)

ROUNDS = 5
"""How often publishing is begun, at most, because nobody knows whether a write was done."""
MOST_BROKEN = 2
"""How often a write is answered 500, at most: many of them will be answered so for ever."""


class Update:
    """One scan to be published."""

    def __init__(self, bundle: Bundle, policy: UpdatePolicy, api: ScicatApi, memory: Memory) -> None:
        """Raises `Refused` for a dataset that could not be found again."""
        self._dataset, self._policy, self._api = bundle.dataset, policy, api
        self._pid = bundle.dataset.pid
        if not self._pid:
            raise Refused(
                "the dataset has no pid, so a second try could not find it: let the schema or the scan name it"
            )
        self._full_pid = api.full_pid(self._pid)
        self._blocks = {digest(block.as_json()): block for block in split(bundle.datablocks)}
        self._thumbnails = {digest(one.as_json()): one for one in bundle.attachments}
        self._content = digest(bundle.dataset.fields)
        self._written = Written(memory, self._full_pid)
        self._new = False
        self._doubtful = False
        self._broken = 0

    def publish(self) -> Published:
        """Make SciCat hold just what the documents say, or the parts of it that the policy names.

        Raises `Refused` if the dataset was refused; refused file lists and thumbnails are noted in the answer, and
        the other part is done all the same. Raises `Unavailable` as it comes; a later call does what is missing.
        """
        if not self._policy.verify and all(self._written.holds(*one) for one in self._contents().items()):
            files, shown = (Status.UNCHANGED if some else None for some in (self._blocks, self._thumbnails))
            return Published(self._full_pid, Status.UNCHANGED, files, shown)
        for _ in range(ROUNDS - 1):
            self._doubtful = False
            try:
                return self._round()
            except Unavailable as error:
                if not self._doubtful:
                    raise
                log.debug("%s: whether it was written is read at once: %s", self._full_pid, error)
        return self._round()

    def _round(self) -> Published:
        try:
            status, held = self._there()
        except Unreadable as unreadable:
            if not self._written.any("dataset"):
                raise
            return self._unseen(unreadable)
        refused: dict[str, Refused] = {}
        everything = self._new or self._policy.parts == "all"
        thumbnails = tuple(self._thumbnails.values()) if everything else ()
        datablock = part("datablock", self._full_pid, lambda: self._bring_blocks(held.blocks), refused)
        attachment = part(
            "attachment", self._full_pid, lambda: self._bring_thumbnails(held.attachments, thumbnails), refused
        )
        if status is Status.UNCHANGED and {datablock, attachment} & {Status.CREATED, Status.UPDATED}:
            status = Status.UPDATED
        log.debug("published %s: %s, file list %s, thumbnail %s", self._full_pid, status, datablock, attachment)
        if everything and not refused:
            self._written.agrees(self._contents())
        return Published(self._full_pid, Status.CREATED if self._new else status, datablock, attachment, refused)

    def _there(self) -> tuple[Status, Holding]:
        """Have the dataset as it shall be; what the catalogue has beside it."""
        refusal: Refused | None = None
        if not self._written.any("dataset"):
            try:
                return Status.CREATED, self._created()
            except Refused as refused:
                if refused.status not in (403, 409):
                    raise
                refusal = refused  # It exists, or may exist although our account may create none.
        held = self._api.holding(self._pid)
        if held is not None:
            return self._updated(held.dataset), held
        if isinstance(refusal, AlreadyThere):
            raise Refused(f"dataset {self._full_pid} is said to exist, but cannot be found: {refusal}") from refusal
        if refusal is not None:
            raise refusal
        return Status.CREATED, self._created()

    def _created(self) -> Holding:
        """Create the dataset; what a removed one of the same id has left behind."""
        with self._writing("dataset", self._content):
            self._new = True
            try:
                self._full_pid = self._api.create_dataset(self._dataset) or self._full_pid
            except Refused:
                self._new = False
                raise
        try:
            return (self._policy.verify and self._api.holding(self._pid)) or Holding({})
        except Refused:
            # Whoever may create a dataset for other groups may not read it; what is new has nothing yet.
            return Holding({})

    def _updated(self, stored: Mapping[str, Any]) -> Status:
        self._full_pid = str(stored.get("pid") or self._full_pid)
        ours, policy = self._dataset.source_folder, self._policy
        if folder(stored.get("sourceFolder")) not in {folder(ours), folder(policy.moved_from or ours)}:
            raise Refused(
                f"the catalogue holds another dataset as {self._full_pid}: its data is in "
                f"{stored.get('sourceFolder')}, that of this scan in {ours}; nothing was changed. Give the scan "
                "another name, or have the stored dataset removed or its sourceFolder corrected"
            )
        changes = dataset_changes(stored, self._dataset.fields if policy.parts == "all" else {"sourceFolder": ours})
        if not changes:
            return Status.UNCHANGED
        with self._writing("dataset", self._content):
            self._api.update_dataset(self._pid, changes)
        log.info("updated %s: %s", self._full_pid, ", ".join(sorted(changes)))
        return Status.UPDATED

    def _bring_blocks(self, stored: Sequence[Mapping[str, Any]]) -> Status | None:
        if not self._blocks:
            return None
        plan = plan_blocks(stored, tuple(self._blocks.values()))
        digests = {id(block): known for known, block in self._blocks.items()}
        for block_id, block in plan.replace:
            with self._writing("origdatablock", digests[id(block)]):
                self._api.replace_datablock(self._pid, block_id, block)
        for block in plan.add:
            self._add_block(digests[id(block)])
        for block_id in plan.remove:
            with self._doubting():
                self._api.remove_datablock(self._pid, block_id)
        return _outcome(bool(plan), bool(stored))

    def _bring_thumbnails(self, stored: Sequence[Mapping[str, Any]], thumbnails: Sequence[Attachment]) -> Status | None:
        if not thumbnails:
            return None
        plan = plan_attachments(stored, thumbnails)
        digests = {id(thumbnail): known for known, thumbnail in self._thumbnails.items()}
        if plan.clear:
            with self._doubting():
                self._api.remove_attachments(self._pid)
        for one in plan.add:
            self._add_thumbnail(digests[id(one)])
        return _outcome(bool(plan), bool(stored))

    def _add_block(self, content: str) -> None:
        with self._writing("origdatablock", content):
            self._api.add_datablock(self._pid, self._blocks[content], groups(self._dataset))

    def _add_thumbnail(self, content: str) -> None:
        access_groups = self._dataset.fields.get("accessGroups") or ()
        with self._writing("attachment", content):
            self._api.add_attachment(self._pid, self._thumbnails[content], self._dataset.owner_group, access_groups)

    def _unseen(self, unreadable: Unreadable) -> Published:
        """Do what was never sent, of a dataset that we wrote and may not read: as an account for other groups may not.

        Only what we noted ourselves says what is missing, so that nothing is done twice; `Refused` where it does not.
        """
        refused: dict[str, Refused] = {}

        def files() -> Status | None:
            return self._send_unsent("origdatablock", tuple(self._blocks), self._add_block, unreadable)

        def shown() -> Status | None:
            return self._send_unsent("attachment", tuple(self._thumbnails), self._add_thumbnail, unreadable)

        datablock = part("datablock", self._full_pid, files, refused)
        attachment = part("attachment", self._full_pid, shown, refused)
        if self._written.others("dataset", (self._content,)):
            raise Refused(f"the scan has changed since its dataset was written, which cannot be compared: {unreadable}")
        sent = {datablock, attachment} & {Status.CREATED}
        status = Status.CREATED if self._new else Status.UPDATED if sent else Status.UNCHANGED
        return Published(self._full_pid, status, datablock, attachment, refused)

    def _send_unsent(
        self, of: Part, wanted: Sequence[str], send: Callable[[str], None], unreadable: Unreadable
    ) -> Status | None:
        if not wanted:
            return None
        known = {content: self._written.done(of, content) for content in wanted}
        if None in known.values():
            raise Refused(f"the answer to its upload was lost, and whether it is there cannot be seen: {unreadable}")
        if self._written.others(of, wanted):
            raise Refused(f"it has changed since it was written, and what is stored cannot be replaced: {unreadable}")
        missing = [content for content, done in known.items() if not done]
        for content in missing:
            send(content)
        return Status.CREATED if missing else Status.UNCHANGED

    def _contents(self) -> dict[Part, tuple[str, ...]]:
        return {
            "dataset": (self._content,),
            "origdatablock": tuple(self._blocks),
            "attachment": tuple(self._thumbnails),
        }

    @contextmanager
    def _writing(self, of: Part, content: str) -> Iterator[None]:
        with self._doubting(), self._written.writing(of, content):
            yield

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """Within it one write is made; whether it is worth reading at once what became of it."""
        try:
            yield
        except Unavailable as error:
            self._broken += error.status == 500
            soon = not isinstance(error, Postponed) and error.status != 429
            self._doubtful = error.sent and soon and self._broken < MOST_BROKEN
            raise


def _outcome(changed: bool, was_there: bool) -> Status:
    if not changed:
        return Status.UNCHANGED
    return Status.UPDATED if was_there else Status.CREATED
