from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ConfigError
from scicat_watch.pipeline.assembly.schemas import findings, load, load_file
from scicat_watch.pipeline.assembly.sources.table import NEEDS
from scicat_watch.pipeline.schema.model import SAMPLE_NAME, SAMPLE_PROPOSAL, TreeOptions, parse, try_parse
from tests.recorded import ESS

WHOLE: dict[str, Any] = {
    "id": "s1",
    "name": "First",
    "instrument": "odin, coda",
    "order": 20,
    "selector": "*",
    "variables": {},
    "schema": {},
}
ITEM = {"field_type": "scientific_metadata", "machine_name": "energy", "value": "<e>", "type": "float"}

YAML = """\
id: mine
name: Mine
instrument: p99
order: 10
selector: '*'
variables:
  title:
    source: NXS
    path: /entry/title
    value_type: string
schema:
  name: {field_type: high_level, machine_name: datasetName, value: <title>, type: string}
"""


def test_the_general_fields_are_kept() -> None:
    schema = parse(WHOLE, "s1.imsc.yml")
    assert (schema.id, schema.name, schema.instrument) == ("s1", "First", "odin, coda")
    assert (schema.order, schema.selector, schema.file) == (20.0, "*", "s1.imsc.yml")


@pytest.mark.parametrize("key", sorted(WHOLE))
def test_each_general_field_is_needed(key: str) -> None:
    with pytest.raises(ConfigError, match=f"'{key}' is missing"):
        parse({name: value for name, value in WHOLE.items() if name != key})


@pytest.mark.parametrize("order", [-3, 1.5, 9999999999])
def test_an_order_may_be_any_number(order: float) -> None:
    assert parse(WHOLE | {"order": order}).order == order


