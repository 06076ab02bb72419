"""Export, import and push as commands need them: catalogues are opened, lines go through, progress is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from scicat_watch.clock import SystemClock
from scicat_watch.service import transfer
from scicat_watch.service.site import open_catalogue, update_policy
from scicat_watch.service.transfer import Summary
from scicat_watch.settings.model import Settings

Progress = Callable[[Summary, int], None]
"""Called after each record, with how many datasets there are altogether; 0 if that is not known."""


def exported(settings: Settings) -> Iterator[str]:
    """The lines of the configured catalogue."""
    with open_catalogue(settings, threading.Event(), SystemClock()) as source:
        yield from transfer.exported(source.records)


def imported(settings: Settings, lines: Iterable[str], progress: Progress) -> Summary:
    """Bring lines into the configured catalogue."""
    clock = SystemClock()
    with open_catalogue(settings, threading.Event(), clock) as target:
        return transfer.imported(
            lines, target, update_policy(settings), clock, lambda summary: progress(summary, 0)
        )  # fmt: skip


def pushed(settings: Settings, to: Settings, progress: Progress) -> Summary:
    """Bring the records of one configuration's catalogue into that of another."""
    clock, stopping = SystemClock(), threading.Event()
    with open_catalogue(settings, stopping, clock) as source, open_catalogue(to, stopping, clock) as target:
        total, lines = source.records.count(), transfer.exported(source.records)
        return transfer.imported(
            lines, target, update_policy(to), clock, lambda summary: progress(summary, total)
        )  # fmt: skip
