"""Sources and operators that other packages bring, by entry points.

A package that is installed beside scicat-watch names them in its own metadata:

    [project.entry-points."scicat_watch.operators"]
    hex_to_int = "my_package:HEX_TO_INT"        # a `assembly.operators.Operator`
    [project.entry-points."scicat_watch.sources"]
    LOGBOOK = "my_package:logbook"              # called with `Context`, gives a `sources.source.Source`

The name of the entry point is what schemas write. Nothing of a package is loaded before a schema
needs it. One that cannot be loaded, or takes the name of a built-in or of another package, costs the
variables that want it, and is told: it stops neither the daemon nor other variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from scicat_watch.clock import Clock
from scicat_watch.errors import ScicatWatchError, SourceError
from scicat_watch.model import Beamtime, Quantity
from scicat_watch.pipeline.assembly import operators
from scicat_watch.pipeline.assembly.operators import Arguments, Operator
from scicat_watch.pipeline.assembly.sources.source import Source
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import NEEDED_BY_SOURCE, Variable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SOURCES = "scicat_watch.sources"
"""Entry point group of sources."""
OPERATORS = "scicat_watch.operators"
"""Entry point group of operators."""
READERS = "scicat_watch.readers"
"""Entry point group of readers, which `reading.choose` loads in the processes that read."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a plug-in's source is made with, once for each scan."""

    reading: Reading
    """What was read of the scan: its files, times, NXS values."""
    beamtime: Beamtime
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Named:
    """An entry point, or why its name cannot be used."""

    point: EntryPoint
    objection: str = ""

    @property
    def whose(self) -> str:
        package = self.point.dist.name if self.point.dist is not None else "an unknown package"
        return f"{self.point.name!r} of the package {package}"


def names(group: str) -> frozenset[str]:
    """The names that packages bring to a group and that can be used, as far as is known without loading them."""
    return frozenset(name for name, named in _found(group).items() if not named.objection)


def operator(name: str) -> Operator | None:
    """The operator that a package brings by that name; None if none does. `SourceError` if it cannot be used."""
    loaded = _loaded(OPERATORS, name)
    if loaded is None:
        return None
    named, made = loaded
    if not isinstance(made, Operator):
        raise SourceError(f"the operator {named.whose} is a {type(made).__name__}, not an Operator")
    return replace(made, apply=_guarded(named.whose, made.apply))


def source(name: str, context: Context) -> Source | None:
    """The source that a package brings by that name; None if none does. `SourceError` if it cannot be used."""
    loaded = _loaded(SOURCES, name)
    if loaded is None:
        return None
    named, make = loaded
    if not callable(make):
        raise SourceError(f"the source {named.whose} is a {type(make).__name__}, which cannot be called")
    try:
        return _Guarded(named.whose, make(context))
    except ScicatWatchError:
        raise
    except Exception as error:
        raise SourceError(f"the source {named.whose} failed: {_told(error)}") from error


def problems() -> list[str]:
    """What is wrong with the installed plug-ins; loads all of them."""
    told = []
    for group, kind in ((SOURCES, _is_callable), (OPERATORS, _is_operator)):
        for name, named in sorted(_found(group).items()):
            try:
                loaded = _loaded(group, name)
            except SourceError as error:
                told.append(str(error))
                continue
            if loaded is not None and not kind(loaded[1]):
                what = "a callable that makes a source" if group == SOURCES else "an Operator"
                told.append(f"the {_kind(group)} {named.whose} is a {type(loaded[1]).__name__}, not {what}")
    return told


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A plug-in's source whose faults are those of one variable."""

    whose: str
    inner: Source

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        try:
            found = self.inner.read(variable, known)
        except ScicatWatchError:
            raise
        except Exception as error:
            raise SourceError(f"the source {self.whose} failed: {_told(error)}") from error
        if not isinstance(found, Quantity):
            raise SourceError(f"the source {self.whose} gave a {type(found).__name__}, not a Quantity")
        return found


def _guarded(whose: str, apply: Callable[[Quantity, Arguments], Quantity]) -> Callable[[Quantity, Arguments], Quantity]:
    """A plug-in's operator whose faults are those of one variable."""

    def guarded(quantity: Quantity, arguments: Arguments) -> Quantity:
        try:
            made = apply(quantity, arguments)
        except ScicatWatchError:
            raise
        except Exception as error:
            raise SourceError(f"the operator {whose} failed: {_told(error)}") from error
        if not isinstance(made, Quantity):
            raise SourceError(f"the operator {whose} gave a {type(made).__name__}, not a Quantity")
        return made

    return guarded


@cache
def _found(group: str) -> dict[str, _Named]:
    from importlib.metadata import entry_points  # Takes its time to import, and most schemas need no plug-in.

    built_in = {OPERATORS: set(operators.NAMES), SOURCES: set(NEEDED_BY_SOURCE)}.get(group, set())
    found: dict[str, _Named] = {}
    for point in entry_points(group=group):
        named = _Named(point)
        if point.name in built_in:
            named = _Named(point, f"{named.whose} has the name of a built-in {_kind(group)}, which stays")
        elif point.name in found and found[point.name].point.value != point.value:
            named = _Named(point, f"{named.whose} has the name of {found[point.name].whose}; neither is used")
        found[point.name] = named
    return found


@cache
def _load(point: EntryPoint) -> object:
    return point.load()


def _loaded(group: str, name: str) -> tuple[_Named, object] | None:
    named = _found(group).get(name)
    if named is None:
        return None
    if named.objection:
        raise SourceError(f"the {_kind(group)} {named.objection}")
    try:
        return named, _load(named.point)
    except (Exception, SystemExit) as error:
        # Whatever the other package does wrong while it is imported.
        raise SourceError(f"the {_kind(group)} {named.whose} cannot be loaded: {_told(error)}") from error


def _kind(group: str) -> str:
    return group.rpartition(".")[2].rstrip("s")


def _is_callable(thing: object) -> bool:
    return callable(thing)


def _is_operator(thing: object) -> bool:
    return isinstance(thing, Operator)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


Make = Callable[[Context], Source]
"""What an entry point of the group `scicat_watch.sources` leads to."""
