"""`scicat-watch post`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scicat_watch.cli.options import PATH, configured, settings_from


@click.command("post")
@click.option("-m", "--model", required=True, help="Model of the records, such as Samples, Proposals, Instruments.")
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--update", is_flag=True, help="Bring records that are there already up to date.")
@configured
def command(
    model: str, files: tuple[Path, ...], update: bool, config: Path | None, var_dir: Path | None, log_level: str | None
) -> None:
    """Post the documents in FILES (JSON or YAML, one or a list) to the catalogue.

    MODEL is Datasets, RawDatasets, DerivedDatasets, Samples, Proposals, Instruments, or the path of any other
    collection of SciCat's API. A record that is there already is left, and the table names the fields that differ;
    --update writes them. Exit status: 0 all are there as the documents say, 1 something failed or differs,
    3 the catalogue is unreachable.
    """
    from scicat_watch.service import logs, posting

    settings = settings_from(config, var_dir)
    logs.set_up(settings.logging, log_level or "warning")
    rows = list(posting.posted(settings, model, files, update=update))
    width = max(len(row.name) for row in rows)
    for row in rows:
        click.echo(f"{row.status:<10}{row.name:<{width}}  {row.detail}".rstrip())
    if not all(row.good for row in rows):
        sys.exit(1)
