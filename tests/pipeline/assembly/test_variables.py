from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import AssemblyError, Refused, SourceError, Unavailable
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.sources.beamtime import BeamtimeSource
from scicat_watch.pipeline.assembly.sources.catalogue import CatalogueSource, Lookups
from scicat_watch.pipeline.assembly.sources.datafile import DataFileSource
from scicat_watch.pipeline.assembly.sources.scan import ScanSource
from scicat_watch.pipeline.assembly.sources.source import Source
from scicat_watch.pipeline.assembly.sources.value import ValueSource
from scicat_watch.pipeline.assembly.variables import Variables, evaluate
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.schema.model import Variable
from tests.fakes import FakeClock
from tests.pipeline.hand_made import beamtime, reading, scan, schema, text

KNOWN = {
    "later_in_text": Quantity("<list>"),
    "list": Quantity([1.5, 2.5], "mm"),
    "words": Quantity(["a", "b"]),
    "dict": Quantity({"a": 1}),
    "null": Quantity(None),
    "float": Quantity(31010.0, "s"),
    "other_seconds": Quantity(1, "s"),
    "title": Quantity("T<5K, B>3T"),
}


def value(literal: Any) -> Quantity:
    return ValueSource().read(Variable("v", "VALUE", "string", value=literal), KNOWN)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("<list>", Quantity([1.5, 2.5], "mm")),
        ("<float> ", Quantity("31010.0 ")),
        ("l <list> w <words> d <dict> n <null>", Quantity("l [1.5, 2.5] w ['a', 'b'] d {'a': 1} n None")),
        ("<title>: <later_in_text>", Quantity("T<5K, B>3T: <list>")),
        ("a < b", Quantity("a < b")),
        ("a > b", Quantity("a > b")),
        ("", Quantity("")),
        (7, Quantity("7")),
        (0.5, Quantity("0.5")),
        (True, Quantity("true")),
        (None, Quantity("null")),
        (["<float>", "<other_seconds>"], Quantity([31010.0, 1], "s")),
        (["<float>", "x"], Quantity([31010.0, "x"])),
        ([], Quantity([])),
        ({"run <words>": "<float>"}, Quantity({"run ['a', 'b']": 31010.0}, "s")),
        ({"t": "<float>", "l": "<list>"}, Quantity({"t": 31010.0, "l": [1.5, 2.5]})),
    ],
    ids=str,
)
def test_literals_are_filled_in(literal: Any, expected: Quantity) -> None:
    assert value(literal) == expected


@pytest.mark.parametrize(
    "literal",
    ["<gone>", "x <gone>", "a < b > c", "> a <", [1], [["x"]], {"a": 1}, {1: "a"}, Path("x"), ["<gone>"]],
    ids=str,
)
def test_literals_that_cannot_be_filled_in(literal: Any) -> None:
    with pytest.raises(SourceError):
        value(literal)


def nexus(found: FieldValue | Unread, value_type: str, unit: str = "") -> Quantity:
    variable = Variable("v", "NXS", value_type, path="/x", unit=unit)
    known = evaluate(schema_of(variable), {"NXS": DataFileSource({"v": found})}, {})
    if "v" in known.failures:
        raise SourceError(known.failures["v"])
    return known.known["v"]


def schema_of(*variables: Variable) -> Any:
    return replace(schema(), variables=variables)


@pytest.mark.parametrize(
    ("found", "value_type", "expected"),
    [
        (FieldValue("odin"), "string", "odin"),
        (FieldValue(["odin"], shape=(1,)), "string", "odin"),
        (FieldValue(b"m\xc3\xb8"), "string", "mø"),
        (FieldValue("31010"), "integer", 31010),
        (FieldValue([7112.0], shape=(1,)), "float", 7112.0),
        (FieldValue(5), "email", "5"),
        (FieldValue(["a", "b"], shape=(2,)), "link", "['a', 'b']"),
        (FieldValue([1.5, 2.5], shape=(2,)), "date", None),
        (FieldValue([0.5], shape=(1,)), "date", "1970-01-01T00:00:00.500000+00:00"),
        (FieldValue([0], shape=(1,)), "date", "1970-01-01T00:00:00+00:00"),
        (FieldValue([b"a", "b"], shape=(2,)), "string[]", ["a", "b"]),
        (FieldValue("a", shape=(1,)), "string[]", ["a"]),
        (FieldValue([], shape=(0,)), "string[]", []),
        (FieldValue([1.9, 2.1], shape=(2,)), "integer[]", [1, 2]),
        (FieldValue([1, 2], shape=(2,)), "list", [1, 2]),
    ],
    ids=str,
)
def test_fields_of_the_file(found: FieldValue, value_type: str, expected: Any) -> None:
    assert nexus(found, value_type).value == expected


