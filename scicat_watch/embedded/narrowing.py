"""Which part of a filter the database's columns and links answer, as SQL, and which part is left. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scicat_watch.embedded import words
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.tables import ATTACHMENTS, BLOCKS, DATASETS, READERS, Kind

_OPERATORS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_IN = "IN (SELECT value FROM json_each(?))"
_READABLE = f"EXISTS (SELECT 1 FROM json_each(readers) WHERE value {_IN})"  # noqa: S608 - texts of our own


_TEXTS = "SELECT rowid FROM datasets_texts WHERE datasets_texts MATCH ?"
_HAS_TEXTS = f"seq IN ({_TEXTS})"
_SEQ = {False: "seq", True: "+seq"}
"""With the plus SQLite does not begin with the condition."""

Part = tuple[str, list[Any]]
"""A condition in SQL, and its values."""


def narrowed(
    kind: Kind, where: Mapping[str, Any], caller: Caller | None, *, walking: bool = False
) -> tuple[str, list[Any], dict[str, Any]]:
    """The part of `where` that the database can answer, as SQL with its values, and the part that is left.

    `walking` keeps SQLite from collecting, and then sorting, all that fit rights or words, which can be nearly all
    records: it goes through the index of what is sorted or counted instead, which is in order already.
    """
    found: list[Part] = []
    rest: dict[str, Any] = {}
    for name, condition in _flat(where):
        parts, whole = _parts(kind, kind.key if name == "_id" else name, condition, walking)
        found += parts
        if whole:
            continue
        if name in rest:
            rest.setdefault("$and", []).append({name: condition})
        else:
            rest[name] = condition
    if caller is not None and not caller.admin:
        found += _readable(kind, caller, walking)
    return " AND ".join(["1", *(sql for sql, _ in found)]), [value for _, values in found for value in values], rest


def _parts(kind: Kind, name: str, condition: Any, walking: bool) -> tuple[list[Part], bool]:
    """What SQL can say of a condition, and whether that is all of it."""
    if name == "$text":
        return [_with_words(kind, condition, walking)], True
    found = _clause(name, condition) if name in kind.plain else _linked(kind, name, condition)
    if found is not None:
        return [(found[0], [found[1]])], True
    likely = _likely(kind, name, condition)
    return [(_HAS_TEXTS, [likely])] if likely else [], False


def _readable(kind: Kind, caller: Caller, walking: bool) -> list[Part]:
    if caller.shut_out:
        return [("0", [])]
    if caller.public == "datasets" and kind in (DATASETS, BLOCKS, ATTACHMENTS):
        return []
    names = [f"group:{group}" for group in caller.groups] + [f"mail:{caller.email}"] * bool(caller.email)
    names += [f"user:{caller.username}"] * (not caller.anonymous)
    if READERS in kind.links:
        return [_link(kind, READERS.name, ["all", *names], walking)]
    values = [json.dumps(sorted(caller.groups)), json.dumps(names)]
    return [(f'("isPublished" OR "ownerGroup" {_IN} OR {_READABLE})', values)]


def _linked(kind: Kind, name: str, condition: Any) -> tuple[str, Any] | None:
    """Whether one of the values of a list is a text, or one of some texts: all other comparisons need the document."""
    wanted = condition.get("$in") if isinstance(condition, dict) and len(condition) == 1 else [condition]
    if not any(link.name == name for link in kind.links) or not isinstance(wanted, list):
        return None
    if not all(isinstance(value, str) for value in wanted):
        return None
    sql, (values,) = _link(kind, name, wanted)
    return sql, values


def _link(kind: Kind, name: str, wanted: list[str], walking: bool = False) -> Part:
    links = f"SELECT seq FROM {kind.table}_links WHERE field = '{name}'"  # noqa: S608 - names of our own
    return f"{_SEQ[walking]} IN ({links} AND value {_IN})", [json.dumps(wanted)]


def _with_words(kind: Kind, wanted: str, walking: bool) -> Part:
    """Whether a record has all the words anywhere; if none has them, whether all are parts of its names."""
    if not wanted.strip():
        return "0", []
    if not kind.searched:
        asked = wanted.lower().split()
        return f"({' AND '.join(['instr(lower(doc), ?)'] * len(asked))})", list(asked)
    part, values = words.any_part(wanted)
    parts = f"SELECT rowid FROM datasets_names WHERE {part}"  # noqa: S608 - texts of our own
    whole = words.whole_words(wanted)
    if not whole:
        return f"{_SEQ[walking]} IN ({parts})", values
    # One list, and not an OR, which would have SQLite look up each record that fits and then sort them all.
    none = f"NOT EXISTS ({_TEXTS})"
    return f"{_SEQ[walking]} IN ({_TEXTS} UNION ALL {parts} AND {none})", [whole, *values, whole]


def _likely(kind: Kind, name: str, condition: Any) -> str:
    """A question to the index of words that leaves only records that can fit; empty if there is none."""
    path = name.split(".")
    if not kind.searched or name.startswith("$") or path[0] in kind.plain.union(kind.live):
        return ""
    if not words.NOT_INDEXED.isdisjoint(path):
        return ""
    if isinstance(condition, dict):
        if len(condition) != 1 or not {"$in", "$eq"} & condition.keys():
            return ""
        condition = condition.get("$in", condition.get("$eq"))
    return words.values(condition if isinstance(condition, list) else [condition])


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
    if _is_number(condition):
        return f'("{name}" = ? AND {_NUMBER.format(name)})', condition
    if not isinstance(condition, dict) or len(condition) != 1:
        return None
    ((operator, operand),) = condition.items()
    if operator == "$in" and all(isinstance(value, str) for value in operand):
        return f'"{name}" {_IN}', json.dumps(operand)
    if operator == "$eq" and (isinstance(operand, str) or _is_number(operand)):
        return _clause(name, operand)
    if operator in _OPERATORS and _is_number(operand):
        return f'({_NUMBER.format(name)} AND "{name}" {_OPERATORS[operator]} ?)', operand
    if operator in _OPERATORS and isinstance(operand, str):
        # In SQLite every text is greater than every number; in MongoDB they do not compare.
        return f'(typeof("{name}") = \'text\' AND "{name}" {_OPERATORS[operator]} ?)', operand
    return None


_NUMBER = "typeof(\"{}\") IN ('integer', 'real')"


def _is_number(value: Any) -> bool:
    # What SQLite can bind: larger ones are compared in the documents.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53)
