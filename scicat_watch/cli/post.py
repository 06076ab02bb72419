"""`scicat-watch post`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scicat_watch.cli.lines import say
from scicat_watch.cli.options import PATH, configured, settings_from
from scicat_watch.errors import Unavailable
from scicat_watch.words import counted

if TYPE_CHECKING:
    from scicat_watch.service.posting import Row


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
    rows: list[Row] = []
    unreachable = ""
    try:
        for row in posting.posted(settings, model, files, update=update):
            rows.append(row)  # Each at once: what was done before it broke off is shown.
    except Unavailable as error:
        unreachable = str(error)
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        say(f"{row.status:<10}{row.name:<{width}}  {row.detail}".rstrip(), indent=10)
    if unreachable:
        say(f"catalogue unreachable: {unreachable}", err=True)
        done = sum(row.good for row in rows)
        say(f"{counted(done, 'document')} posted; the catalogue may have taken one more", err=True)
        sys.exit(3)
    if not all(row.good for row in rows):
        sys.exit(1)
