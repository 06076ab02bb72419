"""What the operators of metadata schemas do to a value; `operators` is their table, and says what each is for. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from email.utils import parseaddr
from typing import Any

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import techniques
from scicat_watch.pipeline.assembly.convert import literal
from scicat_watch.pipeline.schema import dates, patterns

Arguments = Mapping[str, Any]
"""Further keys of the variable, and its `unit`; `operand` comes as a `Quantity`."""


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, blank text, an empty list or mapping."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


# Operators of ESS's ingestor -------------------------------------------------------------------------------------


def nothing(quantity: Quantity, _: Arguments) -> Quantity:
    """Leave the value as it is."""
    return quantity


def getitem(quantity: Quantity, arguments: Arguments) -> Quantity:
    """An element of a mapping, a list or a text."""
    value, key = quantity.value, arguments.get("field")
    try:
        if isinstance(value, Mapping):
            return Quantity(value[key])
        if isinstance(value, str | list | tuple) and isinstance(key, int):
            return Quantity(value[key])
    except (KeyError, IndexError, TypeError):
        raise MissingValue(f"there is no element {key!r}") from None
    raise SourceError(f"an element {key!r} cannot be taken from a value of type {type(value).__name__}")


def str_replace(quantity: Quantity, arguments: Arguments) -> Quantity:
    """Plain text replaced."""
    pattern, replacement = arguments.get("pattern"), arguments.get("replacement")
    if pattern is None or replacement is None:
        return Quantity(quantity.value)
    return Quantity(str(quantity.value).replace(str(pattern), str(replacement)))


def on_text(change: Callable[[str], Any]) -> Callable[[Quantity, Arguments], Quantity]:
    """An operator that refuses anything but text."""

    def apply(quantity: Quantity, _: Arguments) -> Quantity:
        return Quantity(change(_as_text(quantity.value)))

    return apply


def join_with_space(quantity: Quantity, _: Arguments) -> Quantity:
    """The elements of a list, joined."""
    value = quantity.value
    try:
        members = literal(value) if isinstance(value, str) else value
        return Quantity(", ".join(members))
    except (TypeError, ValueError) as error:
        raise SourceError(f"the elements cannot be joined: {error}") from None


def sum_of(quantity: Quantity, _: Arguments) -> Quantity:
    """The sum of a list of numbers."""
    if not isinstance(quantity.value, list | tuple):
        raise SourceError(f"a sum needs a list of numbers, not {type(quantity.value).__name__}")
    return Quantity(sum(_number(member, text=False) for member in quantity.value), quantity.unit)


# Choosing --------------------------------------------------------------------------------------------------------


def first_of(quantity: Quantity, _: Arguments) -> Quantity:
    """The first element that is given."""
    for candidate in _given(quantity):
        return candidate
    raise MissingValue("none of the values is given")


def join(quantity: Quantity, arguments: Arguments) -> Quantity:
    """The elements that are given, joined."""
    return Quantity(str(arguments.get("separator", ", ")).join(str(member.value) for member in _given(quantity)))


_ADDRESS = re.compile(r"[^\s@<>;,\"()]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")


def email(quantity: Quantity, _: Arguments) -> Quantity:
    """The first element that is an e-mail address."""
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


def person(quantity: Quantity, _: Arguments) -> Quantity:
    """A name as "First Last"."""
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


def iso_date(quantity: Quantity, arguments: Arguments) -> Quantity:
    """A date in ISO 8601."""
    if is_empty(quantity.value):
        raise MissingValue("there is no date")
    return Quantity(dates.iso_date(_as_text(quantity.value), str(arguments.get("zone") or "")))


def member_or_text(quantity: Quantity, arguments: Arguments) -> Quantity:
    """A member of a text that is a mapping, or else the text."""
    text, keys = _as_text(quantity.value), arguments.get("field")
    described = techniques.described_by(text)
    for key in keys if isinstance(keys, list) else [keys]:
        if isinstance(described.get(str(key)), str | int | float):
            return Quantity(str(described[str(key)]))
    return Quantity(text)


def regex_replace(quantity: Quantity, arguments: Arguments) -> Quantity:
    """Matches of an expression replaced."""
    pattern, replacement = str(arguments.get("pattern", "")), str(arguments.get("replacement") or "")
    return Quantity(patterns.substitute(pattern, replacement, str(quantity.value)))


def regex_find(quantity: Quantity, arguments: Arguments) -> Quantity:
    """What an expression finds first."""
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


def substring(quantity: Quantity, arguments: Arguments) -> Quantity:
    """A slice of a text or a list."""
    value = quantity.value if isinstance(quantity.value, list) else str(quantity.value)
    start, stop = arguments.get("start"), arguments.get("stop")
    if not all(bound is None or isinstance(bound, int) for bound in (start, stop)):
        raise SourceError("start and stop must be whole numbers")
    return Quantity(value[start:stop])


# Numbers ---------------------------------------------------------------------------------------------------------


def multiply(quantity: Quantity, arguments: Arguments) -> Quantity:
    """Numbers times another."""
    operand = _operand(arguments)
    unit = arguments.get("unit") or ("" if operand.unit and quantity.unit else quantity.unit or operand.unit)
    if quantity.unit and operand.unit and not arguments.get("unit"):
        raise SourceError(f"the unit of {quantity.unit} times {operand.unit} must be given as 'unit'")
    return Quantity(_each(quantity.value, lambda number: number * _number(operand.value)), unit)


def add(quantity: Quantity, arguments: Arguments) -> Quantity:
    """Numbers plus another."""
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
