"""The reference page and the commented sample of the configuration, generated from the docstrings of the model.

The documentation's reference page and `config/scicat-watch.yml` are written by `docs/generate.py`, which
calls here; a test compares the files with the model. Pure: text from classes, nothing read or written.
"""

from __future__ import annotations

import textwrap
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scicat_watch.settings.effect import AT_RELOAD
from scicat_watch.settings.model import Settings
from scicat_watch.words import markdown_table

_WIDTH = 100
_COMPUTED = {"var_dir": "~/.local/state/scicat-watch"}
"""Defaults that depend on the account, as they are for most."""
_WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
_PLURALS = {"text": "texts", "path": "paths"}
_PAGE = """\
# Settings

All keys of the configuration file. The file is YAML; durations are in seconds, sizes in bytes, and `~` in a path is
the home directory. An unknown key is an error: the message has its line and the closest known key. A sample with
every key at its default is `config/scicat-watch.yml`.

"In effect" says when the running daemon follows a changed value: after a `reload` (`scicat-watch reload`, or SIGHUP),
or only after a `restart`. The other commands read the file each time.

Terms such as dataset list, full rescan and abandoned file are in the [glossary](../glossary.md).

"""
_SAMPLE = """\
# Configuration of scicat-watch, with every key at its default.
#
# Remove the "#" in front of the keys that you change. Durations are in seconds, sizes in bytes; "~" is
# the home directory. To check the file: scicat-watch config check -c THIS-FILE
"""


def settings_page() -> str:
    """The reference page of all settings, in Markdown."""
    loose = [(name, info) for name, info in Settings.model_fields.items() if _section(info) is None]
    parts = [_PAGE + _key_table(loose, "")]
    parts += [_section_page(name, section) for name, section in _sections(Settings)]
    return "\n".join(parts)


def sample() -> str:
    """A configuration file with every key, commented out, with its description and its default."""
    lines = [_SAMPLE]
    for name, info in Settings.model_fields.items():
        section = _section(info)
        if section is None:
            lines += [*_sample_key(name, info, ""), ""]
            continue
        lines += [f"# {line}" for line in _wrapped(_description(section), _WIDTH - 2)]
        lines += [f"{name}:", *_sample_section(section, "  "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def undocumented() -> list[str]:
    """The keys and sections without a description."""
    return [name for name, description in _descriptions(Settings, "") if not description.strip()]


def _section_page(name: str, section: type[BaseModel]) -> str:
    fields = [(key, info) for key, info in section.model_fields.items() if _section(info) is None]
    return f"## `{name}`\n\n{_description(section)}\n\n{_key_table(fields, f'{name}.')}"


def _key_table(fields: Sequence[tuple[str, FieldInfo]], above: str) -> str:
    """`above`: the section with a dot, e.g. "catalogue."."""
    rows = [
        [f"`{name}`", _kind(info), f"`{_default(name, info)}`", _effect(f"{above}{name}"), info.description or ""]
        for name, info in fields
    ]
    return markdown_table(["key", "value", "default", "in effect", "meaning"], rows)


def _effect(name: str) -> str:
    return "reload" if name in AT_RELOAD else "restart"


def _sections(section: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    for name, info in section.model_fields.items():
        if (inner := _section(info)) is not None:
            yield above + name, inner
            yield from _sections(inner, f"{above}{name}.")


def _section(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _descriptions(section: type[BaseModel], above: str) -> Iterator[tuple[str, str]]:
    for name, info in section.model_fields.items():
        inner = _section(info)
        if inner is None:
            yield above + name, info.description or ""
        else:
            yield above + name, vars(inner).get("__doc__") or ""
            yield from _descriptions(inner, f"{above}{name}.")


def _description(section: type[BaseModel]) -> str:
    """A section's docstring without the section's name, which stands above it anyway."""
    text = " ".join((section.__doc__ or "").split())
    _, colon, rest = text.partition("section: ")
    return rest[:1].upper() + rest[1:] if colon else text


def _kind(info: FieldInfo) -> str:
    """The type in words, with the bounds, e.g. "number, more than 0"."""
    words = [_name(info.annotation)]
    for bound in info.metadata:
        match bound:
            case annotated_types.Gt(gt=limit):
                words.append(f"more than {limit}")
            case annotated_types.Ge(ge=limit):
                words.append(f"at least {limit}")
            case annotated_types.Le(le=limit):
                words.append(f"at most {limit}")
    return ", ".join(words)


def _name(kind: Any) -> str:
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{member}`" for member in members)
    if origin is tuple:
        member = _name(members[0])
        return f"list of {_PLURALS.get(member, member)}"
    if origin in (Union, types.UnionType):
        return " or ".join(_name(member) for member in members if member is not type(None))
    if members:  # Annotated: what counts is the type inside.
        return _name(members[0])
    return _WORDS[kind]


def _default(name: str, info: FieldInfo) -> str:
    """The default as YAML writes it."""
    value = _COMPUTED[name] if info.default_factory is not None else info.default
    shown = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(shown, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()


def _sample_section(section: type[BaseModel], indent: str, mark: str = "#") -> Iterator[str]:
    for name, info in section.model_fields.items():
        inner = _section(info)
        if inner is None:
            yield from _sample_key(name, info, indent)
        else:
            # A section without keys would be null, so its name is commented out like them.
            yield from (f"{indent}# {line}" for line in _wrapped(info.description or "", _WIDTH - len(indent) - 2))
            yield f"{indent}{mark}{name}:"
            yield from _sample_section(inner, f"{indent}  ")


def _sample_key(name: str, info: FieldInfo, indent: str) -> Iterator[str]:
    yield from (f"{indent}# {line}" for line in _wrapped(info.description or "", _WIDTH - len(indent) - 2))
    yield f"{indent}#{name}: {_default(name, info)}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
