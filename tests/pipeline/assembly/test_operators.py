from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scicat_watch.errors import SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.operators import OPERATORS, find
from scicat_watch.pipeline.assembly.sources.value import ValueSource
from scicat_watch.pipeline.schema.model import Variable

KNOWN = {
    "list": Quantity(["a", "b"], "mm"),
    "numbers": Quantity([1, 2.5], "mm"),
    "dict": Quantity({"a": 1, "b": 2}),
    "energy": Quantity(7.112, "keV"),
    "thousand": Quantity(1000, "eV"),
    "empty": Quantity("  "),
    "no": Quantity([]),
    "person": Quantity({"firstname": "Jo", "lastname": "Applicant", "email": "jo@uni.example"}),
    "named": Quantity("Ada <a@b.org>"),
    "nobody": Quantity({"firstname": "", "lastname": None}),
}


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def apply(operator: str, value: Any, unit: str = "", **arguments: Any) -> Quantity:
    variable = Variable("v", "VALUE", "string", value=value, operator=operator, arguments=arguments, unit=unit)
    return ValueSource().read(variable, KNOWN)


@pytest.mark.parametrize("operator", ["", "DO_NOTHING", "reverse", "TO_UPPER"])
def test_no_operator_and_an_unknown_one_change_nothing(operator: str) -> None:
    assert apply(operator, "<numbers>") == Quantity([1, 2.5], "mm")


@pytest.mark.parametrize(
    ("operator", "value", "arguments", "expected"),
    [
        ("getitem", "<dict>", {"field": "a"}, 1),
        ("getitem", "<list>", {"field": 1}, "b"),
        ("getitem", "<list>", {"field": -2}, "a"),
        ("getitem", "abc", {"field": 0}, "a"),
        ("str_replace", "a.b.c", {"pattern": ".", "replacement": "-"}, "a-b-c"),
        ("str-replace", "<energy>", {"pattern": ".", "replacement": ","}, "7,112"),
        ("str-replace", "a", {"pattern": "a", "replacement": ""}, ""),
        ("str-replace", "<list>", {"pattern": "a"}, ["a", "b"]),
        ("to_upper", "straße", {}, "STRASSE"),
        ("to-upper", "a", {}, "A"),
        ("to_lower", "PETRA III", {}, "petra iii"),
        ("to-lower", "A", {}, "a"),
        ("urlsafe", "a b/ü~._-", {}, "a+b%2F%C3%BC~._-"),
        ("join_with_space", "<list>", {}, "a, b"),
        ("join-with-space", "['x', 'y']", {}, "x, y"),
        ("join_with_space", "<dict>", {}, "a, b"),
        ("dirname", "/a/b/c", {}, "/a/b"),
        ("dirname", "a", {}, ""),
        ("dirname-2", "/a/b/c", {}, "/a"),
        ("dirname_2", "/a/b/c", {}, "/a"),
        ("filename", "/a/b/c.nxs", {}, "c.nxs"),
        ("filename", "/a/b/", {}, ""),
        ("first_of", ["<gone>", "<empty>", "<no>", "x <gone>", "third", "fourth"], {}, "third"),
        ("join", ["<gone>", "a", "<empty>", "b"], {"separator": "/"}, "a/b"),
        ("join", ["<gone>"], {}, ""),
        ("email", ["root@localhost", "<named>", "c@d.org"], {}, "a@b.org"),
        ("email", ["a@b_c.org", "a..b@c.org", "a@10.0.0.1", "<gone>", "grüße@b-c.org"], {}, "grüße@b-c.org"),
        ("person", "<person>", {}, "Jo Applicant"),
        ("person", "Applicant, Jo", {}, "Jo Applicant"),
        ("person", " Jo Applicant ", {}, "Jo Applicant"),
        ("member_or_text", "sampleId: petra3/yig/3", {"field": ["sample_id", "sampleId"]}, "petra3/yig/3"),
        ("member_or_text", "petra3/yig/3", {"field": "sample_id"}, "petra3/yig/3"),
        ("regex_replace", "run_007", {"pattern": r"_0*(\d+)", "replacement": r" \1"}, "run 7"),
        ("regex-replace", "run_007", {"pattern": "_"}, "run007"),
        ("regex_find", "run_007", {"pattern": r"\d+"}, "007"),
        ("regex-find", "run_007", {"pattern": r"_0*(\d+)"}, "7"),
        ("regex_find", "run_007", {"pattern": r"(?P<stem>\w+)_(\d+)", "field": "stem"}, "run"),
        ("substring", "run_007", {"start": 4}, "007"),
        ("substring", "run_007", {"stop": -4}, "run"),
        ("substring", "<numbers>", {"start": 1, "stop": 2}, [2.5]),
        ("techniques", "My own method", {}, [{"name": "My own method", "pid": "My own method"}]),
        ("techniques", "technique: [a, '']\ntechnique_pid: [b, c]", {}, [{"name": "a", "pid": "b"}]),
        ("techniques", "other: x", {}, []),
        ("techniques_of_definition", "NXsaxs,NXscan,", {}, "?"),
        ("techniques_of_definition", "NXsaxs, NXscan", {}, "?"),
    ],
)
def test_operators(operator: str, value: Any, arguments: dict[str, Any], expected: Any) -> None:
    result = apply(operator, value, **arguments)
    if expected == "?":
        expected = [
            {"name": "small angle x-ray scattering", "pid": "http://purl.org/pan-science/PaNET/PaNET01188"},
            {"name": "scan", "pid": "scan"},
        ]
    assert result == Quantity(expected)


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("technique: saxs", "small angle x-ray scattering", "PaNET01188"),
        ("techniques: [WAXS]", "wide angle x-ray scattering", "PaNET01191"),
        ("PaNET01188", "small angle x-ray scattering", "PaNET01188"),
        ("http://purl.org/pan-science/PaNET/PaNET01191", "wide angle x-ray scattering", "PaNET01191"),
        ("technique_pid: PaNET01188", "small angle x-ray scattering", "PaNET01188"),
        ("PaNET99999", "PaNET99999", "PaNET99999"),
    ],
)
def test_techniques_of_the_ontology(text: str, name: str, number: str) -> None:
    assert apply("techniques", text).value == [{"name": name, "pid": f"http://purl.org/pan-science/PaNET/{number}"}]


