"""`scicat-watch pause`."""

from __future__ import annotations

from pathlib import Path

import click

from scicat_watch.cli.options import configured, settings_from
from scicat_watch.words import printable


@click.command("pause")
@click.argument("beamtime")
@configured
def command(beamtime: str, config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Have the running daemon read and publish nothing new of a beamtime, until it is resumed.

    BEAMTIME is its id or its directory, which need not answer. Scans that are being published come to their end. The
    pause lasts until `scicat-watch resume`, also over a restart of the daemon; `scicat-watch status` shows it. What
    comes meanwhile is found and ingested then, and its file system can be unmounted. Other commands still ingest:
    `scicat-watch ingest` does if the daemon does not run.
    Exit status: 0 done, 1 no daemon runs, 2 it watches no such beamtime.
    """
    from scicat_watch.service.control.client import switch

    settings = settings_from(config, var_dir)
    done, kept = switch(settings.var_dir, "pause", beamtime)
    for id_, directory in done:
        click.echo(printable(f"paused beamtime {id_} in {directory}"))
    if not kept:
        click.echo(f"{settings.var_dir} cannot be written to: that lasts only until the daemon ends", err=True)
