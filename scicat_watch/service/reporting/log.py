"""Reports to the log: one line for each try, one for each problem when it comes and when it is gone."""

from __future__ import annotations

import logging
import threading

from scicat_watch.model import Outcome
from scicat_watch.progress import BeamtimeState

log = logging.getLogger(__name__)


class LogReporter:
    """Writes outcomes, and problems that are new."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def outcome(self, outcome: Outcome) -> None:
        """What became of the request, with what was left out at the level of debugging."""
        pid = outcome.request.pid
        if outcome.done:
            log.info("%s %s in %.2f s", outcome.status, pid, outcome.seconds)
        else:
            log.error("failed %s: %s", pid, outcome.reason, extra={"scan_failed": True})
        for note in outcome.notes:
            log.debug("%s: %s", pid, note)

    def beamtime(self, state: BeamtimeState) -> None:
        """Problems that were not there before."""
        with self._lock:
            known = self._problems.get((state.directory, state.id), ())
            self._problems[state.directory, state.id] = state.problems
        for problem in state.problems:
            if problem not in known:
                log.error("%s", problem)
        for problem in known:
            if problem not in state.problems:
                log.info("no longer: %s", problem)

    def left(self, directory: str) -> None:
        """A directory that comes back may have its problems again."""
        with self._lock:
            for key in [key for key in self._problems if key[0] == directory]:
                del self._problems[key]
