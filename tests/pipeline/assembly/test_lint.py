from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.assembly.findings import Brought, Finding
from scicat_watch.pipeline.assembly.lint import examine, lacking, unreachable
from scicat_watch.pipeline.assembly.sources.scan import FACTS, ScanSource
from scicat_watch.pipeline.schema.model import Schema, parse
from scicat_watch.words import nearest
from tests.pipeline.hand_made import ENOUGH, beamtime, high, reading, schema
from tests.recorded import ESS


def value(literal: Any, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"source": "VALUE", "value": literal, "value_type": kind} | more


def meta(literal: Any, kind: str = "string", name: str = "m", **more: Any) -> dict[str, Any]:
    return {"field_type": "scientific_metadata", "machine_name": name, "value": literal, "type": kind} | more


TITLE = {"source": "NXS", "path": "/entry/title", "value_type": "string"}

MISTAKES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("unknown variable", {"title": TITLE, "v": value("<tilte>")}, {}, "no variable <tilte>; did you mean 'title'"),
    ("unknown in an item", {"title": TITLE}, {"i": meta("<titel>")}, "no variable <titel>; did you mean 'title'"),
    ("unknown in a url", {"v": {"source": "SC", "url": "proposals/<id>", "value_type": "dict"}}, {}, "variable <id>"),
    ("unknown in a default", {"v": TITLE | {"default": "<gone>"}}, {}, "default: there is no variable <gone>"),
    ("unknown operand", {"v": value("1", operator="add", operand="<gone>")}, {}, "operand: there is no"),
    ("unknown in a choice", {"t": TITLE, "v": value(["<t>", "<x>"], operator="first_of")}, {}, "no variable <x>"),
    ("later", {"v": value("<title>"), "title": TITLE}, {}, "<title> is defined only later"),
    ("itself", {"v": value("more <v>")}, {}, "<v> refers to itself"),
    ("itself by redefinition", {"now": value("<now>")}, {}, "<now> refers to itself"),
    ("operator", {"v": value("x", operator="to_uper")}, {}, "operator 'to_uper' is not known.*did you mean 'to_upper'"),
    ("source", {"v": {"source": "NSX", "path": "/x", "value_type": "string"}}, {}, "'NSX' is not known.*'NXS'"),
    ("type", {"v": TITLE | {"value_type": "strnig"}}, {}, "type 'strnig' is not known; did you mean 'string'"),
    ("type of an item", {}, {"i": meta("x", "text")}, "type 'text' is not known; known: string,"),
    ("field type", {}, {"i": meta("x") | {"field_type": "highlevel"}}, "'highlevel' is not known; .* 'high_level'"),
    ("dataset field", {}, {"i": high("datasetname", "x")}, "no field 'datasetname'; did you mean 'datasetName'"),
    ("argument", {"v": value("abc", operator="getitem")}, {}, "getitem needs the key 'field'"),
    ("constant", {"v": value("twelve", "integer")}, {}, "never has a value: 'twelve' is not of type integer"),
    ("constant operator", {"v": value("12", operator="sum")}, {}, "never has a value: a sum needs a list"),
    ("expression", {"v": value("x", operator="regex_find", pattern="(")}, {}, "not a regular expression"),
    ("constant item", {}, {"i": meta("2.1.2026", "date")}, "item i: it never has a value"),
    ("a follower", {"v": value("x", "integer"), "w": value("<v>")}, {"i": meta("<w>")}, "<w> never has a value"),
    ("endpoint", {"v": {"source": "SC", "url": "proposal/1", "value_type": "dict"}}, {}, "did you mean 'proposals'"),
    ("fact", {"v": {"source": "SCAN", "path": "pdi", "value_type": "string"}}, {}, "no 'pdi'; did you mean 'pid'"),
    ("twice", {}, {"i": meta("x"), "j": meta("y")}, "item j: 'm' is made already by the item i"),
    ("field twice", {}, {"i": high("pid", "x"), "j": high("pid", "y") | {"optional": True}}, "'pid' is made already"),
]


