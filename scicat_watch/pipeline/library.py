"""Finding and reading metadata schema files.

A file is a schema if its name ends with `imsc.yml`, `imsc.yaml` or `imsc.json` and does not begin
with a dot; subdirectories are not entered. ESS's ingestor also takes names that merely contain one
of these; here `x.imsc.yml~`, `x.imsc.yml.bak` and `x.imsc.yml.example` are passed over with a note,
because an editor's backup must not bring back what a curator took out. The content decides whether
it is JSON or YAML. One broken file does not hinder the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.pipeline import operators
from scicat_watch.pipeline.convert import CONVERSIONS
from scicat_watch.pipeline.schema import FIELD_TYPES, NEEDED_BY_SOURCE, Schema, Variable, examine
from scicat_watch.pipeline.select import mistakes

_SCHEMA = re.compile(r"(?!\.).*imsc\.(json|ya?ml)")
_NEARLY = re.compile(r"(?!\.).*imsc\.(json|ya?ml).+")


@dataclass(frozen=True, slots=True)
class Library:
    """The schemas of a directory."""

    schemas: tuple[Schema, ...] = ()
    """In the order in which they are tried: by `order`, then by name without regard to case."""
    problems: tuple[ConfigError, ...] = ()
    """Files that cannot be used, and schemas that take each other's place."""
    notes: tuple[str, ...] = ()
    """What works but may not be meant: unknown operators, types and selectors, files that were passed over."""


def load(directory: Path | None = None) -> Library:
    """The schemas of `directory`; None: those that are shipped. Problems are reported, not raised."""
    place: Traversable = directory if directory is not None else resources.files("scicat_watch") / "schemas"
    try:
        files = sorted((file for file in place.iterdir() if file.is_file()), key=lambda file: file.name)
    except OSError as error:
        return Library(problems=(ConfigError(f"the schema directory cannot be read: {error.strerror}", directory),))
    read: list[Schema] = []
    problems: list[ConfigError] = []
    found: list[str] = []
    for file in files:
        if _SCHEMA.fullmatch(file.name):
            schema, mistaken, remarks = read_schema(file)
            read += [schema] if schema else []
            problems += mistaken
            found += remarks
        elif _NEARLY.fullmatch(file.name):
            found.append(f"{file}: passed over, because the name does not end with .imsc.yml, .imsc.yaml or .imsc.json")
    by_id: dict[str, Schema] = {}
    for schema in sorted(read, key=lambda schema: (schema.order, schema.name.casefold())):
        if schema.id in by_id:
            message = f"has the id {schema.id!r} of {by_id[schema.id].file}, and takes its place"
            problems.append(ConfigError(message, Path(schema.file)))
        by_id[schema.id] = schema
    return Library(tuple(by_id.values()), tuple(problems), tuple(found))


def read_schema(file: Traversable) -> tuple[Schema | None, tuple[ConfigError, ...], tuple[str, ...]]:
    """The schema of one file, or None; with the mistakes that make it unusable, and notes on what may not be meant."""
    path = Path(str(file))
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        return None, (ConfigError(f"the schema file cannot be read: {error.strerror}", path),), ()
    except UnicodeDecodeError as error:
        return None, (ConfigError(f"the schema file is not UTF-8 text: {error.reason}", path),), ()
    try:
        located = yamltext.parse(text, path, repeated_keys=True)
    except ConfigError as error:
        return None, (error,), ()
    schema, mistaken = examine(located.data, str(path), located.lines)
    return schema, mistaken, tuple(notes(schema)) if schema else ()


def notes(schema: Schema) -> Iterator[str]:
    """What a schema says that has no effect, or only failing variables, whatever the scan."""
    for mistake in mistakes(schema.selector):
        yield f"{schema.file}: selector: {mistake}"
    for variable in schema.variables:
        place = f"{schema.file}:{variable.line}: variable {variable.name}: "
        for remark in _remarks(variable):
            yield place + remark
    for item in schema.items:
        place = f"{schema.file}:{item.line}: item {item.label}: "
        if item.field_type not in FIELD_TYPES:
            yield place + f"the field type {item.field_type!r} is not known; the item is left out"
        elif item.value_type not in CONVERSIONS:
            yield place + f"the type {item.value_type!r} is not known; the item is left out"


def _remarks(variable: Variable) -> Iterator[str]:
    if variable.source not in NEEDED_BY_SOURCE:
        yield f"the source {variable.source!r} is not one of {', '.join(NEEDED_BY_SOURCE)}"
    if operators.find(variable.operator) is None:
        yield f"the operator {variable.operator!r} is not known; the value stays as it is"
    if variable.value_type not in CONVERSIONS:
        yield f"the type {variable.value_type!r} is not known; the variable will have no value"
