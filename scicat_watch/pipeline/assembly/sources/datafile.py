"""NXS, FIO: values of the scan's data file. Pure: the file was read before, by another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.convert import decoded
from scicat_watch.pipeline.assembly.findings import Brought, Names, Remark, check_path, note
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.schema.model import Variable


@dataclass(frozen=True)
class DataFileSource:
    """NXS, FIO, and the sources of other packages' readers: what `reading.read` found for the schema's variables.

    `string` wants text, and types with [] want an array, as in ESS's ingestor: a path that leads to
    something else than the curator thought is noticed.
    """

    values: Mapping[str, FieldValue | Unread]

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The field's value; the file's unit wins over the definition's."""
        found = self.values.get(variable.name)
        if found is None:
            raise MissingValue(f"the scan has no data file that is read by {variable.source}")
        if isinstance(found, Unread):
            raise MissingValue(found.reason)
        value = decoded(found.value)
        if variable.value_type.endswith("[]"):
            value = _array(value, found.shape)
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
        if variable.value_type == "string" and not isinstance(value, str):
            raise SourceError("the field holds no single text; take a type that fits, and make it text in a VALUE")
        return Quantity(value, found.unit if found.unit is not None else variable.unit)


def check_nexus(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    """What is wrong with a variable of the source NXS."""
    if "*" in variable.path and variable.value_type != "string[]":
        yield note(f"the * in {variable.path!r} is part of a name: only the type string[] takes it for any characters")
    yield from check_path(variable, names, brought)


def _array(value: object, shape: tuple[int, ...]) -> list[object]:
    if isinstance(value, list):
        return value
    if not shape:
        raise SourceError("the field is a scalar; a type without [] fits it")
    return [value]
