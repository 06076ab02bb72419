"""`scicat-watch config check|show`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import yaml

from scicat_watch.cli.options import configured, settings_from


@click.group("config")
def command() -> None:
    """Check or show the configuration."""


@command.command()
@configured
@click.option("--offline", is_flag=True, help="Do not ask the catalogue.")
def check(config: Path | None, var_dir: Path | None, log_level: str | None, offline: bool) -> None:
    """Find every mistake in configuration, schemas, credentials and directories, with file and line.

    Exit status: 0 all well, 2 something is wrong, 3 the catalogue is unreachable.
    """
    from scicat_watch.service.check import examine

    settings = settings_from(config, var_dir)
    findings = examine(settings, ask=not offline)
    for text in findings.remarks:
        click.echo(f"note: {text}")
    for text in findings.mistakes:
        click.echo(f"wrong: {text}", err=True)
    if findings.unreachable:
        click.echo(f"catalogue unreachable: {findings.unreachable}", err=True)
    if not findings.mistakes and not findings.unreachable:
        click.echo("all well")
    sys.exit(2 if findings.mistakes else 3 if findings.unreachable else 0)


@command.command()
@configured
def show(config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Show the configuration in force, defaults included, as a YAML file."""
    settings = settings_from(config, var_dir)
    click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