@pytest.mark.parametrize(
    ("found", "value_type"),
    [
        (FieldValue(5), "string"),
        (FieldValue(["a", "b"], shape=(2,)), "string"),
        (FieldValue([1, 2], shape=(2,)), "integer"),
        (FieldValue([1, 2], shape=(2,)), "float"),
        (FieldValue("a"), "string[]"),
        (Unread("there is no /x"), "string"),
    ],
    ids=str,
)
def test_fields_that_do_not_fit(found: FieldValue | Unread, value_type: str) -> None:
    with pytest.raises(SourceError):
        nexus(found, value_type)


@pytest.mark.parametrize(
    ("in_file", "defined", "expected"), [("mm", "m", "mm"), ("", "m", ""), (None, "m", "m"), (None, "", "")]
)
def test_the_units_of_the_file_win(in_file: str | None, defined: str, expected: str) -> None:
    assert nexus(FieldValue(1.0, in_file), "float", defined).unit == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("title", "Spin waves in garnets"),
        ("pi.email", "lee.leader@lab.example"),
        ("users.doorDb.1", "b"),
        ("users.doorDb", ["a", "b"]),
    ],
)
def test_fields_of_the_beamtime(path: str, expected: Any) -> None:
    source = BeamtimeSource(beamtime(users={"doorDb": ["a", "b"]}).metadata)
    assert source.read(Variable("v", "BT", "string", path=path, unit="x"), {}) == Quantity(expected, "x")


@pytest.mark.parametrize("path", ["none", "title.x", "pi.phone", "users.doorDb.7", "users.doorDb.x", "nothing", ""])
def test_fields_that_the_beamtime_lacks(path: str) -> None:
    source = BeamtimeSource(beamtime(users={"doorDb": ["a"]}, nothing=None).metadata)
    with pytest.raises(SourceError):
        source.read(Variable("v", "BT", "string", path=path), {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("name", "sub/scan_2"),
        ("dataset_name", "scan_2"),
        ("pid", "20990042/sub/scan_2"),
        ("beamtime", "20990042"),
        ("generated", False),
        ("directory", "/gpfs/current/raw"),
        ("relative_path", "raw"),
        ("core_path", "/core"),
        ("source_folder", "/core/raw"),
        ("master_file", "/gpfs/current/raw/sub/scan_2.nxs"),
        ("master_name", "scan_2.nxs"),
        ("extras", []),
        ("first_time", "2099-05-04T10:00:00+00:00"),
        ("last_time", "2099-05-04T10:01:00.500000+00:00"),
    ],
)
def test_what_is_known_of_the_scan(path: str, expected: Any) -> None:
    source = ScanSource(reading(schema(), about=scan("sub/scan_2")), beamtime())
    assert source.read(Variable("v", "SCAN", "string", path=path), {}) == Quantity(expected)


@pytest.mark.parametrize("path", ["entry", "master_file", "first_time", "colour"])
def test_what_a_scan_may_lack(path: str) -> None:
    bare = reading(schema(), about=scan(master=None), first_time=None)
    with pytest.raises(SourceError):
        ScanSource(bare, beamtime()).read(Variable("v", "SCAN", "string", path=path), {})


@pytest.mark.parametrize(
    ("directory", "expected"), [("/gpfs/current", "/core"), ("/gpfs/current/a/b", "/core/a/b"), ("/other", "/other")]
)
def test_the_source_folder_follows_the_core_path(directory: str, expected: str) -> None:
    source = ScanSource(reading(schema(), about=scan(directory=Path(directory))), beamtime())
    assert source.read(Variable("v", "SCAN", "string", path="source_folder"), {}).value == expected


PROPOSAL = {"pi": {"x": 1}, "email": "ada@example.org"}
ANSWERS = {"proposals/4711": PROPOSAL, "instruments?filter=x": [{"a": 1}, {"a": 2}], "https://other.example/x": 3}


