"""Text for people: one line, suggestions, Markdown tables."""

from __future__ import annotations

import pytest

from scicat_watch.words import REPLACED, closest, counted, harmless, markdown_table, nearest, printable, why


def test_text_from_outside_cannot_steer_a_terminal_or_begin_a_line() -> None:
    assert printable("a\x1b[2J\nb\x9b") == f"a{REPLACED}[2J{REPLACED}b{REPLACED}"
    assert printable("Ünïcode scan 7") == "Ünïcode scan 7"


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [(1, "problem", "1 problem"), (0, "problem", "0 problems"), (2, "unwatched directory", "2 unwatched directories")],
)
def test_one_thing_is_not_several(number: int, thing: str, said: str) -> None:
    assert counted(number, thing) == said


def test_what_others_get_keeps_its_lines_and_letters_but_not_what_steers() -> None:
    for kept in ("a\tb\nc\r\n", "Ünïcode 日本 scan 7", "naïve\u00a0space", "می\u200cخواهم"):
        assert harmless(kept) == kept
    for steering in ("\x1b", "\x9b", "\x00", "\r", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\udcff"):
        assert harmless(f"a{steering}b") == f"a{REPLACED}b"


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(13, "Permission denied"), "Permission denied"),
        (OSError(13, "Permission denied", "/data/raw"), "/data/raw: Permission denied"),
        (OSError("Unable to open file (truncated)"), "Unable to open file (truncated)"),
        (KeyError("Unable to open object (bad name)"), "Unable to open object (bad name)"),
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (EOFError(" "), "EOFError"),
        (RuntimeError("a \x1b[31mred line"), f"a {REPLACED}[31mred line"),
    ],
)
def test_what_an_exception_says_has_nothing_of_python_in_it(error: BaseException, said: str) -> None:
    assert why(error) == said
