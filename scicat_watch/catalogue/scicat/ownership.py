"""Whose a stored file list or thumbnail is: ours if we remember its id, or if our account made it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.catalogue.baseline import Baseline
from scicat_watch.catalogue.scicat.compare import part_id


@dataclass(frozen=True, slots=True)
class Ownership:
    """What of one dataset is ours."""

    baseline: Callable[[], Baseline | None]
    """What we remember of it."""
    account: Callable[[], str]
    """The name of our account; asked only where it matters."""
    captions: Collection[str] = ()
    """The captions that our thumbnails have."""

    def of_block(self, block: Mapping[str, Any]) -> bool:
        """Whether a file list is ours."""
        return self._remembered(block) or self._by_our_account(block)

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
