"""`scicat-watch status`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from scicat_watch.cli.lines import fitted, grouped, on_terminal
from scicat_watch.cli.options import configured, settings_from
from scicat_watch.clock import SystemClock
from scicat_watch.words import counted, printable

_INTERVAL = 2.0  # Seconds between two updates of `--watch`.
_SHOWN = 10  # So many datasets are named that are to be read again.
_INDENT = "         "
_QUARANTINED = "         not tried again until the file changes, or `scicat-watch ingest --retry PATH`"


@click.command("status")
@configured
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--watch", is_flag=True, help="Update every two seconds, until Ctrl-C.")
def command(config: Path | None, var_dir: Path | None, log_level: str | None, as_json: bool, watch: bool) -> None:
    """Show what is waiting, what failed (with reason and next attempt), and what is done."""
    from scicat_watch.service.answering import ATTENDANT, Orderly
    from scicat_watch.service.status import collect

    settings = settings_from(config, var_dir)
    clock, stopping = SystemClock(), threading.Event()
    if watch:
        ATTENDANT.obey(Orderly(stopping.set, _INTERVAL, 0))
    while not stopping.is_set():
        state = collect(settings)
        if watch and not as_json:
            click.clear()
        click.echo(json.dumps(state, indent=1) if as_json else _page(state))
        if not watch:
            return
        clock.wait(_INTERVAL, stopping)


def _page(state: dict[str, Any]) -> str:
    lines = [_daemon(state["daemon"])] + [f"problem  {problem}" for problem in state["problems"]]
    if silent := state.get("unanswered"):
        waits = f"{silent['seconds']:.0f} s, since {silent['since']}"
        lines.append(f"catalogue has not answered {silent['request']} for {waits}")
    for beamtime in state["beamtimes"]:
        lines += _beamtime(beamtime)
    lines += grouped(((_failed(entry), entry["reason"]) for entry in state["failed"]), _INDENT, once=on_terminal())
    for entry in state["quarantined"]:
        lines += [
            f"quarantined {entry['pid']}  ({counted(entry['tries'], 'attempt')})",
            f"         {entry['reason']}",
            _QUARANTINED,
        ]
    lines += _unsure(state.get("unsure", []))
    totals = state["totals"]
    states = [f"{number} {what}" for what, number in totals.items() if what != "problems"]
    lines.append(", ".join([*states, counted(totals["problems"], "problem")]))
    return "\n".join(fitted(printable(line), indent=len(_INDENT)) for line in lines)


def _failed(entry: dict[str, Any]) -> str:
    again = f", next {entry['next_try']}" if entry["next_try"] else ""
    return f"failed   {entry['pid']}  ({counted(entry['tries'], 'attempt')}{again})"


def _unsure(unsure: list[dict[str, str]]) -> Iterator[str]:
    for one in unsure[:_SHOWN]:
        yield f"unsure   {one['pid']}: an answer was lost, {one['since']}; it is read again, {one['next']}"
        if one["reason"]:
            yield f"         {one['reason']}"
    if len(unsure) > _SHOWN:
        yield f"         and {counted(len(unsure) - _SHOWN, 'more dataset')}"


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
        # Of a passive directory, another process changes the numbers.
        as_of = f", as of {one['counted']}" if one.get("counted") and (one["stale"] or one["elsewhere"]) else ""
        lines.append(f"         {one['done']} done, {one['waiting']} waiting, {one['skipped']} skipped{as_of}")
    if stages := one.get("stages"):
        lines += [f"         {line}" for line in _stages(stages, one.get("outage"))]
    if one.get("watch"):
        lines.append(f"         {_watch(one['watch'])}")
    if one.get("paused"):
        lines.append("paused   nothing new of it is read or published, until scicat-watch resume")
    lines += [f"waiting  {scan['pid']}: {scan['reason']}" for scan in one.get("waiting_scans", [])]
    for line in one.get("skipped_lines", []):
        where = f"{line['list']}:{line['number']}" if line["number"] else line["list"]
        lines.append(f"skipped  {where}: {line['line']} {line['reason']}")
    for scan in one.get("changed_scans", []):
        lines.append(f"changed  {scan['pid']}: {scan['reason']} since its dataset was made")
    lines += [f"passive  {path}: another scicat-watch ingests it" for path in one.get("elsewhere", [])]
    lines += [f"problem  {problem}" for problem in one["problems"]]
    return lines + [f"note     {note}" for note in one.get("notes", [])]


def _stages(stages: dict[str, int], outage: dict[str, str] | None) -> Iterator[str]:
    """What those that wait do wait for, where that is more than to be complete."""
    words = {"queued": "queued", "reading": "being read", "publishing": "being published"}
    if parts := [f"{stages[key]} {what}" for key, what in words.items() if stages[key]]:
        before = [f"{stages['incomplete']} not complete yet"] if stages["incomplete"] else []
        yield f"waiting: {', '.join(before + parts)}"
    if outage is not None:
        waiting = f"{stages['catalogue']} waiting for the catalogue since {outage['since']}"
        how = "which is full or read-only" if outage.get("full") else "unreachable"
        yield f"{waiting}, {how}: {outage['reason']}"


def _watch(watch: dict[str, Any]) -> str:
    """How changes are noticed."""
    how = f"polled every {watch['interval']:g} s: {watch['reason']}" if watch["reason"] else "watched by notifications"
    parts = [how]
    if watch["rescanned"]:
        parts.append(f"full rescan at {watch['rescanned']} in {watch['seconds']:g} s")
    if watch["missed"]:
        parts.append(counted(watch["missed"], "missed change"))
    if watch["overflows"]:
        parts.append(f"events were lost {counted(watch['overflows'], 'time')}")
    if watch["unwatched"]:
        parts.append(counted(watch["unwatched"], "unwatched directory"))
    return "; ".join(parts)
