"""The native configuration: one documented class per section of the YAML file.

The reference page of the documentation and the commented sample are made from these docstrings.
Durations are seconds, sizes bytes. What no key says has a default that is right on a host with one
beamtime directory and no SciCat: the embedded catalogue. Reading a file: `settings.load`.

Rooms do not know this module: each owns a frozen dataclass of parameters, which a section builds for it.
"""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from scicat_watch.catalogue.options import CatalogueOptions, HttpOptions, LoginOptions, PatienceLimits
from scicat_watch.discovery.rules import BeamtimeRules, WatchRules
from scicat_watch.embedded.options import ServeOptions
from scicat_watch.ledger.rules import IngestedRules, RetryRules
from scicat_watch.pipeline.handover import ReadLimits

_WATCH, _BEAMTIMES, _READ, _INGESTED = WatchRules(), BeamtimeRules(), ReadLimits(), IngestedRules()
_HTTP, _LOGIN, _PATIENCE, _RETRY = HttpOptions(""), LoginOptions(), PatienceLimits(), RetryRules()
_SERVE = ServeOptions(Path(), Path())


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


UserPath = Annotated[Path, BeforeValidator(_expanded)]
"""A path in which "~" stands for the home directory."""


def _state_directory() -> Path:
    return platformdirs.user_state_path("scicat-watch")


class Section(BaseModel):
    """What all sections share: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BeamtimesSection(Section):
    """The `beamtimes:` section: which directories are beamtimes."""

    directories: tuple[UserPath, ...] = ()
    """Directories that hold beamtime metadata files. A directory without one is a beamtime that is made
    up from the directory's name, owner and time."""
    base_directories: tuple[UserPath, ...] = ()
    """Every direct subdirectory of these, now and later, that holds a metadata file is a beamtime
    directory."""
    file_prefix: str = _BEAMTIMES.file_prefix
    """How the name of a beamtime metadata file begins."""
    file_suffix: str = _BEAMTIMES.file_suffix
    """How the name of a beamtime metadata file ends."""
    skipped_types: tuple[str, ...] = _BEAMTIMES.skipped_types
    """Values of `proposalType` that are not ingested; "P" marks private (proprietary) beamtimes."""
    skipped_ids: tuple[str, ...] = ()
    """Ids of beamtimes that are not ingested."""

    def rules(self) -> BeamtimeRules:
        """The same for `discovery`."""
        return BeamtimeRules(
            directories=self.directories,
            base_directories=self.base_directories,
            file_prefix=self.file_prefix,
            file_suffix=self.file_suffix,
            skipped_types=self.skipped_types,
            skipped_ids=self.skipped_ids,
        )


class WatchingSection(Section):
    """The `watching:` section: where scans are looked for, and when one is complete."""

    trigger: Literal["lists", "files", "both"] = _WATCH.trigger
    """What makes a scan: a line of a dataset list, a new data file, or either. A scan found both ways is one scan."""
    extensions: tuple[str, ...] = _WATCH.extensions
    """Extensions of data files that are scans when no list names them."""
    master_extensions: tuple[str, ...] = _WATCH.master_extensions
    """The order in which the data file of a listed scan is looked for."""
    max_depth: int = Field(default=_WATCH.max_depth, ge=-1)
    """How many levels below the beamtime directory are looked at: 0 only the directory itself, -1 all."""
    blacklist: tuple[UserPath, ...] = ()
    """Directories that are not entered: absolute, or relative to the beamtime directory."""
    ignored_names: tuple[str, ...] = _WATCH.ignored_names
    """File and directory names that are never scans or scan directories (shell patterns)."""
    below_lists: bool = _WATCH.below_lists
    """Whether to look for further scans below a directory that has a dataset list. Detector folders are often there."""
    ingestion_delay: float = Field(default=_WATCH.ingestion_delay, ge=0)
    """Seconds that a file or list must be quiet before it counts as complete. Longer than the writer's pauses."""
    rescan_interval: float = Field(default=60.0, gt=0)
    """Seconds between looks at everything, for what file events did not say."""
    poll_interval: float = Field(default=10.0, gt=0)
    """The same where the file system sends no events, such as NFS, GPFS, Lustre or FUSE mounts."""
    without_files_after: float = Field(default=_WATCH.without_files_after, ge=0)
    """Seconds for which a listed scan may have no file at all, before its dataset is made from the beamtime metadata
    alone. Files that come later than the list line are thus waited for."""
    abandoned_after: float = Field(default=_WATCH.abandoned_after, gt=0)
    """Seconds after which an unchanged file that is still marked as being written counts as left by its writer."""
    abandoned: Literal["ingest", "hold"] = _WATCH.abandoned
    """What becomes of such a file: ingested with a comment, or held and shown as waiting."""


