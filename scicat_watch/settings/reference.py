"""What the configuration can say, as a page and as a commented sample, made from the docstrings of the model.

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

from scicat_watch.settings.model import Settings
from scicat_watch.words import markdown_table

_WIDTH = 100
_COMPUTED = {"var_dir": "~/.local/state/scicat-watch"}
"""Defaults that depend on the account, as they are for most."""
_WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
_PLURALS = {"text": "texts", "path": "paths"}
_PAGE = """\
# Settings

All keys of the configuration file, made from the program's own descriptions. The file is YAML; durations are
seconds, sizes are bytes, and `~` in a path is the home directory. A key that is not here is refused, with its line
and the nearest key that is. A sample with every key at its default is `config/scicat-watch.yml`.

"""
_SAMPLE = """\
# Configuration of scicat-watch, with every key at its default.
#
# Take the "#" away from the keys that you change. Durations are seconds, sizes bytes; "~" is the home
# directory. To see whether all is well: scicat-watch config check -c THIS-FILE
"""


def settings_page() -> str:
    """The reference page of all settings, in Markdown."""
    loose = [(name, info) for name, info in Settings.model_fields.items() if _section(info) is None]
    parts = [_PAGE + _table(loose)]
    parts += [_section_page(name, section) for name, section in _sections(Settings)]
    return "\n".join(parts)


def sample() -> str:
    """A configuration file in which every key stands with its description and its default, commented out."""
    lines = [_SAMPLE]
    for name, info in Settings.model_fields.items():
        section = _section(info)
        if section is None:
            lines += [*_sample_key(name, info, ""), ""]
            continue
        lines += [f"# {line}" for line in _wrapped(_told(section), _WIDTH - 2)]
        lines += [f"{name}:", *_sample_section(section, "  "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def undocumented() -> list[str]:
    """The keys and sections without a description, which the reference would show empty."""
    return [name for name, told in _descriptions(Settings, "") if not told.strip()]


def _section_page(name: str, section: type[BaseModel]) -> str:
    fields = [(key, info) for key, info in section.model_fields.items() if _section(info) is None]
    return f"## `{name}`\n\n{_told(section)}\n\n{_table(fields)}"


def _table(fields: Sequence[tuple[str, FieldInfo]]) -> str:
    rows = [[f"`{name}`", _kind(info), f"`{_default(name, info)}`", info.description or ""] for name, info in fields]
    return markdown_table(["key", "value", "default", "meaning"], rows)


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


def _told(section: type[BaseModel]) -> str:
    """What a section's docstring says, without the name that stands above it anyway."""
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
