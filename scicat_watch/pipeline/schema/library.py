"""Finding and reading metadata schema files. Programs come here by `assembly.schemas`.

A file is a schema if its name ends with `imsc.yml`, `imsc.yaml` or `imsc.json` and does not begin
with a dot; subdirectories are not entered. ESS's ingestor also takes names that merely contain one
of these; here `x.imsc.yml~`, `x.imsc.yml.bak` and `x.imsc.yml.example` are passed over with a note,
because an editor's backup must not bring back what a curator took out. The content decides whether
it is JSON or YAML. One broken file does not hinder the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.pipeline.schema.model import NOTHING, Needs, Schema, try_parse

_SCHEMA = re.compile(r"(?!\.).*imsc\.(json|ya?ml)")
_NEARLY = re.compile(r"(?!\.).*imsc\.(json|ya?ml).+")


@dataclass(frozen=True, slots=True)
class Library:
    """The schemas of a directory."""

    schemas: tuple[Schema, ...] = ()
    """In the order in which they are tried: by `order`, then by name without regard to case."""
    problems: tuple[ConfigError, ...] = ()
    """Files that cannot be used, and schemas that take each other's place."""
    passed_over: tuple[str, ...] = ()
    """Files that are nearly schemas, by their names."""


def load(directory: Path | None = None, needs: Needs = NOTHING) -> Library:
    """The schemas of `directory`; None: those that are shipped. Problems are reported, not raised.

    A schema with a variable that lacks a key that its source `needs` cannot be used.
    """
    place: Traversable = directory if directory is not None else resources.files("scicat_watch") / "schemas"
    try:
        files = sorted((file for file in place.iterdir() if file.is_file()), key=lambda file: file.name)
    except OSError as error:
        return Library(problems=(ConfigError(f"the schema directory cannot be read: {error.strerror}", directory),))
    return load_files(
        [file for file in files if _SCHEMA.fullmatch(file.name)],
        [file for file in files if _NEARLY.fullmatch(file.name)],
        needs,
    )


def load_files(files: Iterable[Traversable], nearly: Iterable[Traversable] = (), needs: Needs = NOTHING) -> Library:
    """The schemas of these files, whatever their names; those that are `nearly` schemas are passed over."""
    read: list[Schema] = []
    problems: list[ConfigError] = []
    for file in files:
        schema, mistakes = _read(file, needs)
        read += [schema] if schema else []
        problems += mistakes
    by_id: dict[str, Schema] = {}
    for schema in sorted(read, key=lambda schema: (schema.order, schema.name.casefold())):
        if schema.id in by_id:
            message = f"has the id {schema.id!r} of {by_id[schema.id].file}, and takes its place"
            problems.append(ConfigError(message, Path(schema.file)))
        by_id[schema.id] = schema
    end = "passed over, because the name does not end with .imsc.yml, .imsc.yaml or .imsc.json"
    return Library(tuple(by_id.values()), tuple(problems), tuple(f"{file}: {end}" for file in nearly))


def _read(file: Traversable, needs: Needs) -> tuple[Schema | None, tuple[ConfigError, ...]]:
    path = Path(str(file))
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        return None, (ConfigError(f"the schema file cannot be read: {error.strerror}", path),)
    except UnicodeDecodeError as error:
        return None, (ConfigError(f"the schema file is not UTF-8 text: {error.reason}", path),)
    try:
        located = yamltext.parse(text, path, repeated_keys=True)
    except ConfigError as error:
        return None, (error,)
    return try_parse(located.data, str(path), located.lines, needs)
