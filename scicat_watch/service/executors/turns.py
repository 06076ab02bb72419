"""Whose turn it is to be read, so that no beamtime and no bad file keeps the others waiting. Pure.

A scan whose reading hung or crashed before is *suspect*: one of these is read at a time, and beside the others. Of the
others so many are read at a time as there are workers, but a reading that takes longer than a second counts only for
scans of its own root: however many files hang there, scans of another root are read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

SPARE = 4
"""How many processes more than workers read at most, while some of them take long."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A scan that waits to be read, or is being read."""

    root: Path
    """The beamtime directory."""
    suspect: bool = False
    slow: bool = False
    """Whether it has been read for more than a second."""


def choose(
    waiting: Sequence[Turn], running: Collection[Turn], workers: int, last_suspect: Path | None = None
) -> int | None:
    """The number of the next one to be read of those `waiting`, the first come first; None if none may be read now.

    `last_suspect`: the root of the suspect scan that was read last.
    """
    clean = [one for one in running if not one.suspect]
    admitted: list[tuple[int, int]] = []
    for number, one in enumerate(waiting):
        if one.suspect:
            continue
        counted = sum(not other.slow or other.root == one.root for other in clean)
        if counted < workers and len(clean) < workers + SPARE:
            admitted.append((sum(other.root == one.root for other in clean), number))
    if admitted:
        return min(admitted)[1]  # The root that has the fewest readers.
    return _suspect(waiting, running, last_suspect)


def _suspect(waiting: Sequence[Turn], running: Collection[Turn], last: Path | None) -> int | None:
    if any(one.suspect for one in running):
        return None
    suspects = [(one.root == last, number) for number, one in enumerate(waiting) if one.suspect]
    return min(suspects)[1] if suspects else None
