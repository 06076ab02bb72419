"""Filling in `<name>`: how the literals of a schema become values.

Pure. Text that is exactly one reference becomes the variable itself, with its native type and its
unit; in other text every reference becomes the value's text form, and there is no unit. What a value
itself contains is data and is not rendered again: a title "<secret>" or "T<5K, B>3T" stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.model import Quantity

Known = Mapping[str, Quantity]
"""The variables made so far, by name."""

LARGEST = 16 << 20
"""How much one value may hold, in characters of text and elements of lists and mappings."""
MOST_BITS = 10_000
"""Largest whole number, in bits: Python writes no decimal digits of much larger ones."""

_REFERENCE = re.compile(r"<([^<>]*)>")


def render(value: Any, known: Known) -> Quantity:
    """`value` with all references filled in.

    Numbers, true, false and null become their JSON text, to be converted to the type that is wanted.
    Lists and mappings hold text only; their unit is the one that all their elements share. Raises
    `MissingValue` for a reference to a variable without a value, `SourceError` for other things.
    """
    return bounded(_rendered(value, known))


def bounded(quantity: Quantity) -> Quantity:
    """The same quantity; `SourceError` if it is larger than `LARGEST`.

    Variables that each refer twice to the one before would otherwise fill any memory.
    """
    left, waiting = LARGEST, [quantity.value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str | list | tuple | Mapping):
            left -= len(one)
            if left < 0:
                raise SourceError(f"the value holds more than {LARGEST} characters or elements")
            if isinstance(one, Mapping):
                waiting += [*one, *one.values()]
            elif not isinstance(one, str):
                waiting += one
        elif isinstance(one, int) and one.bit_length() > MOST_BITS:
            raise SourceError(f"a whole number of more than {MOST_BITS} bits")
    return quantity


def _rendered(value: Any, known: Known) -> Quantity:
    match value:
        case str():
            return _text(value, known)
        case None | bool() | int() | float():
            return Quantity(json.dumps(value))
        case list():
            elements = [_text(_only_text(element), known) for element in value]
            return Quantity([element.value for element in elements], common_unit(elements))
        case Mapping():
            pairs = [(_text(_only_text(key), known), _text(_only_text(member), known)) for key, member in value.items()]
            return Quantity({str(key.value): member.value for key, member in pairs}, common_unit(v for _, v in pairs))
    raise SourceError(f"{value!r} must be in quotes: a {type(value).__name__} is not text")


def candidates(value: Any, known: Known) -> list[Quantity]:
    """The elements of a list that have a value; those that refer to variables without one are passed over.

    A reference to a variable that is a list stands for that list's elements.
    """
    found: list[Quantity] = []
    for element in value if isinstance(value, list) else [value]:
        try:
            quantity = render(element, known)
        except MissingValue:
            continue
        members = quantity.value if isinstance(quantity.value, list) else [quantity.value]
        found += [Quantity(member, quantity.unit) for member in members]
    return found


def references(value: Any) -> set[str]:
    """The names that `value` refers to, whether there are such variables or not."""
    match value:
        case str():
            return set(_REFERENCE.findall(value))
        case list():
            return set().union(*map(references, value))
        case Mapping():
            return set().union(*map(references, value), *map(references, value.values()))
    return set()


def common_unit(quantities: Iterable[Quantity]) -> str:
    """The unit that all `quantities` have; empty if they differ or there are none."""
    units = {quantity.unit for quantity in quantities}
    return units.pop() if len(units) == 1 else ""


def _text(text: str, known: Known) -> Quantity:
    if text.startswith("<") and text.endswith(">") and text[1:-1] in known:
        return known[text[1:-1]]
    unknown = [name for name in _REFERENCE.findall(text) if name not in known]
    if unknown:
        raise MissingValue(", ".join(f"<{name}>" for name in unknown) + " has no value")
    rest = _REFERENCE.sub("", text)
    if "<" in rest and ">" in rest:
        raise SourceError(f"{text!r} has a '<' and a '>' that do not enclose the name of a variable")
    return Quantity(_REFERENCE.sub(lambda match: str(known[match[1]].value), text))


def _only_text(value: Any) -> str:
    if not isinstance(value, str):
        raise SourceError(f"{value!r} must be in quotes: the elements of lists and mappings are text")
    return value
