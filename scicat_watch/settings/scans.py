"""The sections about what is on the disks: which directories are beamtimes, where scans are, which lists name them."""

from __future__ import annotations

from string import Formatter
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from scicat_watch.discovery.rules import BeamtimeRules, WatchRules
from scicat_watch.ledger.rules import ChangeRules, IngestedRules
from scicat_watch.settings.section import Seconds, Section, UserPath

_WATCH, _BEAMTIMES, _INGESTED, _CHANGES = WatchRules(), BeamtimeRules(), IngestedRules(), ChangeRules()


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
