"""Brings one scan into SciCat so that it holds just what the documents say: creates, reads, updates.

Every write first makes sure that it is still needed, so that publishing may break off anywhere and
be done again: it ends in one dataset, one set of file lists, one thumbnail, and then writes nothing
more. Several scans may be published side by side, one scan only once at a time.

A dataset that we never wrote is created without asking, as the answer says whether its id is taken. Reading it
afterwards shows what a removed dataset of the same id has left behind. After a write of which nobody knows whether it
was done, what is stored is read, and only what is missing is written again: at once, or, where the write is likely to
be on its way still, after a wait. As it may arrive even later, the dataset is noted to be read again (`latecheck`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from scicat_watch.catalogue.difference import BlockPlan
from scicat_watch.catalogue.memory import Memory, Part, Written, digest
from scicat_watch.catalogue.publisher import Published, UpdatePolicy
from scicat_watch.catalogue.scicat import rights
from scicat_watch.catalogue.scicat.api import AlreadyThere, ChangedMeanwhile, Holding, ScicatApi, Unreadable
from scicat_watch.catalogue.scicat.compare import file_set, part_id, plan_attachments, plan_blocks, spread, totals
from scicat_watch.catalogue.scicat.latecheck import MOST_HELD, LateChecks, Wait, is_held
from scicat_watch.catalogue.scicat.merge import is_of, merge, said, written
from scicat_watch.catalogue.scicat.ownership import Ownership
from scicat_watch.catalogue.scicat.parts import groups, part, split
from scicat_watch.catalogue.scicat.writing import Writing
from scicat_watch.documents import Attachment, Bundle, OrigDatablock
from scicat_watch.errors import Refused, Unavailable
from scicat_watch.model import Status

log = logging.getLogger(__name__)

ROUNDS = 5
"""How often publishing is begun, at most, because nobody knows whether a write was done."""


class Update:
    """One scan to be published."""

    def __init__(
        self, bundle: Bundle, policy: UpdatePolicy, api: ScicatApi, memory: Memory, late_checks: LateChecks, wait: Wait
    ) -> None:
        """Raises `Refused` for a dataset that could not be found again."""
        self._wait = wait
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
        self._writes = Writing(self._written, late_checks, self._full_pid, bundle)
        captions = {one.caption for one in bundle.attachments}
        contents = {file_set(block.as_json()) for block in self._blocks.values()}
        self._ours = Ownership(
            lambda: self._written.baseline, api.account, captions, contents, self._writes.may_be_more
        )
        self._left: tuple[str, ...] = ()
        self._new = False

    def publish(self) -> Published:
        """Make SciCat hold just what the documents say, or the parts of it that the policy names.

        Raises `Refused` if the dataset was refused; refused file lists and thumbnails are noted in the answer, and
        the other part is done all the same. Raises `Unavailable` as it comes; a later call does what is missing.
        """
        if not self._policy.verify and all(self._written.holds(*one) for one in self._contents().items()):
            files, shown = (Status.UNCHANGED if some else None for some in (self._blocks, self._thumbnails))
            return Published(self._full_pid, Status.UNCHANGED, files, shown)
        try:
            if self._written.broken_off:
                self._writes.check_later()
            published = self._rounds()
            if self._written.unsure and published.status is not Status.UNCHANGED:  # As of now, it shall hold just this.
                self._writes.check_later()
            return published
        finally:
            self._written.keep()

    def late_check(self) -> bool:
        """Remove what a late write has doubled, and bring back what it has undone; whether there was anything.

        The dataset itself is left as it is: its changes are guarded. Raises as `publish`, `Refused` also for a part.
        """
        try:
            held = self._api.holding(self._pid)
            if held is None or not is_of(held.dataset, self._dataset, self._policy, self._written.baseline):
                return False
            done = {self._bring_blocks(held)}
            done.add(self._bring_thumbnails(held.attachments, tuple(self._thumbnails.values())))
            contents = self._contents()
            self._written.agrees({name: contents[name] for name in ("origdatablock", "attachment")})
            return bool(done & {Status.CREATED, Status.UPDATED})
        finally:
            self._written.keep()

    def settle(self) -> None:
        """No write may arrive any more."""
        self._written.unsure = False
        self._written.keep()

    def _rounds(self) -> Published:
        held = 0
        for _ in range(ROUNDS - 1):
            self._writes.doubtful = False
            try:
                return self._round()
            except Unavailable as error:
                if not self._writes.doubtful:
                    raise
                if not is_held(error):
                    continue
                log.warning("%s: waiting whether it is written after all: %s", self._full_pid, error)
                held += 1
                if self._wait() or held == MOST_HELD:
                    raise
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
        datablock = part("datablock", self._full_pid, lambda: self._bring_blocks(held), refused)
        attachment = part(
            "attachment", self._full_pid, lambda: self._bring_thumbnails(held.attachments, thumbnails), refused
        )
        if status is Status.UNCHANGED and {datablock, attachment} & {Status.CREATED, Status.UPDATED}:
            status = Status.UPDATED
        log.debug("published %s: %s, file list %s, thumbnail %s", self._full_pid, status, datablock, attachment)
        for text in self._left:
            log.warning("%s: %s", self._full_pid, text)
        if everything and not refused:
            self._written.agrees(self._contents())
        return Published(
            self._full_pid, Status.CREATED if self._new else status, datablock, attachment, refused, self._left
        )

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
            return self._updated(held)
        if isinstance(refusal, AlreadyThere):
            raise Refused(f"dataset {self._full_pid} is said to exist, but cannot be found: {refusal}") from refusal
        if refusal is not None:
            raise refusal
        return Status.CREATED, self._created()

    def _created(self) -> Holding:
        """Create the dataset; what a removed one of the same id has left behind."""
        with self._writes.writing("dataset", self._content):
            self._new = True
            try:
                with rights.needing(rights.to_create(self._dataset.owner_group)):
                    self._full_pid = self._api.create_dataset(self._dataset) or self._full_pid
            except Refused:
                self._new = False
                raise
            self._written.baseline = written(self._dataset.fields)
        try:
            return (self._policy.verify and self._api.holding(self._pid, brief=True)) or Holding({})
        except Refused:
            # Whoever may create a dataset for other groups may not read it; what is new has nothing yet.
            return Holding({})

    def _updated(self, held: Holding) -> tuple[Status, Holding]:
        """Have a dataset that is there as it shall be; what there is."""
        for _ in range(ROUNDS):
            try:
                return self._merged(held.dataset), held
            except ChangedMeanwhile as changed:
                log.debug("%s: %s; compared again", self._full_pid, changed)
                held = self._api.holding(self._pid) or held
        return self._merged(held.dataset), held

    def _merged(self, stored: Mapping[str, Any]) -> Status:
        """Write what is ours of the fields; `ChangedMeanwhile` if somebody was faster."""
        self._full_pid = str(stored.get("pid") or self._full_pid)
        ours, policy, base = self._dataset.source_folder, self._policy, self._written.baseline
        if not is_of(stored, self._dataset, policy, base):
            raise Refused(
                f"the catalogue holds another dataset as {self._full_pid}: its data is in "
                f"{stored.get('sourceFolder')}, that of this scan in {ours}; nothing was changed. Give the scan "
                "another name, or have the stored dataset removed or its sourceFolder corrected"
            )
        wanted = self._api.shaped(self._dataset.fields) if policy.parts == "all" else {"sourceFolder": ours}
        merged = merge(stored, wanted, policy, base)
        self._left = said(merged.left, base is not None)
        if not merged.patch:
            self._written.baseline = merged.written
            return Status.UNCHANGED
        with self._writes.writing("dataset", self._content):
            with rights.needing(rights.to_change(str(stored.get("ownerGroup") or ""))):
                self._api.update_dataset(self._pid, merged.patch, stored)
            self._written.baseline = merged.written
        log.info("updated %s: %s", self._full_pid, ", ".join(sorted(merged.patch)))
        return Status.UPDATED

    def _bring_blocks(self, held: Holding) -> Status | None:
        stored = held.blocks
        if not self._blocks or (stored and self._policy.fields == "never"):
            return Status.UNCHANGED if self._blocks else None
        wanted, changed = tuple(self._blocks.values()), False
        unsure = bool(stored) or not self._new or len(wanted) > self._api.sums_up
        for rounds_left in reversed(range(ROUNDS)):
            plan = plan_blocks(held.blocks, wanted, self._ours.of_block)
            changed = changed or bool(plan)
            if plan or self._writes.may_be_more():  # From now on we know all of ours.
                for block in filter(self._ours.of_block, held.blocks):
                    self._written.made(part_id(block))
            try:
                self._write_blocks(plan, held.blocks)
                if plan.remove:
                    self._remove_blocks(plan, [block for block in held.blocks if self._ours.of_block(block)], wanted)
                righted = unsure and self._policy.verify and self._right_totals(held, changed)
                return _outcome(changed or righted, bool(stored))
            except ChangedMeanwhile as other:
                if not rounds_left:
                    raise
                log.debug("%s: %s; compared again", self._full_pid, other)
                held = self._api.holding(self._pid) or held
        raise AssertionError  # The last round ends the loop.

    def _write_blocks(self, plan: BlockPlan, stored: Sequence[Mapping[str, Any]]) -> None:
        digests = {id(block): known for known, block in self._blocks.items()}
        seen = {part_id(block): block for block in stored}
        for block_id, block in plan.replace:
            with self._writes.writing("origdatablock", digests.get(id(block)) or digest(block.as_json())):
                self._api.replace_datablock(self._pid, block_id, block, seen[block_id])
                self._written.made(block_id)
        for block in plan.add:
            self._add_block(digests[id(block)])

    def _remove_blocks(
        self, plan: BlockPlan, ours: Sequence[Mapping[str, Any]], wanted: Sequence[OrigDatablock]
    ) -> None:
        """Remove file lists of ours that are too many; without the right to, the files are spread over all of them."""
        self._written.keep()
        for block_id in plan.remove:
            try:
                with self._writes.doubting(), rights.needing(rights.TO_REMOVE):
                    self._api.remove_datablock(self._pid, block_id)
                log.info("%s: removed file list %s of ours, which was one too many", self._full_pid, block_id)
            except Refused as refused:
                spread_out = spread(wanted, len(ours)) if refused.status == 403 else None
                if spread_out is None:
                    raise
                log.info("%s: our account may not remove a file list: the files are spread over all", self._full_pid)
                there = self._api.holding(self._pid) or Holding({})
                self._write_blocks(plan_blocks(there.blocks, spread_out, self._ours.of_block), there.blocks)
                return

    def _right_totals(self, held: Holding, changed: bool) -> bool:
        """Have the dataset say the size and the number of the files that its file lists have; whether it did not."""
        self._written.keep()
        if changed:
            held = self._api.holding(self._pid) or held
        wrong = {name: sum_ for name, sum_ in totals(held.blocks).items() if held.dataset.get(name) != sum_}
        if not wrong or not held.blocks or not held.dataset:
            return False
        with self._writes.doubting():
            self._api.update_dataset(self._pid, wrong, held.dataset)
        log.info("%s: put right, as its file lists say: %s", self._full_pid, ", ".join(sorted(wrong)))
        return True

    def _bring_thumbnails(self, stored: Sequence[Mapping[str, Any]], thumbnails: Sequence[Attachment]) -> Status | None:
        if not thumbnails or (stored and self._policy.fields == "never"):
            return Status.UNCHANGED if thumbnails else None
        plan = plan_attachments(stored, thumbnails, self._ours.of_thumbnail)
        digests = {id(thumbnail): known for known, thumbnail in self._thumbnails.items()}
        if plan.clear:
            with self._writes.doubting():
                self._api.remove_attachments(self._pid)
        for one in plan.add:
            self._add_thumbnail(digests[id(one)])
        removed = [self._removed(attachment_id) for attachment_id in plan.remove]
        return _outcome(plan.clear or bool(plan.add) or any(removed), bool(stored))

    def _removed(self, attachment_id: str) -> bool:
        """Remove an outdated thumbnail of ours beside those of others; where that cannot be, it stays."""
        try:
            with self._writes.doubting():
                self._api.remove_attachment(self._pid, attachment_id)
        except Refused as refused:
            note = f"an outdated thumbnail of ours stays beside those of others, as it cannot be removed: {refused}"
            self._left = (*self._left, note)
            return False
        return True

    def _add_block(self, content: str) -> None:
        with self._writes.writing("origdatablock", content), rights.needing(rights.to_add(self._dataset.owner_group)):
            self._written.made(self._api.add_datablock(self._pid, self._blocks[content], groups(self._dataset)))

    def _add_thumbnail(self, content: str) -> None:
        access_groups = self._dataset.fields.get("accessGroups") or ()
        with self._writes.writing("attachment", content), rights.needing(rights.to_add(self._dataset.owner_group)):
            made = self._api.add_attachment(
                self._pid, self._thumbnails[content], self._dataset.owner_group, access_groups
            )
            self._written.made(made)

    def _unseen(self, unreadable: Unreadable) -> Published:
        """Do what was never sent, of a dataset that we wrote and may not read: as an account for other groups may not.

        Only what we noted ourselves says what is missing, so that nothing is done twice; `Refused` where it does not.
        """
        refused: dict[str, Refused] = {}

        def files() -> Status | None:
            return self._writes.send_unsent("origdatablock", tuple(self._blocks), self._add_block, unreadable)

        def shown() -> Status | None:
            return self._writes.send_unsent("attachment", tuple(self._thumbnails), self._add_thumbnail, unreadable)

        datablock = part("datablock", self._full_pid, files, refused)
        attachment = part("attachment", self._full_pid, shown, refused)
        if self._written.others("dataset", (self._content,)):
            raise Refused(f"the scan has changed since its dataset was written, which cannot be compared: {unreadable}")
        sent = {datablock, attachment} & {Status.CREATED}
        status = Status.CREATED if self._new else Status.UPDATED if sent else Status.UNCHANGED
        return Published(self._full_pid, status, datablock, attachment, refused)

    def _contents(self) -> dict[Part, tuple[str, ...]]:
        return {
            "dataset": (self._content,),
            "origdatablock": tuple(self._blocks),
            "attachment": tuple(self._thumbnails),
        }


def _outcome(changed: bool, was_there: bool) -> Status:
    if not changed:
        return Status.UNCHANGED
    return Status.UPDATED if was_there else Status.CREATED
