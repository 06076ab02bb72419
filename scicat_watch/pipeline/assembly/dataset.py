"""The dataset of one scan, from the items of its schema and the variables. Pure.

`high_level` items become fields of the dataset, `scientific_metadata` items members of
`scientificMetadata`, and *new* `nexus_tree` items put groups of the NeXus file there: with a
`machine_name` under that name, else at the top. Of two items with one name the later wins, so an
item before the tree is what holds unless the file has such a field, and one after it overrules the
file. An item that cannot be made is left out and reported; *new:* one that is `optional` is reported
only if there is a value, but one that cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.documents import Dataset, cleaned, scientific_metadata, strict
from scicat_watch.errors import AssemblyError, MissingValue, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.convert import convert
from scicat_watch.pipeline.assembly.render import render
from scicat_watch.pipeline.assembly.variables import Variables
from scicat_watch.pipeline.schema.model import Item, Schema

_AT_ESS = """
    pid size numberOfFiles isPublished datasetName description principalInvestigator creationLocation owner ownerEmail
    sourceFolder contactEmail creationTime type sampleId techniques instrumentId proposalId ownerGroup accessGroups
    startTime endTime runNumber keywords
"""
_ALSO_IN_V3 = """
    sourceFolderHost comment license classification validationStatus orcidOfOwner instrumentGroup dataFormat packedSize
    numberOfFilesArchived sharedWith relationships scientificMetadataSchema dataQualityMetrics datasetlifecycle
    investigator inputDatasets usedSoftware jobParameters jobLogData
"""
FIELDS_AT_ESS = frozenset(_AT_ESS.split()) - {"isPublished"}
"""The fields that a schema may set at ESS."""
FIELDS = frozenset((_AT_ESS + _ALSO_IN_V3).split())
"""The fields that a schema may set; others would make the catalogue refuse the whole dataset."""

MANDATORY = (
    "datasetName",
    "principalInvestigator",
    "creationLocation",
    "owner",
    "ownerGroup",
    "sourceFolder",
    "contactEmail",
    "creationTime",
)
"""What SciCat demands of a raw dataset, and a name for people."""
MANDATORY_AT_ESS = (
    "pid",
    "datasetName",
    "principalInvestigator",
    "creationLocation",
    "owner",
    "ownerEmail",
    "sourceFolder",
    "contactEmail",
    "creationTime",
)
"""What ESS's ingestor demands of a schema; groups have defaults there."""

_NOT_OF_DERIVED = {"principalInvestigator", "creationLocation"}
_MOST_RENAMED = 5  # Names that a note says.
_OF_DERIVED = ("investigator", "inputDatasets", "usedSoftware")


@dataclass(frozen=True, slots=True)
class DatasetRules:
    """What a site has beside its schemas."""

    mandatory: tuple[str, ...] = MANDATORY
    """Fields without which there is no dataset."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of fields that the schema leaves out or has null for, e.g. {"ownerGroup": "staff"}."""
    fields: frozenset[str] = FIELDS
    """Fields that a schema may set; items for others are left out, and reported."""


@dataclass(frozen=True, slots=True)
class DatasetDraft:
    """A dataset that may still be added to, and what was noticed on the way."""

    fields: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def dataset(self) -> Dataset:
        """The document."""
        return Dataset(self.fields)


def make(
    schema: Schema,
    variables: Variables,
    trees: Mapping[str, Mapping[str, Any]],
    rules: DatasetRules,
    fixed: Mapping[str, Any] | None = None,
) -> DatasetDraft:
    """The dataset that `schema` describes; `trees` are those of its `nexus_tree` items, by label.

    `fixed` are fields that hold whatever the schema says; null leaves one out. Raises `AssemblyError`
    naming every mandatory field without a value, with the reasons.
    """
    taking = _Taking(variables, trees, rules.fields)
    for item in schema.items:
        taking.take(item)
    present = _with_defaults(taking.fields, rules.defaults) | dict(fixed or {})
    demanded = [name for name in _demanded(present.get("type"), rules, taking.failures) if name not in (fixed or {})]
    missing = [f"{name} ({taking.reason(name)})" for name in demanded if present.get(name) is None]
    if missing:
        raise AssemblyError(f"the schema {schema.id!r} gives the dataset no value for {', '.join(missing)}")
    kept = {name: value for name, value in present.items() if value is not None}
    renamed: dict[str, str] = {}
    metadata = scientific_metadata(taking.metadata, renamed)
    return DatasetDraft(kept | {"scientificMetadata": metadata}, (*taking.notes, *_said(renamed)))


