"""What is known of the work from outside: the journal that the daemon and the one-shot leave. Opens nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from scicat_watch.service.site import open_journal
from scicat_watch.settings.model import Settings

_ALIVE = 30.0  # Seconds since its last pulse after which a daemon is taken for gone.


def collect(settings: Settings) -> dict[str, Any]:
    """The state as plain values: `daemon`, `beamtimes`, `failed`, and the totals of both."""
    journal = open_journal(settings)
    try:
        pulse, shown, failed = journal.pulse(), journal.shown(), journal.failed()
    finally:
        journal.close()
    now = time.time()
    daemon = None
    if pulse is not None:
        daemon = {
            "running": now - pulse["pulse"] < _ALIVE,
            "host": pulse["host"],
            "pid": pulse["pid"],
            "since": _iso(pulse["started"]),
            "last_sign": _iso(pulse["pulse"]),
            "catalogue": pulse["catalogue"],
        }
    return {
        "daemon": daemon,
        "beamtimes": shown,
        "failed": [
            {
                "pid": entry.pid,
                "line": entry.line,
                "directory": entry.directory,
                "reason": entry.reason,
                "tries": entry.tries,
                "last_try": _iso(entry.last_try),
                "next_try": _iso(entry.next_try) if entry.next_try else None,
            }
            for entry in failed
        ],
        "totals": {
            "done": sum(one.get("done", 0) for one in shown),
            "waiting": sum(one.get("waiting", 0) for one in shown),
            "skipped": sum(one.get("skipped", 0) for one in shown),
            "failed": len(failed),
            "problems": sum(len(one.get("problems", [])) for one in shown),
        },
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
