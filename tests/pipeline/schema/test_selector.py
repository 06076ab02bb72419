from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scicat_watch.errors import MissingValue
from scicat_watch.pipeline.schema.selector import Subject, choose, mistakes
from tests.pipeline.hand_made import schema

SUBJECT = Subject("/data/raw/coda_1.nxs", beamline="p99", facility="PETRA III", definition="NXsaxs")
YES, NO = "filename:contains:coda", "filename:contains:odin"


def fits(selector: Any, subject: Subject = SUBJECT) -> bool:
    chosen, _ = choose([replace(schema(), selector=selector)], subject)
    return chosen is not None


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("*", True),
        ("filename:contains:coda", True),
        ("filename:contains:CODA", False),
        ("filename:contains:co*", False),
        ("filename:contains:", True),
        ("filename:contains: coda", False),
        ("filename:starts_with:/data", True),
        ("filename:starts_with:data", False),
        ("datafile:contains:coda", True),
        ("nexusfile:contains:coda", True),
        ("filename:ends_with:.nxs", True),
        ("filename:ends_with:.h5", False),
        ("beamline:equals:p99", True),
        ("beamline:equals:p9", False),
        ("facility:starts_with:PETRA", True),
        ("facility:equals:FLASH", False),
        ("definition:equals:NXsaxs", True),
        (r"filename:matches:coda_\d+\.nxs$", True),
        (r"filename:matches:^coda", False),
        ("filename:like:x", False),
        ("path:contains:coda", False),
        ("filename:contains:/data:/raw", False),
        ("filename:contains", False),
        ("", False),
        (None, False),
        ([YES], False),
        (3, False),
        ({}, True),
        ({"or": []}, False),
        ({"and": []}, True),
        ({"or": [NO, YES]}, True),
        ({"or": [NO, NO]}, False),
        ({"and": [YES, YES]}, True),
        ({"and": [YES, NO]}, False),
        ({"or": [YES], "and": [NO]}, False),
        ({"or": [NO], "and": [YES]}, False),
        ({"or": [YES], "and": [YES]}, True),
        ({"or": YES}, False),
        ({"or": None}, False),
        ({"and": [{"or": [NO, {"and": [YES, "*"]}]}, "filename:contains:/raw/"]}, True),
        ({"not": [NO]}, False),
        ({"OR": [YES]}, False),
        ({"source": "filename", "operator": "contains", "operand_2": "coda"}, True),
        ({"source": "filename", "operator": "contains", "operand_2": "odin"}, False),
        ({"source": "filename", "operator": "matches", "operand_2": "(?:raw|mid):?/"}, True),
        ({"source": "filename", "operator": "contains"}, False),
        ({"or": [{"source": "beamline", "operator": "equals", "operand_2": "p99"}]}, True),
    ],
    ids=str,
)
def test_selectors(selector: Any, expected: bool) -> None:
    assert fits(selector) is expected


def test_the_first_that_fits_is_chosen_and_the_others_say_why_not() -> None:
    first, second, third, fourth = (
        replace(schema(), id=name, selector=selector)
        for name, selector in [("a", NO), ("b", {"or": [NO, "x"]}), ("c", "*"), ("d", "*")]
    )
    chosen, passed_over = choose([first, second, third, fourth], SUBJECT)
    assert chosen is third
    assert list(passed_over) == ["a", "b"]
    assert "odin" in passed_over["a"]
    assert "'x'" in passed_over["b"]


def test_nothing_fits() -> None:
    chosen, passed_over = choose([replace(schema(), selector=NO)], SUBJECT)
    assert chosen is None
    assert list(passed_over) == ["test"]


def test_an_expression_that_takes_too_long_does_not_fit() -> None:
    assert not fits("filename:matches:(x+x+)+y", Subject("x" * 5000))
    assert not fits("filename:matches:" + "a" * 1000)


@pytest.mark.parametrize(
    "selector", ["filename:like:x", "y:contains:x", "filename:matches:(", {"or": YES}, {"and": [3]}, 5]
)
def test_mistakes_are_found_without_a_scan(selector: Any) -> None:
    assert len(mistakes(selector)) == 1


@pytest.mark.parametrize("selector", ["*", YES, {"or": [YES, {"and": ["*"]}]}, {}])
def test_a_selector_without_mistakes(selector: Any) -> None:
    assert mistakes(selector) == ()


def _looking(subject_value: str, asked: list[tuple[str, str]]) -> Subject:
    def value(source: str, path: str) -> str:
        asked.append((source, path))
        if path != "/entry/instrument/name":
            raise MissingValue("is not there")
        return subject_value

    return Subject("/data/a.nxs", value=value)


def in_file(path: str, operator: str, argument: str) -> dict[str, str]:
    return {"source": path, "operator": operator, "operand_2": argument}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (in_file("nxs:/entry/instrument/name", "equals", "CODA"), True),
        (in_file("NXS:/entry/instrument/name", "starts_with", "CO"), True),
        (in_file("nxs:/entry/instrument/name", "equals", "coda"), False),
        (in_file("nxs:/entry/other", "contains", ""), False),
        (
            {
                "or": [
                    in_file("nxs:/entry/other", "equals", "x"),
                    in_file("nxs:/entry/instrument/name", "matches", "^C"),
                ]
            },
            True,
        ),
        (in_file("nxs:", "equals", "x"), False),
        (in_file(":x", "equals", "x"), False),
        ("nxs:/entry/instrument/name:equals:CODA", False),
    ],
)
def test_a_value_in_the_file_can_select(selector: Any, expected: bool) -> None:
    assert fits(selector, _looking("CODA", [])) is expected


def test_the_file_is_looked_at_only_if_it_is_asked() -> None:
    asked: list[tuple[str, str]] = []
    subject = _looking("CODA", asked)
    assert fits("filename:contains:a.nxs", subject)
    assert asked == []
    assert fits({"and": [in_file("nxs:/entry/instrument/name", "equals", "CODA")]}, subject)
    assert not fits("definition:equals:NXsaxs", subject)
    assert asked == [("NXS", "/entry/instrument/name"), ("NXS", "/:NXentry/definition")]


def test_why_a_value_does_not_fit_names_its_path() -> None:
    schemas = [replace(schema(), selector=in_file("nxs:/entry/other", "equals", "x"))]
    _, passed_over = choose(schemas, _looking("CODA", []))
    assert passed_over["test"] == "nxs:/entry/other: is not there"
    _, passed_over = choose(schemas, Subject("/data/a.nxs"))
    assert "no data file" in passed_over["test"]
    assert mistakes(schemas[0].selector) == ()
    assert "unknown source 'nxs'" in mistakes(in_file("nxs", "equals", "x"))[0]
