"""What of a stored dataset is to be changed, and what is somebody else's and stays: a three-way comparison. Pure.

Three are compared: what the documents want, what is stored, and what we last wrote (`Baseline`). What is stored as we
wrote it follows the documents; what somebody else changed stays; what both changed stays and is reported. Where it is
not known what we wrote, only the owned fields follow the documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from scicat_watch.catalogue.baseline import Baseline, Path, depth_for, is_group, leaves, noted
from scicat_watch.catalogue.difference import Change
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.compare import (
    FIXED,
    PLURALS,
    SI,
    THEIRS,
    first_agrees,
    metadata_keys,
    metadata_normal,
    normal,
    sent_name,
    stored_value,
)
from scicat_watch.catalogue.scicat.parts import folder
from scicat_watch.documents import Dataset

METADATA = "scientificMetadata"


@dataclass(frozen=True, slots=True)
class Merged:
    """What comes of the comparison."""

    patch: Mapping[str, Any]
    """The fields to be written, each as a whole."""
    changes: tuple[Change, ...]
    """The same for people, member by member."""
    left: tuple[Change, ...]
    """What differs and is left, because somebody else changed it or may have."""
    written: Baseline
    """What counts as written by us once `patch` is."""


def said(left: tuple[Change, ...], known: bool) -> tuple[str, ...]:
    """The same for people; `known`: whether it is known what we last wrote."""
    why = (
        "was changed in the catalogue and in the files"
        if known
        else "differs, and may have been changed in the catalogue"
    )
    return tuple(f"{change.field} {why}; it is left as it is there" for change in left)


class _Verdict(Enum):
    EQUAL = auto()
    WRITE = auto()
    KEEP = auto()
    """Somebody else's, and we have nothing new."""
    LEAVE = auto()
    """Somebody else's, though we have something else: to be reported."""


def merge(stored: Mapping[str, Any], wanted: Mapping[str, Any], policy: UpdatePolicy, base: Baseline | None) -> Merged:
    """Compare a stored dataset with what the documents want of it; `base`: what we last wrote, None if unknown."""
    fields = {
        name: value for name, value in wanted.items() if name not in FIXED | THEIRS and value is not None
    }  # fmt: skip
    values = normal_values(fields)
    comparison = _Comparison(policy, base, depth_for(values) if base is None else base.depth)
    patch: dict[str, Any] = {}
    for name, value in fields.items():
        there = stored_value(stored, name)
        if name == METADATA and isinstance(value, Mapping) and policy.fields == "three-way":
            if (members := comparison.metadata(value, there)) is not None:
                patch[name] = members
        elif name == METADATA and policy.fields == "ours":
            if comparison.whole(value, there):
                patch[name] = value
        elif comparison.field(name, value, there) is _Verdict.WRITE:
            patch[name] = value
    return Merged(patch, tuple(comparison.changes), tuple(comparison.left), comparison.noted(values, policy))


def is_of(stored: Mapping[str, Any], dataset: Dataset, policy: UpdatePolicy, base: Baseline | None) -> bool:
    """Whether a stored dataset is that of this scan, and not of another one of the same id.

    Its folder is the scan's, or was; where we wrote it so before, somebody else has changed it since.
    """
    ours = dataset.source_folder
    if folder(stored.get("sourceFolder")) in {folder(ours), folder(policy.moved_from or ours)}:
        return True
    return base is not None and base.agrees(("sourceFolder",), normal("sourceFolder", ours))


def normal_values(fields: Mapping[str, Any]) -> dict[Path, Any]:
    """Fields in their normal form, as `Baseline` notes them."""
    return {place(name): normal(name, value) for name, value in fields.items() if name not in FIXED | THEIRS}


def place(name: str) -> Path:
    """The place of a field, the same whichever version of the API names it."""
    return (PLURALS.get(name, name),)


def written(fields: Mapping[str, Any]) -> Baseline:
    """What is written by us after a dataset was created with these fields."""
    values = normal_values(fields)
    depth = depth_for(values)
    return Baseline(noted(values, depth), depth)


