"""The searches of SciCat's front end: by fields and text, facets, and keys of metadata; the same in all versions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scicat_watch.embedded import filters, forms
from scicat_watch.embedded.narrowing import narrowed
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.store import Session
from scicat_watch.embedded.tables import KEYS, Kind
from scicat_watch.embedded.units import with_si
from scicat_watch.embedded.web import Call, bad_request, understood

_ALL_OF_THEM = 1 << 31
_MOST_FACETS = 32
_NAME = re.compile(r"[^\"\\\x00-\x1f]{1,200}")
_DAYS = frozenset({"creationTime", "startTime", "endTime", "createdAt"})
"""Facets that are days."""
_RELATIONS = {
    "EQUAL_TO": "$eq", "EQUAL_TO_NUMERIC": "$eq", "EQUAL_TO_STRING": "$eq", "GREATER_THAN": "$gt", "LESS_THAN": "$lt",
    "GREATER_THAN_OR_EQUAL": "$gte", "LESS_THAN_OR_EQUAL": "$lte",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    """What the parameters `fields` and `limits` ask for."""

    query: Query
    key: str
    """A part of the keys of metadata that are searched; empty: all."""


def asked(call: Call) -> Search:
    """The search that a request asks for."""
    fields, limits = _parameter(call, "fields", {}), _parameter(call, "limits", {})
    if not isinstance(fields, dict):
        raise bad_request("fields is not an object")
    where = _where(fields)
    query = understood(json.dumps({"where": where, "limits": limits}))
    return Search(filters.renamed(query, forms.PLURALS), str(fields.get("metadataKey") or ""))


def facets(session: Session, kind: Kind, call: Call) -> list[dict[str, Any]]:
    """How often each value of the fields that the parameter `facets` names occurs, and how many records there are."""
    names = _parameter(call, "facets", [])
    if not isinstance(names, list) or len(names) > _MOST_FACETS or not all(map(_is_name, names)):
        raise bad_request(f"facets is not a list of at most {_MOST_FACETS} names of fields")
    clause, values = _chosen(session, kind, call)
    found: dict[str, Any] = {}
    for name in dict.fromkeys(names):
        found[name] = _facet(session, kind, name, clause, values)
    sql = f"SELECT count(*) FROM {kind.table} WHERE {clause}"  # noqa: S608 - texts of our own
    (total,) = session.connection.execute(sql, values).fetchone()
    return [{"all": [{"totalSets": total}] if total else [], **found}]


def metadata_keys(session: Session, kind: Kind, member: str, call: Call) -> list[str]:
    """The keys at the top of the metadata, in alphabetical order; `member` is the field that has it."""
    search = asked(call)
    clause, values = _chosen(session, kind, call)
    if KEYS in kind.links:
        # Most records have the same keys: each set of them is read once, if one of the records has it.
        having = f"SELECT seq AS one FROM {kind.table}_links WHERE field = '{KEYS.name}' AND value = digest"  # noqa: S608
        chosen = f"SELECT 1 FROM ({having}) JOIN {kind.table} ON seq = one WHERE {clause}"  # noqa: S608
        source = f"{kind.table}_keys, json_each(keys) AS one WHERE EXISTS ({chosen}) AND"
        column, path = "one.value", []
    else:
        source = f"(SELECT doc FROM {kind.table} WHERE {clause}) AS chosen, json_each(chosen.doc, ?) AS one WHERE"  # noqa: S608
        column, path = "one.key", [f"$.{member}"]
    keys = session.connection.execute(
        f"SELECT DISTINCT {column} FROM {source} instr(lower({column}), ?) > 0 ORDER BY 1 LIMIT ? OFFSET ?",  # noqa: S608
        (*values, *path, search.key.lower(), search.query.limit, search.query.skip),
    )
    return [key for (key,) in keys]


def _chosen(session: Session, kind: Kind, call: Call) -> tuple[str, list[Any]]:
    query = asked(call).query
    clause, values, rest = narrowed(kind, query.where, call.caller, walking=True)
    if rest:
        fitting = session.find(kind, replace(query, limit=_ALL_OF_THEM, skip=0, order=()), call.caller)
        clause = f'"{kind.key}" IN (SELECT value FROM json_each(?))'  # noqa: S608 - names of our own
        values = [json.dumps([one[kind.key] for one in fitting])]
    return clause, values


def _facet(session: Session, kind: Kind, name: str, clause: str, values: list[Any]) -> list[dict[str, Any]]:
    field = forms.PLURALS.get(name, name)
    if any(link.name == field for link in kind.links):
        chosen = "" if clause == "1" else f"AND seq IN (SELECT seq FROM {kind.table} WHERE {clause})"  # noqa: S608
        sql = f"SELECT value, count(*) FROM {kind.table}_links WHERE field = ? {chosen}"  # noqa: S608
        rows = session.connection.execute(f"{sql} GROUP BY 1 ORDER BY 2 DESC, 1", (field, *values))
        return [{"_id": value, "count": count} for value, count in rows]
    path = "$." + ".".join(json.dumps(part, ensure_ascii=False) for part in field.split("."))
    column, more = (f'"{field}"', ()) if field in kind.plain else ("json_extract(doc, ?)", (path,))
    if field in _DAYS:
        column = f"substr({column}, 1, 10)"
    sql = f"SELECT {column}, count(*) FROM {kind.table} WHERE {clause} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
    rows = session.connection.execute(sql, (*more, *values))
    return [{"_id": _day(value) if field in _DAYS else value, "count": count} for value, count in rows]


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _day(text: Any) -> dict[str, int] | None:
    if not isinstance(text, str) or len(text) != 10:
        return None
    year, month, day = text.split("-")
    return {"year": int(year), "month": int(month), "day": int(day)}


def _parameter(call: Call, name: str, default: Any) -> Any:
    text = call.parameter(name)
    try:
        found = json.loads(text) if text else default
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Invalid JSON in {name}: {error}") from error
    return default if found is None else found


def _where(fields: Mapping[str, Any]) -> dict[str, Any]:
    where: dict[str, Any] = {}
    conditions: list[Any] = []
    for name, value in fields.items():
        if name == "text":
            if isinstance(value, str) and value.strip():
                where["$text"] = {"$search": value}
        elif name == "mode":
            conditions += [value] if value else []
        elif name == "scientific":
            conditions += _quantities(value)
        elif name in ("metadataKey", "userGroups", "sharedWith"):
            continue  # Not about the records, or about rights that the catalogue knows better.
        elif isinstance(value, list):
            where.update({name: {"$in": value}} if value else {})
        elif isinstance(value, dict) and {"begin", "end"} & value.keys():
            where[name] = {"$gte": value.get("begin") or "", "$lte": value.get("end") or "9999"}
        else:
            where[name] = value
    return where | ({"$and": conditions} if conditions else {})


def _quantities(wanted: Any) -> list[dict[str, Any]]:
    """Conditions on quantities, such as {"lhs": "energy", "relation": "GREATER_THAN", "rhs": 12, "unit": "keV"}."""
    found = []
    for one in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(one, dict) or not isinstance(one.get("lhs"), str) or one.get("relation") not in _RELATIONS:
            raise bad_request(f"scientific needs lhs, rhs and a relation of {', '.join(_RELATIONS)}")
        value, member = one.get("rhs"), "value"
        if one.get("unit"):
            value, member = with_si({"q": {"value": value, "unit": one["unit"]}})["q"].get("valueSI"), "valueSI"
        condition = {_RELATIONS[one["relation"]]: value}
        found.append({f"scientificMetadata.{one['lhs']}.{member}": condition})
    return found
