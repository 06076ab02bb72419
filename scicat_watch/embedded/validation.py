"""Which documents the catalogue accepts: the field rules of a SciCat backend 4.5. Pure.

A document is checked against a table of fields; what is wrong comes back as faults, which a backend
shows in two ways: as JSON inside a text for v3 datasets (`as_tree`), as a list of sentences for
everything else (`as_sentences`). Where a backend fails on a value (an empty pid, a null at the top of
the metadata, which ends its process), it is a fault here, with a sentence that says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scicat_watch.embedded import times

Check = Callable[[str, Any], dict[str, str]]
"""From a field's name and value to the constraints that it breaks, each with a sentence; empty if it breaks none."""

LARGEST = 1 << 53
"""Whole numbers beyond this lose digits in JavaScript, and so in SciCat's front ends."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field, or with members of it."""

    name: str
    constraints: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Fault, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The form of class-validator, which a backend passes on."""
        found: dict[str, Any] = {"property": self.name}
        if "whitelistValidation" not in self.constraints:
            found["children"] = [child.as_json() for child in self.children]
        if self.constraints:
            found["constraints"] = dict(self.constraints)
        return found


@dataclass(frozen=True, slots=True)
class Rules:
    """The fields of one kind of document."""

    fields: Mapping[str, Check]
    required: frozenset[str] = frozenset()
    never_null: frozenset[str] = frozenset()
    members: Mapping[str, Rules] = field(default_factory=dict)
    """Fields that are lists of objects, with the rules of these."""

    @property
    def names(self) -> frozenset[str]:
        """All fields that may be there."""
        return frozenset({*self.fields, *self.members})

    def without(self, *refused: str) -> Rules:
        """The same rules, but the fields `refused` do not exist."""
        fields = {name: check for name, check in self.fields.items() if name not in refused}
        members = {name: rules for name, rules in self.members.items() if name not in refused}
        return Rules(fields, self.required.difference(refused), self.never_null, members)

    def with_checks(self, checks: Mapping[str, Check]) -> Rules:
        """The same rules, with other checks for some fields."""
        return replace(self, fields={**self.fields, **checks})

    def for_changes(self, *refused: str) -> Rules:
        """The rules of a PATCH: nothing is required, and the fields `refused` do not exist."""
        return replace(self.without(*refused), required=frozenset())


def as_tree(faults: Iterable[Fault]) -> str:
    """Faults as v3 datasets show them: JSON in a text."""
    return json.dumps([fault.as_json() for fault in faults], ensure_ascii=False, separators=(",", ":"))


def as_sentences(faults: Iterable[Fault], where: str = "") -> list[str]:
    """Faults as everything else shows them: sentences, the place before each."""
    found: list[str] = []
    for fault in faults:
        found += [where + sentence for sentence in fault.constraints.values()]
        found += as_sentences(fault.children, f"{where}{fault.name}.")
    return found


def check(document: Mapping[str, Any], rules: Rules, *, unknown: bool = True) -> list[Fault]:
    """What is wrong with a document; `unknown` says whether fields that the rules do not name are wrong."""
    known = rules.names
    found = [_unknown(name) for name in document if name not in known] if unknown else []
    for name, test in rules.fields.items():
        if _asked(name, document, rules):
            broken = test(name, document.get(name))
            if broken:
                found.append(Fault(name, broken))
    for name, inner in rules.members.items():
        if _asked(name, document, rules):
            fault = _members(name, document.get(name), inner, name in rules.required)
            found += [fault] if fault else []
    return found


def _asked(name: str, document: Mapping[str, Any], rules: Rules) -> bool:
    if name in rules.required:
        return True
    return name in document and (document[name] is not None or name in rules.never_null)


def _unknown(name: str) -> Fault:
    return Fault(name, {"whitelistValidation": f"property {name} should not exist"})


def _members(name: str, value: Any, rules: Rules, filled: bool) -> Fault | None:
    if not isinstance(value, list):
        return Fault(name, {"isArray": f"{name} must be an array"})
    if filled and not value:
        return Fault(name, {"arrayNotEmpty": f"{name} should not be empty"})
    children = []
    for number, member in enumerate(value):
        if not isinstance(member, dict):
            children.append(Fault(str(number), {"nestedValidation": "must be an object"}))
            continue
        faults = check(member, rules)
        if faults:
            children.append(Fault(str(number), children=tuple(faults)))
    return Fault(name, children=tuple(children)) if children else None


def text(name: str, value: Any) -> dict[str, str]:
    """Any text."""
    return {} if isinstance(value, str) else {"isString": f"{name} must be a string"}


def filled_text(name: str, value: Any) -> dict[str, str]:
    """A text that is not empty."""
    broken = {} if value not in ("", None) else {"isNotEmpty": f"{name} should not be empty"}
    return broken | text(name, value)


def word(name: str, value: Any) -> dict[str, str]:
    """A text that is not empty, where a backend calls an absent one only no text."""
    return {"isNotEmpty": f"{name} should not be empty"} if value == "" else text(name, value)


def whole(name: str, value: Any) -> dict[str, str]:
    """A whole number that JavaScript can represent exactly."""
    good = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    return {} if good else {"isInt": f"{name} must be an integer number"}


def number(name: str, value: Any) -> dict[str, str]:
    """Any number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {}
    return {"isNumber": f"{name} must be a number conforming to the specified constraints"}


