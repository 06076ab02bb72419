"""What a VALUE variable can do to its value: the operators of metadata schemas.

`OPERATORS` is the table that schemas are evaluated with and that the reference page is made from. An
operator gets the rendered value with its unit and gives back another; conversion to `value_type`
follows. Except where the table says otherwise the unit is lost. Names are case-sensitive; a name
that is not in the table leaves the value as it is, which `lint` reports. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any
from urllib.parse import quote_plus

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import techniques
from scicat_watch.pipeline.assembly.convert import literal
from scicat_watch.pipeline.schema import patterns
from scicat_watch.pipeline.schema.dates import iso_date

Arguments = Mapping[str, Any]
"""Further keys of the variable, and its `unit`; `operand` comes as a `Quantity`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, with what the reference page says about it."""

    name: str
    effect: str
    """For curators: what it does."""
    apply: Callable[[Quantity, Arguments], Quantity]
    spellings: tuple[str, ...] = ()
    """Further names."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Keys of the variable that it uses, with their meaning."""
    needed: tuple[str, ...] = ()
    """Those of them without which it does nothing, or fails for every scan."""
    forgiving: bool = False
    """Whether elements of its list that have no value are passed over; it then gets a list of quantities."""
    new: bool = True
    """Whether it is an addition of ours to the schema language."""


def find(name: str) -> Operator | None:
    """The operator of that name or spelling; None if there is none. No name is the one that does nothing."""
    return _BY_NAME.get(name or "DO_NOTHING")


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, blank text, an empty list or mapping."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


# Operators of ESS's ingestor -------------------------------------------------------------------------------------


def _nothing(quantity: Quantity, _: Arguments) -> Quantity:
    return quantity


def _getitem(quantity: Quantity, arguments: Arguments) -> Quantity:
    value, key = quantity.value, arguments.get("field")
    try:
        if isinstance(value, Mapping):
            return Quantity(value[key])
        if isinstance(value, str | list | tuple) and isinstance(key, int):
            return Quantity(value[key])
    except (KeyError, IndexError, TypeError):
        raise MissingValue(f"there is no element {key!r}") from None
    raise SourceError(f"an element {key!r} cannot be taken from a value of type {type(value).__name__}")


def _str_replace(quantity: Quantity, arguments: Arguments) -> Quantity:
    pattern, replacement = arguments.get("pattern"), arguments.get("replacement")
    if pattern is None or replacement is None:
        return Quantity(quantity.value)
    return Quantity(str(quantity.value).replace(str(pattern), str(replacement)))


def _on_text(change: Callable[[str], Any]) -> Callable[[Quantity, Arguments], Quantity]:
    """An operator that refuses anything but text."""

    def apply(quantity: Quantity, _: Arguments) -> Quantity:
        return Quantity(change(_as_text(quantity.value)))

    return apply


def _join_with_space(quantity: Quantity, _: Arguments) -> Quantity:
    value = quantity.value
    try:
        members = literal(value) if isinstance(value, str) else value
        return Quantity(", ".join(members))
    except (TypeError, ValueError) as error:
        raise SourceError(f"the elements cannot be joined: {error}") from None


def _sum(quantity: Quantity, _: Arguments) -> Quantity:
    if not isinstance(quantity.value, list | tuple):
        raise SourceError(f"a sum needs a list of numbers, not {type(quantity.value).__name__}")
    return Quantity(sum(_number(member, text=False) for member in quantity.value), quantity.unit)


# Choosing --------------------------------------------------------------------------------------------------------


def _first_of(quantity: Quantity, _: Arguments) -> Quantity:
    for candidate in _given(quantity):
        return candidate
    raise MissingValue("none of the values is given")


def _join(quantity: Quantity, arguments: Arguments) -> Quantity:
    return Quantity(str(arguments.get("separator", ", ")).join(str(member.value) for member in _given(quantity)))


_ADDRESS = re.compile(r"[^\s@<>;,\"()]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")


def _email(quantity: Quantity, _: Arguments) -> Quantity:
    for candidate in _given(quantity):
        text = str(candidate.value)
        address = parseaddr(text)[1] if len(text) <= 1000 else ""
        local = address.partition("@")[0]
        dots = local.startswith(".") or local.endswith(".") or ".." in local
        if len(address) <= 254 and _ADDRESS.fullmatch(address) and not dots:
            return Quantity(address)
    raise MissingValue("none of the values is an e-mail address with a full domain")


def _given(quantity: Quantity) -> list[Quantity]:
    candidates: Sequence[Quantity] = quantity.value
    return [candidate for candidate in candidates if not is_empty(candidate.value)]


# Text ------------------------------------------------------------------------------------------------------------


