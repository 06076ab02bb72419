"""Sources that other packages bring, by entry points (`pipeline.plugins`), kept from doing harm.

    [project.entry-points."scicat_watch.sources"]
    LOGBOOK = "my_package:logbook"              # called with a `Context`, gives a `Source`

A source that cannot be used costs the variables that want it, with the reason: neither the daemon nor other variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scicat_watch.errors import ScicatWatchError, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly.plugins import quantity_from
from scicat_watch.pipeline.assembly.sources import table
from scicat_watch.pipeline.assembly.sources.source import Context, Source
from scicat_watch.pipeline.plugins import Plugins, Unusable
from scicat_watch.pipeline.schema.model import Variable


@dataclass(frozen=True, slots=True)
class _Maker:
    """What makes a package's source for one scan."""

    whose: str
    make: Callable[[Context], Source]

    def __call__(self, context: Context) -> Source:
        try:
            return _Guarded(self.whose, self.make(context))
        except ScicatWatchError:
            raise
        except Exception as error:
            raise SourceError(f"the source {self.whose} failed: {plugins.described(error)}") from error


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A package's source whose faults are those of one variable."""

    whose: str
    inner: Source

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        return quantity_from(f"the source {self.whose}", lambda: self.inner.read(variable, known))


def _accepted(whose: str, thing: object) -> Callable[[Context], Source]:
    if not callable(thing):
        raise Unusable(f"the source {whose} is a {type(thing).__name__}, not a callable that makes a source")
    return _Maker(whose, thing)


SOURCES: Plugins[Callable[[Context], Source]] = Plugins(plugins.SOURCES, table.BY_NAME, _accepted)
"""The sources that packages bring, as what makes them for one scan."""
