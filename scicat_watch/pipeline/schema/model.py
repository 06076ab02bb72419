"""Metadata schemas (imsc): what a dataset holds, as files that a curator can read and change.

The format is that of ESS's ingestor (`*.imsc.yml`), with additions that are marked *new*. A file has

    id, name, instrument, order   who it is, and when it is tried: lower orders first
    selector                      which scans it fits: `schema.selector`
    variables                     name → definition, made in this order: `assembly.variables`
    schema                        label → item, a field of the dataset: `assembly.dataset`
    sample_attachment             optional: how the sample's id is looked up in the catalogue

A key that is not known is a mistake, because it is most often a known one with a slip. This module
holds the parsed form and the parser; it is pure: `schema.library` finds and reads the files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from scicat_watch.errors import ConfigError
from scicat_watch.words import nearest

T = TypeVar("T")
Place = tuple[str, ...]
"""The keys that lead to a place in a file, e.g. ("variables", "pid", "source")."""
Lines = Mapping[tuple[str | int, ...], int]
"""Line numbers, from 1, of places in a file."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One definition of the `variables` section."""

    name: str
    source: str
    """Where the value comes from: NXS, FIO, SC, VALUE, BT, SCAN, or the name of another package's source or reader."""
    value_type: str
    """What it is converted to: string, string[], integer, float, date, list, dict, ..."""
    path: str = ""
    """NXS: HDF5 path; FIO, BT, SCAN: dotted path of the field."""
    url: str = ""
    """SC: what to ask the catalogue, below its base."""
    value: Any = None
    """VALUE: literal in which <name> stands for another variable."""
    operator: str = ""
    """VALUE: what is done to the value."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further keys that the operator or source takes: `field`, `pattern`, `replacement`, ...; and `options`, in
    which other packages' sources and operators get what they like."""
    unit: str = ""
    default: Any = None
    """*New.* Value that is taken (rendered like a VALUE) when the source has none."""
    has_default: bool = False
    required: bool = False
    """*New.* Whether a scan without this value is refused rather than ingested without it."""
    line: int = 0
    """Line in the schema file, from 1; 0 if not known."""


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """*New.* How an item of `field_type: nexus_tree` turns a data file's groups into scientific metadata."""

    entry_class: str = "NXentry"
    """NX_class of the root groups that are taken; empty for all."""
    hidden_attributes: tuple[str, ...] = ("nexdatas_source", "nexdatas_strategy", "units")
    """Attributes that are left out under their own name."""
    one_dimensional: bool = False
    """Whether values of 1-D fields are included, not only their shape."""
    max_one_dimensional: int = 1024
    """Longer 1-D fields are shortened to their smallest and largest value."""
    empty_units: bool = True
    """Whether values without a unit get an empty one."""
    attributes: bool = True
    """Whether attributes stand beside; without them only units do."""
    take: tuple[str, ...] = ()
    """Patterns of paths below the entry, e.g. "instrument/**" (`schema.treepaths`); empty: all is taken."""
    leave_out: tuple[str, ...] = ()
    """Patterns of what is left out of it, e.g. "**/:NXlog"."""
    summaries: tuple[str, ...] = ("shape",)
    """What is said of fields with more than one element: some of shape, min, max, mean."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the `schema` section: a field of the dataset, or an entry of its scientific metadata."""

    label: str
    field_type: str
    """high_level, scientific_metadata, or *new* nexus_tree."""
    machine_name: str
    value: Any = None
    value_type: str = "string"
    human_name: str = ""
    unit: str = ""
    form: str = "quantity"
    """*New.* For scientific metadata: quantity {value, type, human_name, unit}; value_unit {value, unit}; plain."""
    tree: TreeOptions | None = None
    optional: bool = False
    """*New.* Whether a scan may lack such a value without a note."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Schema:
    """One metadata schema."""

    id: str
    name: str
    instrument: str
    order: float
    selector: Any
    """Text or nested mapping, as written: `schema.selector` decides with it."""
    variables: tuple[Variable, ...]
    items: tuple[Item, ...]
    file: str = ""
    """The file that it was read from, for messages."""
    selector_line: int = 0
    """Line of the selector in the schema file, from 1; 0 if not known."""
    sample_attachment: bool = False
    """Whether the sample is looked up in the catalogue, by the variables SAMPLE_NAME and SAMPLE_PROPOSAL."""


SAMPLE_NAME = "sample_attachment/sample_name"
"""Variable that a `sample_attachment` section adds: the sample's name in the data file."""
SAMPLE_PROPOSAL = "sample_attachment/proposal_id"
"""Variable that a `sample_attachment` section adds: the proposal's id in the data file."""

