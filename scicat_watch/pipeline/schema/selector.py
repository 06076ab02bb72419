"""Which metadata schema is meant for a scan.

Schemas are tried in their order; the first whose selector fits is taken, and for each one before it
there is a reason why it does not fit, which `preview` shows. Pure: called where the scan is read.

A selector is one of

    "*"                                     fits every scan
    "SOURCE:FUNCTION:ARGUMENT"              condensed; exactly two colons, blanks count
    {source: …, operator: …, operand_2: …}  the same, written out; the argument may hold colons
    {or: [selector, …], and: [selector, …]} at least one of the first list, and all of the second

Sources: `filename`, or `datafile` or `nexusfile`, is the path of the data file as it was given. *New:*
`beamline` and `facility` of the beamtime metadata; `definition`, the application definition that the
NeXus file names; and, in the written-out form, a value in the data file as `nxs:PATH` or `fio:PATH`, with
paths as in variables of that source:

    {source: "nxs:/entry/instrument/name", operator: equals, operand_2: CODA}

Values that are no text are compared as JSON says them: 5, 5.0, true, [1, 2]. The file is read for a selector
only if it is asked; one that has no such value does not fit.

Functions: `starts_with`, `contains`; *new:* `ends_with`, `equals`, and `matches`, a regular expression that
is searched anywhere. Upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.pipeline.schema import patterns
from scicat_watch.pipeline.schema.model import Schema


def _no_file(source: str, path: str) -> str:
    raise MissingValue("there is no data file")


@dataclass(frozen=True, slots=True)
class Subject:
    """What selectors decide by."""

    file: str
    """Path of the data file as it was given; the scan's place if it has none."""
    beamline: str = ""
    """`beamline` of the beamtime metadata, e.g. "p99"."""
    facility: str = ""
    """`facility` of the beamtime metadata, e.g. "PETRA III"."""
    definition: str = ""
    """Application definition of the NeXus file, e.g. "NXsaxs"; if it is empty, the file is asked with `value`."""
    value: Callable[[str, str], str] = _no_file
    """The value in the data file for a source, e.g. "NXS", and a path; `SourceError` if there is none."""


SOURCES: Mapping[str, Callable[[Subject], str]] = {
    "filename": lambda subject: subject.file,
    "datafile": lambda subject: subject.file,
    "nexusfile": lambda subject: subject.file,
    "beamline": lambda subject: subject.beamline,
    "facility": lambda subject: subject.facility,
    "definition": lambda subject: subject.definition or _definition(subject),
}
"""What the first word of a condition may be."""

FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "starts_with": str.startswith,
    "contains": str.__contains__,
    "ends_with": str.endswith,
    "equals": str.__eq__,
    "matches": lambda text, pattern: patterns.find(pattern, text) is not None,
}
"""What the second word of a condition may be."""

_IN_FILE = re.compile(r"([A-Za-z][\w-]*):(.+)", re.DOTALL)
_EXPANDED = {"source", "operator", "operand_2"}
_COMBINED = {"or", "and"}


def choose(schemas: Sequence[Schema], subject: Subject) -> tuple[Schema | None, dict[str, str]]:
    """The first schema that fits `subject`, and by id the reasons why the ones before it do not.

    A selector with a mistake in it fits nothing; the reason then names the mistake.
    """
    passed_over: dict[str, str] = {}
    for schema in schemas:
        objection = _objection(schema.selector, subject)
        if objection is None:
            return schema, passed_over
        passed_over[schema.id] = objection
    return None, passed_over


def mistakes(selector: Any) -> tuple[str, ...]:
    """What is wrong with a selector, whatever it is tried on; the parts concerned fit nothing."""
    return tuple(_mistakes(selector))


@dataclass(frozen=True, slots=True)
class _Condition:
    source: str
    function: str
    argument: str

    def mistake(self) -> str | None:
        if self.source not in SOURCES and not _IN_FILE.fullmatch(self.source):
            return f"unknown source {self.source!r}; known: {', '.join(SOURCES)}, and nxs:PATH or fio:PATH"
        if self.function not in FUNCTIONS:
            return f"unknown function {self.function!r}; known: {', '.join(FUNCTIONS)}"
        if self.function == "matches":
            try:
                patterns.find(self.argument, "")
            except SourceError as error:
                return str(error)
        return None

    def text(self, subject: Subject) -> str:
        """What the condition compares."""
        if (in_file := _IN_FILE.fullmatch(self.source)) is None:
            return SOURCES[self.source](subject)
        try:
            return subject.value(in_file[1].upper(), in_file[2])
        except SourceError as error:
            raise SourceError(f"{self.source}: {error}") from error

    def objection(self, subject: Subject) -> str | None:
        try:
            text = self.text(subject)
            fits = FUNCTIONS[self.function](text, self.argument)
        except SourceError as error:
            return str(error)
        return None if fits else f"{self.source} {text[:200]!r}: not {self.function} {self.argument!r}"


def _definition(subject: Subject) -> str:
    try:
        return subject.value("NXS", "/:NXentry/definition")
    except SourceError:
        return ""


def _objection(selector: Any, subject: Subject) -> str | None:
    """Why the selector does not fit; None if it does."""
    if selector == "*":
        return None
    if isinstance(selector, Mapping) and not set(selector) - _COMBINED:
        return _combined_objection(selector, subject)
    condition = _condition(selector)
    if isinstance(condition, str):
        return condition
    return condition.mistake() or condition.objection(subject)


def _combined_objection(selector: Mapping[str, Any], subject: Subject) -> str | None:
    for members in selector.values():
        if not isinstance(members, list):
            return f"'or' and 'and' take a list of selectors, not {members!r}"
    for member in selector.get("and", []):
        if (objection := _objection(member, subject)) is not None:
            return objection
    if "or" in selector:
        objections = [_objection(member, subject) for member in selector["or"]]
        if None not in objections:
            return "; ".join(str(objection) for objection in objections) or "'or' with nothing to choose from"
    return None


def _condition(selector: Any) -> _Condition | str:
    """The condition that a selector states, or what is wrong with it."""
    if isinstance(selector, str):
        words = selector.split(":")
        if len(words) == 3:
            return _Condition(*words)
        return f"{selector!r} is not SOURCE:FUNCTION:ARGUMENT; if the argument has colons, write operand_2"
    if isinstance(selector, Mapping) and set(selector) == _EXPANDED:
        return _Condition(*(str(selector[key]) for key in ("source", "operator", "operand_2")))
    if isinstance(selector, Mapping):
        keys = ", ".join(map(str, selector))
        return f"a selector has the keys 'or' and 'and', or source, operator and operand_2, not {keys}"
    return f"{selector!r} is not a selector"


def _mistakes(selector: Any) -> Iterator[str]:
    if selector == "*":
        return
    if isinstance(selector, Mapping) and not set(selector) - _COMBINED:
        for members in selector.values():
            if isinstance(members, list):
                for member in members:
                    yield from _mistakes(member)
            else:
                yield f"'or' and 'and' take a list of selectors, not {members!r}"
        return
    condition = _condition(selector)
    mistake = condition if isinstance(condition, str) else condition.mistake()
    if mistake is not None:
        yield mistake
