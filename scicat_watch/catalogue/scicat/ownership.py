"""Whose a stored file list or thumbnail is: ours if we remember its id.

Where we cannot remember all of them, it is ours if our account made it: a person may use that account as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.catalogue.baseline import Baseline
from scicat_watch.catalogue.scicat.compare import file_set, part_id


@dataclass(frozen=True, slots=True)
class Ownership:
    """What of one dataset is ours."""

    baseline: Callable[[], Baseline | None]
    """What we remember of it."""
    account: Callable[[], str]
    """The name of our account; asked only where it matters."""
    captions: Collection[str] = ()
    """The captions that our thumbnails have."""
    contents: Collection[Hashable] = ()
    """What our file lists are to hold, as `compare.file_set` has it."""
    unsure: Callable[[], bool] = lambda: False
    """Whether there may be file lists of ours whose ids we never learned."""

    def of_block(self, block: Mapping[str, Any]) -> bool:
        """Whether a file list is ours."""
        if self._remembered(block):
            return True
        known = self.baseline()
        all_known = known is not None and bool(known.parts) and not self.unsure()
        return (not all_known or file_set(block) in self.contents) and self._by_our_account(block)

    def of_thumbnail(self, thumbnail: Mapping[str, Any]) -> bool:
        """Whether a thumbnail is ours. Images of our account that we do not remember are so by our caption only."""
        caption = str(thumbnail.get("caption") or "")
        ours = bool(caption) and caption in self.captions
        return self._remembered(thumbnail) or (ours and self._by_our_account(thumbnail))

    def _remembered(self, part: Mapping[str, Any]) -> bool:
        known = self.baseline()
        return known is not None and known.made(part_id(part))

    def _by_our_account(self, part: Mapping[str, Any]) -> bool:
        maker = part.get("createdBy")
        return bool(maker) and maker == self.account()
