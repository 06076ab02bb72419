"""FIO files: what their text says, what a dataset gets of it, and what is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.documents import strict
from scicat_watch.errors import ReadingError, SourceError
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.reading.fio.reader import FioFile, FioReader
from scicat_watch.pipeline.reading.fio.text import LONGEST_LITERAL, literal, parse
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.schema.model import TreeOptions, Variable
from tests.pipeline.nexus_made import job, scan, schema

TEXT = """!
! Comments
!
%c
dscan omega -1.0 1.0 4 0.5
user p99user Acquisition started at Wed May 05 12:00:00 2099

! a remark among the comments
mirror in
!
! Parameter
!
%p
energy = 7112.0
energy@unit = eV
energy@source = mono
ring current = 100
absorber = 3
signalcounter = apd
empty =
nothing@unit = mm
a line without value
expression = a = b
!
! Data
!
%d
 Col 1 omega  DOUBLE
 Col 2 ion1  DOUBLE
 Col 3 apd  DOUBLE
 -1.0 1000 12
 -0.5 1001 45
 0.0 word 301
 0.5 1003
 1.0
! Acquisition ended at Wed May 05 12:03:00 2099
"""


def _tree(text: str = TEXT, limit: int = 1 << 20, notes: Notes | None = None, **options: Any) -> dict[str, Any]:
    made = dict(FioFile(parse(text)).tree(TreeOptions(**options), limit, notes or Notes()))
    assert strict(made) == made
    json.dumps(made, allow_nan=False)
    return made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7112.0", 7112.0),
        ("-3", -3),
        ("+.5e3", 500.0),
        ("[1, 2.5, 'a', None]", [1, 2.5, "a", None]),
        ("(1, (2, 3))", [1, [2, 3]]),
        ("True", True),
        ("None", None),
        ("'quoted = text'", "quoted = text"),
        ('"a"', "a"),
        ("007", "007"),
        ("5 mm", "5 mm"),
        ("2026-06-10", "2026-06-10"),
        ("2026-10-10", "2026-10-10"),
        ("2*3", "2*3"),
        ("max", "max"),
        ("open('/etc/passwd')", "open('/etc/passwd')"),
        ("__import__('os').system('id')", "__import__('os').system('id')"),
        ("[open]", "[open]"),
        ("{'a': 1}", "{'a': 1}"),
        ("1+2j", "1+2j"),
        ("1e999", "1e999"),
        ("12_3", "12_3"),
        ("['a_b']", ["a_b"]),
        ("b'bytes'", "b'bytes'"),
        ("'\\ud800\\x00'", "?"),
        ("[" * 5000, "[" * 5000),
        ("-" * 50_000 + "1", "-" * 50_000 + "1"),
        ("9" * (LONGEST_LITERAL + 1), "9" * (LONGEST_LITERAL + 1)),
        ("9" * 5000, "9" * 5000),
        ("0x" + "f" * 5000, "0x" + "f" * 5000),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_values_are_read_and_never_evaluated(text: str, value: Any) -> None:
    found = literal(text)
    assert (found, type(found)) == (value, type(value))


def test_the_tree_of_a_fio_file_is_that_of_the_reference() -> None:
    made = _tree()
    for name in ("start_time", "end_time"):
        assert made.pop(name)["value"].startswith("2099-05-05T12:0")
    assert made == {
        "ScanCommand": "dscan omega -1.0 1.0 4 0.5",
        "comments": {
            "line_1": "dscan omega -1.0 1.0 4 0.5",
            "line_2": "user p99user Acquisition started at Wed May 05 12:00:00 2099",
            "line_3": "",
            "line_4": "mirror in",
        },
        "parameters": {
            "energy": {"value": 7112.0, "unit": "eV", "source": "mono"},
            "ring_current": 100,
            "absorber": 3,
            "signalcounter": "apd",
            "expression": "a",
        },
    }


def test_columns_are_there_if_they_are_asked_for_and_shortened_if_they_are_long() -> None:
    assert "data" not in _tree()
    assert _tree(one_dimensional=True)["data"] == {
        "omega": [-1.0, -0.5, 0.0, 0.5, 1.0],
        "ion1": [1000.0, 1001.0, "word", 1003.0],
        "apd": [12.0, 45.0, 301.0],
    }
    assert _tree(one_dimensional=True, max_one_dimensional=3)["data"]["omega"] == [-1.0, 1.0]
    assert _tree("%d\nCol 1 x DOUBLE\nnan\ninf\n", one_dimensional=True)["data"] == {"x": [None, None]}


def test_parts_can_be_chosen_and_attributes_left_out() -> None:
    assert set(_tree(take=("parameters/a*",))) == {"parameters"}
    left = _tree(leave_out=("comments", "*_time", "ScanCommand"), attributes=False)
    assert left["parameters"]["energy"] == {"value": 7112.0, "unit": "eV"}
    assert set(left) == {"parameters"}


def test_what_is_too_much_is_left_out_with_a_note() -> None:
    notes = Notes()
    many = "%p\n" + "".join(f"p{number} = {number}\n" for number in range(10_000))
    made = _tree(many, limit=5000, notes=notes)
    assert len(json.dumps(made)) <= 5000
    assert "p0" in made["parameters"]
    assert "5000 bytes" in notes.truncations()[0]


@pytest.mark.parametrize(
    ("path", "value", "unit"),
    [
        ("parameters.energy", 7112.0, "eV"),
        ("parameters.energy@source", "mono", None),
        ("parameters.ring_current", 100, None),
        ("comments.line_4", "mirror in", None),
        ("ScanCommand", "dscan omega -1.0 1.0 4 0.5", None),
        ("data.apd", [12.0, 45.0, 301.0], None),
    ],
)
def test_variables_name_parts_by_dotted_paths(path: str, value: Any, unit: str | None) -> None:
    shape = (len(value),) if isinstance(value, list) else ()
    assert FioFile(parse(TEXT)).value(path, "string", 1 << 20) == FieldValue(value, unit, shape)


@pytest.mark.parametrize(
    "path", ["", "parameters", "parameters.gone", "parameters.gone@unit", "end", "data.x", "a.b.c"]
)
def test_what_is_not_there_is_missing(path: str) -> None:
    with pytest.raises(SourceError, match="not there"):
        FioFile(parse(TEXT)).value(path, "string", 1 << 20)


def test_a_scan_with_a_fio_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "scan_1.fio").write_text(TEXT)
    variables = [
        Variable("energy", "FIO", "float", path="parameters.energy"),
        Variable("gone", "FIO", "float", path="parameters.gone"),
        Variable("title", "NXS", "string", path="/entry/title"),
    ]
    reading = read(job(scan(tmp_path, "scan_1", "scan_1.fio"), schema(variables)))
    assert reading.source == "FIO"
    assert reading.values["energy"] == FieldValue(7112.0, "eV")
    assert isinstance(reading.values["gone"], Unread)
    assert "title" not in reading.values
    assert reading.trees["tree"]["parameters"]["absorber"] == 3
    assert reading.thumbnail is not None
    assert reading.thumbnail.startswith(b"\x89PNG")
    assert reading.notes == ()


def _plot(text: str) -> tuple[str, str, list[float]] | None:
    plot = FioFile(parse(text)).plot(Notes())
    return None if plot is None else (plot.label, plot.x_label, plot.values.tolist())


_DATA = "%d\n Col 1 a DOUBLE\n Col 2 b DOUBLE\n Col 3 c DOUBLE\n 1 2 3\n 2 4 9\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_DATA, ("b", "a", [2.0, 4.0])),
        ("%p\nsignalcounter = c\n" + _DATA, ("c", "a", [3.0, 9.0])),
        ("%p\nsignal = c\n" + _DATA, ("c", "a", [3.0, 9.0])),
        ("%p\nsignalcounter = gone\nsignal = a\n" + _DATA, ("a", "", [1.0, 2.0])),
        ("%c\nascan c 0 1 1 0.1\n" + _DATA, ("b", "c", [2.0, 4.0])),
        ("%d\n Col 1 a DOUBLE\n 1\n 2\n", ("a", "", [1.0, 2.0])),
        ("%d\n Col 1 a DOUBLE\n Col 2 b DOUBLE\n x y\n z w\n", None),
        ("%d\n Col 1 a DOUBLE\n Col 2 b DOUBLE\n 1 2\n", None),
        ("%c\nnothing\n", None),
    ],
)
def test_the_counter_is_drawn_over_what_moves(text: str, expected: object) -> None:
    assert _plot(text) == expected


def test_of_reciprocal_axes_the_one_that_moves_most_is_taken() -> None:
    columns = "%d\n Col 1 i DOUBLE\n Col 2 apd DOUBLE\n Col 3 h DOUBLE\n Col 4 k DOUBLE\n 0 5 1 0\n 1 6 1 1\n"
    plot = _plot("%c\nhklscan 1 1 0 1 0 0 1 0.1\n" + columns)
    assert plot is not None
    assert plot[:2] == ("apd", "k")


def test_text_that_is_not_utf8_and_nul_bytes_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.fio").write_bytes("%p\nunit = 3 µm\n".encode("latin-1") + b"z = a\0b\n")
    with FioReader().open(tmp_path / "a.fio", [tmp_path], "") as file:
        assert file.fio.parameters == {"unit": "3 µm", "z": "ab"}


def test_a_fio_file_out_of_the_beamtime_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "outside.fio").write_text(TEXT)
    (tmp_path / "beamtime").mkdir()
    (tmp_path / "beamtime/scan_1.fio").symlink_to(tmp_path / "outside.fio")
    with pytest.raises(ReadingError, match="out of the beamtime"):
        read(job(scan(tmp_path / "beamtime", "scan_1", "scan_1.fio")))


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["%c", "%p", "%d", "! Acquisition started at", "Col 1 a DOUBLE", "Col 2 b DOUBLE", "a@unit = 1"]
        ),
        st.text(max_size=30),
        st.tuples(st.text(max_size=8), st.text(max_size=12)).map(" = ".join),
        st.lists(st.floats(), max_size=4).map(lambda row: " ".join(map(str, row))),
    )
)


@given(LINES)
def test_any_text_is_a_fio_file(lines: list[str]) -> None:
    text = "\n".join(lines).encode("utf-8", "replace").decode().replace("\0", "")
    _tree(text, one_dimensional=True)
    FioFile(parse(text)).plot(Notes())
