"""Whether the catalogue answers, known by all who want to publish: while it does not, one asks and all wait.

Whoever meets `Unavailable` says so (`met`), and the catalogue is asked at once whether it is well. If it is not, the
way is closed: of those who wait, the first asks at growing intervals whether it is back, and its yes opens the way for
all. If it is well, the scan is at fault, or it was bad luck, and the others go on; only when several in a row fail, the
way is closed all the same. A success opens it, and makes the next wait shorter. A refused login closes it until the
account is accepted again. Where a page was answered in SciCat's place, that the ping is well proves nothing: then one
goes on as a trial, and only its success opens the way. Nobody's thread is needed beside theirs.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from scicat_watch.catalogue import patience
from scicat_watch.catalogue.options import PatienceLimits
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.clock import Clock
from scicat_watch.errors import LoginUnanswered, NotLoggedIn, NotScicat, Refused, Unavailable
from scicat_watch.progress import Outage

log = logging.getLogger(__name__)

LONGEST_POSTPONEMENT = 600.0
"""Seconds that a server's wish to be asked later is followed at most."""
CHECK = 0.5
"""Seconds after which those who wait check whether they are to stop."""
IN_A_ROW = 5
"""So many failures without a success between close the way although the catalogue says that it is well."""
LONGEST_WHILE_WELL = 10.0
"""Seconds for which the way is closed then at most: what fails may be the scans of one beamtime."""
NO_ROOM = 507
"""Status of a catalogue whose disk takes nothing, which is no scan's fault as long as it says so itself."""
LOGIN_CHECK = 1.0
"""Seconds between two checks whether we can log in again; it costs a request only if the credentials changed."""


class Ping(Protocol):
    """Asks the catalogue for nothing."""

    def __call__(self, *, login: bool = False) -> None:
        """Return if it answers; `login`: also if it accepts our account. Raises `Unavailable` otherwise."""


