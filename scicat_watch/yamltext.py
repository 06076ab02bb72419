"""YAML and JSON files written by people, with the line of every key, so that mistakes are reported with their lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scicat_watch.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where something is in a document, e.g. ("beamtimes", "directories", 0)."""

DEEPEST = 100
"""Maximum number of levels of a document, as the functions that process it are recursive."""
MOST_PARTS = 200_000
"""Maximum number of keys, elements and values of a document, with aliases expanded."""
LONGEST_NUMBER = 200
"""Longest whole number, in characters."""

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Located:
    """A document and the lines of its parts."""

    data: Any
    lines: dict[KeyPath, int]
    """Line, from 1, of each key and list element."""

    def line(self, where: KeyPath) -> int | None:
        """The line of `where`, or of the nearest part that holds it."""
        for length in range(len(where), -1, -1):
            if (line := self.lines.get(where[:length])) is not None:
                return line
        return None


def load(file: Path, *, repeated_keys: bool = False) -> Located:
    """Read the document of a configuration file; `ConfigError` as `parse`, and for a file that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the configuration cannot be read: {error.strerror}", file) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the configuration is not UTF-8 text", file) from error
    return parse(text, file, repeated_keys=repeated_keys)


def parse(text: str, file: Path, *, repeated_keys: bool = False) -> Located:
    """Read one document; `ConfigError` with file and line for invalid text or a repeated key.

    With `repeated_keys` a repeated key is no mistake, and its last value counts, as in most YAML programs.
    Text that is JSON is read as JSON, and any other as YAML. A document whose aliases make it contain itself, or
    expand beyond `MOST_PARTS`, is refused.
    """
    if not text.lstrip().startswith(("{", "[")):
        return _yaml(text, file, repeated_keys)
    # Tabs, which YAML forbids as indentation, are replaced by spaces at the beginning of lines.
    untabbed = "\n".join(_untabbed(line) for line in text.split("\n"))
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return _yaml(untabbed, file, repeated_keys)
    try:
        return Located(data, _yaml(untabbed, file, repeated_keys).lines)
    except _Unreadable:
        return Located(data, {})  # JSON that is not YAML, such as an escaped emoji: only the lines are missing.


class _Unreadable(ConfigError):
    """The text is not YAML."""


def _yaml(text: str, file: Path, repeated_keys: bool) -> Located:
    try:
        loader = _Loader(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _Unreadable(f"not readable as YAML: {error}", file) from error
    try:
        node = loader.get_single_node()
        marks = _Marks(file, repeated_keys)
        marks.add(node, ())
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Unreadable(f"not readable as YAML: {error.problem}", file, mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _Unreadable(f"not readable as YAML: {error}", file) from error
    finally:
        loader.dispose()
    return Located(data, marks.lines)


def _untabbed(line: str) -> str:
    body = line.lstrip("\t ")
    return line[: len(line) - len(body)].replace("\t", "    ") + body


class _Marks:
    """Collects the lines of keys. Each node is visited once, so that aliases cannot make it endless."""

    def __init__(self, file: Path, repeated_keys: bool) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._file, self._repeated_keys = file, repeated_keys
        self._parts: dict[int, int] = {}
        """Number of parts of each visited node; 0 while they are being counted."""

    def add(self, node: yaml.Node | None, where: KeyPath) -> int:
        """How many parts `node` has, itself included."""
        if node is None:
            return 0
        line = node.start_mark.line + 1
        self.lines.setdefault(where, line)
        if (counted := self._parts.get(id(node))) is not None:
            if counted == 0:
                raise ConfigError("an alias makes a part of the document contain itself", self._file, line)
            return counted
        if len(where) > DEEPEST:
            raise ConfigError(f"nested more than {DEEPEST} levels deep", self._file, line)
        self._parts[id(node)] = 0
        parts = 1
        if isinstance(node, yaml.SequenceNode):
            parts += sum(self.add(member, (*where, number)) for number, member in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            parts += self._add_keys(node, where)
        elif node.tag == "tag:yaml.org,2002:int" and len(node.value) > LONGEST_NUMBER:
            raise ConfigError(f"a number of {len(node.value)} digits; put it in quotes if it is text", self._file, line)
        if parts > MOST_PARTS:
            raise ConfigError(f"more than {MOST_PARTS} parts, counted with what aliases stand for", self._file, line)
        self._parts[id(node)] = parts
        return parts

    def _add_keys(self, node: yaml.MappingNode, where: KeyPath) -> int:
        seen: dict[str, int] = {}
        parts = 0
        for key, member in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen and name != "<<" and not self._repeated_keys:
                raise ConfigError(f"{name!r} is repeated here, first in line {seen[name]}", self._file, line)
            seen[name] = line
            self.lines[(*where, name)] = line
            parts += self.add(member, (*where, name))
        return parts