def _person(quantity: Quantity, _: Arguments) -> Quantity:
    value = quantity.value
    if isinstance(value, Mapping):
        words = [str(value.get(key) or "").strip() for key in ("firstname", "lastname")]
    else:
        last, comma, first = _as_text(value).partition(",")
        words = [first.strip(), last.strip()] if comma else [last.strip()]
    name = " ".join(word for word in words if word)
    if not name:
        raise MissingValue("there is no name")
    return Quantity(name)


def _iso_date(quantity: Quantity, arguments: Arguments) -> Quantity:
    if is_empty(quantity.value):
        raise MissingValue("there is no date")
    return Quantity(iso_date(_as_text(quantity.value), str(arguments.get("zone") or "")))


def _member_or_text(quantity: Quantity, arguments: Arguments) -> Quantity:
    text, keys = _as_text(quantity.value), arguments.get("field")
    described = techniques.described_by(text)
    for key in keys if isinstance(keys, list) else [keys]:
        if isinstance(described.get(str(key)), str | int | float):
            return Quantity(str(described[str(key)]))
    return Quantity(text)


def _regex_replace(quantity: Quantity, arguments: Arguments) -> Quantity:
    pattern, replacement = str(arguments.get("pattern", "")), str(arguments.get("replacement") or "")
    return Quantity(patterns.substitute(pattern, replacement, str(quantity.value)))


def _regex_find(quantity: Quantity, arguments: Arguments) -> Quantity:
    pattern = str(arguments.get("pattern", ""))
    match = patterns.find(pattern, str(quantity.value))
    if match is None:
        raise MissingValue(f"nothing matches the expression {pattern!r}")
    try:
        found = match[arguments.get("field", 1 if match.re.groups else 0)]
    except (IndexError, TypeError):
        raise SourceError(f"the expression {pattern!r} has no group {arguments.get('field')!r}") from None
    if found is None:
        raise MissingValue(f"that part of the expression {pattern!r} matches nothing")
    return Quantity(found)


def _substring(quantity: Quantity, arguments: Arguments) -> Quantity:
    value = quantity.value if isinstance(quantity.value, list) else str(quantity.value)
    start, stop = arguments.get("start"), arguments.get("stop")
    if not all(bound is None or isinstance(bound, int) for bound in (start, stop)):
        raise SourceError("start and stop must be whole numbers")
    return Quantity(value[start:stop])


# Numbers ---------------------------------------------------------------------------------------------------------


def _multiply(quantity: Quantity, arguments: Arguments) -> Quantity:
    operand = _operand(arguments)
    unit = arguments.get("unit") or ("" if operand.unit and quantity.unit else quantity.unit or operand.unit)
    if quantity.unit and operand.unit and not arguments.get("unit"):
        raise SourceError(f"the unit of {quantity.unit} times {operand.unit} must be given as 'unit'")
    return Quantity(_each(quantity.value, lambda number: number * _number(operand.value)), unit)


def _add(quantity: Quantity, arguments: Arguments) -> Quantity:
    operand = _operand(arguments)
    if quantity.unit and operand.unit and quantity.unit != operand.unit:
        raise SourceError(f"{quantity.unit} and {operand.unit} cannot be added; multiply one of them first")
    unit = arguments.get("unit") or quantity.unit or operand.unit
    return Quantity(_each(quantity.value, lambda number: number + _number(operand.value)), unit)


def _operand(arguments: Arguments) -> Quantity:
    operand = arguments.get("operand")
    if not isinstance(operand, Quantity):
        raise SourceError("the operator needs an 'operand'")
    return operand


def _each(value: Any, change: Callable[[float], float]) -> Any:
    if isinstance(value, list):
        return [_each(member, change) for member in value]
    return change(_number(value))