class Catalogue:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, url: str) -> Any:
        self.asked.append(url)
        if url == "proposals/down":
            raise Unavailable("no answer")
        if url not in ANSWERS:
            raise Refused("404: not found", 404)
        return ANSWERS[url]


def ask(url: str, field: Any = None, catalogue: Any = None) -> Any:
    variable = Variable("v", "SC", "dict", url=url, arguments={"field": field})
    known = {"id": Quantity("4711"), "evil": Quantity("https://evil.example"), "up": Quantity("../users")}
    return CatalogueSource(catalogue or Catalogue()).read(variable, known | {"port": Quantity("@evil.example")}).value


@pytest.mark.parametrize(
    ("url", "field", "expected"),
    [
        ("proposals/<id>", "email", "ada@example.org"),
        ("proposals/<id>", "", PROPOSAL),
        ("proposals/<id>", None, PROPOSAL),
        ("instruments?filter=x", 1, {"a": 2}),
        ("instruments?filter=x", -1, {"a": 2}),
        ("instruments?filter=x", 0, [{"a": 1}, {"a": 2}]),
        ("https://other.example/x", None, 3),
    ],
)
def test_members_of_the_catalogues_answer(url: str, field: Any, expected: Any) -> None:
    assert ask(url, field) == expected


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("proposals/none", "x"),
        ("proposals/<id>", "pi.x"),
        ("instruments?filter=x", 2),
        ("instruments?filter=x", "a"),
        ("https://other.example/x", "a"),
    ],
)
def test_what_the_catalogue_lacks(url: str, field: Any) -> None:
    with pytest.raises(SourceError):
        ask(url, field)


@pytest.mark.parametrize(
    "url",
    [
        "users/1",
        "/proposals/1",
        "Proposals/1",
        "<evil>/proposals",
        "proposals/<up>",
        "https://other.example<port>/x",
        "proposals/a\nb",
    ],
)
def test_a_url_leads_nowhere_but_where_the_schema_says(url: str) -> None:
    catalogue = Catalogue()
    with pytest.raises(SourceError):
        ask(url, catalogue=catalogue)
    assert catalogue.asked == []


def test_a_catalogue_that_is_away_is_no_missing_value() -> None:
    variables = {"v": {"source": "SC", "url": "proposals/down", "value_type": "dict", "default": "{}"}}
    with pytest.raises(Unavailable):
        evaluate(schema(variables), {"SC": CatalogueSource(Catalogue())}, {})


def test_the_catalogue_is_asked_once_and_again_after_a_while() -> None:
    clock, catalogue = FakeClock(), Catalogue()
    lookups = Lookups(catalogue, clock, keep=60)
    assert ask("proposals/4711", "email", lookups) == ask("proposals/4711", "email", lookups)
    for _ in range(2):
        with pytest.raises(Refused):
            lookups("proposals/none")
        with pytest.raises(Unavailable):
            lookups("proposals/down")
    assert catalogue.asked == ["proposals/4711", "proposals/none", "proposals/down", "proposals/down"]
    clock.advance(61)
    lookups("proposals/4711")
    assert catalogue.asked[4:] == ["proposals/4711"]


def made(variables: dict[str, Any], predefined: dict[str, Quantity] | None = None) -> Variables:
    return evaluate(schema(variables), {"VALUE": ValueSource(), "BT": BeamtimeSource({"title": "x"})}, predefined or {})


def literal(value: Any, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"source": "VALUE", "value": value, "value_type": kind} | more


def test_variables_are_made_in_order_and_failures_are_reported_with_their_cause() -> None:
    result = made(
        {"b": literal("<a>"), "a": literal("12.5", "integer"), "c": literal("x <a>"), "d": literal("3", "integer")}
    )
    assert result.known == {"d": Quantity(3)}
    assert list(result.failures) == ["b", "a", "c"]
    assert "12.5" in result.failures["a"]
    assert "12.5" in result.failures["c"]


def test_a_predefined_variable_can_be_redefined() -> None:
    assert made({"now": literal("then")}, {"now": Quantity("2026")}).known == {"now": Quantity("then")}
    assert made({"now": literal("<gone>")}, {"now": Quantity("2026")}).known == {}


def test_conversion_keeps_the_unit() -> None:
    result = made({"v": literal("<s>", "string")}, {"s": Quantity(5, "mm")})
    assert result.known["v"] == Quantity("5", "mm")


