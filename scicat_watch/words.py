"""Text for people: one line without control characters, the known word that somebody may have meant, tables. Pure."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence

_MOST = 16
"""So many known words are listed; of more, none: a wall of words helps nobody."""


REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that is not printed."""


def printable(text: str, most: int | None = None) -> str:
    """`text` as one line: what does not print is replaced, and what is beyond `most` characters cut off.

    What a file, a list or a server says cannot steer a terminal, nor look like a line of ours.
    """
    shown = "".join(character if character.isprintable() else REPLACED for character in text)
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def why(error: BaseException) -> str:
    """What an exception says, in one line for people: without the numbers, brackets and quotes that Python adds."""
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror)
    # A KeyError shows its message in quotes.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return printable(text.splitlines()[0]) if text.strip() else type(error).__name__


def counted(number: int, thing: str) -> str:
    """So many things: "1 problem", "2 problems"; `thing` is one of them."""
    return f"{number} {thing}" if number == 1 else f"{number} {_several(thing)}"


def _several(thing: str) -> str:
    return f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"


def wrapped(text: str, width: int, indent: int = 0) -> str:
    """`text`, which is one line, in lines of at most `width` characters, those after the first indented.

    Breaks are at blanks only, so that paths and addresses can be copied; a longer one has a line of its own. The blanks
    at the beginning stay.
    """
    if len(text) <= width:
        return text
    first = text[: len(text) - len(text.lstrip(" "))]
    return textwrap.fill(
        text.lstrip(" "), max(width, indent + 20), initial_indent=first, subsequent_indent=indent * " ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)
"""Control characters but tab and line ends, halves of surrogate pairs, and what turns the direction of writing."""


def harmless(text: str) -> str:
    """`text` as it goes to others: what would steer a terminal, or show it in another order, is replaced."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub(REPLACED, text)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: "; did you mean 'x'?", or the known words if they are few."""
    words = list(known)
    if (close := closest(word, words)) is not None:
        return f"; did you mean {close!r}?"
    return f"; known: {', '.join(words)}" if 0 < len(words) <= _MOST else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that an unknown `word` may stand for; None if none is close."""
    by_form = {_form(one): one for one in reversed(list(known))}
    close = difflib.get_close_matches(_form(word), by_form, n=1, cutoff=0.6)
    return by_form[close[0]] if close else None


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of a Markdown page; bars, line ends and "<" in cells cannot break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    parts = " ".join(text.split()).replace("|", r"\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]  # Between backticks Markdown shows it as it is.
    return "`".join(parts)


def _form(word: str) -> str:
    """What is alike for people: case, blanks, dashes and underscores do not count."""
    return word.casefold().replace("-", "_").replace(" ", "_")