FIELD_TYPES = ("high_level", "scientific_metadata", "nexus_tree")
"""What `field_type` may be; items of another one are left out."""
SUMMARIES = ("shape", "min", "max", "mean")
"""What `summaries` of a tree may ask for."""
FORMS = ("quantity", "value_unit", "plain")
"""What `form` may be."""
PREDEFINED: Mapping[str, str] = {
    "ingestor_run_id": "a new UUID for every try",
    "data_file_path": "path of the data file; the scan's place if it has none",
    "data_file_name": "its last element",
    "now": "the time, UTC, ISO 8601",
    "ingestor_files_directory": "where ESS's ingestor keeps its own files",
    "ingestor_metadata_schema_id": "the schema's id",
}
"""The variables that every schema may use and redefine, with their meaning."""

Needs = Mapping[str, tuple[str, ...]]
"""The keys that a variable must have, by its source."""
NOTHING: Needs = {}
"""What sources need that nothing is known of."""

_TOP = {"id", "name", "instrument", "order", "selector", "variables", "schema"}
_ARGUMENTS = {"field", "pattern", "replacement", "start", "stop", "operand", "separator", "zone", "options"}
_VARIABLE = {"source", "value_type", "unit", "path", "url", "value", "operator", "default", "required"} | _ARGUMENTS
_ITEM = {"field_type", "machine_name", "value", "type", "human_name", "unit", "form", "optional"}
_TREE = {"entry_class", "hidden_attributes", "one_dimensional", "max_one_dimensional", "empty_units"}
_TREE |= {"attributes", "take", "leave_out", "summaries"}
_SAMPLE = {
    "query_sample_name": False,
    "sample_name_path": "/entry/sample/name",
    "proposal_id_path": "/entry/experiment_identifier",
}


def parse(document: Mapping[str, Any], file: str = "", lines: Lines | None = None, needs: Needs = NOTHING) -> Schema:
    """The schema that `document` describes; `ConfigError` for the first mistake in it."""
    schema, mistakes = try_parse(document, file, lines, needs)
    if schema is None:
        raise mistakes[0]
    return schema


def try_parse(
    document: Any, file: str = "", lines: Lines | None = None, needs: Needs = NOTHING
) -> tuple[Schema | None, tuple[ConfigError, ...]]:
    """The schema that `document` describes, or None and all the mistakes in it."""
    parsing = _Parsing(file, lines or {}, needs)
    schema = parsing.schema(document)
    return (None if parsing.mistakes else schema), tuple(parsing.mistakes)


