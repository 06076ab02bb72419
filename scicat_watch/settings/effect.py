"""Which settings take effect when the running daemon reads its configuration again, and which at its next start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from scicat_watch.settings.model import Settings

AT_RELOAD = frozenset(
    {
        "beamtimes.directories", "beamtimes.base_directories", "beamtimes.file_prefix", "beamtimes.file_suffix",
        "beamtimes.skipped_types", "beamtimes.skipped_ids", "beamtimes.expected_by", "beamtimes.grace",
        "watching.trigger", "watching.extensions", "watching.master_extensions", "watching.max_depth",
        "watching.blacklist", "watching.ignored_names", "watching.below_lists", "watching.detector_interval",
        "watching.ingestion_delay", "watching.rescan_interval", "watching.poll_interval",
        "watching.changed_after", "watching.recheck_after", "watching.recheck_interval", "watching.complete_when",
        "watching.vanished_files", "watching.without_files_after", "watching.abandoned_after", "watching.abandoned",
        "lists.dataset_list", "lists.ingested_list", "lists.ingested_directory", "lists.max_line",
        "schemas.directory", "schemas.keep_lookups", "catalogue.update", "catalogue.owned_fields",
        "reading.metadata_limit", "reading.thumbnails", "reading.thumbnail_extensions", "reading.file_list",
        "reading.skipped_files",
        "retrying.first", "retrying.longest", "retrying.quarantine_after",
        "logging.level", "logging.file",
    }
)  # fmt: skip
"""Settings that `scicat-watch reload` and SIGHUP bring into effect."""
AT_START = frozenset(
    {
        "reading.workers", "reading.first_time_limit", "reading.time_limit", "reading.memory_limit",
        "catalogue.url", "catalogue.api", "catalogue.username", "catalogue.credential_file", "catalogue.login_path",
        "catalogue.pid_prefix", "catalogue.timeout", "catalogue.ca_file", "catalogue.verify", "catalogue.connections",
        "catalogue.patience.first_wait", "catalogue.patience.longest_wait", "catalogue.patience.give_up_after",
        "embedded.host", "embedded.port", "embedded.public", "embedded.database", "embedded.pid_prefix",
        "embedded.accounts",
        "var_dir",
    }
)  # fmt: skip
"""Settings of what is opened at the start and kept: worker processes, the catalogue, the state directory."""
Model = TypeVar("Model", bound=BaseModel)
_WATCHING = ("watching.", "lists.", "retrying.")


@dataclass(frozen=True, slots=True)
class Taken:
    """A configuration that was read while another one was in force."""

    settings: Settings
    """What is in force now."""
    changed: tuple[str, ...]
    """The settings that changed, and are in effect."""
    later: tuple[str, ...]
    """Those that changed, and take effect at the next start."""

    @property
    def watches_differently(self) -> bool:
        """Whether beamtimes have to be searched for scans anew."""
        return any(name.startswith(_WATCHING) for name in self.changed)


def take(running: Settings, read: Settings) -> Taken:
    """What becomes of the `running` settings when others were `read`."""
    differing = [name for name in names() if _value(running, name) != _value(read, name)]
    later = tuple(name for name in differing if name not in AT_RELOAD)
    settings = read
    for name in later:
        settings = _replaced(settings, name.split("."), _value(running, name))
    return Taken(settings, tuple(name for name in differing if name in AT_RELOAD), later)


def names(section: type[BaseModel] = Settings, above: str = "") -> Iterator[str]:
    """All settings, such as "watching.trigger"."""
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from names(info.annotation, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _value(settings: BaseModel, name: str) -> Any:
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _replaced(section: Model, where: list[str], value: object) -> Model:
    first, *rest = where
    return section.model_copy(update={first: _replaced(getattr(section, first), rest, value) if rest else value})
