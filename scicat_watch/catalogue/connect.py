"""From the configuration to a catalogue that can be asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scicat_watch.catalogue.http import Door
from scicat_watch.catalogue.protocol import Catalogue
from scicat_watch.catalogue.scicat_v3 import ScicatV3
from scicat_watch.clock import Clock
from scicat_watch.errors import ConfigError

if TYPE_CHECKING:
    from scicat_watch.settings.model import CatalogueSettings


def connect(settings: CatalogueSettings, stopping: threading.Event, clock: Clock | None = None) -> Catalogue:
    """The catalogue at `settings.url`; nothing is asked yet. Raises ConfigError for settings that cannot work.

    The embedded catalogue is reached like any other: whoever starts it fills in its address and credentials.
    """
    if settings.url is None:
        raise ConfigError("catalogue.url is not set, and the embedded catalogue has not been started")
    return ScicatV3(Door(settings.url, settings, stopping, clock), settings.pid_prefix)