def _number(value: Any, *, text: bool = True) -> float:
    """`value` as a number: whole ones stay whole. With `text` also what a text says."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and text:
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    raise SourceError(f"{str(value)[:80]!r} is no number")


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise SourceError(f"the operator needs text, not {type(value).__name__}")
    return value


_PATTERN = {"pattern": "regular expression, limited in length and time"}

OPERATORS: tuple[Operator, ...] = (
    Operator("DO_NOTHING", "Value and unit stay; the same as no operator.", _nothing, new=False),
    Operator(
        "getitem",
        "An element of a mapping, a list or a text.",
        _getitem,
        arguments={"field": "key, or position from 0, or from -1 backwards"},
        needed=("field",),
        new=False,
    ),
    Operator(
        "str_replace",
        "Every occurrence of a text replaced; without both arguments the value stays.",
        _str_replace,
        spellings=("str-replace",),
        arguments={"pattern": "plain text", "replacement": "what to put instead"},
        needed=("pattern", "replacement"),
        new=False,
    ),
    Operator(
        "to_upper", "Upper case.", lambda q, _: Quantity(str(q.value).upper()), spellings=("to-upper",), new=False
    ),
    Operator(
        "to_lower", "Lower case.", lambda q, _: Quantity(str(q.value).lower()), spellings=("to-lower",), new=False
    ),
    Operator(
        "urlsafe",
        "Percent-encoded for a URL: a blank becomes +, a slash %2F.",
        _on_text(quote_plus),
        spellings=("url-safe",),
        new=False,
    ),
    Operator(
        "join_with_space",
        "The texts of a list, or the keys of a mapping, joined with a comma and a blank.",
        _join_with_space,
        spellings=("join-with-space",),
        new=False,
    ),
    Operator("dirname", "The parent folder of a path.", _on_text(posixpath.dirname), new=False),
    Operator(
        "dirname-2",
        "The folder above the parent folder.",
        _on_text(lambda path: posixpath.dirname(posixpath.dirname(path))),
        spellings=("dirname_2",),
        new=False,
    ),
    Operator("filename", "The last element of a path.", _on_text(posixpath.basename), new=False),
    Operator("sum", "The sum of a list of numbers; keeps the unit.", _sum, new=False),
    Operator(
        "first_of",
        "The first element of the list that has a value and is not empty, with its unit.",
        _first_of,
        spellings=("first-of",),
        forgiving=True,
    ),
    Operator(
        "join",
        "The elements joined; those that are empty or have no value are left out.",
        _join,
        arguments={"separator": 'text between them, ", " if not given'},
        forgiving=True,
    ),
    Operator(
        "email",
        "The first element that is an e-mail address with a full domain, as SciCat demands; without a name around it.",
        _email,
        forgiving=True,
    ),
    Operator(
        "person",
        'A name as "First Last": from a mapping with `firstname` and `lastname`, or from "Last, First".',
        _person,
    ),
    Operator(
        "iso_date",
        "A date in ISO 8601. With T and seconds, and no zone, Z or ±hh:mm, it stays as it is; any other becomes "
        "YYYY-MM-DDThh:mm:ss.ffffff±hhmm, and is in local time if it says no zone. With `zone` every date gets one.",
        _iso_date,
        spellings=("iso-date",),
        arguments={"zone": 'zone of dates without one: an IANA name, e.g. "Europe/Berlin", or "local"'},
    ),
    Operator(
        "techniques",
        "Techniques of an `experiment_description`: YAML with technique(s) and their pids, or a name, or a PaNET id.",
        _on_text(techniques.from_description),
    ),
    Operator(
        "techniques_of_definition",
        'Techniques of a NeXus `definition`, e.g. "NXsaxs": a comma list, without NX.',
        _on_text(techniques.from_definition),
        spellings=("techniques-of-definition",),
    ),
    Operator(
        "member_or_text",
        "A member of a text that is a YAML mapping; any other text as it is.",
        _member_or_text,
        spellings=("member-or-text",),
        arguments={"field": "name of the member, or a list of names to try"},
        needed=("field",),
    ),
    Operator(
        "regex_replace",
        "Every match of a regular expression replaced.",
        _regex_replace,
        spellings=("regex-replace",),
        arguments=_PATTERN | {"replacement": r"what to put instead; \1 is the first group"},
        needed=("pattern",),
    ),
    Operator(
        "regex_find",
        "What a regular expression finds first; no value if it finds nothing.",
        _regex_find,
        spellings=("regex-find",),
        arguments=_PATTERN | {"field": "group, by number or name; else the first one, or the whole match"},
        needed=("pattern",),
    ),
    Operator(
        "substring",
        "A slice of a text or a list.",
        _substring,
        arguments={"start": "first position, from 0", "stop": "first position after it; both may count from the end"},
    ),
    Operator(
        "multiply",
        "A number, or each of a list, times another. The result has `unit`, else the unit of the one that has one.",
        _multiply,
        arguments={"operand": "number or <variable>", "unit": "unit of the result"},
        needed=("operand",),
    ),
    Operator(
        "add",
        "A number, or each of a list, plus another of the same unit.",
        _add,
        arguments={"operand": "number or <variable>", "unit": "unit of the result"},
        needed=("operand",),
    ),
)
"""All operators, in the order of the reference page."""


def _named(operators: Iterable[Operator]) -> dict[str, Operator]:
    return {name: operator for operator in operators for name in (operator.name, *operator.spellings)}


_BY_NAME = _named(OPERATORS)

NAMES: tuple[str, ...] = tuple(_BY_NAME)
"""All names and spellings."""
