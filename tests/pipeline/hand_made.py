"""Scans, beamtimes and readings made by hand, for tests of what follows the reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scicat_watch.documents import Bundle, DataFile
from scicat_watch.errors import Refused
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly.assemble import NATIVE, Additions, AssemblyOptions, assemble
from scicat_watch.pipeline.assembly.schemas import load
from scicat_watch.pipeline.assembly.sources.source import Context, LookUp
from scicat_watch.pipeline.handover import FieldValue, Reading, Unread
from scicat_watch.pipeline.schema.model import Schema, parse
from tests import makers
from tests.fakes import FakeClock

ID = "20990042"
PERSON = {"firstname": "Lee", "lastname": "Leader", "email": "lee.leader@lab.example", "username": "lleader"}


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
    known = {"corePath": "/core", "facility": "", "beamline": "", "leader": PERSON, "pi": PERSON, "applicant": PERSON}
    return makers.beamtime(directory, ID, generated=generated, **known | metadata)


def scan(name: str = "scan_1", directory: Path = Path("/gpfs/current/raw"), master: str | None = ".nxs") -> Scan:
    return makers.scan(directory, name, master, beamtime=ID)


def reading(
    of: Schema, values: Mapping[str, FieldValue | Unread] | None = None, about: Scan | None = None, **more: Any
) -> Reading:
    about = about or scan()
    files = (DataFile(f"{about.name}.nxs", 7, "2099-05-04T10:00:00+00:00"),)
    read = Reading(about, of, values=values or {}, files=files, first_time=4081572000.0, last_time=4081572060.5)
    return replace(read, **more)


def context(read: Reading, of: Beamtime | None = None, look_up: LookUp = nobody) -> Context:
    return Context(read, of or beamtime(), look_up, FakeClock())


def documents(
    read: Reading,
    of: Beamtime | None = None,
    look_up: LookUp = nobody,
    options: AssemblyOptions = NATIVE,
    additions: Additions | None = None,
) -> Bundle:
    """The documents of a reading."""
    return assemble(context(read, of, look_up), options, additions or Additions()).documents()


def text(value: str) -> FieldValue:
    """A text scalar."""
    return FieldValue(value)
