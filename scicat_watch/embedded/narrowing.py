"""Which part of a filter the database's columns and links answer, as SQL, and which part is left. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.tables import Kind

_OPERATORS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_IN = "IN (SELECT value FROM json_each(?))"
_READABLE = f"EXISTS (SELECT 1 FROM json_each(readers) WHERE value {_IN})"  # noqa: S608 - texts of our own


def narrowed(kind: Kind, where: Mapping[str, Any], caller: Caller | None) -> tuple[str, list[Any], dict[str, Any]]:
    """The part of `where` that columns can answer as SQL with its values, and the part that is left."""
    clauses, values = ["1"], []
    rest: dict[str, Any] = {}
    for name, condition in _flat(where):
        found = _clause(name, condition) if name in kind.plain else _linked(kind, name, condition)
        if found is not None:
            clauses.append(found[0])
            values.append(found[1])
        elif name in rest:
            rest.setdefault("$and", []).append({name: condition})
        else:
            rest[name] = condition
    if caller is not None and not caller.admin:
        names = [f"group:{group}" for group in caller.groups] + [f"mail:{caller.email}"] * bool(caller.email)
        clauses.append(f'("isPublished" OR "ownerGroup" {_IN} OR {_READABLE})')
        values += [json.dumps(sorted(caller.groups)), json.dumps(names)]
    return " AND ".join(clauses), values, rest


def _linked(kind: Kind, name: str, condition: Any) -> tuple[str, Any] | None:
    """Whether one of the values of a list is a text, or one of some texts: all other comparisons need the document."""
    wanted = condition.get("$in") if isinstance(condition, dict) and len(condition) == 1 else [condition]
    if not any(link.name == name for link in kind.links) or not isinstance(wanted, list):
        return None
    if not all(isinstance(value, str) for value in wanted):
        return None
    links = f"SELECT seq FROM {kind.table}_links WHERE field = '{name}'"  # noqa: S608 - names of our own
    return f"seq IN ({links} AND value {_IN})", json.dumps(wanted)


def _flat(where: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, condition in where.items():
        if name == "$and":
            for part in condition:
                yield from _flat(part)
        else:
            yield name, condition


def _clause(name: str, condition: Any) -> tuple[str, Any] | None:
    """One comparison as SQL; None where SQLite and MongoDB differ."""
    if isinstance(condition, str):
        return f'"{name}" = ?', condition
    if not isinstance(condition, dict) or len(condition) != 1:
        return None
    ((operator, operand),) = condition.items()
    if operator == "$in" and all(isinstance(value, str) for value in operand):
        return f'"{name}" {_IN}', json.dumps(operand)
    if operator in _OPERATORS and isinstance(operand, str):
        # In SQLite every text is greater than every number; in MongoDB they do not compare.
        return f'(typeof("{name}") = \'text\' AND "{name}" {_OPERATORS[operator]} ?)', operand
    return None
