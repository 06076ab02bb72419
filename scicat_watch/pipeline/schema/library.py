"""Finding and reading metadata schema files.

A file is a schema if its name ends with `imsc.yml`, `imsc.yaml` or `imsc.json` and does not begin
with a dot; subdirectories are not entered. ESS's ingestor also takes names that merely contain one
of these; here `x.imsc.yml~`, `x.imsc.yml.bak` and `x.imsc.yml.example` are passed over with a note,
because an editor's backup must not bring back what a curator took out. The content decides whether
it is JSON or YAML. One broken file does not hinder the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.pipeline.assembly import lint, plugins
from scicat_watch.pipeline.assembly.lint import Finding
from scicat_watch.pipeline.schema.model import Schema, examine

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
    findings: tuple[Finding, ...] = ()
    """What the schemas say in vain; they are used all the same."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What works but may not be meant."""
        return (*self.passed_over, *map(str, self.findings))


def load(directory: Path | None = None) -> Library:
    """The schemas of `directory`; None: those that are shipped. Problems are reported, not raised."""
    place: Traversable = directory if directory is not None else resources.files("scicat_watch") / "schemas"
    try:
        files = sorted((file for file in place.iterdir() if file.is_file()), key=lambda file: file.name)
    except OSError as error:
        return Library(problems=(ConfigError(f"the schema directory cannot be read: {error.strerror}", directory),))
    return _library(
        [file for file in files if _SCHEMA.fullmatch(file.name)],
        [file for file in files if _NEARLY.fullmatch(file.name)],
    )


def check(place: Path | None = None) -> Library:
    """The schemas of a directory, or of one file whatever its name, with all that can be found wrong with them.

    Beside what `load` finds: keys that stand twice, of which the last counts, and fields that are not made.
    """
    one = place is not None and not place.is_dir()
    library = _library([place], []) if one and place is not None else load(place)
    further: list[Finding] = []
    for schema in library.schemas:
        further += [*_repeated(Path(schema.file)), *lint.lacking(schema)]
    return replace(library, findings=(*library.findings, *further))


def _repeated(file: Path) -> Iterable[Finding]:
    try:
        yamltext.parse(file.read_text(encoding="utf-8"), file)
    except ConfigError as error:
        yield Finding(str(file), error.line or 0, f"{error.message}; the last one counts")
    except OSError:
        return  # It has vanished since it was read.


def _library(files: Iterable[Traversable], nearly: Iterable[Traversable]) -> Library:
    read: list[Schema] = []
    problems: list[ConfigError] = []
    for file in files:
        schema, mistaken = _read(file)
        read += [schema] if schema else []
        problems += mistaken
    by_id: dict[str, Schema] = {}
    for schema in sorted(read, key=lambda schema: (schema.order, schema.name.casefold())):
        if schema.id in by_id:
            message = f"has the id {schema.id!r} of {by_id[schema.id].file}, and takes its place"
            problems.append(ConfigError(message, Path(schema.file)))
        by_id[schema.id] = schema
    schemas = tuple(by_id.values())
    findings = [finding for schema in schemas for finding in lint.examine(schema, _BROUGHT)]
    end = "passed over, because the name does not end with .imsc.yml, .imsc.yaml or .imsc.json"
    return Library(
        schemas,
        tuple(problems),
        tuple(f"{file}: {end}" for file in nearly),
        (*findings, *lint.unreachable(schemas)),
    )


def read_schema(file: Traversable) -> tuple[Schema | None, tuple[ConfigError, ...], tuple[str, ...]]:
    """The schema of one file, or None; with the mistakes that make it unusable, and notes on what may not be meant."""
    schema, mistaken = _read(file)
    return schema, mistaken, tuple(map(str, lint.examine(schema, _BROUGHT))) if schema else ()


def _read(file: Traversable) -> tuple[Schema | None, tuple[ConfigError, ...]]:
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
    return examine(located.data, str(path), located.lines)


_BROUGHT = lint.Brought(
    sources=lambda: plugins.names(plugins.SOURCES),
    operators=lambda: plugins.names(plugins.OPERATORS),
    readers=lambda: plugins.names(plugins.READERS),
)