@dataclass(slots=True)
class _Comparison:
    policy: UpdatePolicy
    base: Baseline | None
    depth: int
    changes: list[Change] = field(default_factory=list)
    left: list[Change] = field(default_factory=list)
    paths_left: list[Path] = field(default_factory=list)

    def field(self, name: str, wanted: Any, stored: Any) -> _Verdict:
        """What is to become of a field."""
        if first_agrees(name, wanted, stored):
            return _Verdict.EQUAL
        return self._judged(place(name), wanted, stored, normal(name, wanted), normal(name, stored), name)

    def whole(self, wanted: Mapping[str, Any], stored: Any) -> bool:
        """Whether the metadata is to be replaced by ours as it is, whoever changed it."""
        there = stored if isinstance(stored, Mapping) else {}
        before = len(self.changes)
        ours, theirs = _by_key(wanted), _by_key(there)
        for key in ours | theirs:
            mine, other = ours.get(key), theirs.get(key)
            self._judged(
                (METADATA, key), mine, other, _present(metadata_normal(mine)), _present(metadata_normal(other))
            )
        return len(self.changes) > before

    def metadata(self, wanted: Mapping[str, Any], stored: Any) -> dict[str, Any] | None:
        """The metadata with our changes and somebody else's; None if nothing is to be written."""
        before = len(self.changes)
        members = self._members((METADATA,), wanted, stored if isinstance(stored, Mapping) else {})
        return members if len(self.changes) > before else None

    def _members(self, path: Path, wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        ours, theirs = _by_key(wanted), _by_key(stored)
        names = {key: sent_name(name) for name, key in metadata_keys(stored).items()}
        names |= {key: name for name, key in metadata_keys(wanted).items()}
        result: dict[str, Any] = {}
        for key in ours | theirs:
            mine, other = ours.get(key), theirs.get(key)
            there, here = _present(metadata_normal(other)), _present(metadata_normal(mine))
            place = (*path, key)
            if len(place) < self.depth and _both_groups(here, there):
                member: Any = self._members(place, mine or {}, other or {})
            elif self._judged(place, mine, other, here, there) in (_Verdict.EQUAL, _Verdict.WRITE):
                member = mine
            else:
                member = _to_send(without_si(other))
            if member is not None and member != {}:
                result[names[key]] = member
        return result

    def _judged(self, path: Path, wanted: Any, stored: Any, here: Any, there: Any, field: str = "") -> _Verdict:
        """What is to become of a value; `here` and `there` are the normal forms, None for nothing.

        `field`: what the document calls it, if that is no part of the path.
        """
        owned = self.policy.owns(path) or (bool(field) and self.policy.owns((field,)))
        verdict = self._verdict(path, here, there, owned=owned)
        if verdict in (_Verdict.WRITE, _Verdict.LEAVE):
            name = field or ".".join(path)
            change = Change(name, without_si(stored), wanted)
            (self.changes if verdict is _Verdict.WRITE else self.left).append(change)
        if verdict is _Verdict.LEAVE:
            self.paths_left.append(path)
        return verdict

    def _verdict(self, path: Path, here: Any, there: Any, *, owned: bool) -> _Verdict:
        if here == there:
            return _Verdict.EQUAL
        match self.policy.fields:
            case "ours":
                return _Verdict.WRITE
            case "never":
                return _Verdict.KEEP
        owned = owned and here is not None
        if self.base is None:
            return _Verdict.WRITE if owned else _Verdict.KEEP if here is None else _Verdict.LEAVE
        if self.base.agrees(path, there):
            return _Verdict.WRITE
        if self.base.agrees(path, here):
            return _Verdict.KEEP
        return _Verdict.WRITE if owned and not self.base.knows(path) else _Verdict.LEAVE

    def noted(self, values: Mapping[Path, Any], policy: UpdatePolicy) -> Baseline:
        """What counts as written from now on: what is left keeps what was known of it."""
        if policy.fields == "never":
            return self.base or Baseline()
        known = self.base.values if self.base else {}
        now = noted(values, self.depth)
        ours = dict(known) | now if policy.parts == "files" else now
        for path in self.paths_left:
            below = noted({one: 0 for one, _ in self._places(path, values)}, self.depth)
            for place in below:
                if place in known:
                    ours[place] = known[place]
                else:
                    ours.pop(place, None)
        return Baseline(ours, self.depth, self.base.parts if self.base else frozenset())

    def _places(self, path: Path, values: Mapping[Path, Any]) -> list[tuple[Path, Any]]:
        """The places of our values at and below a path, and the path itself."""
        value = values.get(path[:1])
        for name in path[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        return [(path, None), *(leaves(path, value, self.depth) if value is not None else ())]


def without_si(value: Any) -> Any:
    """Metadata without what the backend computes of it, and what it cannot take back."""
    match value:
        case Mapping():
            members = {name: without_si(member) for name, member in value.items() if name not in SI and name}
            return {name: member for name, member in members.items() if member is not None}
        case list():
            return [without_si(member) for member in value]
    return value


def _to_send(value: Any) -> Any:
    """Stored metadata as it is to be sent. Members of lists are stored as they are."""
    return {sent_name(name): _to_send(member) for name, member in value.items()} if isinstance(value, dict) else value


def _by_key(members: Mapping[str, Any]) -> dict[str, Any]:
    keys = metadata_keys(members)
    return {keys[name]: member for name, member in members.items() if name and name not in SI}


def _present(value: Any) -> Any:
    return None if value == {} else value


def _both_groups(here: Any, there: Any) -> bool:
    return (is_group(here) or here is None) and (is_group(there) or there is None)
