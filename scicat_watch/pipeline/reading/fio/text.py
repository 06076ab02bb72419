"""The text of a FIO file: comments, parameters and columns as plain values. Pure.

    %c   comments; the first line is the scan command
    %p   parameters: name = value, and name@attribute = value
    %d   data: "Col 1 omega DOUBLE" declares a column, other lines hold a word for each

Lines with "!" are remarks, wherever they are. Values are never evaluated: what reads like a number, a
list, a tuple, a quoted text, True, False or None is that, and all else is text. Facts: DESY 8.5.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.schema.dates import iso_date

LONGEST_LITERAL = 1 << 16
"""Longest text, in characters, that is tried as a number or list."""

_LONGEST_INTEGER = 1024
"""Bits of the largest whole number that is one; Python writes no decimal digits of much larger ones."""

_STARTED, _ENDED = "Acquisition started at", "Acquisition ended at"
_COLUMN = re.compile(r"Col\s+\d+\s+(\S+)(?:\s+\S+)?", re.IGNORECASE)
_WORDS = {"True": True, "False": False, "None": None}
_LIKE_A_LITERAL = re.compile(r"""[-+.\d\[('"]""")


@dataclass(frozen=True, slots=True)
class Fio:
    """What a FIO file says."""

    comments: tuple[str, ...] = ()
    """Lines of the comments, without remarks."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Values by name."""
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Attributes of parameters by the parameter's name; `unit` is a text."""
    columns: Mapping[str, list[float | str]] = field(default_factory=dict)
    """Columns of the data, numbers as float."""
    start_time: str = ""
    """ISO 8601; the file's words if they are no date; empty if it does not say."""
    end_time: str = ""

    @property
    def command(self) -> str:
        """The scan command, e.g. "dscan omega -1.0 1.0 4 0.5"; empty if there is none."""
        return self.comments[0] if self.comments else ""


def parse(text: str) -> Fio:
    """What `text` says; there is no text that it fails for."""
    parsing = _Parsing()
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if "!" in line:
            parsing.remark(line)
        elif line[:2].lower() in {"%c", "%p", "%d"} and not line[2:].strip():
            section = line[1].lower()
        elif section == "c":
            parsing.comment(line)
        elif section == "p":
            parsing.parameter(line)
        elif section == "d":
            parsing.data(line)
    return parsing.finished()


def literal(text: str) -> Any:
    """The number, list, quoted text, bool or None that `text` says in Python's spelling, else `text` itself."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > LONGEST_LITERAL or not _LIKE_A_LITERAL.match(text):
        return text
    if text[0] not in "[('\"" and "_" in text:  # 12_3 is the name of a sample.
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About odd escapes in quoted text: it is not our program.
            return _plain(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case int() if value.bit_length() <= _LONGEST_INTEGER:
            return value
        case str():
            return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_plain(member) for member in value]
    raise ValueError("of a kind that parameters do not have")


class _Parsing:
    """A file in the making, line by line."""

    def __init__(self) -> None:
        self.comments: list[str] = []
        self.parameters: dict[str, Any] = {}
        self.attributes: dict[str, dict[str, Any]] = {}
        self.names: list[str] = []
        self.columns: list[list[float | str]] = []
        self.times: dict[str, str] = {}

    def remark(self, line: str) -> None:
        for words in (_STARTED, _ENDED):
            if words in line and words not in self.times:
                self.times[words] = line.partition(words)[2].strip()

    def comment(self, line: str) -> None:
        self.remark(line)
        self.comments.append(line)

    def parameter(self, line: str) -> None:
        parts = [part.strip() for part in line.split("=")]
        if len(parts) < 2 or not parts[0] or not parts[1]:
            return
        name, at, attribute = parts[0].replace(" ", "_").partition("@")
        if not at:
            self.parameters[name] = literal(parts[1])
        elif attribute in {"unit", "units"}:
            self.attributes.setdefault(name, {})["unit"] = parts[1]
        elif attribute and attribute != "value":
            self.attributes.setdefault(name, {})[attribute] = literal(parts[1])

    def data(self, line: str) -> None:
        if declared := _COLUMN.fullmatch(line):
            self.names.append(declared[1])
            self.columns.append([])
            return
        for column, word in zip(self.columns, line.split(), strict=False):
            column.append(_number(word))

    def finished(self) -> Fio:
        known = {name: members for name, members in self.attributes.items() if name in self.parameters}
        columns = dict(zip(self.names, self.columns, strict=True))
        started, ended = (_date(self.times.get(words, "")) for words in (_STARTED, _ENDED))
        return Fio(tuple(self.comments), self.parameters, known, columns, started, ended)


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def _date(words: str) -> str:
    try:
        return iso_date(words) if words else ""
    except SourceError:
        return words
