"""Regular expressions whose work is bounded, for schemas: selectors and operators.

An expression is a curator's, the text that it meets comes from a data file: a crafted title must not
keep the ingestor busy for hours. Expressions and texts are limited in length, and every match in
time (the `regex` library can end a match). The language is that of Python's `re`.
"""

from __future__ import annotations

from functools import lru_cache

import regex

from scicat_watch.errors import SourceError

LONGEST_PATTERN = 500
"""Longest expression, in characters."""
LONGEST_TEXT = 20_000
"""Longest text that an expression is tried on, in characters."""
TIME_LIMIT = 1.0
"""Seconds that one match may take."""


def find(pattern: str, text: str) -> regex.Match[str] | None:
    """The first place where `pattern` matches, anywhere in `text`; `SourceError` if it cannot be decided."""
    try:
        return _compiled(pattern).search(_checked(text), timeout=TIME_LIMIT)
    except TimeoutError:
        raise _too_slow(pattern) from None


def substitute(pattern: str, replacement: str, text: str) -> str:
    r"""`text` with every match replaced; `replacement` may use groups (`\1`). `SourceError` if it cannot be done."""
    try:
        return _compiled(pattern).sub(replacement, _checked(text), timeout=TIME_LIMIT)
    except TimeoutError:
        raise _too_slow(pattern) from None
    except (regex.error, IndexError) as error:
        raise SourceError(f"the replacement {replacement!r} does not fit the expression {pattern!r}: {error}") from None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern[str]:
    if len(pattern) > LONGEST_PATTERN:
        raise SourceError(f"the expression {pattern[:40]!r}… is longer than {LONGEST_PATTERN} characters")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise SourceError(f"{pattern!r} is not a regular expression: {error}") from None


def _checked(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise SourceError(f"a text of {len(text)} characters is too long for a regular expression")
    return text


def _too_slow(pattern: str) -> SourceError:
    return SourceError(f"the expression {pattern!r} took longer than {TIME_LIMIT:g} s; nested repeats are often why")
