"""Notes for people about a reading: what was left out, not followed or not drawn, and why."""

from __future__ import annotations

MOST = 50
"""So many remarks are kept of one scan; of the rest only the number is."""


class Notes:
    """Remarks in the order in which they came, each once."""

    def __init__(self) -> None:
        self._remarks: dict[str, None] = {}
        self._more = 0
        self._truncations: dict[str, None] = {}

    def add(self, remark: str) -> None:
        """Keep `remark`, unless it is known or there are too many already."""
        if len(self._remarks) < MOST:
            self._remarks.setdefault(remark)
        elif remark not in self._remarks:
            self._more += 1

    def truncated(self, remark: str) -> None:
        """Keep the remark that some of the metadata is left out because it is too much."""
        self.add(remark)
        if len(self._truncations) <= MOST:
            self._truncations.setdefault(remark)

    def truncations(self) -> tuple[str, ...]:
        """What was left out because it is too much; of many things the first ones."""
        return tuple(self._truncations)

    def all(self) -> tuple[str, ...]:
        """All that were kept."""
        more = (f"and {self._more} more remarks",) if self._more else ()
        return (*self._remarks, *more)