def test_an_unknown_source_fails_its_variable_only() -> None:
    result = made({"v": {"source": "KAFKA", "value_type": "string"}, "w": literal("x")})
    assert list(result.known) == ["w"]
    assert "KAFKA" in result.failures["v"]


@pytest.mark.parametrize(
    ("default", "kind", "expected"),
    [
        ("<a>-dmgt", "string", "1-dmgt"),
        (["<a>", "x"], "string[]", ["1", "x"]),
        (5, "integer", 5),
        (None, "string", "null"),
    ],
)
def test_a_default_stands_in(default: Any, kind: str, expected: Any) -> None:
    missing = {"source": "BT", "path": "gone", "value_type": kind, "default": default}
    assert made({"a": literal("1"), "v": missing}).known["v"].value == expected


def test_a_default_that_fails_is_a_failure() -> None:
    assert "gone" in made({"v": literal("<x>", default="<gone>")}).failures["v"]


def test_a_required_variable_refuses_the_scan_and_says_why() -> None:
    wanted = {
        "owner": {"source": "BT", "path": "pi.email", "value_type": "email", "required": True},
        "after": literal("x"),
    }
    result = made(wanted)
    assert "after" in result.known
    with pytest.raises(AssemblyError, match=r"owner has no value .*no 'pi.email'"):
        result.demand(schema(wanted))
    made({"owner": wanted["owner"] | {"default": "nobody"}}).demand(schema(wanted))


def test_how_each_variable_came_about_is_kept() -> None:
    whole, converted, replaced, failed = made(
        {
            "whole": literal("x"),
            "converted": literal("12", "integer"),
            "replaced": {"source": "BT", "path": "gone", "value_type": "float", "default": 1.5},
            "failed": literal("x", "integer"),
        }
    ).evaluated
    assert (whole.found, whole.quantity, whole.reason, whole.by_default) == (Quantity("x"), Quantity("x"), "", False)
    assert (converted.found, converted.quantity) == (Quantity("12"), Quantity(12))
    assert (replaced.found, replaced.quantity, replaced.by_default) == (Quantity("1.5"), Quantity(1.5), True)
    assert "gone" in replaced.reason
    assert (failed.found, failed.quantity, failed.by_default) == (Quantity("x"), None, False)
    assert "integer" in failed.reason


def test_all_sources_meet_in_one_schema() -> None:
    variables = {
        "title": {"source": "NXS", "path": "/entry/title", "value_type": "string"},
        "place": {"source": "SCAN", "path": "relative_path", "value_type": "string"},
        "both": literal("<title> in <place>"),
    }
    read = reading(schema(variables), {"title": text("theta scan")})
    sources: dict[str, Source] = {
        "NXS": DataFileSource(read.values),
        "SCAN": ScanSource(read, beamtime()),
        "VALUE": ValueSource(),
    }
    assert evaluate(read.schema, sources, {}).known["both"] == Quantity("theta scan in raw")


@pytest.mark.parametrize(
    ("written", "more"),
    [
        ("<{0}><{0}>", {}),
        (["<{0}>", "<{0}>"], {"kind": "list"}),
        (["<{0}>", "<{0}>"], {"operator": "join", "separator": ""}),
    ],
    ids=["text", "lists", "operator"],
)
def test_variables_that_double_each_other_come_to_an_end(written: Any, more: dict[str, Any]) -> None:
    def doubled(before: str) -> Any:
        return [part.format(before) for part in written] if isinstance(written, list) else written.format(before)

    chain = {"v0": literal("0123456789")} | {f"v{n}": literal(doubled(f"v{n - 1}"), **more) for n in range(1, 40)}
    found = made(chain)
    assert "v10" in found.known
    assert any("holds more than" in reason for reason in found.failures.values())


@pytest.mark.parametrize(
    ("value", "kind", "more"),
    [
        ("0x" + "f" * 6000, "list", {}),
        ("[0x" + "f" * 6000 + "]", "list", {}),
        ("9" * 4000, "integer", {"operator": "multiply", "operand": "9" * 4000}),
    ],
)
def test_a_number_that_python_cannot_write_costs_its_variable_only(value: Any, kind: str, more: dict[str, Any]) -> None:
    found = made({"huge": literal(value, kind, **more), "text": literal("<huge>"), "other": literal("x")})
    assert set(found.failures) == {"huge", "text"}
    assert "other" in found.known
