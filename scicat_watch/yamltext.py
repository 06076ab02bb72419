"""YAML and JSON text that people wrote, with the line of every key: so that a mistake can be shown in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scicat_watch.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where something is in a document, e.g. ("beamtimes", "directories", 0)."""

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Located:
    """A document and where its parts stand."""

    data: Any
    lines: dict[KeyPath, int]
    """Line, from 1, of each key and list element."""

    def line(self, where: KeyPath) -> int | None:
        """The line of `where`, or of the nearest part that holds it."""
        for length in range(len(where), -1, -1):
            if (line := self.lines.get(where[:length])) is not None:
                return line
        return None


def parse(text: str, file: Path, *, repeated_keys: bool = False) -> Located:
    """Read one document; `ConfigError` with file and line for broken text or a key that stands twice.

    With `repeated_keys` such a key is no mistake, and its last value counts, as YAML programs mostly do.
    JSON is read as the YAML that it nearly is; tabs, which YAML forbids as indentation, are made blanks
    at the beginning of lines.
    """
    if text.lstrip().startswith(("{", "[")):
        text = "\n".join(_untabbed(line) for line in text.splitlines())
    try:
        loader = _Loader(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"not readable as YAML: {error}", file) from error
    try:
        node = loader.get_single_node()
        marks = _Marks(file, repeated_keys)
        marks.add(node, ())
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"not readable as YAML: {error.problem}", file, mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"not readable as YAML: {error}", file) from error
    finally:
        loader.dispose()
    return Located(data, marks.lines)


def _untabbed(line: str) -> str:
    body = line.lstrip("\t ")
    return line[: len(line) - len(body)].replace("\t", "    ") + body


class _Marks:
    """Collects where things stand. Each node is entered once, so that aliases cannot make it endless."""

    def __init__(self, file: Path, repeated_keys: bool) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._file, self._repeated_keys = file, repeated_keys
        self._entered: set[int] = set()

    def add(self, node: yaml.Node | None, where: KeyPath) -> None:
        if node is None:
            return
        self.lines.setdefault(where, node.start_mark.line + 1)
        if id(node) in self._entered:
            return
        self._entered.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for number, member in enumerate(node.value):
                self.add(member, (*where, number))
        elif isinstance(node, yaml.MappingNode):
            self._add_keys(node, where)

    def _add_keys(self, node: yaml.MappingNode, where: KeyPath) -> None:
        seen: dict[str, int] = {}
        for key, member in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen and name != "<<" and not self._repeated_keys:
                raise ConfigError(f"{name!r} stands twice here, first in line {seen[name]}", self._file, line)
            seen[name] = line
            self.lines[(*where, name)] = line
            self.add(member, (*where, name))
