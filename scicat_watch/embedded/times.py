"""Times as a SciCat backend reads and writes them: ISO 8601 in, UTC with milliseconds out. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII)
_BEGINNING = re.compile(r"\d{4}(?:-\d\d)?(?:-\d\d)?\Z", re.ASCII)


def utc_text(time: datetime) -> str:
    """An aware time as a backend shows it, e.g. "2024-05-01T08:00:00.123Z": truncated, not rounded."""
    utc = time.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z".rjust(24, "0")


def parse(text: object) -> datetime | None:
    """The aware time that an ISO 8601 text says; without a zone this machine's applies. None if it says none."""
    if not isinstance(text, str) or not _ISO.match(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def normal(text: object) -> str | None:
    """An ISO 8601 text as `utc_text` writes it; None if it is no time."""
    time = parse(text)
    return None if time is None else utc_text(time)


def operand(value: object) -> object:
    """What a filter compares a date with: a year, month or day is its first moment in UTC; others are unchanged."""
    if isinstance(value, str) and _BEGINNING.match(value):
        return normal(value + "0000-01-01"[len(value) :] + "T00:00:00Z") or value
    return normal(value) or value


def header(text: str) -> datetime | None:
    """The time of an HTTP header, which may be an HTTP date or ISO 8601; None if it cannot be read."""
    time = parse(text)
    if time is not None:
        return time
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
