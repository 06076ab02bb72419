"""A one-time ingest that the running daemon makes, as the command sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scicat_watch.model import Status
from scicat_watch.service.control.client import Control, named
from scicat_watch.service.control.protocol import END
from scicat_watch.service.oneshot import Summary


def hand_over(
    control: Control,
    paths: tuple[Path, ...],
    retry: bool,
    progress: Callable[[str, str, int], None],
    waiting: Callable[[str], None],
) -> tuple[Summary, tuple[Path, ...]]:
    """Ask the daemon to ingest paths, and follow it to the end; the summary, and the paths that it does not watch.

    `progress` is called with the status and the pid of each scan, and the number of scans known so far; `waiting` with
    the reason when the scans begin to wait for the catalogue.
    """
    summary, unwatched = Summary(), tuple[Path, ...]()
    for message in control.follow("ingest", paths=named(paths), retry=retry):
        match message["event"]:
            case "taken":
                unwatched = tuple(map(Path, message["unwatched"]))
            case "scan":
                progress(message["status"], message["pid"], message["total"])
            case "waiting":
                waiting(message["reason"])
            case event if event == END:
                counts = {Status(status): count for status, count in message["counts"].items()}
                failures = [(what, why) for what, why in message["failures"]]
                summary = Summary(counts, failures, message["unavailable"], message["left"])
    return summary, unwatched
