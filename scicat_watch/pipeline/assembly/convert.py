"""Value types: how a value becomes what `value_type` of a variable or `type` of an item asks for.

Pure, and the same for all sources. The types are those of ESS's ingestor; `boolean` is new.

    string, email, link   text as it is; anything else in its printed form
    integer, float        numbers, and text that holds one; integers are truncated toward zero
    string[], …           a list (or text that holds one), each element converted
    list, dict            a list or mapping, or text that holds one, as Python writes it
    date                  ISO 8601 text; a number counts seconds since 1970 in UTC; null for anything else
    none                  null only
    boolean               *new*: true or false, or these words
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from scicat_watch.errors import SourceError

LONGEST_LITERAL = 100_000
"""Longest text, in characters, that is read as a list or mapping."""

_ENDLESS_NUMBER = re.compile(r"0[xob][0-9a-f_]{1000}", re.IGNORECASE)


def convert(value: Any, value_type: str) -> Any:
    """`value` as `value_type`; `SourceError` if it cannot be."""
    if value_type not in CONVERSIONS:
        raise SourceError(f"unknown type {value_type!r}; known: {', '.join(CONVERSIONS)}")
    try:
        return CONVERSIONS[value_type](value)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise SourceError(f"{_short(value)} is not of type {value_type}: {error}") from None


def literal(text: str) -> Any:
    """The list, mapping, number or text that `text` writes in Python's way, never evaluated; ValueError if none."""
    if len(text) > LONGEST_LITERAL:
        raise ValueError(f"text of {len(text)} characters is too long for a list or mapping")
    if _ENDLESS_NUMBER.search(text):
        raise ValueError("it holds a number of more than 1000 digits")
    try:
        return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"no list or mapping in Python's notation ({error.__class__.__name__})") from None


def decoded(value: Any) -> Any:
    """`value` with bytes decoded as UTF-8, also inside lists; what is no UTF-8 becomes a replacement character."""
    match value:
        case bytes():
            return value.decode("utf-8", "replace")
        case list() | tuple():
            return [decoded(member) for member in value]
    return value


def _string(value: Any) -> str:
    return str(decoded(value))


def _integer(value: Any) -> int:
    if not isinstance(value, str | int | float):
        raise TypeError("it is no number")
    return int(value)


def _float(value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise TypeError("it is no number")
    return float(value)


def _list_of(element: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def conversion(value: Any) -> list[Any]:
        members = literal(value) if isinstance(value, str) else decoded(value)
        if not isinstance(members, Iterable):
            raise TypeError("it is no list")
        return [element(member) for member in members]

    return conversion


def _list(value: Any) -> list[Any]:
    members = literal(value) if isinstance(value, str) else decoded(value)
    if not isinstance(members, list):
        raise TypeError("it is no list")
    return members


def _dict(value: Any) -> dict[Any, Any]:
    members = literal(value) if isinstance(value, str) else value
    if not isinstance(members, dict) and isinstance(value, str):
        raise TypeError("it is no mapping")
    return dict(members)


def _date(value: Any) -> str | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value).isoformat()
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return None


def _none(value: Any) -> None:
    if value is not None:
        raise TypeError("it is not null")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise TypeError("it is neither true nor false")


CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "string": _string,
    "string[]": _list_of(_string),
    "integer": _integer,
    "integer[]": _list_of(_integer),
    "float": _float,
    "float[]": _list_of(_float),
    "list": _list,
    "dict": _dict,
    "date": _date,
    "email": _string,
    "link": _string,
    "none": _none,
    "boolean": _boolean,
}
"""The value types by name."""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
