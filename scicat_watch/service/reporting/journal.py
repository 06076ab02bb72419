"""Reports to the journal, which `scicat-watch status` reads. What became of requests the ledger notes there itself."""

from __future__ import annotations

from scicat_watch.ledger.journal import Journal
from scicat_watch.model import Outcome
from scicat_watch.progress import BeamtimeState


class JournalReporter:
    """Keeps the last state of each beamtime."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def outcome(self, outcome: Outcome) -> None:
        """Nothing: the ledger noted it before."""

    def beamtime(self, state: BeamtimeState) -> None:
        """The state takes the place of the one before."""
        self._journal.show(state)

    def left(self, directory: str) -> None:
        """Nothing is shown of the directory any more."""
        self._journal.hide(directory)
