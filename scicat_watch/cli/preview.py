"""`scicat-watch preview`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scicat_watch.cli.options import PATH, configured, settings_from

if TYPE_CHECKING:
    from scicat_watch.service.preview import Preview


@click.command("preview")
@click.argument("path", type=PATH)
@configured
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object for each scan.")
def command(path: Path, config: Path | None, var_dir: Path | None, log_level: str | None, as_json: bool) -> None:
    """Show what would be posted for PATH, a data file, a list or a beamtime directory. Posts nothing."""
    from scicat_watch.service.preview import previews

    settings = settings_from(config, var_dir)
    failed = shown = 0
    for preview in previews(path, settings):
        click.echo(json.dumps(preview.as_json(), ensure_ascii=False) if as_json else _page(preview))
        shown, failed = shown + 1, failed + bool(preview.problem)
    if not shown:
        click.echo(f"{path}: no scan was found here", err=True)
    sys.exit(1 if failed or not shown else 0)


def _page(preview: Preview) -> str:
    lines = [f"scan      {preview.pid}", f"schema    {preview.schema or 'none'}"]
    lines += [f"          not {schema}: {reason}" for schema, reason in (preview.passed_over or {}).items()]
    if preview.problem:
        lines.append(f"problem   {preview.problem}")
    bundle = preview.bundle
    if bundle is not None:
        lines.append("dataset")
        lines.append(json.dumps(dict(bundle.dataset.fields), indent=2, ensure_ascii=False))
        for block in bundle.datablocks:
            lines.append(f"files     {len(block.files)}, {block.size} bytes")
            lines += [f"          {file.path}  {file.size}" for file in block.files]
        lines += [f"picture   {len(one.png)} bytes" for one in bundle.attachments]
        lines += [f"note      {note}" for note in bundle.notes]
    return "\n".join(lines)
