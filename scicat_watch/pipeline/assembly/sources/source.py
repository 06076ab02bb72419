"""What a source of variables is: it turns a variable of a schema into a `Quantity`, a value with its unit.

A schema names variables, and each variable names its source: NXS is the scan's NeXus file, SC asks
the catalogue, VALUE computes from earlier variables; all of them are in `table`. A source writes
nothing and posts nothing, so a preview and an ingestion see the same values. Called by
`assembly.variables`; conversion to the variable's type is done there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scicat_watch.clock import Clock
from scicat_watch.errors import MissingValue
from scicat_watch.model import Beamtime, Quantity
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import Variable

LookUp = Callable[[str], Any]
"""Asks the catalogue for the JSON at a URL below its base, or at a whole URL."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a scan's documents are made from; every source is made with it, once for each scan."""

    reading: Reading
    """What was read of the scan: its files, times, values of its data file."""
    beamtime: Beamtime
    look_up: LookUp
    """Raises `Refused`, or `Unavailable` while the catalogue does not answer; the scan then waits."""
    clock: Clock


class Source(Protocol):
    """One place that values come from."""

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The variable's value and unit, given those `known` so far; `MissingValue` if it has none.

        Any other `SourceError` means that there is a value, but that it cannot be used.
        """


def descend(value: Any, path: str, whose: str) -> Any:
    """The member of `value` at a dotted path such as "pi.email" or "users.doorDb.0"; null counts as missing."""
    for step in path.split("."):
        try:
            value = value[int(step)] if isinstance(value, list | tuple) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise MissingValue(f"{whose} has no {path!r}") from None
    if value is None:
        raise MissingValue(f"{whose} has null for {path!r}")
    return value