@pytest.mark.parametrize(
    "change",
    [
        {"schemas": {}},
        {"order": "late"},
        {"order": True},
        {"id": ""},
        {"name": ["x"]},
        {"selector": ["*"]},
        {"selector": None},
        {"variables": []},
        {"schema": "x"},
        {"variables": {"v": {"source": "NXS", "path": "/x"}}},
        {"variables": {"v": {"source": "NXS", "value_type": "string"}}},
        {"variables": {"v": {"source": "SC", "value_type": "string"}}},
        {"variables": {"v": {"source": "VALUE", "value_type": "string"}}},
        {"variables": {"v": {"source": "BT", "value_type": "string"}}},
        {"variables": {"v": {"source": "VALUE", "value": "x", "value_type": "string", "opertor": "sum"}}},
        {"variables": {"v": {"source": "VALUE", "value": "x", "value_type": "string", "required": "yes"}}},
        {"variables": {"v": "x"}},
        {"schema": {"i": {"field_type": "high_level", "machine_name": "pid", "value": "x"}}},
        {"schema": {"i": ITEM | {"humanname": "x"}}},
        {"schema": {"i": ITEM | {"form": "round"}}},
        {"schema": {"i": {"field_type": "nexus_tree", "value": "x"}}},
        {"schema": {"i": {"field_type": "nexus_tree", "max_one_dimensional": -1}}},
        {"schema": {"i": {"field_type": "nexus_tree", "hidden_attributes": [1]}}},
        {"sample_attachment": {"query": True}},
    ],
    ids=str,
)
def test_a_slip_is_a_mistake(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse(WHOLE | change, needs=NEEDS)


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_the_top_level_must_be_a_mapping(document: Any) -> None:
    schema, mistakes = try_parse(document)
    assert schema is None
    assert len(mistakes) == 1


def test_all_mistakes_of_a_file_are_found_at_once() -> None:
    schema, mistakes = try_parse(
        needs=NEEDS, document=WHOLE | {"order": "x", "selektor": "*", "variables": {"v": {"source": "SC"}}}
    )
    assert schema is None
    assert len(mistakes) == 4


def test_variables_keep_their_order_and_their_keys() -> None:
    variables = {
        "z": {"source": "NXS", "path": "/entry/z", "value_type": "float", "unit": "mm"},
        "a": {"source": "SC", "url": "proposals/<z>", "value_type": "dict"},
        "b": {"source": "SC", "url": "proposals/<z>", "field": "", "value_type": "dict"},
        "c": {"source": "VALUE", "value": 7, "operator": None, "value_type": "integer"},
        "d": {"source": "VALUE", "value": "<b>", "operator": "getitem", "field": 0, "value_type": "string"},
        "e": {"source": "BT", "field": "pi.email", "value_type": "email", "default": None},
        "f": {"source": "BT", "path": "title", "value_type": "string", "default": "none", "required": True},
        "g": {"source": "SCAN", "path": "pid", "value_type": "string"},
    }
    z, a, b, c, d, e, f, g = parse(WHOLE | {"variables": variables}).variables
    assert [variable.name for variable in (z, a, b, c, d, e, f, g)] == list("zabcdefg")
    assert (z.path, z.unit, z.has_default) == ("/entry/z", "mm", False)
    assert (a.url, a.arguments, b.arguments) == ("proposals/<z>", {}, {"field": ""})
    assert (c.value, c.operator) == (7, "")
    assert (d.operator, d.arguments) == ("getitem", {"field": 0})
    assert (e.path, e.default, e.has_default) == ("pi.email", None, True)
    assert (f.default, f.required) == ("none", True)
    assert (g.source, g.path) == ("SCAN", "pid")


def test_items_keep_their_attributes() -> None:
    items = {
        "a": ITEM,
        "b": ITEM | {"human_name": "Energy", "unit": "keV", "form": "value_unit"},
        "c": ITEM | {"human_name": None, "optional": True},
    }
    plain, full, null = parse(WHOLE | {"schema": items}).items
    assert (plain.label, plain.field_type, plain.machine_name) == ("a", "scientific_metadata", "energy")
    assert (plain.value, plain.value_type, plain.human_name, plain.unit, plain.form) == (
        "<e>",
        "float",
        "",
        "",
        "quantity",
    )
    assert (full.human_name, full.unit, full.form) == ("Energy", "keV", "value_unit")
    assert null.human_name == ""
    assert (plain.optional, null.optional) == (False, True)


def test_a_tree_item_has_options() -> None:
    items = {
        "standard": {"field_type": "nexus_tree"},
        "own": {
            "field_type": "nexus_tree",
            "machine_name": "file",
            "entry_class": "",
            "hidden_attributes": "units, NX_class",
            "one_dimensional": True,
            "max_one_dimensional": 0,
            "empty_units": False,
        },
    }
    standard, own = parse(WHOLE | {"schema": items}).items
    assert (standard.tree, standard.machine_name) == (TreeOptions(), "")
    assert own.tree == TreeOptions("", ("units", "NX_class"), True, 0, False)
    assert own.machine_name == "file"


def test_a_sample_attachment_adds_its_variables() -> None:
    schema = parse(WHOLE | {"sample_attachment": {"query_sample_name": True, "sample_name_path": "/e/s"}})
    assert schema.sample_attachment
    assert [(variable.name, variable.path) for variable in schema.variables] == [
        (SAMPLE_NAME, "/e/s"),
        (SAMPLE_PROPOSAL, "/entry/experiment_identifier"),
    ]
    assert not parse(WHOLE | {"sample_attachment": {}}).sample_attachment


def test_mistakes_name_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.imsc.yml"
    file.write_text(YAML.replace("path:", "pahts:"))
    library = load_file(file)
    assert library.schemas == ()
    assert {(mistake.file, mistake.line) for mistake in library.problems} == {(file, 9), (file, 7)}
    assert str(library.problems[0]).startswith(f"{file}:")


def test_a_schema_whose_variable_lacks_what_its_source_needs_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mine.imsc.yml").write_text(YAML.replace("path:", "unit:"))
    library = load(tmp_path)
    assert library.schemas == ()
    assert "needs the key 'path'" in str(library.problems[0])


def test_variables_and_items_know_their_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.imsc.yml"
    file.write_text(YAML)
    (schema,) = load(tmp_path).schemas
    assert [variable.line for variable in schema.variables] == [7]
    assert [item.line for item in schema.items] == [12]


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("x.imsc.yml", True),
        ("x.imsc.yaml", True),
        ("x.imsc.json", True),
        ("imsc.yml", True),
        (".x.imsc.yml", False),
        ("x.yml", False),
        ("x.IMSC.YML", False),
        ("x.imsc.yml~", False),
        ("x.imsc.yml.bak", False),
        ("x.imsc.yml.example", False),
    ],
)
def test_which_files_are_schemas(tmp_path: Path, name: str, taken: bool) -> None:
    (tmp_path / name).write_text(YAML)
    library = load(tmp_path)
    assert bool(library.schemas) is taken
    assert not library.problems
    passed_over = not taken and "imsc.yml" in name and not name.startswith(".")
    assert bool(library.passed_over) is passed_over


