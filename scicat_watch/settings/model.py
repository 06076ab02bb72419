"""The native configuration: one documented class per section of the YAML file.

The reference page of the documentation and the commented sample are made from these docstrings.
Durations are in seconds, sizes in bytes. Every key has a default; together the defaults are right on a
host with one beamtime directory and no SciCat (the embedded catalogue is used). Reading a file: `settings.load`.

Rooms do not know this module: each owns a frozen dataclass of parameters, which a section builds for it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from scicat_watch.catalogue.options import OWNED, CatalogueOptions, HttpOptions, LoginOptions, PatienceLimits
from scicat_watch.discovery.rules import BeamtimeRules, WatchRules
from scicat_watch.embedded.options import Public, ServeOptions
from scicat_watch.ledger.rules import ChangeRules, IngestedRules, RetryRules
from scicat_watch.pipeline.handover import ReadLimits

_WATCH, _BEAMTIMES, _READ, _INGESTED = WatchRules(), BeamtimeRules(), ReadLimits(), IngestedRules()
_HTTP, _LOGIN, _PATIENCE, _RETRY = HttpOptions(""), LoginOptions(), PatienceLimits(), RetryRules()
_CHANGES = ChangeRules()
_SERVE = ServeOptions(Path(), Path())


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


UserPath = Annotated[Path, BeforeValidator(_expanded)]
"""A path in which "~" stands for the home directory."""


def _state_directory() -> Path:
    return platformdirs.user_state_path("scicat-watch")


Seconds = Annotated[float, Field(ge=0)]
"""A duration."""


class Section(BaseModel):
    """Base of all sections: unknown keys are mistakes, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BeamtimesSection(Section):
    """The `beamtimes:` section: which directories are beamtimes."""

    directories: tuple[UserPath, ...] = ()
    """Beamtime directories. If one has no beamtime metadata file, its beamtime is generated from the directory's
    name, owner and time."""
    base_directories: tuple[UserPath, ...] = ()
    """Every direct subdirectory of these that has a beamtime metadata file is a beamtime directory, also one that
    appears later."""
    file_prefix: str = _BEAMTIMES.file_prefix
    """Beginning of the name of a beamtime metadata file."""
    file_suffix: str = _BEAMTIMES.file_suffix
    """End of the name of a beamtime metadata file."""
    skipped_types: tuple[str, ...] = _BEAMTIMES.skipped_types
    """Values of `proposalType` that are not ingested; "P" marks private (proprietary) beamtimes."""
    skipped_ids: tuple[str, ...] = ()
    """Ids of beamtimes that are not ingested."""
    expected_by: tuple[str, ...] = _BEAMTIMES.expected_by
    """Paths in a beamtime directory (shell patterns) that show that its beamtime metadata file will come: a list with
    the id of another beamtime than the generated one, a directory that only beamtimes have."""
    grace: float = Field(default=_BEAMTIMES.grace, ge=0)
    """Seconds for which the daemon waits for that file before it generates a beamtime. If the file comes later still,
    its beamtime adopts the datasets that were made before it."""

    def rules(self) -> BeamtimeRules:
        """The parameters of `discovery.beamtimes`."""
        return BeamtimeRules(
            directories=self.directories,
            base_directories=self.base_directories,
            file_prefix=self.file_prefix,
            file_suffix=self.file_suffix,
            skipped_types=self.skipped_types,
            skipped_ids=self.skipped_ids,
            expected_by=self.expected_by,
            grace=self.grace,
        )


