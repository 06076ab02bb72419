"""The writes of one dataset: each is noted before and after it, and what became of one without an answer is in doubt.

Nothing is sent here: whoever publishes makes each of its writes within `writing` or `doubting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from scicat_watch.catalogue.memory import Part, Written
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.catalogue.scicat.latecheck import LateChecks, may_arrive
from scicat_watch.documents import Bundle
from scicat_watch.errors import NotScicat, Refused, Unavailable
from scicat_watch.model import Status

MOST_BROKEN = 2
"""How often a write is answered 500, at most: many of them will be answered so for ever."""


class Writing:
    """What is known, and in doubt, of the writes of one dataset."""

    def __init__(self, written: Written, late_checks: LateChecks, full_pid: str, bundle: Bundle) -> None:
        """`full_pid` and `bundle`: of the dataset, to be read again if a write may arrive late."""
        self.written = written
        self._late_checks, self._full_pid, self._bundle = late_checks, full_pid, bundle
        self.doubtful = False
        """Whether it is worth reading at once what became of the last write; taken back by who reads."""
        self._lost = False
        self._broken = 0

    @contextmanager
    def writing(self, of: Part, content: str) -> Iterator[None]:
        """Within it one write is made that is noted."""
        with self.doubting(), self.written.writing(of, content):
            yield

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """Within it one write is made; whether it is worth reading at once what became of it."""
        try:
            yield
        except Unavailable as error:
            self._broken += error.status == 500
            self._lost = self._lost or error.sent
            soon = not isinstance(error, Postponed | NotScicat) and error.status != 429
            self.doubtful = error.sent and soon and self._broken < MOST_BROKEN
            if may_arrive(error):
                self.check_later()
            raise

    def check_later(self) -> None:
        """A write may arrive later than the dataset is read now."""
        self.written.unsure = True
        self._late_checks.note(self._full_pid, self._bundle)

    def may_be_more(self) -> bool:
        """Whether there may be file lists of ours whose ids we never learned, as an answer was lost."""
        return self._lost or self.written.unsure

    def send_unsent(
        self, of: Part, wanted: Sequence[str], send: Callable[[str], None], unreadable: Refused
    ) -> Status | None:
        """Have sent what was never sent, of a dataset that cannot be read; `Refused` where only reading could say."""
        if not wanted:
            return None
        known = {content: self.written.done(of, content) for content in wanted}
        if None in known.values():
            raise Refused(f"the answer to its upload was lost, and whether it is there cannot be seen: {unreadable}")
        if self.written.others(of, wanted):
            raise Refused(f"it has changed since it was written, and what is stored cannot be replaced: {unreadable}")
        missing = [content for content, done in known.items() if not done]
        for content in missing:
            send(content)
        return Status.CREATED if missing else Status.UNCHANGED
