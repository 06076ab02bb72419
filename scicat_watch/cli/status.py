"""`scicat-watch status`."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import click

from scicat_watch.cli.options import configured, settings_from, shown


@click.command("status")
@configured
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
def command(config: Path | None, var_dir: Path | None, log_level: str | None, as_json: bool, watch: bool) -> None:
    """Show what waits, what failed with its reason and next try, and what is done."""
    from scicat_watch.service.status import collect

    settings = settings_from(config, var_dir)
    with contextlib.suppress(KeyboardInterrupt):  # The way to end --watch.
        while True:
            state = collect(settings)
            if watch and not as_json:
                click.clear()
            click.echo(json.dumps(state, indent=1) if as_json else _page(state))
            if not watch:
                return
            time.sleep(2.0)


def _page(state: dict[str, Any]) -> str:
    lines = [_daemon(state["daemon"])]
    for beamtime in state["beamtimes"]:
        lines += _beamtime(beamtime)
    for entry in state["failed"]:
        tries = f"{entry['tries']} tries" if entry["tries"] != 1 else "1 try"
        again = f", next {entry['next_try']}" if entry["next_try"] else ""
        lines += [f"failed   {entry['pid']}  ({tries}{again})", f"         {entry['reason']}"]
    totals = state["totals"]
    lines.append(", ".join(f"{number} {what}" for what, number in totals.items()))
    return "\n".join(map(shown, lines))


def _daemon(daemon: dict[str, Any] | None) -> str:
    if daemon is None:
        return "daemon   has never run with this state directory"
    if not daemon["running"]:
        return f"daemon   not running; last heartbeat {daemon['heartbeat']} on {daemon['host']}"
    return (
        f"daemon   running on {daemon['host']} (pid {daemon['pid']}) since {daemon['since']}, to {daemon['catalogue']}"
    )


def _beamtime(one: dict[str, Any]) -> list[str]:
    lines = [f"beamtime {one['id']}  {one['directory']}  {one.get('title', '')}".rstrip()]
    if "done" in one:
        lines.append(f"         {one['done']} done, {one['waiting']} waiting, {one['skipped']} skipped")
    lines += [f"waiting  {scan['pid']}: {scan['reason']}" for scan in one.get("waiting_scans", [])]
    for line in one.get("skipped_lines", []):
        where = f"{line['list']}:{line['number']}" if line["number"] else line["list"]
        lines.append(f"skipped  {where}: {line['line']} {line['reason']}")
    lines += [f"passive  {path}: another scicat-watch ingests it" for path in one.get("elsewhere", [])]
    return lines + [f"problem  {problem}" for problem in one["problems"]]
