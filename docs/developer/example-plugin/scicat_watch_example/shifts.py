"""The source SHIFT: in which shift a scan was measured, by the time of its newest file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scicat_watch.errors import MissingValue
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.sources.source import Context, Source
from scicat_watch.pipeline.schema.model import Variable


@dataclass(frozen=True)
class _Shifts:
    last_time: float | None

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The name of the shift; `options` has the hour (UTC) at which each begins."""
        begins: dict[str, int] = variable.arguments.get("options") or {"day": 0}
        if self.last_time is None:
            raise MissingValue("the scan has no files, so it has no time")
        hour = datetime.fromtimestamp(self.last_time, UTC).hour
        begun = {name: first for name, first in begins.items() if first <= hour}
        # Before the first shift of the day the last one of the day before goes on.
        candidates = begun or begins
        return Quantity(max(candidates, key=lambda name: candidates[name]))


def shifts(context: Context) -> Source:
    """The source for one scan."""
    return _Shifts(context.reading.last_time)
