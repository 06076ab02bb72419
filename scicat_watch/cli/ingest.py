"""`scicat-watch ingest`."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scicat_watch.cli.lines import grouped, on_terminal, say
from scicat_watch.cli.options import PATH, configured, settings_from
from scicat_watch.errors import ConfigError
from scicat_watch.model import Outcome
from scicat_watch.words import printable

if TYPE_CHECKING:
    from scicat_watch.service.control.client import Control
    from scicat_watch.service.oneshot import Summary
    from scicat_watch.settings.model import Settings

Progress = Callable[[str, str, int], None]
"""Called after each scan, with its status, the dataset's pid and the number of scans known so far."""


def _renamed(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        raise click.UsageError("--no-pictures is called --no-thumbnails now", context)


@click.command("ingest")
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@configured
@click.option("--retry", is_flag=True, help="Only scans that failed before, quarantined ones included.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the embedded catalogue; 0 selects a free port.")
@click.option("--no-thumbnails", is_flag=True, help="Do not make thumbnails.")
@click.option(
    "--no-verify", is_flag=True, help="Do not ask the catalogue what it holds: believe what was written there last."
)
@click.option("--no-pictures", is_flag=True, hidden=True, expose_value=False, callback=_renamed)
def command(
    paths: tuple[Path, ...],
    config: Path | None,
    var_dir: Path | None,
    log_level: str | None,
    retry: bool,
    port: int | None,
    no_thumbnails: bool,
    no_verify: bool,
) -> None:
    """Ingest beamtimes, lists or files once: create missing datasets, update changed ones.

    A PATH is a beamtime directory, a dataset list or a data file; without PATH all configured beamtimes are ingested.
    If the daemon runs with the same state directory, it does the work, and goes on with it if this command is stopped.
    Exit status: 0 all done, 1 something failed, 2 wrong usage or configuration, 3 catalogue unreachable.
    """
    settings = settings_from(
        config, var_dir, reading={"thumbnails": False} if no_thumbnails else {},
        embedded={} if port is None else {"port": port},
    )  # fmt: skip

    from scicat_watch.service import logs
    from scicat_watch.service.control.client import connect
    from scicat_watch.service.oneshot import Summary

    logs.set_up(settings.logging, log_level or "warning", said_later=log_level is None and on_terminal(err=True))
    summary, left = Summary(), paths
    with _progress() as progress:
        if (control := connect(settings.var_dir)) is not None:
            if no_thumbnails:
                raise ConfigError("--no-thumbnails has no effect beside the daemon: its configuration decides")
            if no_verify:
                raise ConfigError("--no-verify has no effect beside the daemon, which always asks the catalogue")
            with control:
                summary, left = _hand_over(control, paths, retry, progress)
        if left or control is None:
            summary.add(_ingest_here(left, settings, retry, progress, verify=not no_verify))
    _report(summary)
    sys.exit(summary.exit_status)


def _hand_over(
    control: Control, paths: tuple[Path, ...], retry: bool, progress: Progress
) -> tuple[Summary, tuple[Path, ...]]:
    """Have the running daemon ingest the paths; how that ended, and the paths that it does not watch."""
    from scicat_watch.service.control.handingover import hand_over

    def waiting(reason: str) -> None:
        click.echo(printable(f"the catalogue is unreachable, and the scans wait for it: {reason}"), err=True)

    summary, unwatched = hand_over(control, paths, retry, progress, waiting)
    for path in unwatched:
        click.echo(
            printable(
                f"{path}: the daemon does not watch it, so this command ingests it; to have it watched, add it to "
                "beamtimes.directories and run scicat-watch reload"
            ),
            err=True,
        )
    return summary, unwatched


def _ingest_here(
    paths: tuple[Path, ...], settings: Settings, retry: bool, progress: Progress, *, verify: bool
) -> Summary:
    """Ingest the paths in this process."""
    from scicat_watch.clock import SystemClock
    from scicat_watch.service.answering import ATTENDANT, Orderly
    from scicat_watch.service.bulkheads import Bulkheads
    from scicat_watch.service.calls import Calls
    from scicat_watch.service.oneshot import END_WITHIN, OneShot, Summary, unanswered
    from scicat_watch.service.site import Site
    from scicat_watch.service.targets import targets

    if not paths and not settings.beamtimes.directories and not settings.beamtimes.base_directories:
        raise ConfigError("nothing to ingest: name a path, or set beamtimes.directories in a configuration (-c)")
    stopping, clock = threading.Event(), SystemClock()
    calls = Calls(clock)
    bulkheads = Bulkheads(calls, clock, stopping)
    ATTENDANT.obey(Orderly(stopping.set, END_WITHIN, 1))
    found = targets(paths, settings, bulkheads.ask)
    if stopping.is_set():
        summary = Summary(failures=unanswered(bulkheads))
        summary.failures.append(("ingest", "stopped before anything was ingested"))
        return summary

    def advance(outcome: Outcome, total: int) -> None:
        progress(outcome.status, outcome.request.pid, total)

    with contextlib.closing(Site(settings, stopping, clock, calls)) as site:
        site.policy = replace(site.policy, verify=verify)
        return OneShot(site, advance, retry=retry, bulkheads=bulkheads).run(found)


def _report(summary: Summary) -> None:
    counts = ", ".join(f"{count} {status.value}" for status, count in summary.counts.items())
    say(counts)
    if on_terminal(err=True):
        for line in grouped(((f"failed {what}", why) for what, why in summary.failures), "  ", once=True):
            say(line, err=True, indent=2)
    else:
        for what, why in summary.failures:
            say(f"failed {what}: {why}", err=True)
    if summary.left:
        say(f"{summary.left} not tried", err=True)
    if summary.unavailable:
        say(f"catalogue unreachable: {summary.unavailable}", err=True)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on a terminal, otherwise a line for each scan."""
    if not sys.stderr.isatty():
        yield lambda status, pid, total: click.echo(printable(f"{status} {pid}"))
        return
    from rich import progress as bar
    from rich.console import Console
    from rich.markup import escape

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.MofNCompleteColumn(),
        bar.TimeRemainingColumn(),
    )
    with bar.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("scans", total=None)

        def advance(status: str, pid: str, total: int) -> None:
            shown.update(task, total=total, advance=1, description=escape(printable(pid)))

        yield advance
