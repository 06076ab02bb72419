r"""Which parts of a file's tree are taken: `take` and `leave_out` of a schema's tree item. Pure.

A pattern is a path below the entry: `instrument/detector_*`. In a name, `*` stands for any characters and
`?` for one. `**` stands for any number of groups, also none, and `:NXdetector` for every group of that
class: `**/:NXlog`. A pattern that fits a group takes it with all that is in it. Patterns are
followed name by name, so that what cannot fit is not even opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scicat_watch.pipeline.schema.model import TreeOptions

States = frozenset[tuple[str, ...]]
"""What is still to come of each pattern that fits so far."""
_ALL: States = frozenset({()})
_NONE: States = frozenset()


@dataclass(frozen=True, slots=True)
class Way:
    """How far the patterns have come on the way from the entry to a group."""

    taking: States
    leaving: States

    @property
    def taken(self) -> bool:
        """Whether the group is taken with all in it (that is not left out)."""
        return () in self.taking

    @property
    def plain(self) -> bool:
        """Whether all below is taken, and nothing left out: names do not matter."""
        return self.taken and not self.leaving

    def below(self, name: str, nx_class: Callable[[], str]) -> Way | None:
        """The way on to what is under `name`; None if nothing there is taken. `nx_class` is asked if it matters."""
        leaving = _next(self.leaving, name, nx_class)
        if () in leaving:
            return None
        taking = _ALL if self.taken else _next(self.taking, name, nx_class)
        return Way(taking, leaving) if taking else None


def start(options: TreeOptions) -> Way:
    """The way at the entry."""
    taking = _closed(_parsed(options.take)) if options.take else _ALL
    return Way(taking, _closed(_parsed(options.leave_out)))


def chosen(tree: Mapping[str, Any], options: TreeOptions) -> dict[str, Any]:
    """The part of a tree of plain values that `options` take; classes are those that `NX_class` says."""
    way = start(options)
    return dict(tree) if way.plain else _chosen(tree, way)


def _chosen(tree: Mapping[str, Any], way: Way) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, member in tree.items():
        further = way.below(name, lambda member=member: _class_of(member))  # type: ignore[misc]
        if further is None:
            continue
        if isinstance(member, Mapping) and not further.plain:
            below = _chosen(member, further)
            if below or further.taken:
                kept[name] = below
        elif further.taken:
            kept[name] = member
    return kept


def _class_of(member: Any) -> str:
    return str(member.get("NX_class", "")) if isinstance(member, Mapping) else ""


def _parsed(patterns: Sequence[str]) -> States:
    return frozenset(tuple(element for element in pattern.split("/") if element) for pattern in patterns)


def _closed(states: States) -> States:
    """With what is left where `**` stands for no group; a `**` at the end takes what follows, but not the group."""
    more = {rest[1:] for rest in states if len(rest) > 1 and rest[0] == "**"}
    return states if more <= states else _closed(states | more)


def _next(states: States, name: str, nx_class: Callable[[], str]) -> States:
    if not states:
        return _NONE
    further: set[tuple[str, ...]] = set()
    for rest in states:
        if not rest:
            continue
        if rest == ("**",):
            further.add(())
        elif rest[0] == "**":
            further.add(rest)
        elif rest[0].startswith(":"):
            if nx_class() == rest[0][1:]:
                further.add(rest[1:])
        elif _pattern(rest[0]).fullmatch(name):
            further.add(rest[1:])
    return _closed(frozenset(further))


@lru_cache(maxsize=1024)
def _pattern(element: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in element), re.DOTALL)
