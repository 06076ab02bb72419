"""The native configuration: one documented class per section of the YAML file.

Those about the disks are in `scans`, those about catalogues in `catalogues`, all others here.
The reference page of the documentation and the commented sample are made from these docstrings.
Durations are in seconds, sizes in bytes. Every key has a default; together the defaults are right on a
host with one beamtime directory and no SciCat (the embedded catalogue is used). Reading a file: `settings.load`.

Rooms do not know this module: each owns a frozen dataclass of parameters, which a section builds for it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field

from scicat_watch.discovery.rules import WatchRules
from scicat_watch.embedded.options import ServeOptions
from scicat_watch.ledger.rules import ChangeRules, IngestedRules, RetryRules
from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.settings.catalogues import CatalogueSection, EmbeddedSection
from scicat_watch.settings.scans import BeamtimesSection, ListsSection, WatchingSection
from scicat_watch.settings.section import Section, UserPath

_READ, _RETRY = ReadLimits(), RetryRules()


def _state_directory() -> Path:
    return platformdirs.user_state_path("scicat-watch")


class SchemasSection(Section):
    """The `schemas:` section: what a dataset contains."""

    directory: UserPath | None = None
    """Directory with metadata schema files (`*.imsc.yml`), tried by their `order`; null: the shipped ones."""
    keep_lookups: float = Field(default=60.0, ge=0)
    """Seconds for which the catalogue's answer to an SC variable is reused for other scans; 0: no reuse."""


class ReadingSection(Section):
    """The `reading:` section: the worker processes that read data files."""

    workers: int = Field(default=2, ge=1, le=256)
    """Number of worker processes that read data files. One more reads scans whose reading took too long or crashed
    before, and up to ten more read other beamtimes while all of these are busy for more than a second."""
    first_time_limit: float = Field(default=_READ.first_time_limit, gt=0)
    """Seconds after which the reading of a scan is terminated and begun again, apart from the other scans. They begin
    when a worker process begins to read, and those in which it waits for a processor do not count."""
    time_limit: float = Field(default=_READ.time_limit, gt=0)
    """Seconds after which that is terminated, too, counted likewise; the scan has failed and is tried again."""
    memory_limit: int = Field(default=_READ.memory_limit, ge=256 << 20)
    """Maximum address space of a worker process, in bytes."""
    metadata_limit: int = Field(default=_READ.metadata_limit, ge=1024)
    """Maximum size of a scan's metadata as JSON, in bytes; what is beyond is truncated, and the dataset says so."""
    thumbnails: bool = _READ.thumbnails
    """Whether datasets get a thumbnail."""
    thumbnail_extensions: tuple[str, ...] = _READ.thumbnail_extensions
    """Extensions of an image beside the data file that is used as the thumbnail."""
    file_list: Literal["exact", "prefix"] = _READ.file_list
    """Which files belong to scan_1: `exact` takes scan_1, scan_1.* and scan_1_*; `prefix` also takes scan_10.nxs,
    as DESY's ingestor does."""
    skipped_files: tuple[str, ...] = _READ.skipped_files
    """Files that are left out of file lists (shell patterns)."""

    def limits(self) -> ReadLimits:
        """The parameters of `pipeline.reading`."""
        return ReadLimits(
            first_time_limit=self.first_time_limit,
            time_limit=self.time_limit,
            memory_limit=self.memory_limit,
            metadata_limit=self.metadata_limit,
            thumbnails=self.thumbnails,
            thumbnail_extensions=self.thumbnail_extensions,
            file_list=self.file_list,
            skipped_files=self.skipped_files,
        )


class RetryingSection(Section):
    """The `retrying:` section: when a failed scan is tried again. A scan whose file changed is tried again at once."""

    first: float = Field(default=_RETRY.first, gt=0)
    """Seconds between the first failure and the second attempt; doubles with each further failure."""
    longest: float = Field(default=_RETRY.longest, gt=0)
    """Maximum wait between two attempts, in seconds."""
    quarantine_after: int = Field(default=_RETRY.quarantine_after, ge=1)
    """Attempts in which reading a scan hung or ended its worker process, after which the scan is quarantined: it is
    tried again only when its file changes, or by `ingest`. Other failures are tried again for ever."""

    def rules(self) -> RetryRules:
        """The parameters of `ledger.plan`."""
        return RetryRules(self.first, self.longest, self.quarantine_after)


class LoggingSection(Section):
    """The `logging:` section: what is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the messages that are logged."""
    file: UserPath | None = None
    """File to log to, in addition to standard error; rotated at 10 MB, five files are kept."""


class Settings(Section):
    """The whole configuration."""

    beamtimes: BeamtimesSection = BeamtimesSection()
    watching: WatchingSection = WatchingSection()
    lists: ListsSection = ListsSection()
    schemas: SchemasSection = SchemasSection()
    reading: ReadingSection = ReadingSection()
    catalogue: CatalogueSection = CatalogueSection()
    embedded: EmbeddedSection = EmbeddedSection()
    retrying: RetryingSection = RetryingSection()
    logging: LoggingSection = LoggingSection()
    var_dir: UserPath = Field(default_factory=_state_directory)
    """Directory for the program's own state (journal, embedded catalogue), on a local disk."""

    def watch_rules(self) -> WatchRules:
        """The parameters of `discovery.watch`, from `watching` and `lists`."""
        watching, lists = self.watching, self.lists
        return WatchRules(
            trigger=watching.trigger,
            extensions=watching.extensions,
            master_extensions=watching.master_extensions,
            max_depth=watching.max_depth,
            blacklist=watching.blacklist,
            ignored_names=watching.ignored_names,
            below_lists=watching.below_lists,
            detector_interval=watching.detector_interval,
            dataset_list=lists.dataset_list,
            longest_line=lists.max_line,
            ingestion_delay=watching.ingestion_delay,
            complete_when=tuple(one for one in watching.complete_when if one != "end_time"),
            without_files_after=watching.without_files_after,
            abandoned_after=watching.abandoned_after,
            abandoned=watching.abandoned,
        )

    def change_rules(self) -> ChangeRules:
        """The parameters of `service.rechecks`, from `watching`."""
        watching = self.watching
        interval = watching.recheck_interval or watching.rescan_interval
        after = tuple(sorted(watching.recheck_after))
        return ChangeRules(after, interval, watching.changed_after, watching.vanished_files)

    def read_limits(self) -> ReadLimits:
        """The parameters of `pipeline.reading`, from `reading` and `watching`."""
        watching = self.watching
        within = watching.abandoned_after if watching.abandoned == "ingest" else math.inf
        return replace(self.reading.limits(), end_time_within=within if "end_time" in watching.complete_when else 0.0)

    def ingested_rules(self, host: str) -> IngestedRules:
        """The parameters of `ledger.ingested`, from `lists`."""
        lists = self.lists
        return IngestedRules(lists.ingested_list, lists.ingested_directory, self.var_dir / "ingested", host)

    def serve_options(self) -> ServeOptions:
        """The parameters of the embedded catalogue."""
        embedded = self.embedded
        return ServeOptions(
            database=embedded.database or self.var_dir / "catalogue.sqlite",
            accounts=embedded.accounts or self.var_dir / "catalogue-accounts.json",
            host=embedded.host,
            port=embedded.port,
            public=embedded.public,
            pid_prefix=embedded.pid_prefix,
        )
