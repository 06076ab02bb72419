"""What publishing a scan's documents would change in SciCat. Only asks; writes nothing.

The comparison is the one that `update` goes by, so what is said to be equal here is not written there.
"""

from __future__ import annotations

from scicat_watch.catalogue.difference import AttachmentPlan, BlockPlan, Difference, State
from scicat_watch.catalogue.memory import Memory, Written
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.api import ScicatApi
from scicat_watch.catalogue.scicat.compare import file_set, plan_attachments, plan_blocks
from scicat_watch.catalogue.scicat.merge import is_of, merge
from scicat_watch.catalogue.scicat.ownership import Ownership
from scicat_watch.catalogue.scicat.parts import split
from scicat_watch.documents import Bundle


def difference(bundle: Bundle, api: ScicatApi, policy: UpdatePolicy, memory: Memory) -> Difference:
    """How `bundle` differs from what the catalogue holds. `Unavailable` and `Refused` as the catalogue raises them."""
    dataset = bundle.dataset
    if not dataset.pid:
        return Difference(State.UNKNOWN, "the catalogue chooses the dataset's id, so there is none to look for")
    held = api.holding(dataset.pid)
    if held is None:
        return Difference(State.NEW)
    known = Written(memory, api.full_pid(dataset.pid))
    stored, base = held.dataset, known.baseline
    pid = str(stored.get("pid") or dataset.pid)
    if not is_of(stored, dataset, policy, base):
        reason = f"the stored dataset's data is in {stored.get('sourceFolder')}, that of this scan in "
        return Difference(State.CONFLICT, reason + dataset.source_folder, pid)
    merged = merge(stored, api.shaped(dataset.fields), policy, base)
    wanted, shown = split(bundle.datablocks), bundle.attachments
    contents = {file_set(block.as_json()) for block in wanted}
    ours = Ownership(lambda: base, api.account, {one.caption for one in shown}, contents, lambda: known.unsure)
    keeps = policy.fields == "never"
    blocks = thumbnails = None
    if wanted and not (keeps and held.blocks):
        blocks = plan_blocks(held.blocks, wanted, ours.of_block)
    if shown and not (keeps and held.attachments):
        thumbnails = plan_attachments(held.attachments, shown, ours.of_thumbnail)
    state = State.DIFFERENT if merged.changes or blocks or thumbnails else State.EQUAL
    return Difference(
        state, "", pid, merged.changes, merged.left, blocks or BlockPlan(), thumbnails or AttachmentPlan()
    )  # fmt: skip
