from __future__ import annotations

import json
import math
from typing import Any

import pytest

from scicat_watch.errors import AssemblyError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.dataset import FIELDS, MANDATORY, MANDATORY_AT_ESS, DatasetDraft, DatasetRules, make
from scicat_watch.pipeline.assembly.variables import Variables
from tests.pipeline.hand_made import ENOUGH, high, schema

KNOWN = {
    "energy": Quantity(7.112, "keV"),
    "nan": Quantity(math.nan),
    "null": Quantity(None),
    "bytes": Quantity({"raw": b"x", "set": {1}}),
    "list": Quantity([1, math.inf]),
}
TREE = {"title": {"value": "theta scan", "unit": ""}, "energy": {"shape": [3]}}


def build(items: dict[str, Any], *, base: Any = ENOUGH, rules: DatasetRules | None = None, **more: Any) -> DatasetDraft:
    variables = Variables(KNOWN, {"broken": "the file has no /x"})
    return make(schema(items={**base, **items}), variables, {"tree": TREE}, rules or DatasetRules(), **more)


def metadata(**attributes: Any) -> dict[str, Any]:
    item = {"field_type": "scientific_metadata", "machine_name": "energy", "value": "<energy>", "type": "float"}
    return {"item": item | attributes}


def test_what_every_dataset_has() -> None:
    fields = build({}).fields
    assert set(fields) == set(ENOUGH) | {"isPublished", "type", "techniques", "scientificMetadata"}
    assert (fields["isPublished"], fields["type"]) == (False, "raw")
    assert (fields["techniques"], fields["scientificMetadata"]) == ([], {})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {"type": "float", "human_name": "energy", "value": 7.112, "unit": "keV"}),
        ({"human_name": "Energy"}, {"type": "float", "human_name": "Energy", "value": 7.112, "unit": "keV"}),
        ({"human_name": None}, {"type": "float", "human_name": "energy", "value": 7.112, "unit": "keV"}),
        ({"unit": "eV"}, {"type": "float", "human_name": "energy", "value": 7.112, "unit": "eV"}),
        ({"unit": ""}, {"type": "float", "human_name": "energy", "value": 7.112, "unit": "keV"}),
        ({"type": "string"}, {"type": "string", "human_name": "energy", "value": "7.112", "unit": "keV"}),
        ({"value": 2.5}, {"type": "float", "human_name": "energy", "value": 2.5, "unit": ""}),
        ({"value": "<nan>"}, {"type": "float", "human_name": "energy", "value": None, "unit": ""}),
        ({"value": "<null>", "type": "none"}, {"type": "none", "human_name": "energy", "value": None, "unit": ""}),
        ({"form": "quantity"}, {"type": "float", "human_name": "energy", "value": 7.112, "unit": "keV"}),
        ({"form": "value_unit"}, {"value": 7.112, "unit": "keV"}),
        ({"form": "plain"}, 7.112),
    ],
    ids=str,
)
def test_forms_of_scientific_metadata(attributes: dict[str, Any], expected: Any) -> None:
    assert build(metadata(**attributes)).fields["scientificMetadata"] == {"energy": expected}


@pytest.mark.parametrize("change", [{"value": "<broken>"}, {"type": "text"}, {"value": "x"}, {"value": "a < b > c"}])
def test_an_item_that_cannot_be_made_is_left_out_with_a_note(change: dict[str, Any]) -> None:
    made = build(metadata(**change))
    assert made.fields["scientificMetadata"] == {}
    assert len(made.notes) == 1


def test_a_missing_optional_item_is_not_noted_but_a_bad_value_is() -> None:
    assert build(metadata(value="<broken>", optional=True)).notes == ()
    assert build(metadata(value="x", optional=True)).notes


def test_the_note_names_the_cause() -> None:
    assert "the file has no /x" in build(metadata(value="<broken>")).notes[0]


def test_what_json_cannot_hold_is_left_out_and_the_rest_is_strict() -> None:
    made = build(metadata(value="<bytes>", type="dict") | {"k": high("keywords", "<list>", "list")})
    assert made.fields["keywords"] == [1, None]
    assert made.fields["scientificMetadata"] == {}
    json.dumps(made.fields, allow_nan=False)


def test_of_two_items_with_one_name_the_later_wins() -> None:
    fields = build({"a": high("description", "first"), "b": high("description", "second")}).fields
    assert fields["description"] == "second"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_fields_that_a_schema_may_set(name: str) -> None:
    assert build({"item": high(name, "x")}, base={}, rules=DatasetRules(mandatory=())).fields[name] == "x"


