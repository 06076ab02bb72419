"""`scicat-watch config check|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from scicat_watch.cli.lines import say
from scicat_watch.cli.options import PATH, configured, settings_from

if TYPE_CHECKING:
    from scicat_watch.service.check import CheckReport


@click.group("config")
def command() -> None:
    """Check or show the configuration."""


@command.command(short_help="Check configuration, schemas and directories.")
@click.argument("schemas", type=PATH, required=False)
@configured
@click.option("--offline", is_flag=True, help="Do not contact the catalogue.")
def check(
    schemas: Path | None, config: Path | None, var_dir: Path | None, log_level: str | None, offline: bool
) -> None:
    """Check configuration, schemas, credentials and directories; report every mistake with file and line.

    With SCHEMAS, a metadata schema file or a directory of them, only these are checked.
    Exit status: 0 no mistakes (there may be notes), 2 something is wrong, 3 the catalogue is unreachable.
    """
    from scicat_watch.service.check import examine, examine_schemas

    if schemas is not None:
        _report(examine_schemas(schemas))
    else:
        settings = settings_from(config, var_dir)
        _report(examine(settings, ask=not offline))


@command.command(short_help="Show the configuration in force, as YAML.")
@configured
def show(config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Show the effective configuration, including defaults, as YAML."""
    settings = settings_from(config, var_dir)
    click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)


def _report(findings: CheckReport) -> None:
    for text in findings.remarks:
        say(f"note: {text}", indent=6)
    for text in findings.mistakes:
        say(f"wrong: {text}", err=True, indent=7)
    if findings.unreachable:
        say(f"catalogue unreachable: {findings.unreachable}", err=True)
    if not findings.mistakes and not findings.unreachable:
        say("no mistake found, but not everything could be found out" if findings.open else "all well")
    sys.exit(2 if findings.mistakes else 3 if findings.unreachable else 0)
