"""Which group is to own the datasets of a beamtime, as far as that is known without a data file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scicat_watch.clock import SystemClock
from scicat_watch.errors import AssemblyError, Refused
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly.assemble import evaluated
from scicat_watch.pipeline.assembly.dataset import DatasetRules, make
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.pipeline.schema.selector import Subject, choose


def owner_group(schemas: Sequence[Schema], beamtime: Beamtime) -> str:
    """The `ownerGroup` of the scans of a beamtime; empty if only a data file says it."""
    beamline, facility = (str(beamtime.metadata.get(name) or "") for name in ("beamline", "facility"))
    schema, _ = choose(schemas, Subject(str(beamtime.directory / "raw" / "scan.nxs"), beamline, facility))
    if schema is None:
        return ""
    scan = Scan(beamtime.id, beamtime.directory, "scan", "scan")
    context = Context(Reading(scan, schema), beamtime, _nothing, SystemClock())
    try:
        fields = make(schema, evaluated(context), {}, DatasetRules(mandatory=())).fields
    except AssemblyError:
        return ""
    group = fields.get("ownerGroup")
    return group if isinstance(group, str) else ""


def _nothing(url: str) -> Any:
    raise Refused(f"{url}: nothing is looked up for a check")