class ListsSection(Section):
    """The `lists:` section: where scan names arrive, and where we note that they are done."""

    dataset_list: str = _WATCH.dataset_list
    """Name of the list that the control system writes, one scan per line. May hold {beamtime} and {host}."""
    ingested_list: str = _INGESTED.name
    """Name of the list that we write, beside it. May hold {beamtime} and {host}."""
    ingested_directory: UserPath | None = None
    """Directory below which the ingested lists are kept instead, under the path of their scan directory."""
    max_line: int = Field(default=_WATCH.longest_line, ge=80)
    """Longest line, in characters, that is taken for a scan."""

    @field_validator("dataset_list", "ingested_list")
    @classmethod
    def _plain_name(cls, pattern: str) -> str:
        try:
            fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
        except ValueError as error:
            raise ValueError(f"{pattern!r} is not a pattern: {error}; a brace of the name itself is doubled") from None
        if unknown := fields - {"beamtime", "host"}:
            raise ValueError(f"{pattern!r} holds {{{min(unknown)}}}; only {{beamtime}} and {{host}} are known")
        if not pattern or "/" in pattern or "\0" in pattern:
            raise ValueError(f"{pattern!r} is not the name of a file; the list is in the scan directory")
        return pattern

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if self.dataset_list == self.ingested_list and self.ingested_directory is None:
            raise ValueError("ingested_list names the dataset list itself: every scan would count as done")
        return self


class PatienceSection(Section):
    """How long the catalogue is asked again while it is unavailable."""

    first_wait: float = Field(default=_PATIENCE.first_wait, gt=0)
    """Seconds before the second try; the waits double from here."""
    longest_wait: float = Field(default=_PATIENCE.longest_wait, gt=0)
    """The longest wait between two tries, in seconds."""
    give_up_after: float = Field(default=_PATIENCE.give_up_after, ge=0)
    """Seconds after which `ingest` gives up (exit status 3). The daemon never gives up."""

    def limits(self) -> PatienceLimits:
        """The same for `catalogue`."""
        return PatienceLimits(self.first_wait, self.longest_wait, self.give_up_after)


class CatalogueSection(Section):
    """The `catalogue:` section: which SciCat, and who we are there."""

    url: str | None = None
    """Base of SciCat's API, e.g. "https://scicat.example.org/api/v3". None: the embedded catalogue."""
    username: str = _LOGIN.username
    """Account to log in with, unless the credential file names one."""
    credential_file: UserPath | None = None
    """File with the account's secret: a JSON object with `username` and `password`, or with `jwt` for a ready token;
    any other text is the password. Read again when it changes."""
    login_path: str = _LOGIN.login_path
    """Where to log in, below the base; "auth/ldap" for accounts of a directory server."""
    pid_prefix: str = ""
    """Put before every dataset id, e.g. "20.500.12345/"."""
    timeout: float = Field(default=_HTTP.timeout, gt=0)
    """Seconds to wait for a connection, and for each answer."""
    ca_file: UserPath | None = None
    """Certificates of the authorities that the site trusts; None: those of the system."""
    verify: bool = _HTTP.verify
    """Whether the server's certificate is checked. Turning this off lets anybody between read the token."""
    patience: PatienceSection = PatienceSection()
    """How long we go on while the catalogue is unavailable."""
    connections: int = Field(default=4, ge=1, le=64)
    """How many lists are published side by side."""

    def options(self, url: str) -> CatalogueOptions:
        """The same for `catalogue`, with the catalogue at `url`."""
        return CatalogueOptions(
            http=HttpOptions(url, self.timeout, self.ca_file, self.verify),
            login=self.login(),
            patience=self.patience.limits(),
            pid_prefix=self.pid_prefix,
        )

    def login(self) -> LoginOptions:
        """Who we are there."""
        return LoginOptions(self.username, self.credential_file, self.login_path)


