"""Datasets to which a write may arrive late are read again later, and what it doubled is removed.

A write that was sent and not answered may be held somewhere (a proxy, a backend that stands still) and be done long
after we have read that it was not, and have written again: then there are two equal file lists. So the dataset is
noted with the documents that it is to hold, and read again once time has passed: counted from when it was last written,
as what was held up is often done when the catalogue is well again. The notes outlive the process.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from scicat_watch.catalogue.memory import Memory
from scicat_watch.catalogue.patience import ConnectionBroken, NoAnswer, Postponed
from scicat_watch.clock import Clock
from scicat_watch.documents import Bundle
from scicat_watch.errors import AssemblyError, Unavailable
from scicat_watch.progress import LateCheck

log = logging.getLogger(__name__)

TIMES = 2.0
"""How many times the time limit of a request is waited before the first late check."""
LATER = (600.0, 3600.0)
"""Seconds before the second one, and before the last."""
MOST_HELD = 2
"""How often a write is left without an answer for so long, at most: then it is asked whether the catalogue is well."""
Wait = Callable[[], bool]
"""Waits for a write that is likely to be on its way still; true if the program ends."""
REFUSED = 86_400.0
"""Seconds before one that was refused is made again: a person may have fixed it."""
_GATEWAYS = (408, 502, 503, 504)
"""Answers of what is before a server; the server may still be at the request."""


def may_arrive(error: Unavailable) -> bool:
    """Whether the write that met this error may still be done later."""
    if not error.sent or isinstance(error, Postponed):
        return False
    return error.status in _GATEWAYS or isinstance(error, NoAnswer | ConnectionBroken)


def is_held(error: Unavailable) -> bool:
    """Whether it is likely that the write is still on its way, so that waiting for it costs less than a second one."""
    return error.sent and (isinstance(error, NoAnswer) or error.status == 504)


class LateChecks:
    """The notes of one catalogue; used by several threads."""

    def __init__(self, memory: Memory, clock: Clock, timeout: float) -> None:
        """`timeout`: the time limit of a request."""
        self._memory, self._clock, self._first = memory, clock, TIMES * timeout

    def note(self, pid: str, bundle: Bundle) -> None:
        """A dataset that shall hold `bundle` is to be read again; what was noted of it before holds no longer."""
        now = self._clock.now().timestamp()
        text = json.dumps(bundle.as_json(), ensure_ascii=False, separators=(",", ":"))
        self._memory.late_check(LateCheck(pid, now, now + self._first, text))

    def due(self) -> tuple[LateCheck, Bundle] | None:
        """The one that is to be made now; None if there is none."""
        found, now = self._memory.next_late_check(), self._clock.now().timestamp()
        # One that is farther away than any is put off was noted by a clock that was ahead of this one.
        if found is None or now < found.due <= now + max(REFUSED, self._first):
            return None
        try:
            return found, Bundle.from_json(json.loads(found.documents))
        except (ValueError, AssemblyError) as error:
            log.warning(
                "%s: what it is to hold was noted by another version, and is not read again: %s", found.pid, error
            )
            self._memory.settled(found.pid)
            return None

    def made(self, late_check: LateCheck) -> bool:
        """One was made: whether it was the last one of its dataset."""
        if late_check.made >= len(LATER):
            self._memory.settled(late_check.pid)
            return True
        due = self._clock.now().timestamp() + LATER[late_check.made]
        self._memory.late_check(replace(late_check, due=due, made=late_check.made + 1, reason=""))
        return False

    def failed(self, late_check: LateCheck, reason: str, again: float) -> None:
        """One could not be made, or not to its end, so that all are to be made; the next try is in `again` seconds."""
        due = self._clock.now().timestamp() + again
        self._memory.late_check(replace(late_check, due=due, made=0, reason=reason))

    def settled(self, pid: str) -> None:
        """A dataset needs no late check any more."""
        self._memory.settled(pid)


class OneByOne:
    """Lets threads work on several datasets, but on each only one at a time."""

    def __init__(self) -> None:
        self._under_way: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def __call__(self, pid: str) -> Iterator[None]:
        """Within it nobody else is at this dataset."""
        with self._changed:
            self._changed.wait_for(lambda: pid not in self._under_way)
            self._under_way.add(pid)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(pid)
                self._changed.notify_all()
