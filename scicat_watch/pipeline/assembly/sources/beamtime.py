"""BT (*new*): the beamtime metadata. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.sources.source import descend
from scicat_watch.pipeline.schema.model import Variable


@dataclass(frozen=True)
class BeamtimeSource:
    """BT: fields of the beamtime metadata file by dotted path, such as `title` or `pi.email`."""

    metadata: Mapping[str, Any]

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The field's value; the unit is the definition's."""
        return Quantity(descend(self.metadata, variable.path, "the beamtime metadata"), variable.unit)
