"""What can be said about a schema without a data file: findings, and the names that a variable may refer to. Pure.

A *mistake* is something that the schema asks for and that no scan can ever give it: a name that is
not defined, an operator or type that does not exist. A *note* is something that works, but perhaps not as it
was meant. `lint` searches for them, and for variables asks the check of their source (`sources.table`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from scicat_watch.pipeline.assembly.render import references
from scicat_watch.pipeline.schema.model import PREDEFINED, Schema, Variable
from scicat_watch.words import nearest


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a schema says without effect, or with another one than was meant."""

    file: str
    line: int
    """From 1; 0 if it is not known."""
    message: str
    mistake: bool = True
    """Whether it is a mistake; if not, a note."""

    def __str__(self) -> str:
        place = self.file or "the schema"
        return f"{place}:{self.line}: {self.message}" if self.line else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about a variable or an item."""

    message: str
    mistake: bool = True
    has_value: bool = False
    """Whether there may be a value all the same."""

    def of(self, schema: Schema, line: int, what: str) -> Finding:
        """The remark about `what` as a finding."""
        return Finding(schema.file, line, f"{what}: {self.message}", self.mistake)


def note(message: str) -> Remark:
    """Something that works, but perhaps not as it was meant."""
    return Remark(message, mistake=False, has_value=True)


def unless_default(variable: Variable, remarks: Iterable[Remark]) -> Iterator[Remark]:
    """The same remarks; with a default there is a value all the same."""
    for remark in remarks:
        yield replace(remark, has_value=remark.has_value or variable.has_default)


@dataclass(frozen=True, slots=True)
class Brought:
    """The names that other packages bring; asked for only where a name is not one of ours."""

    sources: Callable[[], Iterable[str]] = tuple
    operators: Callable[[], Iterable[str]] = tuple
    readers: Callable[[], Iterable[str]] = tuple
    """Of readers only the extensions are known without loading them, not the source that they read for."""


@dataclass
class Names:
    """Which names there are at a point of the file."""

    schema: Schema
    lines: dict[str, int] = field(init=False)
    """Lines of all definitions."""
    hopeless: set[str] = field(default_factory=set)
    """Variables that can never have a value."""

    def __post_init__(self) -> None:
        self.lines = {variable.name: variable.line for variable in self.schema.variables}
        self._before: set[str] = set(PREDEFINED)

    def pass_by(self, variable: Variable, *, unusable: bool) -> None:
        """Go on to the line after the definition of `variable`."""
        self._before.add(variable.name)
        if unusable:
            self.hopeless.add(variable.name)
        else:
            self.hopeless.discard(variable.name)

    def objection(self, name: str, own: str = "") -> str:
        """Why a reference to `name` never has a value; empty if it may have one."""
        if name == own:
            return f"<{name}> refers to itself"
        if name in self.hopeless:
            return f"<{name}> never has a value"
        if name in self._before:
            return ""
        if name in self.lines:
            return f"<{name}> is defined only later, in line {self.lines[name]}"
        return f"there is no variable <{name}>{nearest(name, [*self.lines, *PREDEFINED])}"

    def objections(self, value: object, own: str = "") -> list[str]:
        """Why references in `value` never have a value."""
        return [why for name in sorted(references(value)) if (why := self.objection(name, own))]


Check = Callable[[Variable, Names, Brought], Iterator[Remark]]
"""What can be said about a variable of one source."""


def check_path(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    """Whether a path leads to something, only the file can say."""
    if references(variable.path) & set(names.lines):
        yield note(f"the path {variable.path!r} is taken as it is; variables are not filled in")
