"""`scicat-watch rescan`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scicat_watch.cli.options import PATH, configured, settings_from
from scicat_watch.words import printable


@click.command("rescan")
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@configured
def command(paths: tuple[Path, ...], config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Have the running daemon make a full rescan now, and wait until it is made.

    With PATHs, only of the beamtimes that these are in, or that are below them. It finds what was missed where the
    file system sends no change notifications. New scans are ingested as always: see `scicat-watch status`.
    Exit status: 0 all rescanned, 1 a beamtime could not be rescanned, or no daemon runs.
    """
    from scicat_watch.service.control.client import named, reached

    settings = settings_from(config, var_dir)
    beamtimes, unwatched, failures = 0, list[str](), list[tuple[str, str]]()
    asked = named(paths)
    with reached(settings.var_dir) as control:
        for message in control.follow("rescan", paths=asked):
            if message["event"] == "taken":
                beamtimes, unwatched = message["beamtimes"], message["unwatched"]
            failures = message.get("failures", failures)
    rescanned = beamtimes - len(failures)
    failures = [*failures, *((path, "the daemon does not watch it") for path in unwatched)]
    click.echo(f"beamtimes rescanned: {rescanned}")
    for what, why in failures:
        click.echo(printable(f"failed {what}: {why}"), err=True)
    sys.exit(1 if failures else 0)