class _Parsing:
    """Walks a document and notes every mistake, with its line, instead of stopping at the first."""

    def __init__(self, file: str, lines: Lines, needs: Needs) -> None:
        self.file, self.lines, self.needs = file, lines, needs
        self.mistakes: list[ConfigError] = []

    def schema(self, document: Any) -> Schema | None:
        top = self.section(document, (), _TOP | {"sample_attachment"}, needed=_TOP)
        if top is None:
            return None
        if "id" in top and not top["id"]:
            self.mistake(("id",), "must name the schema")
        selector = top.get("selector")
        if not isinstance(selector, str | Mapping):
            self.mistake(("selector",), f"is {selector!r}, but must be text or a mapping")
        sample = self.sample(top["sample_attachment"]) if "sample_attachment" in top else ()
        variables = tuple(self.each(top, "variables", self.variable))
        return Schema(
            id=self.text(top, ("id",)),
            name=self.text(top, ("name",)),
            instrument=self.text(top, ("instrument",)),
            order=self.order(top.get("order")),
            selector=selector,
            variables=sample + variables,
            items=tuple(self.each(top, "schema", self.item)),
            file=self.file,
            selector_line=self.line(("selector",)),
            sample_attachment=bool(sample),
        )

    def variable(self, name: str, definition: Any, place: Place) -> Variable | None:
        keys = self.section(definition, place, _VARIABLE, needed={"source", "value_type"})
        if keys is None:
            return None
        source = self.text(keys, (*place, "source"))
        arguments = {key: keys[key] for key in sorted(_ARGUMENTS & set(keys))}
        path = self.text(keys, (*place, "path"))
        if source in ("BT", "SCAN") and not path:
            path = str(arguments.pop("field", "") or "")  # `field` says the same to those who come from SC.
        for needed in self.needs.get(source, ()):
            if needed not in keys and not (needed == "path" and path):
                self.mistake(place, f"a variable of source {source} needs the key {needed!r}")
        return Variable(
            name=name,
            source=source,
            value_type=self.text(keys, (*place, "value_type")),
            path=path,
            url=self.text(keys, (*place, "url")),
            value=keys.get("value"),
            operator=self.text(keys, (*place, "operator")),
            arguments=arguments,
            unit=self.text(keys, (*place, "unit")),
            default=keys.get("default"),
            has_default="default" in keys,
            required=self.flag(keys, (*place, "required")),
            line=self.line(place),
        )

    def item(self, label: str, definition: Any, place: Place) -> Item | None:
        is_tree = isinstance(definition, Mapping) and definition.get("field_type") == "nexus_tree"
        needed = {"field_type"} if is_tree else {"field_type", "machine_name", "value", "type"}
        allowed = _TREE | {"field_type", "machine_name"} if is_tree else _ITEM
        keys = self.section(definition, place, allowed, needed)
        if keys is None:
            return None
        form = self.text(keys, (*place, "form")) or "quantity"
        if form not in FORMS:
            self.mistake((*place, "form"), f"is {form!r}, but must be one of {', '.join(FORMS)}")
        return Item(
            label=label,
            field_type=self.text(keys, (*place, "field_type")),
            machine_name=self.text(keys, (*place, "machine_name")),
            value=keys.get("value"),
            value_type=self.text(keys, (*place, "type")) or "string",
            human_name=self.text(keys, (*place, "human_name")),
            unit=self.text(keys, (*place, "unit")),
            form=form,
            tree=self.tree(keys, place) if is_tree else None,
            optional=self.flag(keys, (*place, "optional")),
            line=self.line(place),
        )

    def tree(self, keys: Mapping[str, Any], place: Place) -> TreeOptions:
        standard = TreeOptions()
        hidden = self.names(keys, (*place, "hidden_attributes"), standard.hidden_attributes, "attribute names")
        summaries = self.names(keys, (*place, "summaries"), standard.summaries, f"some of {', '.join(SUMMARIES)}")
        if unknown := [name for name in summaries if name not in SUMMARIES]:
            self.mistake((*place, "summaries"), f"knows {', '.join(SUMMARIES)}, but not {', '.join(unknown)}")
        longest = keys.get("max_one_dimensional", standard.max_one_dimensional)
        if not isinstance(longest, int) or isinstance(longest, bool) or longest < 0:
            self.mistake((*place, "max_one_dimensional"), f"is {longest!r}, but must be a whole number, 0 or more")
        return TreeOptions(
            entry_class=self.text(keys, (*place, "entry_class"), standard.entry_class),
            hidden_attributes=hidden,
            one_dimensional=self.flag(keys, (*place, "one_dimensional"), standard.one_dimensional),
            max_one_dimensional=longest,
            empty_units=self.flag(keys, (*place, "empty_units"), standard.empty_units),
            attributes=self.flag(keys, (*place, "attributes"), standard.attributes),
            take=self.names(keys, (*place, "take"), standard.take, "patterns of paths"),
            leave_out=self.names(keys, (*place, "leave_out"), standard.leave_out, "patterns of paths"),
            summaries=summaries,
        )

    def names(self, keys: Mapping[str, Any], place: Place, standard: tuple[str, ...], what: str) -> tuple[str, ...]:
        """A list of texts, which may also be written as one text with commas."""
        value = keys.get(place[-1], list(standard))
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.mistake(place, f"must be a list of {what}")
            return ()
        return tuple(value)

    def sample(self, definition: Any) -> tuple[Variable, ...]:
        """The variables that a `sample_attachment` section stands for; none if it is turned off."""
        place = ("sample_attachment",)
        keys = self.section(definition, place, set(_SAMPLE), needed=set())
        if keys is None or not self.flag(keys, (*place, "query_sample_name")):
            return ()
        paths = {key: self.text(keys, (*place, key), str(_SAMPLE[key])) for key in _SAMPLE if key.endswith("_path")}
        line = self.line(place)
        return (
            Variable(SAMPLE_NAME, "NXS", "string", path=paths["sample_name_path"], line=line),
            Variable(SAMPLE_PROPOSAL, "NXS", "string", path=paths["proposal_id_path"], line=line),
        )

    def each(self, top: Mapping[str, Any], key: str, make: Callable[[str, Any, Place], T | None]) -> list[T]:
        section = top.get(key)
        if not isinstance(section, Mapping):
            if key in top:
                self.mistake((key,), "must be a mapping of names to definitions")
            return []
        made = (make(str(name), definition, (key, str(name))) for name, definition in section.items())
        return [thing for thing in made if thing is not None]

    def section(self, value: Any, place: Place, allowed: set[str], needed: set[str]) -> Mapping[str, Any] | None:
        """`value` as a mapping; notes keys that are not `allowed` and `needed` keys that are not there."""
        if not isinstance(value, Mapping):
            self.mistake(place, f"must be a mapping, not {type(value).__name__}")
            return None
        for key in value:
            if key not in allowed:
                self.mistake((*place, str(key)), f"is not a key that is known here{nearest(str(key), sorted(allowed))}")
        for key in sorted(needed - set(value)):
            self.mistake(place, f"the key {key!r} is missing")
        return value

    def text(self, keys: Mapping[str, Any], place: Place, standard: str = "") -> str:
        """Text of the last key of `place`; a number is taken as its digits, null like a missing key."""
        value = keys.get(place[-1])
        if value is None:
            return standard
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.mistake(place, f"is {value!r}, but must be text")
            return standard
        return str(value)

    def flag(self, keys: Mapping[str, Any], place: Place, standard: bool = False) -> bool:
        value = keys.get(place[-1], standard)
        if not isinstance(value, bool):
            self.mistake(place, f"is {value!r}, but must be true or false")
            return standard
        return value

    def order(self, value: Any) -> float:
        try:
            order = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            order = math.nan
        if math.isnan(order) and value is not None:
            self.mistake(("order",), f"is {value!r}, but must be a number")
        return order

    def line(self, place: Place) -> int:
        """Line of a place, or of the closest thing around it whose line is known; 0 if none is."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def mistake(self, place: Place, message: str) -> None:
        words = f"{'.'.join(place)}: {message}" if place else f"the schema file: {message}"
        self.mistakes.append(ConfigError(words, Path(self.file) if self.file else None, self.line(place) or None))
