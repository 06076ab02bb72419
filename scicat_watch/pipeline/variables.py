"""Making the variables of a schema, in the order of its file. Pure but for the sources that are passed in.

A variable that cannot be made is left out and reported; what refers to it cannot be made either. So a
schema may name things that only some scans have. *New:* with `default` there is another value to
take, and with `required: true` a scan without the value is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scicat_watch.errors import AssemblyError, MissingValue, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.convert import convert
from scicat_watch.pipeline.render import references, render
from scicat_watch.pipeline.schema import Schema, Variable
from scicat_watch.pipeline.sources.source import Source


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one scan."""

    known: Mapping[str, Quantity]
    """Those that have a value."""
    failures: Mapping[str, str]
    """Those that have none, each with the reason."""

    def why(self, value: object, error: SourceError) -> str:
        """What `error` says about rendering `value`, with the reasons for the variables that it lacks."""
        reasons = [f"{name}: {self.failures[name]}" for name in sorted(references(value)) if name in self.failures]
        return "; ".join([str(error), *reasons])


def evaluate(schema: Schema, sources: Mapping[str, Source], predefined: Mapping[str, Quantity]) -> Variables:
    """All variables of `schema`. `AssemblyError` if one that is required has no value."""
    known, failures = dict(predefined), dict[str, str]()
    for variable in schema.variables:
        known.pop(variable.name, None)
        failures.pop(variable.name, None)
        try:
            known[variable.name] = _made(variable, sources, known)
        except SourceError as error:
            reason = Variables(known, failures).why([variable.value, variable.url], error)
            failures[variable.name] = reason
            if variable.required:
                place = f"{schema.file}:{variable.line}" if schema.file else f"schema {schema.id}"
                raise AssemblyError(
                    f"the required variable {variable.name} has no value ({place}): {reason}"
                ) from error
    return Variables(known, failures)


def _made(variable: Variable, sources: Mapping[str, Source], known: Mapping[str, Quantity]) -> Quantity:
    try:
        if variable.source not in sources:
            raise MissingValue(f"the source {variable.source!r} is not known; known: {', '.join(sources)}")
        return _converted(sources[variable.source].read(variable, known), variable)
    except SourceError:
        if not variable.has_default:
            raise
        return _converted(render(variable.default, known), variable)


def _converted(quantity: Quantity, variable: Variable) -> Quantity:
    return Quantity(convert(quantity.value, variable.value_type), quantity.unit)
