"""What is wrong with a schema, whatever the scan: found without a data file. Pure.

A *mistake* is something that the schema asks for and that no scan can ever give it: a name that is
not defined, an operator or type that does not exist, a constant that is not of its type, two items
for one field, a schema that is never reached. A *note* is something that works, but perhaps not as it
was meant. Neither keeps a schema from being used: what has no value is left out, as it is at ESS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.assembly import operators
from scicat_watch.pipeline.assembly.convert import CONVERSIONS, convert
from scicat_watch.pipeline.assembly.dataset import FIELDS, MANDATORY
from scicat_watch.pipeline.assembly.render import references, render
from scicat_watch.pipeline.assembly.sources.catalogue import ENDPOINTS
from scicat_watch.pipeline.assembly.sources.scan import FACTS
from scicat_watch.pipeline.assembly.sources.value import ValueSource
from scicat_watch.pipeline.schema.model import FIELD_TYPES, NEEDED_BY_SOURCE, PREDEFINED, Item, Schema, Variable
from scicat_watch.pipeline.schema.selector import mistakes
from scicat_watch.words import nearest

_KEYS_BY_SOURCE = {"SC": {"url", "field"}, "VALUE": {"value", "operator"}}
"""The keys that have an effect on a variable of a source, beside those of all variables; VALUE: and its operator's."""
_KEYS_OF_FIELDS = {"path", "unit"}
"""Those of all other sources."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a schema says in vain."""

    file: str
    line: int
    """From 1; 0 if it is not known."""
    message: str
    mistake: bool = True
    """Whether it is a mistake; if not, a note."""

    def __str__(self) -> str:
        place = self.file or "the schema"
        return f"{place}:{self.line}: {self.message}" if self.line else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Brought:
    """The names that other packages bring; asked for only where a name is not one of ours."""

    sources: Callable[[], Iterable[str]] = tuple
    operators: Callable[[], Iterable[str]] = tuple
    readers: Callable[[], Iterable[str]] = tuple
    """Of readers only the extensions are known without loading them, not the source that they read for."""


