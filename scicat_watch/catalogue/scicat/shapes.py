"""One set of documents in the shapes of API v3 and v4: names of fields, lists and single values, encoded keys. Pure.

Documents have the names of API v3, or the lists of v4 where there are several investigators, proposals, samples or
instruments. Each version refuses the other's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from scicat_watch.catalogue.scicat.compare import PLURALS, SI

_SINGULAR = {"proposalIds": "proposalId", "sampleIds": "sampleId", "instrumentIds": "instrumentId"}
_PEOPLE = "principalInvestigators"
_NOT_IN_V4 = frozenset({"version", "scientificMetadataValid"})
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!~*'()")
"""Characters of keys that are stored as they are."""


def to_v3(fields: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """The fields of a document as v3 takes them: of a list the first, of people all in one text.

    `kind`: the type of the dataset, if the fields do not say it.
    """
    person = "investigator" if fields.get("type", kind) == "derived" else "principalInvestigator"
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name == _PEOPLE:
            found.setdefault(person, "; ".join(map(str, value)) if isinstance(value, list) else value)
        elif name in _SINGULAR:
            found.setdefault(_SINGULAR[name], value[0] if isinstance(value, list) and value else None)
        else:
            found[name] = value
    return {name: value for name, value in found.items() if value is not None}


def to_v4(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document as v4 takes them: lists where v3 has one value."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in PLURALS:
            if value:
                found.setdefault(PLURALS[name], value if isinstance(value, list) else [value])
        elif value is not None and name not in _NOT_IN_V4:
            found[name] = value
    return found


def name_of(folder: str) -> str:
    """The name that v3 gives a dataset without one: the last two parts of its folder."""
    return "/".join([part for part in folder.split("/") if part][-2:])


def decoded(value: Any) -> Any:
    """Metadata as it was sent: v4 answers with encoded keys. Members of lists are stored as they are."""
    if not isinstance(value, Mapping):
        return value
    return {unquote(name): decoded(member) for name, member in value.items()}


def merge_patch(stored: Any, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch (RFC 7396) that makes the stored metadata the wanted one; None if it cannot be said by one.

    Keys that are stored encoded cannot be named in one for certain, and a null in the metadata would remove.
    """
    there = stored if isinstance(stored, Mapping) else {}
    patch: dict[str, Any] = {}
    for name in [*there, *(name for name in wanted if name not in there)]:
        if name in SI or (name in wanted and name in there and wanted[name] == there[name]):
            continue
        if not set(name) <= _PLAIN:
            return None
        here, before = wanted.get(name), there.get(name)
        if name not in wanted:
            patch[name] = None
        elif isinstance(here, Mapping) and isinstance(before, Mapping):
            below = merge_patch(before, here)
            if below is None:
                return None
            if below:
                patch[name] = below
        elif here is None or _has_null(here) or isinstance(before, Mapping):
            return None
        else:
            patch[name] = here
    return patch


def with_units(stored: Any, wanted: Any) -> Any:
    """Metadata that keeps an empty unit where there was one: v4 refuses a quantity that loses its unit."""
    if not isinstance(wanted, Mapping):
        return wanted
    there = stored if isinstance(stored, Mapping) else {}
    members = {name: with_units(there.get(name), member) for name, member in wanted.items()}
    if "value" in there and "unit" in there and "value" in members:
        members.setdefault("unit", "")
    return members


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(member is None or _has_null(member) for member in value.values())
    return False
