"""How many scans of a beamtime are done: each once, whatever it was called, and however often it was ingested. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
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
        named = {str(directory): contents.names for directory, contents in lists.items() if contents.names}
        for directory, contents in lists.items():
            # A scan that was found before a list named it is noted in two directories.
            above = list(_above(str(directory), named)) if contents.names else ()
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


def _above(directory: str, named: Mapping[str, Set[str]]) -> Iterator[tuple[str, Set[str]]]:
    """What names of `directory` begin with in each of the `named` directories above it, and the names there."""
    above = directory.rpartition("/")[0]
    while above:
        if above in named:
            yield f"{directory[len(above) + 1 :]}/", named[above]
        above = above.rpartition("/")[0]
