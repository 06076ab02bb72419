"""How many scans of a beamtime are done: each once, whatever it was called, and however often it was ingested. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scicat_watch.ledger.ingested import Contents


class Counting:
    """Counts anew only when a list has changed: there may be a hundred thousand lines."""

    def __init__(self, beamtime: str) -> None:
        """`beamtime`: its id, which the ids of its datasets begin with."""
        self._start = f"{beamtime}/"
        self._counted: dict[Path, int] = {}
        self._count = 0

    def count(self, lists: Mapping[Path, Contents]) -> int:
        """How many scans are done by all lists, each after its directory."""
        revisions = {directory: contents.revision for directory, contents in lists.items()}
        if revisions != self._counted:
            self._count, self._counted = self._anew(lists), revisions
        return self._count

    def _anew(self, lists: Mapping[Path, Contents]) -> int:
        count, renamed = 0, set[str]()
        for directory, contents in lists.items():
            # A scan that was found before a list named it is noted in two directories.
            above = [(f"{directory.relative_to(other).as_posix()}/", lists[other].names)
                     for other in directory.parents if other in lists and lists[other].names]  # fmt: skip
            published = contents.published.keys() & contents.names
            count += len(contents.names) - len(published) + len(contents.entries - contents.names)
            for between, names in above:
                count -= sum(between + name in names for name in contents.names - published)
            renamed |= {contents.published[name].removeprefix(self._start) for name in published}
        # Where a renamed scan was before, it is noted as done as well.
        return count + sum(not any(self._has(one, name) for one in lists.values()) for name in renamed)

    @staticmethod
    def _has(contents: Contents, name: str) -> bool:
        return name in contents.names and name not in contents.published
