"""`scicat-watch config check|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from scicat_watch.cli.options import PATH, configured, settings_from

if TYPE_CHECKING:
    from scicat_watch.service.check import Findings


@click.group("config")
def command() -> None:
    """Check or show the configuration."""


@command.command()
@click.argument("schemas", type=PATH, required=False)
@configured
@click.option("--offline", is_flag=True, help="Do not ask the catalogue.")
def check(
    schemas: Path | None, config: Path | None, var_dir: Path | None, log_level: str | None, offline: bool
) -> None:
    """Find every mistake in configuration, schemas, credentials and directories, with file and line.

    With SCHEMAS, a metadata schema file or a directory of them, only these are looked at.
    Exit status: 0 all well (there may be notes), 2 something is wrong, 3 the catalogue is unreachable.
    """
    from scicat_watch.service.check import examine, examine_schemas

    if schemas is not None:
        _tell(examine_schemas(schemas))
    else:
        _tell(examine(settings_from(config, var_dir), ask=not offline))


@command.command()
@configured
def show(config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Show the configuration in force, defaults included, as a YAML file."""
    settings = settings_from(config, var_dir)
    click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)


def _tell(findings: Findings) -> None:
    for text in findings.remarks:
        click.echo(f"note: {text}")
    for text in findings.mistakes:
        click.echo(f"wrong: {text}", err=True)
    if findings.unreachable:
        click.echo(f"catalogue unreachable: {findings.unreachable}", err=True)
    if not findings.mistakes and not findings.unreachable:
        click.echo("all well")
    sys.exit(2 if findings.mistakes else 3 if findings.unreachable else 0)
