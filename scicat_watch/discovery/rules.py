"""The parameters of this room: which directories are beamtimes, what in them can be a scan, and when one is complete.

Built from the configuration by `settings.model`; the defaults are those of the native configuration. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scicat_watch.model import DATA_EXTENSIONS, HDF5_EXTENSIONS


@dataclass(frozen=True, slots=True)
class BeamtimeRules:
    """Which directories are beamtimes."""

    directories: tuple[Path, ...] = ()
    base_directories: tuple[Path, ...] = ()
    """Every direct subdirectory of these that holds a metadata file is a beamtime directory."""
    file_prefix: str = "beamtime-metadata-"
    file_suffix: str = ".json"
    skipped_types: tuple[str, ...] = ("P",)
    """Values of `proposalType` that are not ingested."""
    skipped_ids: tuple[str, ...] = ()
    expected_by: tuple[str, ...] = ("scratch_cc", "scicat-datasets-[0-9]*.lst", "*/scicat-datasets-[0-9]*.lst")
    """Shell patterns of paths in a directory that show that a metadata file is to come."""
    grace: float = 120.0
    """Seconds for which it is waited for before the beamtime is generated."""


@dataclass(frozen=True, slots=True)
class WatchRules:
    """Where scans are searched, and when one is complete. Durations are seconds."""

    trigger: Literal["lists", "files", "both"] = "both"
    extensions: tuple[str, ...] = HDF5_EXTENSIONS
    """Extensions of data files that are scans when no list names them."""
    master_extensions: tuple[str, ...] = DATA_EXTENSIONS
    """The order in which the data file of a listed scan is searched."""
    max_depth: int = -1
    """Levels below the beamtime directory; -1: all."""
    blacklist: tuple[Path, ...] = ()
    """Absolute, or relative to the beamtime directory."""
    ignored_names: tuple[str, ...] = (".*", "_tmp_*", "*~", "*_data_[0-9]*")
    """Shell patterns of names that are never scans or scan directories."""
    below_lists: bool = False
    """Whether to look for further scans below a directory that has a dataset list."""
    detector_interval: float = 300.0
    """How long a directory with nothing but detector files is left alone at most; 0: no longer than others."""
    dataset_list: str = "scicat-datasets-{beamtime}.lst"
    """Pattern of the name of dataset lists."""
    longest_line: int = 4096
    """Characters of the longest line of a list that is taken for a scan."""
    ingestion_delay: float = 5.0
    """How long a file or list must be quiet before it counts as complete."""
    complete_when: tuple[Literal["siblings", "allocated"], ...] = ("siblings",)
    """What else must hold: no other file of the scan is coming any more; all of the data file is stored on the disk."""
    siblings_within: float = 600.0
    """How long the other files of a scan are waited for at most."""
    without_files_after: float = 3600.0
    """How long a listed scan may have no file at all before it counts as complete."""
    abandoned_after: float = 3600.0
    """After how long an unchanged file that is marked as being written counts as abandoned by its writer."""
    abandoned: Literal["ingest", "hold"] = "ingest"
    """What becomes of such a file."""

    def list_name(self, beamtime: str, host: str) -> str:
        """The name of a beamtime's dataset lists, e.g. "scicat-datasets-11018765.lst"."""
        return self.dataset_list.format(beamtime=beamtime, host=host)