class WatchingSection(Section):
    """The `watching:` section: where scans are searched, and when a scan is complete."""

    trigger: Literal["lists", "files", "both"] = _WATCH.trigger
    """What makes a scan: a line of a dataset list (`lists`), a new data file (`files`), or either of them (`both`).
    A scan that is both listed and found is one scan."""
    extensions: tuple[str, ...] = _WATCH.extensions
    """Extensions of the data files that are scans without being in a list."""
    master_extensions: tuple[str, ...] = _WATCH.master_extensions
    """Extensions of the master file of a listed scan; of several files the one whose extension is first is taken."""
    max_depth: int = Field(default=_WATCH.max_depth, ge=-1)
    """How many levels below the beamtime directory are scanned: 0 is only the directory itself, -1 is all."""
    blacklist: tuple[UserPath, ...] = ()
    """Directories that are not scanned: absolute, or relative to the beamtime directory."""
    ignored_names: tuple[str, ...] = _WATCH.ignored_names
    """File and directory names that are never scans or scan directories (shell patterns)."""
    below_lists: bool = _WATCH.below_lists
    """Whether data files below a directory with a dataset list are scans, too. Detector folders are often there."""
    detector_interval: float = Field(default=_WATCH.detector_interval, ge=0)
    """Maximum seconds between two rescans of a folder that has held nothing but detector files, more than 20, so far.
    Such a folder is not watched, unless folders beside it hold data files or lists. 0: it is treated as any other."""
    ingestion_delay: float = Field(default=_WATCH.ingestion_delay, ge=0)
    """Seconds without a change after which a file or list counts as complete. Longer than the writer's pauses."""
    complete_when: tuple[Literal["siblings", "allocated", "end_time"], ...] = _WATCH.complete_when
    """What else must hold before a scan counts as complete. `siblings`: no other file of the scan, such as its detector
    files, has come or grown for `ingestion_delay`, or it has been waited for 10 minutes. `allocated`: no large part,
    nor the end, of the data file is missing on the disk; for copies that get their size before their content, but not
    on file systems that compress. `end_time`: the NeXus file has an end_time; for writers that write it last."""
    rescan_interval: float = Field(default=60.0, gt=0)
    """Seconds between two full rescans, which find what file events missed; more if they would take over 0.5 % of
    a core."""
    poll_interval: float = Field(default=5.0, gt=0)
    """Seconds between two rescans where the file system sends no change notifications (NFS, GPFS, Lustre, FUSE). If
    rescans of all directories would take over 0.5 % of a core, only those are rescanned so often in which something
    changed in the last 15 minutes, at up to 8 % of a core."""
    changed_after: Literal["files", "update", "report"] = _CHANGES.listed
    """What to do with a listed scan whose files change after its dataset was made: `files` updates the file list and
    reports other changes in `status`, `update` updates all of the dataset, `report` only reports. The dataset of a
    found scan is always updated."""
    vanished_files: Literal["keep", "drop"] = _CHANGES.vanished
    """What to do with a scan of which files have vanished since its dataset was made, whatever else has changed:
    `keep` changes nothing and reports the scan in `status`, `drop` updates the dataset to the files that are there. A
    scan that was renamed is updated in any case."""
    recheck_after: tuple[Seconds, ...] = _CHANGES.after
    """Seconds after a dataset was made at which the files of its scan are compared again: detector images that come
    late come then."""
    recheck_interval: float | None = Field(default=None, gt=0)
    """Seconds in which all scans with a dataset are compared with their files, in turns; longer if that would take more
    than 1 % of a core. null: `rescan_interval`."""
    without_files_after: float = Field(default=_WATCH.without_files_after, ge=0)
    """Seconds to wait for the files of a listed scan; then its dataset is made from the beamtime metadata alone."""
    abandoned_after: float = Field(default=_WATCH.abandoned_after, gt=0)
    """Seconds without a change after which a file that is still marked as open for writing counts as abandoned."""
    abandoned: Literal["ingest", "hold"] = _WATCH.abandoned
    """What to do with an abandoned file: ingest it with a comment, or hold it and show it as waiting."""


class ListsSection(Section):
    """The `lists:` section: the lists that name scans, and the lists in which we note what is done."""

    dataset_list: str = _WATCH.dataset_list
    """Name of the list that the control system writes, one scan per line. May contain {beamtime} and {host}."""
    ingested_list: str = _INGESTED.name
    """Name of the list that we write, in the same directory. May contain {beamtime} and {host}."""
    ingested_directory: UserPath | None = None
    """Directory for the ingested lists instead; each is at the path of its scan directory below this one."""
    max_line: int = Field(default=_WATCH.longest_line, ge=80)
    """Maximum length of a line, in characters; longer lines are skipped."""

    @field_validator("dataset_list", "ingested_list")
    @classmethod
    def _plain_name(cls, pattern: str) -> str:
        try:
            fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
        except ValueError as error:
            raise ValueError(f"{pattern!r} is not a pattern: {error}; a brace of the name itself is doubled") from None
        if unknown := fields - {"beamtime", "host"}:
            raise ValueError(f"{pattern!r} contains {{{min(unknown)}}}; only {{beamtime}} and {{host}} are known")
        if not pattern or "/" in pattern or "\0" in pattern:
            raise ValueError(f"{pattern!r} is not the name of a file; the list is in the scan directory")
        return pattern

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if self.dataset_list == self.ingested_list and self.ingested_directory is None:
            raise ValueError("ingested_list names the dataset list itself: every scan would count as done")
        return self