def test_the_content_decides_between_json_and_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.imsc.json").write_text(YAML)
    (tmp_path / "b.imsc.yml").write_text(
        '{\n\t"id": "j", "name": "J", "instrument": "", "order": 1, "selector": "*",\n\t"variables": {}, "schema": {}}'
    )
    assert [schema.id for schema in load(tmp_path).schemas] == ["j", "mine"]


def test_schemas_are_tried_by_order_and_then_by_name_without_case(tmp_path: Path) -> None:
    for number, (order, name) in enumerate([(5, "B"), (5, "a"), (-1, "z"), (0.5, "y")]):
        (tmp_path / f"{number}.imsc.yml").write_text(
            YAML.replace("id: mine", f"id: s{number}").replace("Mine", name).replace("order: 10", f"order: {order}")
        )
    assert [schema.name for schema in load(tmp_path).schemas] == ["z", "y", "a", "B"]


def test_of_two_files_with_one_id_the_later_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    (tmp_path / "a.imsc.yml").write_text(YAML)
    (tmp_path / "b.imsc.yml").write_text(YAML.replace("order: 10", "order: 30").replace("Mine", "Mine again"))
    (tmp_path / "c.imsc.yml").write_text(YAML.replace("order: 10", "order: 20").replace("id: mine", "id: other"))
    library = load(tmp_path)
    assert [schema.name for schema in library.schemas] == ["Mine again", "Mine"]
    assert [problem.file for problem in library.problems] == [tmp_path / "b.imsc.yml"]


@pytest.mark.parametrize(
    "content",
    [
        b"id: [",
        b"\xff\xfe",
        b"",
        b"- a\n- b\n",
        b"id: &a [*a]\n",
        b"\tid: x",
        b"x: !!python/object/apply:os.system [id]",
    ],
)
def test_a_broken_file_is_reported_and_the_others_work(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.imsc.yml").write_bytes(content)
    (tmp_path / "good.imsc.yml").write_text(YAML)
    library = load(tmp_path)
    assert [schema.id for schema in library.schemas] == ["mine"]
    assert library.problems
    assert {problem.file for problem in library.problems} == {tmp_path / "broken.imsc.yml"}


def test_a_missing_directory_is_a_problem(tmp_path: Path) -> None:
    library = load(tmp_path / "none")
    assert not library.schemas
    assert library.problems[0].file == tmp_path / "none"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("selector: '*'", "selector: filename:like:x", "like"),
        ("source: NXS", "source: KAFKA", "KAFKA"),
        ("value_type: string", "value_type: text", "text"),
        ("source: NXS", "operator: reverse\n    value: x\n    source: VALUE", "reverse"),
        ("field_type: high_level", "field_type: low_level", "low_level"),
        ("type: string}", "type: words}", "words"),
    ],
)
def test_what_has_no_effect_is_noted_but_works(tmp_path: Path, old: str, new: str, word: str) -> None:
    (tmp_path / "x.imsc.yml").write_text(YAML.replace(old, new))
    library = load(tmp_path)
    assert len(library.schemas) == 1
    assert not library.problems
    assert any(word in str(finding) for finding in findings(library.schemas))


def test_schemas_of_ess_parse_unchanged() -> None:
    library = load(ESS / "schemas")
    assert not library.problems
    assert [(schema.id, schema.order) for schema in library.schemas] == [
        ("ymir-2026-1", 10),
        ("values", 15),
        ("imaging-2026-1", 20),
        ("catch-all", 900),
    ]
