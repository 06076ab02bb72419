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
from scicat_watch.pipeline.assembly.convert import convert
from scicat_watch.pipeline.assembly.render import references, render
from scicat_watch.pipeline.assembly.sources.source import Source
from scicat_watch.pipeline.schema.model import Schema, Variable
from scicat_watch.words import nearest


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How one variable came about."""

    variable: Variable
    found: Quantity | None = None
    """What its source, or else its default, gave, before it was converted; None if neither gave anything."""
    quantity: Quantity | None = None
    """What it is; None if it has no value."""
    reason: str = ""
    """Why it has no value, or why its default was taken."""

    @property
    def by_default(self) -> bool:
        """Whether its value is its default."""
        return self.quantity is not None and bool(self.reason)


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one scan."""

    known: Mapping[str, Quantity]
    """Those that have a value."""
    failures: Mapping[str, str]
    """Those that have none, each with the reason."""
    evaluated: tuple[Evaluated, ...] = ()
    """How those of the schema came about, in their order."""

    def why(self, value: object, error: SourceError) -> str:
        """What `error` says about rendering `value`, with the reasons for the variables that it lacks."""
        reasons = [f"{name}: {self.failures[name]}" for name in sorted(references(value)) if name in self.failures]
        return "; ".join([str(error), *reasons])

    def demand(self, schema: Schema) -> None:
        """`AssemblyError` if a variable of `schema` that is required has no value."""
        for one in self.evaluated:
            if one.variable.required and one.quantity is None:
                name, line = one.variable.name, one.variable.line
                place = f"{schema.file}:{line}" if schema.file else f"schema {schema.id}"
                raise AssemblyError(f"the required variable {name} has no value ({place}): {one.reason}")


def evaluate(schema: Schema, sources: Mapping[str, Source], predefined: Mapping[str, Quantity]) -> Variables:
    """All variables of `schema` that can be made; `demand` says whether the required ones are among them."""
    known, failures = dict(predefined), dict[str, str]()
    evaluated: list[Evaluated] = []
    for variable in schema.variables:
        known.pop(variable.name, None)
        failures.pop(variable.name, None)
        one = _evaluated(variable, sources, Variables(known, failures))
        evaluated.append(one)
        if one.quantity is None:
            failures[variable.name] = one.reason
        else:
            known[variable.name] = one.quantity
    return Variables(known, failures, tuple(evaluated))


def _evaluated(variable: Variable, sources: Mapping[str, Source], before: Variables) -> Evaluated:
    found: Quantity | None = None
    try:
        if variable.source not in sources:
            raise MissingValue(f"the source {variable.source!r} is not known{nearest(variable.source, sources)}")
        found = sources[variable.source].read(variable, before.known)
        return Evaluated(variable, found, _converted(found, variable))
    except SourceError as error:
        reason = before.why([variable.value, variable.url], error)
    if not variable.has_default:
        return Evaluated(variable, found, None, reason)
    try:
        found = render(variable.default, before.known)
        return Evaluated(variable, found, _converted(found, variable), reason)
    except SourceError as error:
        return Evaluated(variable, found, None, f"{reason}; nor its default: {before.why(variable.default, error)}")


def _converted(quantity: Quantity, variable: Variable) -> Quantity:
    return Quantity(convert(quantity.value, variable.value_type), quantity.unit)
