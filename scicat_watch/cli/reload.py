"""`scicat-watch reload`."""

from __future__ import annotations

from pathlib import Path

import click

from scicat_watch.cli.options import configured, settings_from


@click.command("reload")
@configured
def command(config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Have the running daemon read its configuration and the metadata schemas again, as SIGHUP does.

    The daemon reads the file that it was started with. If there is a mistake in it or in a schema, this command shows
    it, and everything stays as it was. The command says which changed settings are in effect, and which of them need a
    restart; the reference of the settings says so for each.
    Exit status: 0 read again, 1 no daemon runs, 2 there is a mistake, and nothing changed.
    """
    from scicat_watch.service.control.client import reached

    settings = settings_from(config, var_dir)
    with reached(settings.var_dir) as control:
        taken = control.ask("reload")
    click.echo("configuration and schemas were read again")
    if taken["changed"]:
        click.echo(f"in effect now: {', '.join(taken['changed'])}")
    if taken["later"]:
        click.echo(f"in effect after a restart: {', '.join(taken['later'])}")
