"""Filters as clients send them, turned into a `Query`: the two languages of API v3 and v4. Pure.

API v3 knows MongoDB's operators (`$in`, `$gt`, `$regex` …) and older words for the same (`inq`, `gt`, `like` …), and
takes any field. API v4 knows only the operators, and only the fields of its records. Unlike in a backend, a text is
compared as it is, also one that JavaScript could parse as a date or a number ("scan 7").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scicat_watch.embedded import times
from scicat_watch.embedded.patterns import Pattern, pattern
from scicat_watch.embedded.query import COMPARISONS, DATES, GROUPS, PATTERNS, Query

ZERO_LIMIT = 10
"""What a backend answers to `limit` 0."""

_DEEPEST = 16

_WORDS = {
    "inq": "$in", "nin": "$nin", "gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte", "neq": "$ne", "eq": "$eq",
    "and": "$and", "or": "$or", "like": "$like", "ilike": "$ilike", "exists": "$exists", "regexp": "$regex",
}  # fmt: skip


class BadQueryError(ValueError):
    """A filter that cannot be understood; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one version of the API accepts in the filters of one kind of record."""

    limit: int = 100
    """How many records a list has if the filter does not say."""
    fields: frozenset[str] | None = None
    """The fields that may be named; None: any, and the older words may be used (API v3)."""
    order: tuple[tuple[str, bool], ...] = ()
    """The order if the filter names none."""

    @property
    def strict(self) -> bool:
        """Whether everything unknown is refused, as API v4 does."""
        return self.fields is not None


V3 = Dialect()
NEWEST_FIRST = (("createdAt", True),)


def v4(fields: frozenset[str]) -> Dialect:
    """API v4, for records with these fields."""
    return Dialect(10, fields, NEWEST_FIRST)


def parse(text: str | None, dialect: Dialect = V3) -> Query:
    """The query of a `filter` parameter; `BadQueryError` or `PatternError` says what is wrong with it."""
    content = _object(text) if text else {}
    limits = content.get("limits") or {}
    if not isinstance(limits, dict):
        raise BadQueryError("limits is not an object")
    if dialect.strict:
        _only(content, ("where", "fields", "limits", "include"), "the filter")
        _only(limits, ("limit", "skip", "sort"), "limits")
    return Query(
        where=_words(content.get("where") or {}, dialect),
        fields=_fields(content.get("fields")),
        limit=_count(limits, "limit", dialect.limit) or ZERO_LIMIT,
        skip=_count(limits, "skip", 0),
        order=_order(limits) or dialect.order,
        include=_include(content.get("include")),
    )


def renamed(query: Query, names: Mapping[str, str]) -> Query:
    """The same query, with other names for some fields."""
    order = tuple((names.get(name, name), descending) for name, descending in query.order)
    return replace(query, where=_renamed(query.where, names), order=order)


def _renamed(where: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        names.get(name, name): [_renamed(part, names) for part in condition] if name in GROUPS else condition
        for name, condition in where.items()
    }


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadQueryError(f"Invalid JSON in filter: {error}") from error
    if not isinstance(content, dict):
        raise BadQueryError("the filter is not an object")
    return content


def _only(content: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in content:
        if name not in known:
            raise BadQueryError(f"Property {name} should not exist in {where}")


def _words(where: Any, dialect: Dialect, depth: int = 0) -> dict[str, Any]:
    """Replace the older words by operators, and check that all are known."""
    if not isinstance(where, dict):
        raise BadQueryError("where is not an object")
    if depth > _DEEPEST:
        raise BadQueryError(f"where is nested more than {_DEEPEST} levels deep")
    found: dict[str, Any] = {}
    for key, condition in where.items():
        word = f"${key}" if key in ("and", "or") and not dialect.strict else key
        if word in GROUPS:
            if not isinstance(condition, list):
                raise BadQueryError(f"{key} needs a list")
            found[word] = [_words(part, dialect, depth + 1) for part in condition]
        elif word == "$text" and depth == 0 and not dialect.strict:
            found[word] = _searched(condition)
        elif word.startswith("$"):
            raise BadQueryError(f"unknown operator: {key}")
        else:
            if dialect.fields is not None and key.partition(".")[0] not in dialect.fields:
                raise BadQueryError(f"Property {key} should not exist in where")
            found[key] = _condition(key, condition, dialect, depth + 1)
    return found


def _condition(name: str, condition: Any, dialect: Dialect, depth: int) -> Any:
    if depth > _DEEPEST:
        raise BadQueryError(f"where is nested more than {_DEEPEST} levels deep")
    date = name in DATES
    if not isinstance(condition, dict):
        return times.operand(condition) if date else condition
    words = {} if dialect.strict else _WORDS
    if not any(key.startswith("$") or key in words for key in condition):
        return condition  # An object to be equal to, such as a whole quantity.
    found: dict[str, Any] = {}
    for key, value in condition.items():
        operator = words.get(key, key)
        if operator == "$not":
            found[operator] = _condition(name, value, dialect, depth + 1)
        elif operator in ("$in", "$nin"):
            if not isinstance(value, list):
                raise BadQueryError(f"{name}: {key} needs a list")
            found[operator] = [times.operand(one) for one in value] if date else value
        elif operator in COMPARISONS or operator in ("$eq", "$ne", "$exists"):
            found[operator] = times.operand(value) if date else value
        elif operator in PATTERNS:
            found[operator] = _pattern(name, operator, value, condition.get("$options", ""))
        elif operator != "$options":
            raise BadQueryError(f"{name}: unknown operator: {key}")
    return found


def _searched(condition: Any) -> str:
    text = condition.get("$search") if isinstance(condition, dict) else None
    if not isinstance(text, str):
        raise BadQueryError('$text is an object such as {"$search": "some words"}')
    return text


def _pattern(name: str, operator: str, value: Any, options: Any) -> Pattern:
    if not isinstance(value, str) or not isinstance(options, str):
        raise BadQueryError(f"{name}: {operator} needs a text")
    return pattern(value, options if operator == "$regex" else "i" if operator == "$ilike" else "")


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
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value, re.ASCII):
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