def _said(renamed: Mapping[str, str]) -> Iterator[str]:
    """Which names of the metadata are others in the catalogue."""
    if renamed:
        names = [f"{name!r} as {new!r}" for name, new in sorted(renamed.items())[:_MOST_RENAMED]]
        more = f" and {len(renamed) - _MOST_RENAMED} more" if len(renamed) > _MOST_RENAMED else ""
        yield f"metadata names that catalogues cannot store are sent changed: {', '.join(names)}{more}"


class _Taking:
    """A dataset while its items are taken in, one after the other."""

    def __init__(
        self, variables: Variables, trees: Mapping[str, Mapping[str, Any]], settable: frozenset[str] = FIELDS
    ) -> None:
        self.variables, self.trees, self.settable = variables, trees, settable
        self.fields: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        self.notes: list[str] = []

    def take(self, item: Item) -> None:
        try:
            match item.field_type:
                case "high_level" if item.machine_name in self.settable:
                    self.failures.pop(item.machine_name, None)
                    value = strict(_quantity(item, self.variables).value)
                    # A pid is clean by how scans are named, unless it is that of a dataset from before.
                    self.fields[item.machine_name] = value if item.machine_name == "pid" else cleaned(value)
                case "high_level":
                    self.notes.append(f"{item.label}: a dataset has no field {item.machine_name!r}; left out")
                case "scientific_metadata":
                    self.metadata[item.machine_name] = strict(_entry(item, _quantity(item, self.variables)))
                case "nexus_tree":
                    tree = self.trees.get(item.label, {})
                    self.metadata |= {item.machine_name: tree} if item.machine_name and tree else tree
        except MissingValue as error:
            self.lost(item, self.variables.why(item.value, error), noted=not item.optional)
        except SourceError as error:
            self.lost(item, str(error))
        except AssemblyError as error:
            self.lost(item, str(error))

    def lost(self, item: Item, reason: str, *, noted: bool = True) -> None:
        if noted:
            self.notes.append(f"{item.label}: left out: {reason}")
        if item.field_type == "high_level":
            self.fields.pop(item.machine_name, None)
            self.failures[item.machine_name] = reason

    def reason(self, name: str) -> str:
        """Why a field has no value."""
        if name in self.failures:
            return self.failures[name]
        return "its value is null" if name in self.fields else "no item of the schema makes it"


def _with_defaults(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    standing = {"isPublished": False, "type": "raw", "techniques": []} | dict(defaults)
    return dict(fields) | {name: value for name, value in standing.items() if fields.get(name) is None}


def _quantity(item: Item, variables: Variables) -> Quantity:
    quantity = render(item.value, variables.known)
    return Quantity(convert(quantity.value, item.value_type), quantity.unit)


def _entry(item: Item, quantity: Quantity) -> Any:
    unit = item.unit or quantity.unit
    match item.form:
        case "plain":
            return quantity.value
        case "value_unit":
            return {"value": quantity.value, "unit": unit}
    name = item.human_name or item.machine_name
    return {"type": item.value_type, "human_name": name, "value": quantity.value, "unit": unit}


def _demanded(kind: Any, rules: DatasetRules, failures: Mapping[str, str]) -> list[str]:
    """The fields that must have a value.

    A pid is one of them if the schema means to give it: one that the catalogue chose instead would be
    another on the next try, and the scan have two datasets.
    """
    names = [name for name in rules.mandatory if kind != "derived" or name not in _NOT_OF_DERIVED]
    names += _OF_DERIVED if kind == "derived" else ()
    return names + (["pid"] if "pid" in failures and "pid" not in names else [])