class Availability:
    """The state of one catalogue."""

    def __init__(self, ping: Ping, limits: PatienceLimits, clock: Clock, stopping: threading.Event) -> None:
        self._ping, self._limits, self._clock, self._stopping = ping, limits, clock, stopping
        self._changed = threading.Condition()
        self._closed_at: float | None = None
        self._opened_at: float | None = None
        self._error: Unavailable | None = None
        self._since = ""
        self._not_before = 0.0
        self._first_wait = limits.first_wait
        self._probing = False
        self._failures = 0
        """How many were met since the last success, while the catalogue was well."""
        self._trial: int | None = None
        """The thread that goes on as a trial."""
        self.successes = 0
        """How often somebody got what they asked for."""

    @property
    def error(self) -> Unavailable | None:
        """Why the way is closed; None while it is open."""
        with self._changed:
            return self._error

    @property
    def outage(self) -> Outage | None:
        """The same for people, with its beginning."""
        with self._changed:
            return None if self._error is None else Outage(self._since, str(self._error), _is_full(self._error))

    def met(self, error: Unavailable) -> bool:
        """Somebody met `error`: whether all have to wait. Otherwise the catalogue is well, and others go on."""
        general = isinstance(error, NotLoggedIn | LoginUnanswered | NotScicat | Postponed)
        if general or self.error is not None:
            self.report(error)
            return True
        try:
            self._ask()
        except Unavailable as gone:
            log.debug("the catalogue is not well: %s", gone)
            self.report(error)
            return True
        with self._changed:
            self._failures += 1
            several = self._failures >= IN_A_ROW
        if several:
            self.report(error, min(LONGEST_WHILE_WELL, self._limits.longest_wait))
        return several

    def succeeded(self) -> None:
        """Somebody got what they asked for: open the way, and wait less the next time."""
        with self._changed:
            self._failures, self._trial = 0, None
            self.successes += 1
            self._first_wait = max(self._limits.first_wait, self._first_wait / 2)
            if self._error is not None:
                self._open()

    def undecided(self) -> None:
        """Somebody ended without having heard from the catalogue: another one may try, if this was a trial."""
        with self._changed:
            if self._trial == threading.get_ident():
                self._trial = None
                self._changed.notify_all()

    def report(self, error: Unavailable, longest: float | None = None) -> None:
        """Close the way because of `error`; `longest`: seconds that are waited at most before it is tried again."""
        now = self._clock.monotonic()
        with self._changed:
            if isinstance(error, Postponed):
                self._not_before = max(self._not_before, now + min(error.retry_after, LONGEST_POSTPONEMENT))
            if self._error is not None:
                if self._trial == threading.get_ident():
                    self._trial, self._error = None, error
                    self._first_wait = min(2 * self._first_wait, self._limits.longest_wait)
                    self._changed.notify_all()
                return
            # A server that answers the ping but fails at the work would otherwise be asked without pause.
            most = self._limits.longest_wait if longest is None else longest
            soon = self._opened_at is not None and now - self._opened_at < self._limits.longest_wait
            self._first_wait = min(2 * self._first_wait, most) if soon else self._limits.first_wait
            self._closed_at, self._error = now, error
            self._since = self._clock.now().isoformat(timespec="seconds")
        what = "has no room for what is written" if _is_full(error) else "is unavailable"
        log.warning("the catalogue %s, publishing waits: %s", what, error)

    def wait(self, deadline: float | None = None) -> bool:
        """Return True when the way is open; False if it stays closed until `deadline` or we are stopping.

        `deadline` is on the clock's `monotonic`.
        """
        while not self._stopping.is_set():
            with self._changed:
                if self._error is None or self._trial == threading.get_ident():
                    return True
                left = None if deadline is None else deadline - self._clock.monotonic()
                if left is not None and left <= 0:
                    return False
                if self._probing or self._trial is not None:
                    self._changed.wait(CHECK if left is None else min(CHECK, left))
                    continue
                self._probing = True
            self._probe(deadline)
        return False

    def _probe(self, deadline: float | None) -> None:
        """Ask until the catalogue answers, the deadline has passed, or we are stopping; then let others go on."""
        answered = False

        def over() -> bool:
            late = deadline is not None and self._clock.monotonic() >= deadline
            return late or self._stopping.is_set() or self.error is None

        def sleep(seconds: float) -> None:
            if isinstance(self.error, NotLoggedIn):
                seconds = LOGIN_CHECK
            until = max(self._clock.monotonic() + seconds, self._not_before)
            until = until if deadline is None else min(until, deadline)
            while not self._stopping.is_set() and self.error is not None and self._clock.monotonic() < until:
                self._clock.wait(min(CHECK, until - self._clock.monotonic()), self._stopping)

        try:
            sleep(self._first_wait)
            if not self._stopping.is_set():
                patience.until_back(2 * self._first_wait, self._limits.longest_wait, sleep, over)(self._ask)
                answered = True
        except Unavailable as error:
            log.debug("the catalogue is still unavailable: %s", error)
        finally:
            self._let_go(answered)

    def _ask(self) -> None:
        try:
            self._ping(login=isinstance(self.error, NotLoggedIn | LoginUnanswered))
        except Refused:
            log.debug("the catalogue refuses the ping, so it answers")

    def _let_go(self, answered: bool) -> None:
        with self._changed:
            self._probing = False
            if answered and isinstance(self._error, NotScicat):
                self._trial = threading.get_ident()
            elif answered and self._error is not None:
                self._open()
            self._changed.notify_all()

    def _open(self) -> None:
        now = self._clock.monotonic()
        closed = now - (self._closed_at if self._closed_at is not None else now)
        self._error, self._opened_at = None, now
        log.info("the catalogue is available again after %.0f s", closed)
        self._changed.notify_all()


def _is_full(error: Unavailable) -> bool:
    return error.status == NO_ROOM
