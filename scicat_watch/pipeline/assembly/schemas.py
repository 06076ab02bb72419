"""The metadata schemas of a site, and what is wrong with them, as far as it is known without a data file.

`schema.library` knows the language; which sources and operators there are is known here. Programs get their
schemas from here: `load` for use, `check` for a person who wants to know all that can be said about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly import lint
from scicat_watch.pipeline.assembly.findings import Brought, Finding
from scicat_watch.pipeline.assembly.plugins import OPERATORS
from scicat_watch.pipeline.assembly.sources.plugins import SOURCES
from scicat_watch.pipeline.assembly.sources.table import NEEDS
from scicat_watch.pipeline.schema import library
from scicat_watch.pipeline.schema.library import Library
from scicat_watch.pipeline.schema.model import Schema


def load(directory: Path | None = None) -> Library:
    """The schemas of `directory`; None: those that are shipped. Problems are reported, not raised."""
    return library.load(directory, NEEDS)


def load_file(file: Traversable) -> Library:
    """The schema of one file, whatever its name."""
    return library.load_files([file], needs=NEEDS)


def findings(schemas: Sequence[Schema]) -> tuple[Finding, ...]:
    """What these schemas say without effect; they are used all the same."""
    each = (finding for schema in schemas for finding in lint.examine(schema, _BROUGHT))
    return (*each, *lint.unreachable(schemas))


def check(place: Path | None = None) -> tuple[Library, tuple[Finding, ...]]:
    """The schemas of a directory, or of one file, with all that can be found wrong with them.

    Beside `findings`: keys that stand twice, of which the last counts, and fields that are not made.
    """
    one = place is not None and not place.is_dir()
    found = load_file(place) if one and place is not None else load(place)
    further: list[Finding] = []
    for schema in found.schemas:
        further += [*_repeated(Path(schema.file)), *lint.lacking(schema)]
    return found, (*findings(found.schemas), *further)


def plugin_problems() -> list[str]:
    """What is wrong with the sources and operators that other packages bring; loads them."""
    return [*SOURCES.problems(), *OPERATORS.problems()]


def _repeated(file: Path) -> Iterator[Finding]:
    try:
        yamltext.parse(file.read_text(encoding="utf-8"), file)
    except ConfigError as error:
        yield Finding(str(file), error.line or 0, f"{error.message}; the last one counts")
    except OSError:
        return  # It has vanished since it was read.


_BROUGHT = Brought(
    sources=SOURCES.names,
    operators=OPERATORS.names,
    readers=lambda: frozenset(point.name for point in plugins.installed(plugins.READERS)),
)
