"""What is wrong with a schema, whatever the scan: found without a data file. Pure.

What mistakes and notes are, is said in `findings`. Neither keeps a schema from being used: what has no value is left
out, as it is at ESS. What is wrong with a variable, its source knows (`sources.table`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.assembly import operators
from scicat_watch.pipeline.assembly.convert import CONVERSIONS, convert
from scicat_watch.pipeline.assembly.dataset import FIELDS, MANDATORY
from scicat_watch.pipeline.assembly.findings import Brought, Finding, Names, Remark, note
from scicat_watch.pipeline.assembly.render import references, render
from scicat_watch.pipeline.assembly.sources import table
from scicat_watch.pipeline.assembly.sources.table import SourceKind
from scicat_watch.pipeline.schema.model import FIELD_TYPES, Item, Schema, Variable
from scicat_watch.pipeline.schema.selector import mistakes
from scicat_watch.words import nearest


def examine(schema: Schema, brought: Brought | None = None) -> list[Finding]:
    """What is wrong with one schema, in the order of its file."""
    findings = [
        Finding(schema.file, schema.selector_line, f"selector: {mistake}") for mistake in mistakes(schema.selector)
    ]
    names = Names(schema)
    for variable in schema.variables:
        found = [*_variable(variable, names, brought or Brought())]
        findings += [remark.of(schema, variable.line, f"variable {variable.name}") for remark in found]
        names.pass_by(variable, unusable=not all(remark.has_value for remark in found))
    findings += [
        remark.of(schema, item.line, f"item {item.label}") for item in schema.items for remark in _item(item, names)
    ]
    findings += _twice(schema)
    return sorted(findings, key=lambda finding: finding.line)


def unreachable(schemas: Sequence[Schema]) -> Iterator[Finding]:
    """Schemas, in the order in which they are tried, that are never reached: one before fits whatever they fit."""
    for number, schema in enumerate(schemas):
        own = _normal(schema.selector)
        for before in schemas[:number]:
            other = _normal(before.selector)
            if other in (_ALL, own):
                why = "every scan" if other == _ALL else "the same scans"
                yield Finding(
                    schema.file,
                    schema.selector_line,
                    f"the schema {schema.id!r} is never reached: {before.id!r} ({before.file or 'before it'}, order "
                    f"{before.order:g}) takes {why}; give this one a lower order than {before.order:g}",
                )
                break


def lacking(schema: Schema) -> Iterator[Finding]:
    """Notes on fields that SciCat demands and no item makes: the configuration must have defaults for them."""
    made = {item.machine_name for item in schema.items if item.field_type == "high_level"}
    missing = [name for name in ("pid", *MANDATORY) if name not in made]
    if missing:
        message = f"no item makes {', '.join(missing)}, which a dataset must have"
        yield Finding(schema.file, 0, message, mistake=False)


def _variable(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    if variable.value_type not in CONVERSIONS:
        yield Remark(f"the type {variable.value_type!r} is not known{nearest(variable.value_type, CONVERSIONS)}")
    kind = table.BY_NAME.get(variable.source)
    if kind is not None:
        yield from kind.check(variable, names, brought)
        yield from _superfluous(variable, kind)
    elif variable.source not in brought.sources():
        known = [*table.BY_NAME, *brought.sources()]
        if readers := sorted(brought.readers()):
            whose = f"it must be that of another package's reader (for {', '.join(f'*.{one}' for one in readers)})"
            yield note(f"the source {variable.source!r} is not one of {', '.join(known)}; {whose}")
        else:
            yield Remark(f"the source {variable.source!r} is not known{nearest(variable.source, known)}")
    if variable.has_default:
        for why in names.objections(variable.default, variable.name):
            yield Remark(f"default: {why}", has_value=True)


def _superfluous(variable: Variable, kind: SourceKind) -> Iterator[Remark]:
    known = {*kind.needs, *kind.takes}
    if variable.operator and "operator" in known:
        operator = operators.find(variable.operator)
        if operator is None:
            return  # Another package's operator knows its own keys.
        known |= set(operator.arguments)
    given = set(variable.arguments)
    given |= {key for key in ("path", "url", "operator", "unit") if getattr(variable, key)}
    given |= {"value"} if variable.value is not None else set()
    for key in sorted(given - known):
        whose = f"the operator {variable.operator}" if variable.operator else f"the source {variable.source}"
        yield note(f"the key {key!r} has no effect: {whose} does not use it")


def _item(item: Item, names: Names) -> Iterator[Remark]:
    if item.field_type not in FIELD_TYPES:
        yield Remark(f"the field type {item.field_type!r} is not known{nearest(item.field_type, FIELD_TYPES)}")
        return
    if item.field_type == "nexus_tree":
        return
    if item.field_type == "high_level" and item.machine_name not in FIELDS:
        yield Remark(f"a dataset has no field {item.machine_name!r}{nearest(item.machine_name, sorted(FIELDS))}")
    if item.value_type not in CONVERSIONS:
        yield Remark(f"the type {item.value_type!r} is not known{nearest(item.value_type, CONVERSIONS)}")
        return
    if found := names.objections(item.value):
        yield Remark(f"it never has a value: {'; '.join(found)}")
    elif not references(item.value):
        try:
            convert(render(item.value, {}).value, item.value_type)
        except SourceError as error:
            yield Remark(f"it never has a value: {error}")
    if isinstance(item.value, str) and item.value in names.lines:
        yield note(f"its value is the text {item.value!r} itself; to get the variable write <{item.value}>")
    if item.field_type == "high_level":
        for key, given in (("human_name", item.human_name), ("unit", item.unit)):
            if given:
                yield note(f"the key {key!r} has no effect: only scientific metadata have it")


def _twice(schema: Schema) -> Iterator[Finding]:
    """Items for one place. One that is optional, and has another before it, is a choice and no mistake."""
    seen: dict[tuple[str, str], Item] = {}
    for item in schema.items:
        if item.field_type not in ("high_level", "scientific_metadata"):
            continue
        place = item.field_type, item.machine_name
        if place in seen and not (item.field_type == "scientific_metadata" and item.optional):
            first = seen[place]
            message = f"item {item.label}: {item.machine_name!r} is made already by the item {first.label}"
            yield Finding(schema.file, item.line, f"{message} in line {first.line}; only this one counts")
        seen[place] = item


_ALL = "*"


def _normal(selector: Any) -> Any:
    """A selector in the form in which equal ones fit the same scans."""
    if isinstance(selector, Mapping) and set(selector) == {"source", "operator", "operand_2"}:
        return tuple(str(selector[key]) for key in ("source", "operator", "operand_2"))
    if isinstance(selector, str) and selector.count(":") == 2:
        return tuple(selector.split(":"))
    combined = isinstance(selector, Mapping) and not set(selector) - {"or", "and"}
    if not combined or not all(isinstance(members, list) for members in selector.values()):
        return selector if isinstance(selector, str) else repr(selector)
    parts = {key: [_normal(member) for member in members] for key, members in selector.items()}
    needed = [part for part in parts.get("and", []) if part != _ALL]
    chosen = parts.get("or", [_ALL])
    if _ALL not in chosen:
        needed.append(("or", *sorted(set(map(repr, chosen)))) if len(chosen) != 1 else chosen[0])
    if not needed:
        return _ALL
    return needed[0] if len(needed) == 1 else ("and", *sorted(set(map(repr, needed))))
