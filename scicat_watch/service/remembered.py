"""The beamtime directories that were there before: a start takes nothing else for them while they are not mounted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from scicat_watch.discovery import presence
from scicat_watch.discovery.presence import Known
from scicat_watch.ledger.places import Place, Places
from scicat_watch.model import Beamtime

Remembered = Mapping[Path, tuple[Place, ...]]
"""By directory; of each the beamtimes that were in it."""


def remembered(places: Places) -> Remembered:
    """What is remembered now."""
    found: dict[Path, tuple[Place, ...]] = {}
    for place in places.all():
        found[place.directory] = (*found.get(place.directory, ()), place)
    return found


def place_of(beamtime: Beamtime, known: Known) -> Place:
    """What is to be remembered of a beamtime whose directory is there."""
    file = "" if beamtime.file is None else beamtime.file.name
    return Place(beamtime.directory, beamtime.id, file, known.device, known.inode, known.mount)


def why_away(places: Iterable[Place]) -> str:
    """Why a directory of which these beamtimes are remembered is not there; empty if it is. It asks the file system."""
    for place in places:
        known = Known(place.device, place.inode, place.mount)
        file = place.directory / place.file if place.file else None
        if why := presence.why_away(place.directory, known, file):
            return why
    return ""
