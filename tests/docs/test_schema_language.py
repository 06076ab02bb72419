"""The page of the schema language says what the program does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from scicat_watch.pipeline.assembly.convert import CONVERSIONS
from scicat_watch.pipeline.assembly.lint import examine
from scicat_watch.pipeline.assembly.operators import OPERATORS
from scicat_watch.pipeline.assembly.reference import TABLES, filled_in
from scicat_watch.pipeline.assembly.sources import table
from scicat_watch.pipeline.schema import model as schema
from scicat_watch.pipeline.schema.model import FIELD_TYPES, FORMS, TreeOptions, parse
from scicat_watch.pipeline.schema.selector import FUNCTIONS, SOURCES

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/schemas.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_generated_tables_are_those_of_the_program(page: str) -> None:
    assert filled_in(page) == page, "run: make docs"
    assert all(f"<!-- table: {name} -->" in page for name in TABLES)


def test_every_key_and_word_is_described(page: str) -> None:
    words = [*table.BY_NAME, *FIELD_TYPES, *FORMS, *SOURCES, *FUNCTIONS]
    words += [field.name for field in dataclasses.fields(TreeOptions)]
    words += ["id", "name", "instrument", "order", "selector", "variables", "schema", "sample_attachment"]
    words += [*schema._TOP, *schema._VARIABLE, *schema._ITEM, *schema._TREE]
    words += [name for name in CONVERSIONS if not name.endswith("[]")]
    words += ["default", "required", "unit", "optional", "human_name", "machine_name", "field_type", "options"]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_every_operator_is_described_with_its_spellings_and_keys(page: str) -> None:
    for operator in OPERATORS:
        assert operator.effect
        assert all(operator.arguments.values())
        words = (operator.name, *operator.spellings, *operator.arguments)
        assert [word for word in words if f"`{word}`" not in page] == []


def test_the_first_example_is_a_schema_without_fault(page: str) -> None:
    example = page.split("```yaml\n")[1].split("```", maxsplit=1)[0]
    assert [finding.message for finding in examine(parse(yaml.safe_load(example))) if finding.mistake] == []


def test_the_examples_of_operators_are_known(page: str) -> None:
    examples = yaml.safe_load(page.split("### Operators")[1].split("```yaml\n")[1].split("```", maxsplit=1)[0])
    general = {"id": "e", "name": "E", "instrument": "", "order": 1, "selector": "*", "schema": {}}
    given = {
        name: {"source": "BT", "path": name, "value_type": "string"}
        for name in ("pi_email", "leader_email", "lambda_nm")
    }
    assert examine(parse(general | {"variables": given | examples})) == []