@pytest.mark.parametrize(
    ("variables", "items", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_what_can_never_come_true_is_a_mistake(variables: dict[str, Any], items: dict[str, Any], message: str) -> None:
    findings = examine(schema(variables, items))
    assert any(re.search(message, str(finding)) for finding in findings if finding.mistake), findings


NOTES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("path on VALUE", {"v": value("x", path="/entry")}, {}, "key 'path' has no effect"),
    ("operator on NXS", {"v": TITLE | {"operator": "sum"}}, {}, "key 'operator' has no effect"),
    ("pattern alone", {"v": value("x", pattern="y")}, {}, "key 'pattern' has no effect"),
    ("wildcard", {"v": TITLE | {"path": "/entry/user_*/name"}}, {}, "only the type"),
    ("reference in a path", {"t": TITLE, "v": TITLE | {"path": "/entry/<t>"}}, {}, "taken as it is"),
    ("brackets forgotten", {"title": TITLE}, {"i": meta("title")}, "write <title>"),
    ("unit of a field", {}, {"i": high("pid", "x") | {"unit": "m"}}, "key 'unit' has no effect"),
]


@pytest.mark.parametrize(("variables", "items", "message"), [row[1:] for row in NOTES], ids=[row[0] for row in NOTES])
def test_what_works_but_is_odd_is_a_note(variables: dict[str, Any], items: dict[str, Any], message: str) -> None:
    (finding,) = examine(schema(variables, items))
    assert not finding.mistake
    assert re.search(message, finding.message)


@pytest.mark.parametrize(
    ("variables", "items"),
    [
        ({"v": value("<now> <data_file_name>")}, {}),
        ({"v": value("a < b")}, {}),
        ({"v": value("x", operator="to-upper")}, {}),
        ({"v": {"source": "SC", "url": "proposals/<now>", "field": "", "value_type": "dict"}}, {}),
        ({"v": {"source": "SC", "url": "https://other.example/x", "value_type": "dict"}}, {}),
        ({"t": TITLE, "v": {"source": "SC", "url": "<t>", "value_type": "dict"}}, {}),
        ({"v": TITLE | {"path": "/entry/user_*/name", "value_type": "string[]"}}, {}),
        ({"v": value("2", operator="multiply", operand=3, unit="m")}, {}),
        ({"v": value("2"), "w": value("<v>", operator="multiply", operand="<v>")}, {}),
        ({"now": value("then")}, {}),
        ({}, {"i": meta("x"), "j": meta("y", optional=True)}),
        ({}, {"i": meta("x"), "j": high("keywords", ["m"], "string[]")}),
        ({}, {"i": meta(None)}),
    ],
    ids=str,
)
def test_what_works_is_not_spoken_of(variables: dict[str, Any], items: dict[str, Any]) -> None:
    assert examine(schema(variables, items)) == []


def test_a_default_or_another_choice_keeps_a_variable_alive() -> None:
    variables = {
        "with_default": {"source": "SCAN", "path": "pdi", "value_type": "string", "default": "x"},
        "choice": value(["<gone>", "<now>"], operator="first_of"),
        "hopeless": value(["<gone>", "<away>"], operator="first_of"),
    }
    items = {name: meta(f"<{name}>", name=name) for name in variables}
    lost = [finding.message for finding in examine(schema(variables, items)) if finding.message.startswith("item")]
    assert lost == ["item hopeless: it never has a value: <hopeless> never has a value"]


def test_names_that_packages_bring_are_known_and_asked_for_only_if_needed() -> None:
    of_package = {"v": value("x", operator="mine"), "w": {"source": "LOGBOOK", "value_type": "string"}}
    assert len(examine(schema(of_package))) == 2
    assert examine(schema(of_package), Brought(lambda: ["LOGBOOK"], lambda: ["mine"])) == []

    def never() -> list[str]:
        raise AssertionError

    assert examine(schema({"v": value("x", operator="to_upper")}), Brought(never, never, never)) == []
    (note,) = examine(schema({"v": {"source": "SPEC", "value_type": "string"}}), Brought(readers=lambda: ["spec"]))
    assert (note.mistake, "*.spec" in note.message) == (False, True)


def chosen(name: str, selector: Any, order: float) -> Schema:
    general = {"id": name, "name": name, "instrument": "", "order": order, "variables": {}, "schema": {}}
    return parse(general | {"selector": selector})


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [
        ("*", "filename:contains:x", False),
        ({"and": []}, "filename:contains:x", False),
        ({}, "filename:contains:x", False),
        ({"or": ["filename:contains:y", "*"]}, "filename:contains:x", False),
        ("filename:contains:x", "filename:contains:x", False),
        ("filename:contains:x", {"source": "filename", "operator": "contains", "operand_2": "x"}, False),
        ("filename:contains:x", {"and": ["filename:contains:x", "*"]}, False),
        ({"or": ["filename:contains:x", "beamline:equals:p"]}, {"or": ["beamline:equals:p", "filename:contains:x"]}, False),  # noqa: E501
        ("filename:contains:x", "filename:contains:X", True),
        ("filename:contains:x", "*", True),
        ({"or": ["filename:contains:x"]}, {"and": ["filename:contains:y"]}, True),
        ({"or": []}, "filename:contains:x", True),
        ({"or": None}, "filename:contains:x", True),
    ],
    ids=str,
)  # fmt: skip
def test_a_schema_behind_one_that_takes_all_its_scans_is_unreachable(first: Any, second: Any, reached: bool) -> None:
    findings = list(unreachable([chosen("a", first, 1), chosen("b", second, 2)]))
    assert len(findings) == (not reached)
    assert all(finding.mistake and "'b' is never reached: 'a'" in finding.message for finding in findings)


