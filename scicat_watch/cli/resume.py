"""`scicat-watch resume`."""

from __future__ import annotations

from pathlib import Path

import click

from scicat_watch.cli.options import configured, settings_from
from scicat_watch.words import printable


@click.command("resume")
@click.argument("beamtime")
@configured
def command(beamtime: str, config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Have the running daemon go on with a beamtime that was paused.

    BEAMTIME is its id or its directory, which need not answer. All its scans are searched again, and those that came
    meanwhile are ingested.
    Exit status: 0 done, 1 no daemon runs, 2 it watches no such beamtime.
    """
    from scicat_watch.service.control.client import switch

    settings = settings_from(config, var_dir)
    done, kept = switch(settings.var_dir, "resume", beamtime)
    for id_, directory in done:
        click.echo(printable(f"resumed beamtime {id_} in {directory}"))
    if not kept:
        click.echo(f"{settings.var_dir} cannot be written to: that lasts only until the daemon ends", err=True)
