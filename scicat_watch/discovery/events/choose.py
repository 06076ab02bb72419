"""Which source of file events serves on this computer."""

from __future__ import annotations

import logging
import sys

from scicat_watch.discovery.events.polling import PollingSource
from scicat_watch.discovery.events.source import EventSource, Sink

log = logging.getLogger(__name__)


def open_source(sink: Sink) -> EventSource:
    """The source that this computer has: inotify on Linux, elsewhere and without inotify instances rescans alone.

    Other systems have events too (FSEvents, kqueue), but no site runs scicat-watch there: rescans do for a trial.
    """
    if sys.platform == "linux":
        from scicat_watch.discovery.events.inotify import InotifySource

        try:
            return InotifySource(sink)
        except OSError as error:
            log.warning("no file events: %s (see fs.inotify.max_user_instances)", error.strerror)
    log.info("changes are found by rescans at the poll interval")
    return PollingSource()
