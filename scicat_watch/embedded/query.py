"""What a list request asks for, and whether a document fits. Pure.

The language is that of SciCat's API v3: MongoDB's operators (`$in`, `$gt`, `$regex` …) and the older
words for the same (`inq`, `gt`, `like` …). Unlike in a backend, a text is compared as it is, also one that
JavaScript could parse as a date or a number ("scan 7"). Dates are compared as times.
"""

from __future__ import annotations

import functools
import json
import operator as operators
import re as stdlib_re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from scicat_watch.embedded import times
from scicat_watch.embedded.patterns import Pattern, pattern

DATES = frozenset({"creationTime", "startTime", "endTime", "createdAt", "updatedAt", "dataFileList.time"})
"""Fields with times: what they are compared with is normalised to the same form."""

DEFAULT_LIMIT = 100
ZERO_LIMIT = 10
"""What a backend answers to `limit` 0."""

_DEEPEST = 16

_WORDS = {
    "inq": "$in", "nin": "$nin", "gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte", "neq": "$ne", "eq": "$eq",
    "and": "$and", "or": "$or", "like": "$like", "ilike": "$ilike", "exists": "$exists", "regexp": "$regex",
}  # fmt: skip
_GROUPS = ("$and", "$or", "$nor")


class BadQueryError(ValueError):
    """A filter that cannot be understood; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Query:
    """A list request, with the operators of MongoDB."""

    where: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, bool] = field(default_factory=dict)
    """Which fields are shown or, if all are False, hidden; empty: all are shown."""
    limit: int = DEFAULT_LIMIT
    skip: int = 0
    order: tuple[tuple[str, bool], ...] = ()
    """Fields to sort by, each with whether it descends; empty: as they came."""
    include: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    """Related records to add, each with its own `fields`."""


def parse(text: str | None) -> Query:
    """The query of a `filter` parameter; `BadQueryError` or `PatternError` says what is wrong with it."""
    if not text:
        return Query()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadQueryError(f"Invalid JSON in filter: {error}") from error
    if not isinstance(content, dict):
        raise BadQueryError("the filter is not an object")
    limits = content.get("limits") or {}
    if not isinstance(limits, dict):
        raise BadQueryError("limits is not an object")
    return Query(
        where=_words(content.get("where") or {}),
        fields=_fields(content.get("fields")),
        limit=_count(limits, "limit", DEFAULT_LIMIT) or ZERO_LIMIT,
        skip=_count(limits, "skip", 0),
        order=_order(limits),
        include=_include(content.get("include")),
    )


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


def _words(where: Any, depth: int = 0) -> dict[str, Any]:
    """Replace the older words by operators, and check that all are known."""
    if not isinstance(where, dict):
        raise BadQueryError("where is not an object")
    if depth > _DEEPEST:
        raise BadQueryError(f"where is nested more than {_DEEPEST} levels deep")
    found: dict[str, Any] = {}
    for key, condition in where.items():
        word = f"${key}" if key in ("and", "or") else key
        if word in _GROUPS:
            if not isinstance(condition, list):
                raise BadQueryError(f"{key} needs a list")
            found[word] = [_words(part, depth + 1) for part in condition]
        elif word.startswith("$"):
            raise BadQueryError(f"unknown operator: {key}")
        else:
            found[key] = _condition(key, condition, depth + 1)
    return found


def _condition(name: str, condition: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise BadQueryError(f"where is nested more than {_DEEPEST} levels deep")
    date = name in DATES
    if not isinstance(condition, dict):
        return times.operand(condition) if date else condition
    if not any(key.startswith("$") or key in _WORDS for key in condition):
        return condition  # An object to be equal to, such as a whole quantity.
    found: dict[str, Any] = {}
    for key, value in condition.items():
        operator = _WORDS.get(key, key)
        if operator == "$not":
            found[operator] = _condition(name, value, depth + 1)
        elif operator in ("$in", "$nin"):
            if not isinstance(value, list):
                raise BadQueryError(f"{name}: {key} needs a list")
            found[operator] = [times.operand(one) for one in value] if date else value
        elif operator in _COMPARISONS or operator in ("$eq", "$ne", "$exists"):
            found[operator] = times.operand(value) if date else value
        elif operator in _PATTERNS:
            found[operator] = _pattern(name, operator, value, condition.get("$options", ""))
        elif operator != "$options":
            raise BadQueryError(f"{name}: unknown operator: {key}")
    return found


def _pattern(name: str, operator: str, value: Any, options: Any) -> Pattern:
    if not isinstance(value, str) or not isinstance(options, str):
        raise BadQueryError(f"{name}: {operator} needs a text")
    return pattern(value, options if operator == "$regex" else "i" if operator == "$ilike" else "")


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
    if operator in _PATTERNS:
        return any(operand.found(value) for value in values if isinstance(value, str))
    compare = _COMPARISONS[operator]
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


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operators.gt,
    "$gte": operators.ge,
    "$lt": operators.lt,
    "$lte": operators.le,
}
_PATTERNS = ("$regex", "$like", "$ilike")


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


def _fields(fields: Any) -> dict[str, bool]:
    if fields is None:
        return {}
    if isinstance(fields, list) and all(isinstance(name, str) for name in fields):
        return dict.fromkeys(fields, True)
    if isinstance(fields, dict):
        return {name: bool(shown) for name, shown in fields.items()}
    raise BadQueryError("fields is neither a list of names nor an object of truth values")


def _count(limits: Mapping[str, Any], name: str, default: int) -> int:
    value = limits.get(name)
    if value is None:
        return default
    if isinstance(value, str) and stdlib_re.fullmatch(r"\d{1,15}", value, stdlib_re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise BadQueryError(f"{name} is not a number from 0")
    return value


def _order(limits: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    order, sort = limits.get("order"), limits.get("sort")
    pairs: list[tuple[str, Any]] = []
    if isinstance(sort, dict):
        pairs = list(sort.items())
    elif isinstance(order, str) and order:
        for part in order.split(","):
            name, _, direction = part.strip().replace(" ", ":").partition(":")
            pairs.append((name, direction or "asc"))
    elif order or sort:
        raise BadQueryError('order is a text such as "size:desc", sort an object such as {"size": "desc"}')
    found = []
    for name, direction in pairs:
        word = str(direction).lower()
        if word not in ("asc", "desc", "1", "-1", "ascending", "descending"):
            raise BadQueryError(f"{name}: the direction is asc or desc")
        found.append((name, word in ("desc", "-1", "descending")))
    return tuple(found)


def _include(include: Any) -> dict[str, dict[str, bool]]:
    if include is None:
        return {}
    found = {}
    for entry in include if isinstance(include, list) else [include]:
        relation = entry.get("relation") if isinstance(entry, dict) else entry
        scope = entry.get("scope") if isinstance(entry, dict) else None
        if not isinstance(relation, str):
            raise BadQueryError("include is a list of names, or of objects with a relation")
        found[relation] = _fields(scope.get("fields")) if isinstance(scope, dict) else {}
    return found
