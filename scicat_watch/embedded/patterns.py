"""Regular expressions from clients: limited in length, in the text that they search, and in time.

Some short patterns take hours on some texts, so each search has a time limit, and so have all searches of
one request together.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any

import regex

LONGEST = 512
"""Characters of a pattern."""
_LONGEST_SUBJECT = 64 * 1024
_SECONDS_PER_TEXT = 0.5
_SECONDS_IN_ALL = 2.0
"""CPU time of this thread, so that a busy machine does not refuse harmless patterns."""

_FLAGS = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL, "x": regex.VERBOSE}


class PatternError(ValueError):
    """A pattern that cannot be used, or takes too long; the message is for the client."""


@dataclass(slots=True)
class Pattern:
    """One pattern of one request."""

    compiled: Any
    left: float = _SECONDS_IN_ALL
    """Seconds that this pattern may still work."""

    def found(self, text: str) -> bool:
        """Whether the pattern is in `text`; `PatternError` if its time is over."""
        began = time.thread_time()
        try:
            found = self.compiled.search(text[:_LONGEST_SUBJECT], concurrent=True, timeout=_SECONDS_PER_TEXT)
        except TimeoutError:
            self.left = 0.0
        self.left -= time.thread_time() - began
        if self.left <= 0:
            raise PatternError("the pattern takes too long on this catalogue's texts: use a simpler one")
        return found is not None


def pattern(text: str, options: str) -> Pattern:
    """A pattern with MongoDB's options, letters of "imsx"; `PatternError` if it is none."""
    if len(text) > LONGEST:
        raise PatternError(f"the pattern is longer than {LONGEST} characters")
    if set(options) - _FLAGS.keys():
        raise PatternError(f"unknown options of a pattern: {options}")
    return Pattern(_compiled(text, options))


@functools.lru_cache(maxsize=256)
def _compiled(text: str, options: str) -> Any:
    flags = 0
    for letter in options:
        flags |= _FLAGS[letter]
    try:
        return regex.compile(text, flags)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise PatternError(f"the pattern {text!r} cannot be used: {error}") from error
