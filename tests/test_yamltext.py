"""YAML and JSON with the line of every key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError

FILE = Path("site.yml")


def test_every_key_and_element_knows_its_line() -> None:
    located = yamltext.parse("a:\n  b: 1\n  c:\n  - x\n  - y: 2\n", FILE)
    assert located.data == {"a": {"b": 1, "c": ["x", {"y": 2}]}}
    assert [located.line(where) for where in [("a",), ("a", "b"), ("a", "c", 0), ("a", "c", 1, "y")]] == [1, 2, 4, 5]


def test_what_is_not_there_has_the_line_of_what_holds_it() -> None:
    located = yamltext.parse("a:\n  b: 1\n", FILE)
    assert (located.line(("a", "missing", "deeper")), located.line(("a", "b", "x"))) == (1, 2)
    assert yamltext.parse("", FILE).line(("a",)) is None


def test_merged_keys_are_no_duplicates() -> None:
    located = yamltext.parse("base: &b {x: 1}\na:\n  <<: *b\n  x: 2\n", FILE)
    assert located.data["a"] == {"x": 2}


@pytest.mark.parametrize("text", ["a: 1\na: 2", "x:\n  'a': 1\n  a: 2"])
def test_a_key_that_stands_twice_is_told_with_both_lines(text: str) -> None:
    with pytest.raises(ConfigError, match=r"site\.yml:\d: 'a' is repeated here, first in line \d"):
        yamltext.parse(text, FILE)


def test_json_may_be_indented_with_tabs_but_keeps_those_in_text() -> None:
    assert yamltext.parse('{\n\t"a": "x\\ty",\n\t"b": [\n\t\t1\n\t]\n}', FILE).data == {"a": "x\ty", "b": [1]}


@pytest.mark.parametrize(
    "text",
    [
        r'{"a": "\ud83d\ude00", "b": 1}',
        '{"a": 1e3, "b": 2E-5}',
        '{"a": "one\u2028line", "b": "x\x7fy"}',
        '{"a"\n: 1, "b": 2}',
        '{"' + "k" * 1500 + '": 1}',
    ],
)
def test_json_is_read_as_json_also_where_yaml_reads_it_otherwise_or_not_at_all(text: str) -> None:
    assert yamltext.parse(text, FILE).data == json.loads(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: &b {or: [*b]}", "site.yml:2: an alias makes a part of the document contain itself"),
        ("a: &a [&b [*a]]", "contain itself"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)),
            r"site.yml:\d+: more than \d+ parts",
        ),
        ("a: " + "[" * 900 + "]" * 900, "levels deep"),
        ("a: 1\norder: 1" + "0" * 400, "site.yml:2: a number of 401 digits"),
        ("order: 0x" + "f" * 5000, "a number of 5002 digits"),
    ],
)
def test_a_document_that_grows_beyond_measure_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        yamltext.parse(text, FILE)


def test_what_an_alias_repeats_is_no_mistake() -> None:
    assert yamltext.parse("a: &a [x]\nb: [*a, *a]", FILE).data == {"a": ["x"], "b": [["x"], ["x"]]}


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`,?\n \t<0~\\\x00\u2028\ud800")))
def test_any_text_is_read_or_refused_with_its_file(text: str) -> None:
    try:
        yamltext.parse(text, FILE)
    except ConfigError as error:
        told = error
    else:
        return
    assert told.file == FILE
