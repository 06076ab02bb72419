"""What can be reported of the work, and to several at once."""

from __future__ import annotations

import logging
from typing import Protocol

from scicat_watch.model import Outcome
from scicat_watch.progress import BeamtimeState

log = logging.getLogger(__name__)


class Reporter(Protocol):
    """Somebody who hears how the work goes. Called by several threads."""

    def outcome(self, outcome: Outcome) -> None:
        """A request was tried."""

    def beamtime(self, state: BeamtimeState) -> None:
        """How far the work on a beamtime is."""

    def left(self, directory: str) -> None:
        """The beamtimes of a directory are watched no longer, or its problem is gone."""


class Reporters:
    """Several reporters; what goes wrong with one of them stops neither the work nor the others."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def outcome(self, outcome: Outcome) -> None:
        """See `Reporter`."""
        for reporter in self._reporters:
            try:
                reporter.outcome(outcome)
            except Exception:
                log.exception("%s: the outcome could not be reported", outcome.request.pid)

    def beamtime(self, state: BeamtimeState) -> None:
        """See `Reporter`."""
        for reporter in self._reporters:
            try:
                reporter.beamtime(state)
            except Exception:
                log.exception("%s: the state could not be reported", state.directory)

    def left(self, directory: str) -> None:
        """See `Reporter`."""
        for reporter in self._reporters:
            try:
                reporter.left(directory)
            except Exception:
                log.exception("%s: the end of the watch could not be reported", directory)