class EmbeddedSection(Section):
    """The `embedded:` section: the catalogue that comes with scicat-watch."""

    host: str = _SERVE.host
    """Address to serve on. On another address than this machine's own the pages show published datasets only."""
    port: int = Field(default=_SERVE.port, ge=0, le=65535)
    """Port to serve on; 0 takes a free one."""
    database: UserPath | None = None
    """The SQLite file; None: `catalogue.sqlite` in `var_dir`."""
    pid_prefix: str = _SERVE.pid_prefix
    """Prefix of the ids that the catalogue makes for datasets that come without one."""
    accounts: UserPath | None = None
    """JSON file with the accounts; None: `catalogue-accounts.json` in `var_dir`, made with a random password."""


class SchemasSection(Section):
    """The `schemas:` section: what a dataset holds."""

    directory: UserPath | None = None
    """Directory with metadata schema files (`*.imsc.yml`), tried in their order; None: those that are shipped."""
    keep_lookups: float = Field(default=60.0, ge=0)
    """Seconds that an answer of the catalogue to a schema's SC variable is used for other scans; 0 asks every time."""


class ReadingSection(Section):
    """The `reading:` section: the worker processes that read data files."""

    workers: int = Field(default=2, ge=1, le=256)
    """How many processes read data files."""
    time_limit: float = Field(default=_READ.time_limit, gt=0)
    """Seconds after which a process that reads one scan is ended; the scan counts as failed and is tried again."""
    memory_limit: int = Field(default=_READ.memory_limit, ge=256 << 20)
    """Bytes of address space that a reading process may use."""
    metadata_limit: int = Field(default=_READ.metadata_limit, ge=1024)
    """Bytes of JSON that a scan's metadata may have; the rest is cut, and the dataset says so."""
    thumbnails: bool = _READ.thumbnails
    """Whether scans get a thumbnail."""
    thumbnail_extensions: tuple[str, ...] = _READ.thumbnail_extensions
    """Extensions of a ready thumbnail beside the data file."""
    file_list: Literal["exact", "prefix"] = _READ.file_list
    """Which files belong to scan_1: exact takes scan_1, scan_1.* and scan_1_*; prefix also scan_10.nxs, as DESY's
    ingestor does."""
    skipped_files: tuple[str, ...] = _READ.skipped_files
    """Files that are left out of file lists (shell patterns)."""

    def limits(self) -> ReadLimits:
        """The same for `pipeline.reading`."""
        return ReadLimits(
            time_limit=self.time_limit,
            memory_limit=self.memory_limit,
            metadata_limit=self.metadata_limit,
            thumbnails=self.thumbnails,
            thumbnail_extensions=self.thumbnail_extensions,
            file_list=self.file_list,
            skipped_files=self.skipped_files,
        )


class RetryingSection(Section):
    """The `retrying:` section: when a failed scan is tried again."""

    first: float = Field(default=_RETRY.first, gt=0)
    """Seconds after the first failure; doubles with each further one."""
    longest: float = Field(default=_RETRY.longest, gt=0)
    """The longest interval between two tries, in seconds."""

    def rules(self) -> RetryRules:
        """The same for `ledger`."""
        return RetryRules(self.first, self.longest)


class LoggingSection(Section):
    """The `logging:` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of message that is logged."""
    file: UserPath | None = None
    """File to log to, beside standard error; it is rotated at 10 MB, five files are kept."""


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
    """Directory for our own state (journal, embedded catalogue), on a local disk."""

    def watch_rules(self) -> WatchRules:
        """What `discovery` is told of `watching` and `lists`."""
        watching, lists = self.watching, self.lists
        return WatchRules(
            trigger=watching.trigger,
            extensions=watching.extensions,
            master_extensions=watching.master_extensions,
            max_depth=watching.max_depth,
            blacklist=watching.blacklist,
            ignored_names=watching.ignored_names,
            below_lists=watching.below_lists,
            dataset_list=lists.dataset_list,
            longest_line=lists.max_line,
            ingestion_delay=watching.ingestion_delay,
            without_files_after=watching.without_files_after,
            abandoned_after=watching.abandoned_after,
            abandoned=watching.abandoned,
        )

    def ingested_rules(self, host: str) -> IngestedRules:
        """What `ledger` is told of `lists`."""
        lists = self.lists
        return IngestedRules(lists.ingested_list, lists.ingested_directory, self.var_dir / "ingested", host)

    def serve_options(self) -> ServeOptions:
        """What the embedded catalogue is told."""
        embedded = self.embedded
        return ServeOptions(
            database=embedded.database or self.var_dir / "catalogue.sqlite",
            accounts=embedded.accounts or self.var_dir / "catalogue-accounts.json",
            host=embedded.host,
            port=embedded.port,
            pid_prefix=embedded.pid_prefix,
        )
