"""Reading the configuration and the metadata schemas again while the daemon runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from scicat_watch.service import logs
from scicat_watch.service.site import Site, load_schemas
from scicat_watch.settings import effect
from scicat_watch.settings.effect import Taken
from scicat_watch.settings.load import ConfigErrors
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where the settings of the daemon come from: its file, and the options of its command line, which win."""

    read: Callable[[], Settings]
    """Reads them; `ConfigError` for mistakes."""
    log_level: str | None = None
    """The level of the command line."""


def reload(site: Site, configuration: Configuration) -> Taken:
    """Read settings and schemas, and bring into effect what takes effect while the daemon runs.

    Raises `ConfigError` for a mistake, also in a schema; then all stays as it was.
    """
    taken = effect.take(site.settings, configuration.read())
    library = load_schemas(taken.settings)
    if library.problems:
        raise ConfigErrors(list(library.problems))
    if any(name.startswith("logging.") for name in taken.changed):
        logs.set_up(taken.settings.logging, configuration.log_level)
    site.take_over(taken.settings, library)
    log.info("configuration and schemas were read again; changed: %s", ", ".join(taken.changed) or "no setting")
    if taken.later:
        log.warning("these settings take effect at the next start: %s", ", ".join(taken.later))
    return taken
