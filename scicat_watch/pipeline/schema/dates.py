"""Dates as data files write them, made into the one form that a catalogue takes: the operator `iso_date`.

Pure but for the local zone, which a date without a zone is taken to be in.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from dateutil import parser, tz

from scicat_watch.errors import SourceError

LONGEST = 64
"""Longest text, in characters, that is taken for a date."""

_KEPT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
# What a text leaves out is filled in from these; texts that come out different name no whole date.
_FILLINGS = (datetime(1971, 1, 1), datetime(1972, 2, 2))


def iso_date(text: str, zone: str = "") -> str:
    """The date that `text` says, as ISO 8601.

    Text that is ISO 8601 with "T", seconds, and no zone, "Z" or ±hh:mm stays as it is; any other date
    becomes YYYY-MM-DDThh:mm:ss.ffffff±hhmm, and is in the zone of this host if it says none. With
    `zone`, an IANA name such as "Europe/Berlin" or "local" for that of this host, every date without
    a zone is in that one and says so. `SourceError` if `text` is no whole date, or names its zone by
    an abbreviation, which may mean several.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise SourceError(f"a text of {len(text)} characters is no date")
    try:
        if (kept := _KEPT.fullmatch(text)) and (kept[2] or not zone):
            datetime.fromisoformat(text)
            return text
        dates = {parser.parse(text, default=filling, tzinfos=_zone) for filling in _FILLINGS}
        if len(dates) > 1:
            raise SourceError(f"{text!r} is only a part of a date")
        moment = dates.pop()
        if moment.tzinfo is None:
            moment = moment.astimezone() if zone in ("", "local") else moment.replace(tzinfo=ZoneInfo(zone))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    except (ValueError, OverflowError, KeyError, OSError) as error:
        raise SourceError(f"{text!r} is no date that can be read: {error}") from None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    if offset is not None:
        return tz.tzoffset(name, offset)
    if name is not None:
        raise ValueError(f"the zone {name!r} is not known; write its offset, such as +02:00")
    return None
