from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hand_made import schema

from scicat_watch.pipeline.select import Subject, choose, mistakes

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
