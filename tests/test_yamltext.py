"""YAML and JSON with the line of every key."""

from __future__ import annotations

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
    with pytest.raises(ConfigError, match=r"site\.yml:\d: 'a' stands twice here, first in line \d"):
        yamltext.parse(text, FILE)


def test_json_may_be_indented_with_tabs_but_keeps_those_in_text() -> None:
    assert yamltext.parse('{\n\t"a": "x\\ty",\n\t"b": [\n\t\t1\n\t]\n}', FILE).data == {"a": "x\ty", "b": [1]}


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`,?\n \t<0~\\\x00\u2028\ud800")))
def test_any_text_is_read_or_refused_with_its_file(text: str) -> None:
    try:
        yamltext.parse(text, FILE)
    except ConfigError as error:
        told = error
    else:
        return
    assert told.file == FILE