def test_every_finding_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.imsc.yml").write_text(
        "id: a\nname: A\ninstrument: ''\norder: 1\nselector: filename:like:x\nvariables:\n"
        "  v: {source: VALUE, value: <gone>, value_type: string}\n"
        "schema:\n  i: {field_type: high_level, machine_name: pid, value: <v>, type: string}\n"
    )
    (tmp_path / "b.imsc.yml").write_text(
        "id: b\nname: B\ninstrument: ''\norder: 0\nselector: '*'\nvariables:\n"
        "  x: {source: BT, path: t, value_type: string}\n"
        "  x: {source: BT, path: u, value_type: string}\nschema: {}\n"
    )
    _, found = schemas.check(tmp_path)
    places = {(Path(finding.file).name, finding.line) for finding in found if finding.mistake}
    assert places == {("a.imsc.yml", 5), ("a.imsc.yml", 7), ("a.imsc.yml", 9), ("b.imsc.yml", 8)}
    assert any("repeated" in str(finding) and f"{tmp_path}/b.imsc.yml:8: " in str(finding) for finding in found)


def test_one_file_is_checked_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "draft.yml"
    file.write_text("id: a\nname: A\ninstrument: ''\norder: 1\nselector: '*'\nvariables: {}\nschema: {}\n")
    assert [schema.id for schema in schemas.check(file)[0].schemas] == ["a"]
    assert schemas.check(tmp_path / "none.yml")[0].problems


def test_fields_that_nobody_makes_are_noted() -> None:
    assert list(lacking(schema({}, ENOUGH))) == []
    (note,) = lacking(schema({}, {name: item for name, item in ENOUGH.items() if name != "ownerGroup"}))
    assert (note.mistake, "ownerGroup" in note.message) == (False, True)


def test_the_shipped_schemas_are_without_fault() -> None:
    assert schemas.check()[1] == ()


def test_of_schemas_of_ess_only_what_fails_at_ess_too_is_a_mistake() -> None:
    mistakes = [finding for finding in schemas.check(ESS / "schemas")[1] if finding.mistake]
    assert {(Path(finding.file).name, finding.message.partition(":")[0]) for finding in mistakes} == {
        ("test-beamline.imsc.yml", "item location"),
        ("test-beamline.imsc.yml", "item odd"),
        ("values.imsc.yml", "variable bad_int"),
        ("values.imsc.yml", "variable bad_list"),
        ("values.imsc.yml", "variable date_bad"),
        ("values.imsc.yml", "item end"),
        ("values.imsc.yml", "item sm_bad_int"),
        ("values.imsc.yml", "item sm_bad_list"),
        ("values.imsc.yml", "item sm_date_bad"),
        ("imaging.imsc.json", "item sm_site"),
        ("anything.imsc.yaml", "variable number_as_text"),
        ("anything.imsc.yaml", "variable unknown_endpoint"),
        ("anything.imsc.yaml", "item sm_angle"),
        ("anything.imsc.yaml", "item sm_bad_type"),
    }


def test_the_facts_of_a_scan_are_those_that_the_source_has() -> None:
    assert set(ScanSource(reading(schema()), beamtime()).facts) == set(FACTS)


def test_words() -> None:
    assert nearest("to-uper", ["to_upper", "sum"]) == "; did you mean 'to_upper'?"
    assert nearest("x", ["alpha", "beta"]) == "; known: alpha, beta"
    assert nearest("x", [str(number) for number in range(100, 200)]) == nearest("x", []) == ""
    assert str(Finding("f", 0, "m")) == "f: m"
