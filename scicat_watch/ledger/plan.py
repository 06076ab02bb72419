"""What to do with a request now: from what is there, what was done, what was tried, and the time. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scicat_watch.ledger.rules import RetryRules
from scicat_watch.model import Fault, Request


class Action(StrEnum):
    """What is to be done."""

    INGEST = "ingest"
    """Read it and publish it, or bring its dataset up to date."""
    WAIT = "wait"
    """It failed before; its time has not come yet."""
    HOLD = "hold"
    """It is quarantined: it waits until its file changes or somebody asks for it."""
    NOTHING = "nothing"
    """It is done."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often a request failed, and when to try it again."""

    tries: int
    next_try: float
    """Seconds since 1970; infinite while the request is quarantined."""
    reason: str = ""
    readers_lost: int = 0
    """In how many of these attempts reading hung or ended its worker process."""

    @property
    def quarantined(self) -> bool:
        """Whether time alone brings no further attempt."""
        return self.next_try == math.inf


@dataclass(frozen=True, slots=True)
class Past:
    """What the ledger knows of one request."""

    done: bool = False
    """Whether it is in the catalogue, complete."""
    changed: bool = False
    """Whether its file looks different from when it was last tried."""
    attempt: Attempt | None = None
    """The failures since it last succeeded; None without any."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and for `Action.WAIT` until when (seconds since 1970)."""

    action: Action
    until: float = 0.0


def plan(request: Request, past: Past, now: float, retrying: RetryRules) -> Decision:
    """Decide for one request whose scan is complete; `now` in seconds since 1970."""
    if past.done and request.update is None and not (past.changed and not request.listed):
        return Decision(Action.NOTHING)
    attempt = past.attempt
    if attempt is None or past.changed:  # What failed with the file before says nothing about another one.
        return Decision(Action.INGEST)
    if attempt.quarantined:
        return Decision(Action.HOLD, attempt.next_try)
    # A time that is farther away than we ever put a request off was noted by a clock that was ahead of this one, and
    # says nothing.
    if now < attempt.next_try <= now + _interval(attempt.tries, Fault.READER, retrying):
        return Decision(Action.WAIT, attempt.next_try)
    return Decision(Action.INGEST)


def failed(before: Attempt | None, fault: Fault, reason: str, now: float, rules: RetryRules) -> Attempt:
    """The attempts with one more that failed at `now`; `before`: those with the same content of the file.

    The waits double from try to try. They grow fourfold while the reader is at fault: it may have hung because the
    host was busy, and time must pass before the scan is quarantined. Storage that does not answer is tried more often,
    so that work goes on soon after it came back.
    """
    tries = (before.tries if before else 0) + 1
    lost = (before.readers_lost if before else 0) + (fault is Fault.READER)
    if fault is Fault.READER and lost >= rules.quarantine_after:
        return Attempt(tries, math.inf, reason, lost)
    return Attempt(tries, now + _interval(tries, fault, rules), reason, lost)


def _interval(tries: int, fault: Fault, rules: RetryRules) -> float:
    """How long is waited after so many failures; after one of a reader it is longest."""
    growth = 4.0 if fault is Fault.READER else 2.0
    longest = min(rules.longest, _STORAGE_LONGEST) if fault is Fault.STORAGE else rules.longest
    return min(longest, rules.first * growth ** min(max(tries, 1) - 1, 60))


_STORAGE_LONGEST = 300.0
