"""Text for people: one line, suggestions, Markdown tables."""

from __future__ import annotations

import pytest

from scicat_watch.words import REPLACED, closest, markdown_table, nearest, printable


def test_text_from_outside_cannot_steer_a_terminal_or_begin_a_line() -> None:
    assert printable("a\x1b[2J\nb\x9b") == f"a{REPLACED}[2J{REPLACED}b{REPLACED}"
    assert printable("Ünïcode scan 7") == "Ünïcode scan 7"


@pytest.mark.parametrize(("most", "shown"), [(None, "abcdef"), (6, "abcdef"), (5, "abcd…"), (1, "…")])
def test_a_long_text_is_shortened(most: int | None, shown: str) -> None:
    assert printable("abcdef", most) == shown


@pytest.mark.parametrize("word", ["max_dept", "max-depth", "Max Depth", "maxdepth"])
def test_a_close_word_is_suggested_however_it_is_written(word: str) -> None:
    assert closest(word, ["extensions", "max_depth"]) == "max_depth"
    assert nearest(word, ["extensions", "max_depth"]) == "; did you mean 'max_depth'?"


def test_without_a_close_word_the_known_ones_are_listed_if_they_are_few() -> None:
    assert closest("zzz", ["a1", "b2"]) is None
    assert nearest("zzz", ["a1", "b2"]) == "; known: a1, b2"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"a{number}" for number in range(17)]) == ""


def test_a_cell_cannot_break_its_table() -> None:
    table = markdown_table(["a", "b"], [["one | two\nthree <b> `<kept>`", ""]])
    assert table == "| a | b |\n| --- | --- |\n| one \\| two three &lt;b> `<kept>` |  |\n"
