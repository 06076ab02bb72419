"""Text for people: one line without control characters, the known word that somebody may have meant, tables. Pure."""

from __future__ import annotations

import difflib
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


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: "; did you mean 'x'?", or the known words if they are few."""
    words = list(known)
    by_form = {_form(one): one for one in reversed(words)}
    close = difflib.get_close_matches(_form(word), by_form, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {by_form[close[0]]!r}?"
    return f"; known: {', '.join(words)}" if 0 < len(words) <= _MOST else ""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars, line ends and what looks like HTML in cells are made harmless."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    parts = " ".join(text.split()).replace("|", r"\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]  # Between backticks Markdown shows it as it is.
    return "`".join(parts)


def _form(word: str) -> str:
    """What is alike for people: case, blanks, dashes and underscores do not count."""
    return word.casefold().replace("-", "_").replace(" ", "_")
