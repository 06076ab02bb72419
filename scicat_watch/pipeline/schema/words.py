"""The known word that a person may have meant. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 16
"""So many known words are listed; of more, none: a wall of words helps nobody."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: "; did you mean 'x'?", or the known words if they are few."""
    words = list(known)
    by_form = {_form(one): one for one in reversed(words)}
    close = difflib.get_close_matches(_form(word), by_form, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {by_form[close[0]]!r}?"
    return f"; known: {', '.join(words)}" if 0 < len(words) <= _MOST else ""


def _form(word: str) -> str:
    """What is alike for people: case, blanks, dashes and underscores do not count."""
    return word.casefold().replace("-", "_").replace(" ", "_")
