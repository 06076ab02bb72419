"""From the configuration to a publisher."""

from __future__ import annotations

import threading

from scicat_watch.catalogue import patience
from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.memory import Memory
from scicat_watch.catalogue.options import CatalogueOptions
from scicat_watch.catalogue.publisher import Publisher
from scicat_watch.catalogue.records import Records
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.versions import Versions, chosen
from scicat_watch.clock import Clock, SystemClock


def records_of(options: CatalogueOptions, stopping: threading.Event, clock: Clock | None = None) -> Records:
    """The records of the catalogue of `options`; as `connect`."""
    from scicat_watch.catalogue.scicat.records import ScicatRecords  # Not needed to publish scans.

    clock = clock or SystemClock()
    http, version = chosen(options.http, options.api)
    client = HttpClient(http, options.login, stopping, clock)
    patient = patience.for_commands(options.patience, clock, stopping)
    return ScicatRecords(client, Versions(client, version), options.pid_prefix, patient)


def connect(
    options: CatalogueOptions, stopping: threading.Event, clock: Clock | None = None, memory: Memory | None = None
) -> Publisher:
    """The catalogue of `options`; nothing is asked yet. Raises ConfigError for settings that cannot work.

    The embedded catalogue is reached like any other: whoever starts it fills in its address and credentials.
    `memory`: where it is noted what we write there; None: nowhere.
    """
    clock = clock or SystemClock()
    http, version = chosen(options.http, options.api)
    client = HttpClient(http, options.login, stopping, clock)
    api = Versions(client, version, options.pid_prefix)
    return ScicatPublisher(api, stopping, clock, memory, options.http.timeout, client.silence)
