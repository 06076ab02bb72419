"""Export, import and push as commands need them: catalogues are opened, lines go through, progress is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from scicat_watch.catalogue import patience
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.service.site import OpenCatalogue, open_catalogue, update_policy
from scicat_watch.service.transfer import Export, Summary
from scicat_watch.service.transfer import imported as brought
from scicat_watch.settings.model import Settings

Progress = Callable[[int, int], None]
"""Called after each record: how many are done, and how many there are altogether; 0 if that is not known."""


def exported(settings: Settings, progress: Progress) -> Iterator[str]:
    """The lines of the configured catalogue."""
    with open_catalogue(settings, threading.Event(), SystemClock()) as source:
        export = _export(settings, source)
        for number, line in enumerate(export.lines(), 1):
            yield line
            progress(number, export.total)


def imported(settings: Settings, lines: Iterable[str | bytes], progress: Progress) -> Summary:
    """Bring lines into the configured catalogue."""
    clock, stopping = SystemClock(), threading.Event()
    with open_catalogue(settings, stopping, clock) as target:
        return _imported(settings, lines, target, clock, stopping, lambda summary: progress(summary.done, 0))


def pushed(settings: Settings, to: Settings, progress: Progress) -> Summary:
    """Bring the records of one configuration's catalogue into that of another."""
    clock, stopping = SystemClock(), threading.Event()
    with open_catalogue(settings, stopping, clock) as source, open_catalogue(to, stopping, clock) as target:
        export = _export(settings, source)
        return _imported(
            to, export.lines(), target, clock, stopping, lambda summary: progress(summary.done, export.total)
        )  # fmt: skip


def _export(settings: Settings, source: OpenCatalogue) -> Export:
    """All of a catalogue; the embedded one gives datasets without an id one with a prefix of its own."""
    generated = settings.embedded.pid_prefix.rstrip("/") + "/" if settings.catalogue.url is None else ""
    return Export(source.records, generated)


def _imported(
    settings: Settings,
    lines: Iterable[str | bytes],
    target: OpenCatalogue,
    clock: Clock,
    stopping: threading.Event,
    done: Callable[[Summary], None],
) -> Summary:
    patient = patience.for_commands(settings.catalogue.patience.limits(), clock, stopping)
    connections = settings.catalogue.connections
    return brought(lines, target, update_policy(settings), patient, done, connections, stopping)
