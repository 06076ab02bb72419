"""`scicat-watch preview`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from scicat_watch.cli.options import PATH, configured, settings_from


@click.command("preview")
@click.argument("path", type=PATH)
@configured
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per scan, for programs.")
def command(path: Path, config: Path | None, var_dir: Path | None, log_level: str | None, as_json: bool) -> None:
    """Show what would be posted for PATH, a data file, a list or a beamtime directory. Posts nothing.

    Shows which schema fits and why the others do not; each variable with its value, unit and source, or why it
    has no value; the documents; and, if a catalogue is reachable, what they would change there.
    Exit status: 0 no problem, 1 a scan cannot be ingested, 2 wrong usage or configuration, 3 catalogue unreachable.
    """
    from scicat_watch.cli import previewpage
    from scicat_watch.service.preview import Previewer
    from scicat_watch.service.previewjson import as_json as in_json

    settings = settings_from(config, var_dir)
    statuses = []
    with contextlib.closing(Previewer(settings)) as previewer:
        for problem in previewer.library.problems:
            click.echo(f"schema: {problem}", err=True)
        for preview in previewer.of(path):
            statuses.append(3 if preview.unreachable else 1 if preview.problem else 0)
            shown = in_json(preview)
            if as_json:
                click.echo(json.dumps(shown, ensure_ascii=False))
                continue
            page = list(previewpage.parts(shown, previewer.catalogue_url))
            if sys.stdout.isatty():
                previewpage.print_coloured(page)
            else:
                click.echo(("\n" if len(statuses) > 1 else "") + previewpage.plain(page))
    if not statuses:
        click.echo(f"{path}: no scan found here", err=True)
        sys.exit(1)
    sys.exit(1 if 1 in statuses else max(statuses))
