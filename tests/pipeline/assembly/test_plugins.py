from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly.assemble import Assembled, assemble
from scicat_watch.pipeline.assembly.plugins import OPERATORS
from scicat_watch.pipeline.assembly.schemas import plugin_problems
from scicat_watch.pipeline.assembly.sources.plugins import SOURCES
from scicat_watch.service.check import examine_schemas
from tests.pipeline.hand_made import ENOUGH, context, high, reading, schema

CODE = """
from scicat_watch.model import Quantity
from scicat_watch.errors import MissingValue
from scicat_watch.pipeline.assembly.operators import Operator

twice = Operator("twice", "Twice.", lambda quantity, arguments: Quantity(quantity.value * 2, "mm"))
broken = Operator("broken", "Breaks.", lambda quantity, arguments: {}["gone"])
careless = Operator("careless", "No quantity.", lambda quantity, arguments: 7)

class Beamtime:
    def __init__(self, context):
        self.id = context.beamtime.id
    def read(self, variable, known):
        if variable.path == "gone":
            raise MissingValue("it is gone")
        if variable.path == "odd":
            return 7
        return Quantity(f"{self.id} {variable.path} {variable.arguments['options']}"[:{}.get("x", 99)])

def failing(context):
    raise OSError("no such logbook")
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts packages with entry points on the path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(package: str, points: Mapping[str, Mapping[str, str]], code: str = CODE) -> None:
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [
            f"[{group}]\n" + "".join(f"{name} = {to}\n" for name, to in named.items())
            for group, named in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        plugins.installed.cache_clear()

    yield installed
    plugins.installed.cache_clear()


def made(variables: dict[str, Any], items: dict[str, Any] | None = None) -> Assembled:
    return assemble(context(reading(schema(variables, ENOUGH | (items or {})))))


def with_operator(name: str) -> Assembled:
    return made({"v": {"source": "VALUE", "value": "ab", "operator": name, "value_type": "string"}})


def test_an_operator_and_a_source_of_another_package_are_used(install: Install) -> None:
    install("brings", {plugins.OPERATORS: {"twice": "brings:twice"}, plugins.SOURCES: {"BEAMTIME": "brings:Beamtime"}})
    variables = {
        "v": {"source": "VALUE", "value": "ab", "operator": "twice", "value_type": "string"},
        "w": {"source": "BEAMTIME", "path": "p", "options": {"a": 1}, "value_type": "string"},
    }
    result = made(variables, {"d": high("description", "<v> <w>")})
    assert result.bundle is not None
    assert result.bundle.dataset.fields["description"] == "abab 20990042 p {'a': 1}"
    assert result.variables.known["v"].unit == "mm"
    assert plugin_problems() == []
    assert OPERATORS.names() >= {"twice"}


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("brings:broken", "'mine' of the package brings failed: KeyError"),
        ("brings:careless", "gave a int, not a Quantity"),
        ("brings:gone", "cannot be loaded: AttributeError"),
        ("nowhere:gone", "cannot be loaded: ModuleNotFoundError"),
        ("brings:failing", "is a function, not an Operator"),
    ],
)
def test_a_faulty_operator_costs_its_variable_and_is_named(install: Install, to: str, reason: str) -> None:
    install("brings", {plugins.OPERATORS: {"mine": to}})
    result = with_operator("mine")
    assert result.bundle is not None
    assert reason in result.variables.failures["v"]


def test_a_package_that_ends_the_program_when_it_is_imported_does_not(install: Install) -> None:
    install("leaves", {plugins.OPERATORS: {"mine": "leaves:twice"}}, "import sys\nsys.exit(3)\n")
    assert "cannot be loaded: SystemExit" in with_operator("mine").variables.failures["v"]
    assert "SystemExit" in plugin_problems()[0]


@pytest.mark.parametrize(
    ("to", "path", "reason"),
    [
        ("brings:Beamtime", "gone", "it is gone"),
        ("brings:Beamtime", "odd", "gave a int, not a Quantity"),
        ("brings:Beamtime", "p", "failed: KeyError: options"),
        ("brings:failing", "p", "failed: OSError: no such logbook"),
        ("brings:CODE", "p", "cannot be loaded"),
        ("brings:twice", "p", "is a Operator, not a callable that makes a source"),
    ],
)
def test_a_faulty_source_costs_its_variables_and_is_named(install: Install, to: str, path: str, reason: str) -> None:
    install("brings", {plugins.SOURCES: {"MINE": to}})
    result = made({"v": {"source": "MINE", "path": path, "value_type": "string"}})
    assert result.bundle is not None
    assert reason in result.variables.failures["v"]


def test_built_in_names_cannot_be_taken(install: Install) -> None:
    install("brings", {plugins.OPERATORS: {"to_upper": "brings:twice"}, plugins.SOURCES: {"NXS": "brings:Beamtime"}})
    assert with_operator("to_upper").variables.known["v"].value == "AB"
    problems = plugin_problems()
    assert len(problems) == 2
    assert all("of the package brings is not used: scicat-watch has a built-in" in problem for problem in problems)
    assert SOURCES.names() == frozenset()


def test_two_packages_with_one_name_are_reported_and_neither_is_used(install: Install) -> None:
    install("brings", {plugins.OPERATORS: {"twice": "brings:twice"}})
    install("brings_too", {plugins.OPERATORS: {"twice": "brings_too:twice"}})
    assert "neither is used" in with_operator("twice").variables.failures["v"]
    assert len(plugin_problems()) == 1


def test_nothing_is_loaded_that_no_schema_wants(install: Install) -> None:
    install("leaves", {plugins.OPERATORS: {"mine": "leaves:twice"}}, "raise AssertionError('loaded')\n")
    assert made({"v": {"source": "VALUE", "value": "x", "operator": "to_upper", "value_type": "string"}}).bundle
    assert OPERATORS.names() == {"mine"}


def test_the_check_of_the_configuration_reports_what_is_wrong_with_packages(install: Install) -> None:
    readers = {"nxs": "brings:Beamtime", "spec": "brings:gone", "odd": "brings:twice"}
    install("brings", {plugins.OPERATORS: {"mine": "brings:failing"}, plugins.READERS: readers})
    problems = [mistake for mistake in examine_schemas(None).mistakes if mistake.startswith("plug-in: ")]
    assert len(problems) == 4
    assert "'mine' of the package brings is a function, not an Operator" in problems[0]
    assert "'nxs' of the package brings is not used" in problems[1]
    assert "'odd' of the package brings is no reader" in problems[2]
    assert "'spec' of the package brings cannot be loaded" in problems[3]
