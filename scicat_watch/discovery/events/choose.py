"""Which source of file events serves on this computer."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from scicat_watch.discovery.events.polling import PollingSource
from scicat_watch.discovery.events.source import EventSource, Gaps, Sink

if TYPE_CHECKING:
    from scicat_watch.discovery.events.inotify import InotifySource

log = logging.getLogger(__name__)

_NO_INSTANCE = "no inotify instance is free; raise fs.inotify.max_user_instances or the limit of open files"


def open_source(sink: Sink) -> EventSource:
    """The source that this computer has: inotify on Linux, elsewhere rescans alone.

    Other systems have events too (FSEvents, kqueue), but no site runs scicat-watch there: rescans do for a trial.
    """
    if sys.platform == "linux":
        from scicat_watch.discovery.events.inotify import InotifySource

        try:
            return InotifySource(sink)
        except OSError as error:
            log.warning("no change notifications: %s (%s)", _NO_INSTANCE, error.strerror)
            return LaterSource(sink)
    log.info("changes are found by rescans every watching.poll_interval")
    return PollingSource()


class LaterSource:
    """Inotify, as soon as there is an instance to be had; until then nothing is reported."""

    reports_ours = True

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._source: InotifySource | None = None
        self._begun: set[Path] = set()
        """Roots that are watched anew since there is one."""
        self._closed = False

    @property
    def incomplete(self) -> bool:
        """See `EventSource`."""
        return self._source is None or self._source.incomplete

    def gaps(self, root: Path) -> Gaps:
        """See `EventSource`; everything, until the root is watched anew."""
        return Gaps(_NO_INSTANCE) if self._source is None or root not in self._begun else self._source.gaps(root)

    def watch(self, directory: Path, name: str = "") -> None:
        """See `EventSource`."""
        if self._source is not None:
            self._source.watch(directory, name)

    def retry(self, root: Path) -> bool:
        """See `EventSource`."""
        from scicat_watch.discovery.events.inotify import InotifySource

        with self._lock:
            if self._source is None and not self._closed:
                try:
                    self._source = InotifySource(self._sink)
                except OSError:
                    return False
                log.info("there are change notifications now")
        if self._source is None:
            return False
        if root not in self._begun:
            self._begun.add(root)
            return True
        return self._source.retry(root)

    def unwatch(self, path: Path) -> None:
        """See `EventSource`."""
        if self._source is not None:
            self._source.unwatch(path)

    def close(self) -> None:
        """See `EventSource`."""
        with self._lock:
            self._closed = True
        if self._source is not None:
            self._source.close()
