"""What a list request asks for, and whether a document fits. Pure.

The language is MongoDB's: `$in`, `$gt`, `$regex` and so on; `filters` makes it from what clients send. Texts are
compared as they are, dates as times.
"""

from __future__ import annotations

import functools
import operator as operators
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

DATES = frozenset({"creationTime", "startTime", "endTime", "createdAt", "updatedAt", "dataFileList.time"})
"""Fields with times: what they are compared with is normalised to the same form."""

GROUPS = ("$and", "$or", "$nor")


@dataclass(frozen=True, slots=True)
class Query:
    """A list request, with the operators of MongoDB."""

    where: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, bool] = field(default_factory=dict)
    """Which fields are shown or, if all are False, hidden; empty: all are shown."""
    limit: int = 100
    skip: int = 0
    order: tuple[tuple[str, bool], ...] = ()
    """Fields to sort by, each with whether it descends; empty: as they came."""
    include: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    """Related records to add, each with its own `fields`."""


def matches(where: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether `document` fits all that `where` (of a parsed query) says."""
    return all(_fits(key, condition, document) for key, condition in where.items())


def projected(document: Mapping[str, Any], fields: Mapping[str, bool]) -> dict[str, Any]:
    """The chosen fields of a document; `_id` is always among them."""
    if not fields:
        return dict(document)
    if not any(fields.values()):
        hidden = {name for name in fields if name != "_id"}
        return {name: value for name, value in document.items() if name not in hidden}
    found: dict[str, Any] = {}
    for name in ("_id", *(name for name, shown in fields.items() if shown)):
        _copy(name.split("."), document, found)
    return found


def ordered(documents: Iterable[dict[str, Any]], order: tuple[tuple[str, bool], ...]) -> list[dict[str, Any]]:
    """`documents` sorted; absent values come before numbers, these before texts, as in MongoDB."""
    found = list(documents)
    for name, descending in reversed(order):
        path = _path(name)
        found.sort(key=lambda document: _rank(next(iter(_values(document, path)), None)), reverse=descending)
    return found


def _fits(key: str, condition: Any, document: Mapping[str, Any]) -> bool:
    if key == "$and":
        return all(matches(part, document) for part in condition)
    if key == "$or":
        return any(matches(part, document) for part in condition)
    if key == "$nor":
        return not any(matches(part, document) for part in condition)
    return _holds_all(condition, list(_values(document, _path(key))))


def _holds(operator: str, operand: Any, values: list[Any]) -> bool:
    if operator in ("$in", "$nin"):
        return any(_equal(values, one) for one in operand) == (operator == "$in")
    if operator in ("$eq", "$ne"):
        return _equal(values, operand) == (operator == "$eq")
    if operator == "$not":
        return not _holds_all(operand, values)
    if operator == "$exists":
        return bool(values) == bool(operand)
    if operator in PATTERNS:
        return any(operand.found(value) for value in values if isinstance(value, str))
    compare = COMPARISONS[operator]
    kind = _kind(operand)
    return kind != "" and any(_kind(value) == kind and compare(value, operand) for value in values)


def _holds_all(condition: Any, values: list[Any]) -> bool:
    if isinstance(condition, dict) and any(operator.startswith("$") for operator in condition):
        return all(_holds(operator, operand, values) for operator, operand in condition.items())
    return _equal(values, condition)


def _same(one: Any, other: Any) -> bool:
    """Equality that keeps numbers and truth values apart, as JSON does."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _equal(values: list[Any], wanted: Any) -> bool:
    if wanted is None:
        return not values or any(value is None for value in values)
    return any(_same(value, wanted) for value in values)


def _kind(value: Any) -> str:
    """What a value compares with: only its own kind; lists, objects and null with nothing."""
    if isinstance(value, (bool, str)):
        return type(value).__name__
    return "number" if isinstance(value, (int, float)) else ""


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operators.gt,
    "$gte": operators.ge,
    "$lt": operators.lt,
    "$lte": operators.le,
}
PATTERNS = ("$regex", "$like", "$ilike")


@functools.lru_cache(maxsize=1024)
def _path(name: str) -> tuple[str, ...]:
    # Keys of metadata may hold dots: a filter writes them percent-encoded, and they are stored decoded.
    return tuple(unquote(part) for part in name.split("."))


def _values(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """All values at a dotted path; lists on the way stand for each of their members, and for themselves at its end."""
    if not path:
        yield value
        if isinstance(value, list):
            yield from value
    elif isinstance(value, Mapping):
        if path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif isinstance(value, list):
        if path[0].isdecimal() and int(path[0]) < len(value):
            yield from _values(value[int(path[0])], path[1:])
        for member in value:
            if isinstance(member, Mapping):
                yield from _values(member, path)


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 4, value
    if isinstance(value, (int, float)):
        return 1, value
    if isinstance(value, str):
        return 2, value
    return (0, 0) if value is None else (3, 0)


def _copy(path: list[str], source: Mapping[str, Any], target: dict[str, Any]) -> None:
    name, rest = unquote(path[0]), path[1:]
    if name not in source:
        return
    value = source[name]
    if not rest or not isinstance(value, Mapping):
        target[name] = value
        return
    inner = target.setdefault(name, {})
    if isinstance(inner, dict) and inner is not value:
        _copy(rest, value, inner)