class PatienceSection(Section):
    """How requests are repeated while the catalogue is unavailable."""

    first_wait: float = Field(default=_PATIENCE.first_wait, gt=0)
    """Seconds before the second attempt; the wait doubles after each further one."""
    longest_wait: float = Field(default=_PATIENCE.longest_wait, gt=0)
    """Maximum wait between two attempts, in seconds."""
    give_up_after: float = Field(default=_PATIENCE.give_up_after, ge=0)
    """Seconds after which `ingest` gives up (exit status 3). The daemon never gives up."""

    def limits(self) -> PatienceLimits:
        """The parameters of `catalogue.availability`."""
        return PatienceLimits(self.first_wait, self.longest_wait, self.give_up_after)


class CatalogueSection(Section):
    """The `catalogue:` section: which SciCat, and the account to use there."""

    url: str | None = None
    """Base address of SciCat's API, e.g. "https://scicat.example.org/api/v3". null: the embedded catalogue."""
    api: Literal["auto", "v3", "v4"] = "auto"
    """Version of SciCat's API. `auto`: v4 if the address ends in /api/v4, otherwise v3 unless the server has only v4.
    By both the datasets are the same; v4 leaves thumbnails to admins, so that others use v3 for them all the same."""
    username: str = _LOGIN.username
    """Account to log in with, unless the credential file names one."""
    credential_file: UserPath | None = None
    """File with the account's secret: a JSON object with `username` and `password`, or with `jwt` for a ready token;
    any other text is the password. Read again when it changes."""
    login_path: str = _LOGIN.login_path
    """Login path below the base address; "auth/ldap" for accounts of a directory server."""
    pid_prefix: str = ""
    """Prefix of every dataset id, e.g. "20.500.12345/"."""
    timeout: float = Field(default=_HTTP.timeout, gt=0)
    """Timeout of a connection attempt and of each answer, in seconds."""
    ca_file: UserPath | None = None
    """File with the CA certificates that the site trusts; null: those of the system."""
    verify: bool = _HTTP.verify
    """Whether the server's certificate is checked. If not, anybody on the network path can read the token."""
    patience: PatienceSection = PatienceSection()
    """How requests are repeated while the catalogue is unavailable."""
    update: Literal["ours", "three-way", "never"] = "three-way"
    """What becomes of a dataset that is in the catalogue and differs from the files: `three-way` updates what is stored
    as scicat-watch last wrote it, and leaves what somebody else has changed; `ours` writes all fields as the files say;
    `never` leaves fields, file list and thumbnail that are there, and only adds what is missing."""
    owned_fields: tuple[str, ...] = OWNED
    """Fields that `three-way` updates also where it is not known what scicat-watch last wrote, as after the journal was
    lost. Members of the scientific metadata have dots, as `scientificMetadata.sample`."""
    connections: int = Field(default=4, ge=1, le=64)
    """How many scans are published in parallel, one of each scan directory."""

    def options(self, url: str) -> CatalogueOptions:
        """The parameters of `catalogue`, with the catalogue at `url`."""
        return CatalogueOptions(
            http=HttpOptions(url, self.timeout, self.ca_file, self.verify),
            login=self.login(),
            patience=self.patience.limits(),
            pid_prefix=self.pid_prefix,
            api=self.api,
        )

    def login(self) -> LoginOptions:
        """The account to log in with."""
        return LoginOptions(self.username, self.credential_file, self.login_path)


class EmbeddedSection(Section):
    """The `embedded:` section: the catalogue that is part of scicat-watch."""

    host: str = _SERVE.host
    """Address to serve on."""
    port: int = Field(default=_SERVE.port, ge=0, le=65535)
    """Port to serve on; 0 selects a free port. If it is not set and another program has 8085, a free one is taken."""
    public: Public | None = None
    """What everybody may read without an account, on the pages and by the API: all `datasets`, only `published` ones,
    or `nothing`. null: published ones; served on a loopback address the pages show all of them."""
    database: UserPath | None = None
    """The SQLite file; null: `catalogue.sqlite` in `var_dir`."""
    pid_prefix: str = _SERVE.pid_prefix
    """Prefix of the ids that the catalogue generates for datasets without one."""
    accounts: UserPath | None = None
    """JSON file with the accounts; null: `catalogue-accounts.json` in `var_dir`, created with a random password."""


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
