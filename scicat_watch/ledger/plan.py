"""What to do with a request now: from what is there, what was done, what was tried, and the time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scicat_watch.model import Request


class Action(StrEnum):
    """What is to be done."""

    INGEST = "ingest"
    """Read it and publish it, or bring its dataset up to date."""
    WAIT = "wait"
    """It failed before; its time has not come yet."""
    NOTHING = "nothing"
    """It is done."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often a request failed, and when to try it again."""

    tries: int
    next_try: float
    """Seconds since 1970."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What the ledger knows of one request."""

    done: bool = False
    """Whether it is in the catalogue, complete."""
    changed: bool = False
    """Whether its file looks different from when it was ingested."""
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and for `Action.WAIT` until when (seconds since 1970)."""

    action: Action
    until: float = 0.0


def plan(request: Request, past: Past, now: float) -> Decision:
    """Decide for one request whose scan is complete; `now` in seconds since 1970."""
    if past.done and not (past.changed and not request.listed):
        return Decision(Action.NOTHING)
    # A clock that was set back must not put a request off for ever.
    if past.attempt is not None and now < past.attempt.next_try <= now + _FURTHEST:
        return Decision(Action.WAIT, past.attempt.next_try)
    return Decision(Action.INGEST)


def next_try(tries: int, now: float, first: float, longest: float) -> float:
    """When a request that failed `tries` times is tried again: the waits double from `first` to `longest` seconds."""
    return now + min(longest, first * 2.0 ** min(max(tries, 1) - 1, 60))


_FURTHEST = 7 * 86400.0
