"""`scicat-watch ingest`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scicat_watch.cli.options import PATH, configured, settings_from, shown
from scicat_watch.errors import ConfigError
from scicat_watch.model import Outcome

if TYPE_CHECKING:
    from scicat_watch.service.oneshot import Summary

Told = Callable[[Outcome, int], None]


@click.command("ingest")
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@configured
@click.option("--no-thumbnails", is_flag=True, help="Make no thumbnails.")
def command(
    paths: tuple[Path, ...], config: Path | None, var_dir: Path | None, log_level: str | None, no_thumbnails: bool
) -> None:
    """Ingest beamtimes, lists or files once: what is missing is made, what changed is brought up to date.

    A PATH is a beamtime directory, a dataset list or a data file; without PATH all configured beamtimes.
    Exit status: 0 all done, 1 something failed, 2 wrong usage or configuration, 3 catalogue unreachable.
    """
    settings = settings_from(config, var_dir, reading={"thumbnails": False} if no_thumbnails else {})
    if not paths and not settings.beamtimes.directories and not settings.beamtimes.base_directories:
        raise ConfigError("nothing to ingest: name a path, or set beamtimes.directories in a configuration (-c)")

    from scicat_watch.service import logs
    from scicat_watch.service.oneshot import OneShot
    from scicat_watch.service.site import Site
    from scicat_watch.service.targets import targets

    logs.set_up(settings.logging, log_level or "warning")
    found = targets(paths, settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with contextlib.closing(Site(settings, stopping)) as site, _progress() as told:
        summary = OneShot(site, told).run(found)
        _tell(summary)
    sys.exit(summary.exit_status)


def _tell(summary: Summary) -> None:
    counts = ", ".join(f"{count} {status.value}" for status, count in summary.counts.items())
    click.echo(counts)
    for what, why in summary.failures:
        click.echo(shown(f"failed {what}: {why}"), err=True)
    if summary.left:
        click.echo(f"{summary.left} not tried", err=True)
    if summary.unavailable:
        click.echo(f"catalogue unreachable: {summary.unavailable}", err=True)


@contextlib.contextmanager
def _progress() -> Iterator[Told]:
    """A bar on a terminal, a line for each scan elsewhere."""
    if not sys.stderr.isatty():
        yield lambda outcome, total: click.echo(shown(f"{outcome.status} {outcome.request.pid}"))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scans", total=None)

        def told(outcome: Outcome, total: int) -> None:
            progress.update(task, total=total, advance=1, description=escape(shown(outcome.request.scan.name)))

        yield told