@pytest.mark.parametrize("name", ["location", "scientificMetadata", "principalInvestigators", "createdAt"])
def test_other_fields_are_dropped_with_a_note(name: str) -> None:
    made = build({"item": high(name, "x")})
    assert made.fields.get(name) != "x"
    assert name in made.notes[0]


def test_an_unknown_field_type_is_left_out() -> None:
    assert build({"odd": high("description", "x") | {"field_type": "odd"}}).fields.get("description") is None


def test_null_fields_are_left_out() -> None:
    assert "sampleId" not in build({"sample": high("sampleId", "<null>", "none")}).fields


@pytest.mark.parametrize("name", MANDATORY)
def test_a_dataset_without_a_mandatory_field_is_refused(name: str) -> None:
    base = {label: item for label, item in ENOUGH.items() if label != name}
    with pytest.raises(AssemblyError, match=rf"{name} \(no item of the schema makes it\)"):
        build({}, base=base)
    with pytest.raises(AssemblyError, match=rf"{name} \(.*the file has no /x\)"):
        build({name: high(name, "<broken>")}, base=base)
    with pytest.raises(AssemblyError, match=rf"{name} \(its value is null\)"):
        build({name: high(name, "<null>", "none")}, base=base)
    assert build({name: high(name, "")}, base=base).fields[name] == ""


def test_all_missing_fields_are_named_at_once() -> None:
    with pytest.raises(AssemblyError) as caught:
        build({}, base={})
    assert all(name in str(caught.value) for name in MANDATORY)


@pytest.mark.parametrize("name", MANDATORY_AT_ESS)
def test_what_ess_demands(name: str) -> None:
    base = {label: item for label, item in ENOUGH.items() if label != name}
    with pytest.raises(AssemblyError, match=name):
        build({}, base=base, rules=DatasetRules(mandatory=MANDATORY_AT_ESS))


def test_the_catalogue_chooses_a_pid_only_if_the_schema_does_not_mean_to() -> None:
    without = {label: item for label, item in ENOUGH.items() if label != "pid"}
    assert "pid" not in build({}, base=without).fields
    with pytest.raises(AssemblyError, match="pid"):
        build({"pid": high("pid", "<broken>")}, base=without)


def test_a_derived_dataset_needs_other_fields() -> None:
    derived = {
        label: item for label, item in ENOUGH.items() if label not in ("principalInvestigator", "creationLocation")
    }
    derived["type"] = high("type", "derived")
    with pytest.raises(AssemblyError, match=r"investigator .*inputDatasets .*usedSoftware"):
        build({}, base=derived)
    more = {
        "i": high("investigator", "x"),
        "d": high("inputDatasets", [], "list"),
        "u": high("usedSoftware", [], "list"),
    }
    assert build(more, base=derived).fields["type"] == "derived"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (high("proposalId", "<broken>"), "standard"),
        (high("proposalId", "<null>", "none"), "standard"),
        (high("proposalId", ""), ""),
    ],
)
def test_defaults_stand_in_for_what_is_missing(item: dict[str, Any], expected: str) -> None:
    rules = DatasetRules(defaults={"proposalId": "standard"})
    assert build({"p": item}, rules=rules).fields["proposalId"] == expected


def test_fixed_fields_hold_whatever_the_schema_says() -> None:
    made = build({"s": high("size", 1, "integer")}, fixed={"size": 7, "pid": None})
    assert made.fields["size"] == 7
    assert "pid" not in made.fields


def tree(**more: Any) -> dict[str, Any]:
    return {"tree": {"field_type": "nexus_tree"} | more}


def test_a_tree_is_merged_at_the_top_or_put_under_its_name() -> None:
    assert build(tree()).fields["scientificMetadata"] == TREE
    assert build(tree(machine_name="file")).fields["scientificMetadata"] == {"file": TREE}
    assert build({"other": {"field_type": "nexus_tree", "machine_name": "x"}}).fields["scientificMetadata"] == {}


def test_between_tree_and_items_the_later_wins() -> None:
    before = build(metadata(form="plain") | tree()).fields["scientificMetadata"]
    after = build(tree() | metadata(form="plain")).fields["scientificMetadata"]
    assert (before["energy"], after["energy"]) == (TREE["energy"], 7.112)