def truth(name: str, value: Any) -> dict[str, str]:
    """True or false."""
    return {} if isinstance(value, bool) else {"isBoolean": f"{name} must be a boolean value"}


def moment(name: str, value: Any) -> dict[str, str]:
    """A time in ISO 8601."""
    good = times.parse(value) is not None
    return {} if good else {"isDateString": f"{name} must be a valid ISO 8601 date string"}


def texts(name: str, value: Any) -> dict[str, str]:
    """A list of texts; a single text counts as a list of one."""
    if isinstance(value, str):
        return {}
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return {}
    return {"isString": f"each value in {name} must be a string"}


def mapping(name: str, value: Any) -> dict[str, str]:
    """A JSON object."""
    return {} if isinstance(value, dict) else {"isObject": f"{name} must be an object"}


def metadata(name: str, value: Any) -> dict[str, str]:
    """An object, or a list, that a real backend survives: no null and no empty key at the top."""
    if not isinstance(value, (dict, list)):
        return mapping(name, value)
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        what = ""
        if member is None or key == "":
            what = f"{name}.{key} is null" if key != "" else f"{name} has an empty key"
        elif isinstance(member, dict) and isinstance(member.get("human_name"), (dict, list)):
            what = f"{name}.{key}.human_name is no text"
        elif key == "human_name" and isinstance(member, (dict, list)):
            what = f"{name}.{key} is no text"
        if what:
            return {"isSafe": f"{what}: a SciCat backend's process ends on this at the top; leave it out"}
    if _has_key(value, "constructor"):
        return {"isSafe": f"{name} has a key 'constructor': a SciCat backend cannot store that; give it another name"}
    return {}


def _has_key(tree: Any, key: str) -> bool:
    if isinstance(tree, dict):
        return key in tree or any(_has_key(member, key) for member in tree.values())
    return isinstance(tree, list) and any(_has_key(member, key) for member in tree)


def anything(name: str, value: Any) -> dict[str, str]:
    """A field that is accepted and ignored."""
    return {}


def mail(name: str, value: Any) -> dict[str, str]:
    """One e-mail address."""
    return {} if isinstance(value, str) and _is_mail(value) else {"isEmail": f"{name} must be an email"}


def mails(name: str, value: Any) -> dict[str, str]:
    """One or several e-mail addresses, separated by semicolons."""
    if isinstance(value, str) and all(_is_mail(part.strip()) for part in value.split(";")):
        return {}
    shown = "undefined" if value is None else str(value)[:200]
    message = f"Expected an email or a list of semicolon separated emails, got {shown}"
    return {"customEmailList": message if name == "contactEmail" else f"{name}: {message}"}


_MAILBOX = re.compile(r"[^\s@;,:<>()\[\]\\\"]{1,64}\Z")
_LABEL = re.compile(r"[A-Za-z0-9\u00a1-\uffff](?:[A-Za-z0-9\u00a1-\uffff-]{0,61}[A-Za-z0-9\u00a1-\uffff])?\Z")
_TOP_LABEL = re.compile(r"(?:[A-Za-z\u00a1-\uffff]{2,63}|xn--[A-Za-z0-9-]{1,59})\Z")
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://)?([^\s/:?#@]{1,253})(?::\d{1,5})?(?:/\S*)?\Z")


def _is_mail(value: str) -> bool:
    mailbox, _, domain = value.rpartition("@")
    dots_well = not (mailbox.startswith(".") or mailbox.endswith(".") or ".." in mailbox)
    return bool(_MAILBOX.match(mailbox)) and dots_well and _is_domain(domain)


def _is_domain(value: str) -> bool:
    *labels, top = value.split(".")
    return bool(labels) and len(value) <= 253 and all(map(_LABEL.match, labels)) and bool(_TOP_LABEL.match(top))


def host(name: str, value: Any) -> dict[str, str]:
    """The name of a host with a domain, or its address; a scheme, a port and a path may be around it."""
    found = _HOST.match(value) if isinstance(value, str) else None
    good = found is not None and (_is_domain(found[1]) or _is_address(found[1]))
    return {} if good else {"isUrl": f"{name} must be a URL address"}


def _is_address(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 4 and all(re.fullmatch(r"\d{1,3}", part, re.ASCII) and int(part) < 256 for part in parts)
