"""Scans, beamtimes and readings made by hand, for tests of what follows the reading."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scicat_watch.documents import DataFile
from scicat_watch.errors import Refused
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.handover import FieldValue, Reading, Unread
from scicat_watch.pipeline.schema.library import load
from scicat_watch.pipeline.schema.model import Schema, parse

PERSON = {"firstname": "Lee", "lastname": "Leader", "email": "lee.leader@lab.example", "username": "lleader"}


class TestClock:
    """A clock that only moves when told."""

    __test__ = False

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def wait(self, seconds: float, stopping: threading.Event) -> bool:
        self.advance(seconds)
        return stopping.is_set()

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def nobody(url: str) -> Any:
    """A catalogue that knows nothing."""
    raise Refused(f"404: {url}", 404)


def shipped(name: str) -> Schema:
    return next(schema for schema in load().schemas if schema.id == name)


def schema(variables: Mapping[str, Any] | None = None, items: Mapping[str, Any] | None = None, **top: Any) -> Schema:
    """A schema with these variables and items that fits everything."""
    general = {"id": "test", "name": "Test", "instrument": "", "order": 1, "selector": "*"}
    return parse(general | {"variables": dict(variables or {}), "schema": dict(items or {})} | top)


def high(name: str, value: Any, kind: str = "string") -> dict[str, Any]:
    return {"field_type": "high_level", "machine_name": name, "value": value, "type": kind}


ENOUGH = {
    name: high(name, value)
    for name, value in {
        "pid": "20990042/scan_1",
        "datasetName": "scan_1",
        "principalInvestigator": "Pat Pi",
        "creationLocation": "/SITE/P99",
        "owner": "Lee",
        "ownerEmail": "lee@lab.example",
        "ownerGroup": "20990042-dmgt",
        "sourceFolder": "/core/raw",
        "contactEmail": "lee@lab.example",
        "creationTime": "2099-05-04T10:00:00Z",
    }.items()
}
"""Items of a dataset that lacks nothing."""


def beamtime(directory: Path = Path("/gpfs/current"), generated: bool = False, **metadata: Any) -> Beamtime:
    known = {"beamtimeId": "20990042", "corePath": "/core", "title": "Spin waves", "facility": "", "beamline": ""}
    people = {"leader": PERSON, "pi": PERSON, "applicant": PERSON}
    file = None if generated else directory / "beamtime-metadata-20990042.json"
    return Beamtime("20990042", directory, known | people | metadata, file)


def scan(name: str = "scan_1", directory: Path = Path("/gpfs/current/raw"), master: str = ".nxs") -> Scan:
    place = directory / name
    return Scan("20990042", directory, name, name, place.with_name(place.name + master) if master else None)


def reading(
    of: Schema, values: Mapping[str, FieldValue | Unread] | None = None, about: Scan | None = None, **more: Any
) -> Reading:
    about = about or scan()
    files = (DataFile(f"{about.name}.nxs", 7, "2099-05-04T10:00:00+00:00"),)
    read = Reading(about, of, values=values or {}, files=files, first_time=4081572000.0, last_time=4081572060.5)
    return replace(read, **more)


def text(value: str) -> FieldValue:
    """A text scalar."""
    return FieldValue(value)