def examine(schema: Schema, brought: Brought | None = None) -> list[Finding]:
    """What is wrong with one schema, in the order of its file."""
    findings = [
        Finding(schema.file, schema.selector_line, f"selector: {mistake}") for mistake in mistakes(schema.selector)
    ]
    names = _Names(schema)
    for variable in schema.variables:
        found = [*_variable(variable, names, brought or Brought())]
        findings += [_about(schema, variable.line, f"variable {variable.name}", *one) for one in found]
        names.pass_by(variable, unusable=any(mistaken and not forgiven for _, mistaken, forgiven in found))
    findings += [
        _about(schema, item.line, f"item {item.label}", *one) for item in schema.items for one in _item(item, names)
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


# One thing that is wrong: what to say, whether it is a mistake, and whether there may be a value all the same.
_Told = tuple[str, bool, bool]


def _about(schema: Schema, line: int, what: str, message: str, mistake: bool, _: bool) -> Finding:
    return Finding(schema.file, line, f"{what}: {message}", mistake)


def _wrong(message: str, *, forgiven: bool = False) -> _Told:
    return message, True, forgiven


def _odd(message: str) -> _Told:
    return message, False, True


@dataclass
class _Names:
    """Which names there are at a point of the file."""

    schema: Schema
    lines: dict[str, int] = field(init=False)
    """Lines of all definitions."""
    hopeless: set[str] = field(default_factory=set)
    """Variables that can never have a value."""

    def __post_init__(self) -> None:
        self.lines = {variable.name: variable.line for variable in self.schema.variables}
        self.before: set[str] = set(PREDEFINED)

    def pass_by(self, variable: Variable, *, unusable: bool) -> None:
        self.before.add(variable.name)
        if unusable:
            self.hopeless.add(variable.name)
        else:
            self.hopeless.discard(variable.name)

    def objection(self, name: str, own: str = "") -> str:
        """Why a reference to `name` never has a value; empty if it may have one."""
        if name == own:
            return f"<{name}> refers to itself"
        if name in self.hopeless:
            return f"<{name}> never has a value"
        if name in self.before:
            return ""
        if name in self.lines:
            return f"<{name}> is defined only later, in line {self.lines[name]}"
        return f"there is no variable <{name}>{nearest(name, [*self.lines, *PREDEFINED])}"


def _variable(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    if variable.value_type not in CONVERSIONS:
        yield _wrong(f"the type {variable.value_type!r} is not known{nearest(variable.value_type, CONVERSIONS)}")
    if variable.source in NEEDED_BY_SOURCE:
        yield from _SOURCES.get(variable.source, _field)(variable, names, brought)
        yield from _superfluous(variable, brought)
    elif variable.source not in brought.sources():
        known = [*NEEDED_BY_SOURCE, *brought.sources()]
        if readers := sorted(brought.readers()):
            whose = f"it must be that of another package's reader (for {', '.join(f'*.{one}' for one in readers)})"
            yield _odd(f"the source {variable.source!r} is not one of {', '.join(known)}; {whose}")
        else:
            yield _wrong(f"the source {variable.source!r} is not known{nearest(variable.source, known)}")
    if variable.has_default:
        for name in sorted(references(variable.default)):
            if objection := names.objection(name, variable.name):
                yield _wrong(f"default: {objection}", forgiven=True)


def _forgiving(variable: Variable, told: Iterable[_Told]) -> Iterator[_Told]:
    """The same, but with a default a value is there all the same."""
    for message, mistake, forgiven in told:
        yield message, mistake, forgiven or variable.has_default


def _nxs(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    if "*" in variable.path and variable.value_type != "string[]":
        yield _odd(f"the * in {variable.path!r} is part of a name: only the type string[] takes it for any characters")
    yield from _field(variable, names, brought)


def _field(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    """Whether a path leads to something, only the file can say."""
    if references(variable.path) & set(names.lines):
        yield _odd(f"the path {variable.path!r} is taken as it is; variables are not filled in")


def _scan(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    if variable.path.partition(".")[0] not in FACTS:
        yield from _forgiving(variable, [_wrong(f"a scan has no {variable.path!r}{nearest(variable.path, FACTS)}")])


def _sc(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    found = [
        _wrong(told) for name in sorted(references(variable.url)) if (told := names.objection(name, variable.name))
    ]
    beginning = variable.url.partition("<")[0]
    whole = re.match(r"https?://[^/<>]", variable.url)
    known = beginning.startswith(ENDPOINTS) or (
        "<" in variable.url and any(endpoint.startswith(beginning) for endpoint in ENDPOINTS)
    )
    if not whole and not known:
        word = re.split(r"[/?]", variable.url)[0]
        found.append(_wrong(f"the url {variable.url!r} leads to nothing that may be asked{nearest(word, ENDPOINTS)}"))
    yield from _forgiving(variable, found)


def _value(variable: Variable, names: _Names, brought: Brought) -> Iterator[_Told]:
    operator = operators.find(variable.operator)
    if operator is None and variable.operator not in brought.operators():
        known = [*operators.NAMES, *brought.operators()]
        yield _wrong(
            f"the operator {variable.operator!r} is not known, and does nothing{nearest(variable.operator, known)}",
            forgiven=True,
        )
    found = [*_operands(variable, names, operator)]
    if operator is not None:
        lacking = [key for key in operator.needed if key not in variable.arguments]
        found += [_wrong(f"the operator {operator.name} needs the key {key!r}") for key in lacking]
        if not found and not references(variable.value) and not references(variable.arguments.get("operand")):
            found += _constant(variable)
    yield from _forgiving(variable, found)


def _operands(variable: Variable, names: _Names, operator: operators.Operator | None) -> Iterator[_Told]:
    """References of the value that come to nothing. An operator that passes over them needs one that does not."""
    elements = variable.value if isinstance(variable.value, list) else [variable.value]
    objections = [
        [told for name in sorted(references(element)) if (told := names.objection(name, variable.name))]
        for element in elements
    ]
    forgiven = operator is not None and operator.forgiving and not all(objections)
    yield from (_wrong(told, forgiven=forgiven) for of_element in objections for told in of_element)
    for name in sorted(references(variable.arguments.get("operand"))):
        if told := names.objection(name, variable.name):
            yield _wrong(f"operand: {told}")


def _constant(variable: Variable) -> Iterator[_Told]:
    """What is wrong with a value that is the same for every scan."""
    if variable.value_type not in CONVERSIONS:
        return
    try:
        convert(ValueSource().read(variable, {}).value, variable.value_type)
    except SourceError as error:
        yield _wrong(f"it never has a value: {error}")


_SOURCES: Mapping[str, Callable[[Variable, _Names, Brought], Iterator[_Told]]] = {
    "NXS": _nxs,
    "SC": _sc,
    "VALUE": _value,
    "SCAN": _scan,
}


def _superfluous(variable: Variable, brought: Brought) -> Iterator[_Told]:
    known = set(_KEYS_BY_SOURCE.get(variable.source, _KEYS_OF_FIELDS))
    if variable.source == "VALUE" and variable.operator:
        operator = operators.find(variable.operator)
        if operator is None:
            return  # Another package's operator knows its own keys.
        known |= set(operator.arguments)
    given = set(variable.arguments)
    given |= {key for key in ("path", "url", "operator", "unit") if getattr(variable, key)}
    given |= {"value"} if variable.value is not None else set()
    for key in sorted(given - known):
        whose = f"the operator {variable.operator}" if variable.operator else f"the source {variable.source}"
        yield _odd(f"the key {key!r} has no effect: {whose} does not look at it")


def _item(item: Item, names: _Names) -> Iterator[_Told]:
    if item.field_type not in FIELD_TYPES:
        yield _wrong(f"the field type {item.field_type!r} is not known{nearest(item.field_type, FIELD_TYPES)}")
        return
    if item.field_type == "nexus_tree":
        return
    if item.field_type == "high_level" and item.machine_name not in FIELDS:
        yield _wrong(f"a dataset has no field {item.machine_name!r}{nearest(item.machine_name, sorted(FIELDS))}")
    if item.value_type not in CONVERSIONS:
        yield _wrong(f"the type {item.value_type!r} is not known{nearest(item.value_type, CONVERSIONS)}")
        return
    found = [told for name in sorted(references(item.value)) if (told := names.objection(name))]
    if found:
        yield _wrong(f"it never has a value: {'; '.join(found)}")
    elif not references(item.value):
        try:
            convert(render(item.value, {}).value, item.value_type)
        except SourceError as error:
            yield _wrong(f"it never has a value: {error}")
    if isinstance(item.value, str) and item.value in names.lines:
        yield _odd(f"its value is the text {item.value!r} itself; to get the variable write <{item.value}>")
    if item.field_type == "high_level":
        for key, given in (("human_name", item.human_name), ("unit", item.unit)):
            if given:
                yield _odd(f"the key {key!r} has no effect: only scientific metadata have it")


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
