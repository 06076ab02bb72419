"""What is known of the work: from the daemon that runs, or from the journal that it or a one-time ingest left."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from scicat_watch.catalogue.silence import Unanswered
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.ledger.journal import Entry, Journal
from scicat_watch.progress import LateCheck
from scicat_watch.service import lost as losses
from scicat_watch.service.answering import needed
from scicat_watch.service.control.client import connect
from scicat_watch.service.room import shortage
from scicat_watch.service.site import open_journal, this_host
from scicat_watch.settings.model import Settings

_ALIVE = 30.0  # Seconds since its last heartbeat after which a daemon is taken for ended.


def collect(settings: Settings, clock: Clock | None = None) -> dict[str, Any]:
    """The state as plain values, see `of`: the daemon's own word if it runs, or else what the journal says."""
    if (control := connect(settings.var_dir)) is not None:
        with control:
            state: dict[str, Any] = control.ask("status")["state"]
        return state
    journal = open_journal(settings)
    try:
        with needed(settings.var_dir):
            now = (clock or SystemClock()).now().timestamp()
            return of(journal, now, settings.catalogue.url or "", lost=losses.lost(settings, journal))
    finally:
        journal.close()


def of(
    journal: Journal,
    now: float,
    catalogue: str,
    *,
    running: bool = False,
    unanswered: Unanswered | None = None,
    lost: str = "",
) -> dict[str, Any]:
    """What a journal says at the time `now`: `daemon`, `beamtimes`, `failed`, `quarantined`, `problems`, the totals;
    `unsure`: datasets that are to be read again.

    `catalogue`: address of the catalogue, empty for the embedded one. `running`: whether the daemon is known to run,
    whenever it last wrote so. `unanswered`: the request to the catalogue that has had no answer for longest.
    `lost`: what is known of an embedded catalogue that is not the one that was published to.
    """
    pulse, shown, failed = journal.pulse(), journal.shown(), journal.failed()
    short = shortage(journal.path.parent) if journal.path is not None else ""
    problems = [problem for problem in (journal.problem, short, lost) if problem]
    return {
        "daemon": None if pulse is None else _daemon(pulse, now) | ({"running": True} if running else {}),
        "problems": problems,
        "beamtimes": [asdict(state) for state in shown],
        "failed": [_failed(entry) for entry in failed if not entry.quarantined],
        "quarantined": [_failed(entry) for entry in failed if entry.quarantined],
        "unanswered": None if unanswered is None else _unanswered(unanswered, now),
        "unsure": [_unsure(one) for one in journal.written(catalogue).late_checks()],
        "totals": {
            "done": sum(state.done for state in shown),
            "waiting": sum(state.waiting for state in shown),
            "skipped": sum(state.skipped for state in shown),
            "changed": sum(state.changed for state in shown),
            "failed": sum(not entry.quarantined for entry in failed),
            "quarantined": sum(entry.quarantined for entry in failed),
            "problems": sum(len(state.problems) for state in shown) + len(problems),
        },
    }


def _daemon(pulse: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        # A clock that was set back makes nobody alive.
        "running": abs(now - pulse["pulse"]) < _ALIVE and not _has_ended(pulse),
        "host": pulse["host"],
        "pid": pulse["pid"],
        "since": _iso(pulse["started"]),
        "heartbeat": _iso(pulse["pulse"]),
        "catalogue": pulse["catalogue"],
    }


def _has_ended(pulse: dict[str, Any]) -> bool:
    """Whether the daemon is known to have ended: its process is gone from this host."""
    if pulse["host"] != this_host():
        return False
    try:
        os.kill(pulse["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:  # It is another account's.
        return False
    return False


def _failed(entry: Entry) -> dict[str, Any]:
    return {
        "pid": entry.pid,
        "line": entry.line,
        "directory": entry.directory,
        "reason": entry.reason,
        "tries": entry.tries,
        "last_try": _iso(entry.last_try),
        "next_try": _iso(entry.next_try) if entry.next_try and not entry.quarantined else None,
    }


def _unanswered(unanswered: Unanswered, now: float) -> dict[str, Any]:
    return {
        "request": unanswered.request,
        "since": _iso(now - unanswered.seconds),
        "seconds": round(unanswered.seconds, 1),
    }


def _unsure(late_check: LateCheck) -> dict[str, Any]:
    return {
        "pid": late_check.pid,
        "since": _iso(late_check.since),
        "next": _iso(late_check.due),
        "reason": late_check.reason,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
