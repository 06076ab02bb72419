"""What other packages bring by entry points; used on both sides of the process border, each for its own group.

A package that is installed beside scicat-watch names what it brings in its own metadata:

    [project.entry-points."scicat_watch.operators"]
    hex_to_int = "my_package:HEX_TO_INT"

The name of the entry point is what schemas write; of a reader it is the extension of its files. Nothing of a package
is loaded before it is needed. What cannot be loaded, or has the name of a built-in or of another package's, is not
used, and it is reported where it would have been. What a group's entry points lead to is for its room to say:
`assembly.plugins` (operators), `assembly.sources.plugins` (sources), `reading.choose` (readers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from scicat_watch.errors import SourceError
from scicat_watch.words import why

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

OPERATORS = "scicat_watch.operators"
"""Entry point group of operators."""
SOURCES = "scicat_watch.sources"
"""Entry point group of sources."""
READERS = "scicat_watch.readers"
"""Entry point group of readers, which only the processes that read load."""


class Unusable(SourceError):
    """Something that a package brings and that cannot be used."""


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group; read once, so that a package that is installed later is not seen."""
    from importlib.metadata import entry_points  # Takes its time to import, and most schemas need no plug-in.

    return tuple(entry_points(group=group))


def whose(point: EntryPoint) -> str:
    """An entry point in words, e.g. "'SHIFT' of the package scicat-watch-example"."""
    package = point.dist.name if point.dist is not None else "an unknown package"
    return f"{point.name!r} of the package {package}"


def described(error: BaseException) -> str:
    """Another package's exception in words."""
    return f"{type(error).__name__}: {why(error)}"


class Plugins(Generic[T]):
    """What packages bring to one group of entry points."""

    def __init__(
        self, group: str, built_in: Iterable[str], accept: Callable[[str, object], T], *, any_case: bool = False
    ) -> None:
        """`built_in`: names that are taken. `accept`: from whose it is and what it is to what is used; `Unusable` if
        it is not what the group asks for. `any_case`: whether upper and lower case are the same in names.
        """
        self._group, self._built_in, self._accept, self._any_case = group, frozenset(built_in), accept, any_case
        self._kind = group.rpartition(".")[2].removesuffix("s")
        self._accepted: dict[EntryPoint, T] = {}

    def names(self) -> frozenset[str]:
        """The names that can be used, as far as is known without loading anything."""
        return frozenset(name for name in self._found() if not self.objection(name))

    def objection(self, name: str) -> str:
        """Why what packages bring by this name is not used; empty if it is, or if they bring nothing."""
        points = self._found().get(name, ())
        if points and name in self._built_in:
            return f"the {self._kind} {whose(points[0])} is not used: scicat-watch has a built-in {self._kind} {name!r}"
        if len({point.value for point in points}) > 1:
            return f"the {self._kind} {whose(points[-1])} has the name of {whose(points[0])}; neither is used"
        return ""

    def get(self, name: str) -> T | None:
        """What a package brings by this name; None if none does. `Unusable` if it cannot be used."""
        points = self._found().get(name, ())
        if not points:
            return None
        if objection := self.objection(name):
            raise Unusable(objection)
        return self._loaded(points[0])

    def problems(self) -> list[str]:
        """What is wrong with all that packages bring; loads it."""
        found = []
        for name in sorted(self._found()):
            try:
                self.get(name)
            except Unusable as error:
                found.append(str(error))
        return found

    def _found(self) -> dict[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for point in installed(self._group):
            name = point.name.lower() if self._any_case else point.name
            found[name] = (*found.get(name, ()), point)
        return found

    def _loaded(self, point: EntryPoint) -> T:
        if point not in self._accepted:
            try:
                self._accepted[point] = self._accept(whose(point), point.load())
            except Unusable:
                raise
            except (Exception, SystemExit) as error:
                # Whatever the other package does wrong while it is imported.
                raise Unusable(f"the {self._kind} {whose(point)} cannot be loaded: {described(error)}") from error
        return self._accepted[point]
