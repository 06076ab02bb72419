"""The sources of variables, in one table: what their variables need, how they are made, what can be wrong with them.

A further source is a module beside this one and a line in `SOURCES`. Schemas are parsed, evaluated and checked, and
the reference page is made, by this table. Sources of other packages: `plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scicat_watch.pipeline.assembly.findings import Check, check_path
from scicat_watch.pipeline.assembly.sources import catalogue, datafile, scan, value
from scicat_watch.pipeline.assembly.sources.beamtime import BeamtimeSource
from scicat_watch.pipeline.assembly.sources.catalogue import ENDPOINTS, CatalogueSource
from scicat_watch.pipeline.assembly.sources.datafile import DataFileSource
from scicat_watch.pipeline.assembly.sources.scan import ScanSource
from scicat_watch.pipeline.assembly.sources.source import Context, Source
from scicat_watch.pipeline.assembly.sources.value import ValueSource


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One source of variables."""

    name: str
    """What schemas write, e.g. "NXS"."""
    make: Callable[[Context], Source]
    """The source for one scan."""
    meaning: str
    """For curators: what its values are; Markdown, *new* in it where ESS's ingestor knows it not."""
    needs: tuple[str, ...] = ("path",)
    """Keys that a variable must have."""
    takes: tuple[str, ...] = ("unit",)
    """Further keys that have an effect, beside those of all variables."""
    check: Check = check_path
    """What is wrong with a variable of it, whatever the scan."""


SOURCES = (
    SourceKind(
        "NXS",
        lambda context: DataFileSource(context.reading.values),
        "a field of the HDF5 or NeXus file. `*` stands for any characters of a name, with the type `string[]`. *New:* "
        "`:NXsample` is the first group of that class, `path@name` an attribute. The file's `units` win over `unit`",
        check=datafile.check_nexus,
    ),
    SourceKind(
        "FIO",
        lambda context: DataFileSource(context.reading.values),
        "*new.* of a `.fio` file: `ScanCommand`, `start_time`, `end_time`, `comments.line_1`, `parameters.NAME`, "
        "`parameters.NAME@ATTRIBUTE`, `data.COLUMN`",
    ),
    SourceKind(
        "SC",
        lambda context: CatalogueSource(context.look_up),
        f"what the catalogue has at a URL that begins with {', '.join(f'`{name}`' for name in ENDPOINTS[:-1])} or "
        f"`{ENDPOINTS[-1]}`, or at a whole URL below the catalogue's; `field` is a member of the answer, or a position",
        needs=("url",),
        takes=("field",),
        check=catalogue.check,
    ),
    SourceKind(
        "VALUE",
        lambda _: ValueSource(),
        "a literal in which `<name>` stands for an earlier variable, after the operator, which may have further keys",
        needs=("value",),
        takes=("operator",),
        check=value.check,
    ),
    SourceKind(
        "BT",
        lambda context: BeamtimeSource(context.beamtime.metadata),
        "*new.* a field of the beamtime file by dotted path: `title`, `pi.email`, `users.doorDb.0`",
    ),
    SourceKind(
        "SCAN",
        lambda context: ScanSource(context.reading, context.beamtime),
        "*new.* what is known of the scan itself, see below",
        check=scan.check,
    ),
)
"""All sources, in the order of the reference page."""

BY_NAME: Mapping[str, SourceKind] = {kind.name: kind for kind in SOURCES}
NEEDS: Mapping[str, tuple[str, ...]] = {kind.name: kind.needs for kind in SOURCES}
"""The keys that a variable must have, by its source."""
