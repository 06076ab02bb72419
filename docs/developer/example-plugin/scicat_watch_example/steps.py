"""A reader of *.steps files, an invented text format:

title: Temperature ramp
quantity: temperature
unit: K
1.5
2.5
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scicat_watch.errors import MissingValue, ReadingError
from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.pipeline.schema.model import TreeOptions

_LARGEST = 16 << 20  # Bytes; a data file may come from anybody, and need not fit into memory.


@dataclass(frozen=True)
class StepsFile:
    """A *.steps file that was read."""

    facts: Mapping[str, str]
    steps: tuple[float, ...]

    def value(self, path: str, value_type: str, limit: int) -> FieldValue:
        """`title`, `quantity`; `steps`, all values; `highest`, the largest."""
        unit = self.facts.get("unit", "")
        if path == "steps":
            return FieldValue(list(self.steps), unit, (len(self.steps),))
        if path == "highest" and self.steps:
            return FieldValue(max(self.steps), unit)
        if path in self.facts:
            return FieldValue(self.facts[path])
        raise MissingValue("is not there")

    def tree(self, options: TreeOptions, limit: int, notes: Notes) -> Mapping[str, Any]:
        """What an item of `field_type: nexus_tree` gets."""
        return {name: {"value": value, "unit": ""} for name, value in self.facts.items()}

    def plot(self, notes: Notes) -> Plot | None:
        """The values, one after the other."""
        if len(self.steps) < 2:
            return None
        return Plot(np.array(self.steps), self.facts.get("title", ""), "", self.facts.get("quantity", "value"))


class StepsReader:
    """Reads *.steps files."""

    source = "STEPS"

    @contextmanager
    def open(self, master: Path, roots: Sequence[Path], entry: str) -> Iterator[StepsFile]:
        """The file, read as a whole. scicat-watch has made sure that it is below one of the `roots`."""
        with master.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ReadingError(f"{master}: has more than {_LARGEST} bytes, too many for a file of steps")
        facts: dict[str, str] = {}
        steps: list[float] = []
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            name, colon, value = line.partition(":")
            try:
                if colon:
                    facts[name.strip()] = value.strip()
                elif line.strip():
                    steps.append(float(line))
            except ValueError:
                raise ReadingError(f"{master}: line {number} is neither a fact nor a number") from None
        yield StepsFile(facts, tuple(steps))