def test_a_description_full_of_aliases_costs_nothing() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefghijklmn", "bcdefghijklmno", strict=True)
    )
    assert apply("techniques", bomb + "technique: *o").value == []


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2099-05-04T11:00:00Z", "", "2099-05-04T11:00:00Z"),
        ("2099-05-08T08:00:00", "", "2099-05-08T08:00:00"),
        ("2099-05-04T11:00:00.25+02:00", "", "2099-05-04T11:00:00.25+02:00"),
        ("2099-05-04T10:07:30+0200", "", "2099-05-04T10:07:30.000000+0200"),
        ("Wed May 05 12:03:00 2099", "", "2099-05-05T12:03:00.000000+0200"),
        ("2026-01-02 03:04", "", "2026-01-02T03:04:00.000000+0100"),
        ("2026-01-02 03:04", "Asia/Tokyo", "2026-01-02T03:04:00.000000+0900"),
        ("2026-07-02T03:04:05", "America/New_York", "2026-07-02T03:04:05.000000-0400"),
        ("2026-07-02T03:04:05", "local", "2026-07-02T03:04:05.000000+0200"),
        ("2026-07-02T03:04:05Z", "local", "2026-07-02T03:04:05Z"),
    ],
)
def test_iso_dates(text: str, zone: str, expected: str) -> None:
    assert apply("iso_date", text, zone=zone).value == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "10:00", "May 2026", "2026-13-01T00:00:00", "2026-01-02 03:04 CEST", "9" * 30, "x" * 99]
)
def test_what_is_no_whole_date_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        apply("iso_date", text)


@pytest.mark.parametrize(
    ("operator", "value", "unit", "operand", "expected"),
    [
        ("multiply", "<energy>", "", 2, Quantity(14.224, "keV")),
        ("multiply", "<energy>", "eV", "<thousand>", Quantity(7112.0, "eV")),
        ("multiply", "<numbers>", "µm", 1000, Quantity([1000, 2500.0], "µm")),
        ("multiply", 3, "", "<thousand>", Quantity(3000, "eV")),
        ("add", "<thousand>", "", "<thousand>", Quantity(2000, "eV")),
        ("add", "<energy>", "", "0.5", Quantity(7.612, "keV")),
        ("add", "2", "s", "3", Quantity(5, "s")),
    ],
)
def test_arithmetic_keeps_units(operator: str, value: Any, unit: str, operand: Any, expected: Quantity) -> None:
    result = apply(operator, value, unit, operand=operand)
    assert result.value == pytest.approx(expected.value)
    assert result.unit == expected.unit


def test_a_sum_keeps_the_unit_and_the_first_brings_its_own() -> None:
    assert apply("sum", "<numbers>") == Quantity(3.5, "mm")
    assert apply("first_of", ["<empty>", "<energy>"]) == Quantity(7.112, "keV")
    assert apply("first_of", "<list>") == Quantity("a", "mm")


@pytest.mark.parametrize(
    ("operator", "value", "arguments"),
    [
        ("getitem", "<dict>", {"field": "c"}),
        ("getitem", "<dict>", {}),
        ("getitem", "<list>", {"field": "a"}),
        ("getitem", "<list>", {"field": 2}),
        ("getitem", "<energy>", {"field": 0}),
        ("urlsafe", "<list>", {}),
        ("dirname", "<energy>", {}),
        ("dirname-2", "<list>", {}),
        ("filename", "<dict>", {}),
        ("join_with_space", "<numbers>", {}),
        ("join_with_space", "no list", {}),
        ("join_with_space", "<energy>", {}),
        ("sum", "<list>", {}),
        ("sum", "<energy>", {}),
        ("first_of", ["<gone>", "<empty>"], {}),
        ("email", ["nobody", "root@localhost", "a@b_c.org"], {}),
        ("person", "<nobody>", {}),
        ("person", "<list>", {}),
        ("iso_date", "<energy>", {}),
        ("techniques", "<list>", {}),
        ("regex_find", "abc", {"pattern": "x"}),
        ("regex_find", "abc", {"pattern": "("}),
        ("regex_find", "abc", {"pattern": "a", "field": 3}),
        ("regex_find", "a" * 50_000, {"pattern": "a"}),
        ("regex_find", "x" * 5000, {"pattern": "(x+x+)+y"}),
        ("regex_replace", "abc", {"pattern": "a", "replacement": r"\7"}),
        ("substring", "abc", {"start": "x"}),
        ("multiply", "<energy>", {}),
        ("multiply", "<energy>", {"operand": "<thousand>"}),
        ("multiply", "many", {"operand": 2}),
        ("multiply", "<energy>", {"operand": "<gone>"}),
        ("multiply", "1" + "0" * 400, {"operand": 0.5}),
        ("add", "<energy>", {"operand": "<thousand>"}),
    ],
)
def test_what_cannot_be_done_is_refused(operator: str, value: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(SourceError):
        apply(operator, value, **arguments)


def test_the_table_can_make_the_reference() -> None:
    names = [name for operator in OPERATORS for name in (operator.name, *operator.spellings)]
    assert len(names) == len(set(names))
    for operator in OPERATORS:
        assert find(operator.name) is operator
        assert operator.effect.endswith(".")
