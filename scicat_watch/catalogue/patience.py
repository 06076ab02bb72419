"""How often something that failed is tried again, and how long is waited in between: a named policy for each case.

The only module that knows tenacity. All waits go through a `Clock`, and a stop cuts them short; one last try follows.
A policy is called with what is to be tried, and raises the last error as it came.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
    wait_random_exponential,
)

from scicat_watch.catalogue.options import PatienceLimits
from scicat_watch.clock import Clock
from scicat_watch.errors import AssemblyError, NotLoggedIn, ScicatWatchError, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class Patience(Protocol):
    """A policy."""

    def __call__(self, attempt: Callable[[], T], /) -> T:
        """The result of the first attempt that succeeds; otherwise the error of the last one."""


class ConnectionBroken(Unavailable):
    """The connection could not be made, or broke off; `sent` says whether the request may have got through."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class NoAnswer(Unavailable):
    """A time limit ended before the answer came: the request may still be on its way, and be done later."""


class Postponed(Unavailable):
    """The catalogue says when to come back; `retry_after` is in seconds."""

    def __init__(self, message: str, status: int | None, retry_after: float) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


def once(attempt: Callable[[], T]) -> T:
    """No patience: whoever publishes repeats everything."""
    return attempt()


def for_questions(clock: Clock, stopping: threading.Event) -> Patience:
    """For what changes nothing: four tries within about a second.

    A server may close a connection as we use it, and what is before it may fail for a moment (502, 503, 504). A server
    that says when to come back is not asked before, and one that does not answer at all is not asked again at once.
    """
    return Retrying(
        retry=retry_if_exception(_passing),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.1, max=1),
        sleep=_sleep(clock, stopping),
        reraise=True,
    )


def _passing(error: BaseException) -> bool:
    passing = isinstance(error, Unavailable) and error.status in (502, 503, 504)
    return isinstance(error, ConnectionBroken) or (passing and not isinstance(error, Postponed))


def few_tries(clock: Clock, stopping: threading.Event) -> Patience:
    """For a command that another program starts for each file: three tries while the catalogue is unavailable."""
    return Retrying(
        retry=retry_if_exception(_time_may_fix),
        stop=stop_after_attempt(3),
        wait=wait_exponential(multiplier=0.5, max=10),
        sleep=_sleep(clock, stopping),
        reraise=True,
    )


def for_commands(limits: PatienceLimits, clock: Clock, stopping: threading.Event) -> Patience:
    """For a command that a person started, and that has much to do: as long as `ingest` waits for the catalogue.

    That is `limits.give_up_after` seconds for each request. It says so when it begins to wait.
    """

    def patient(attempt: Callable[[], T]) -> T:
        until = clock.monotonic() + limits.give_up_after
        growing = wait_exponential(multiplier=limits.first_wait, max=limits.longest_wait)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            seconds = max(growing(state), error.retry_after if isinstance(error, Postponed) else 0.0)
            return max(0.0, min(seconds, until - clock.monotonic()))

        def say(state: RetryCallState) -> None:
            if state.attempt_number == 1 and state.outcome:
                left = until - clock.monotonic()
                log.warning("the catalogue is unavailable, tried again for %.0f s: %s", left, state.outcome.exception())

        return Retrying(
            retry=retry_if_exception(_time_may_fix),
            stop=lambda _: stopping.is_set() or clock.monotonic() >= until,
            wait=wait,
            sleep=_sleep(clock, stopping),
            before_sleep=say,
            reraise=True,
        )(attempt)

    return patient


def _time_may_fix(error: BaseException) -> bool:
    """A page instead of an answer with status 404 counts as a no, whatever is behind the address."""
    return isinstance(error, Unavailable) and not isinstance(error, NotLoggedIn) and error.status != 404


def until_back(
    first_wait: float, longest_wait: float, sleep: Callable[[float], None], over: Callable[[], bool]
) -> Patience:
    """For the one that asks whether an unavailable catalogue is back: until it is, or until it is `over`.

    The waits, in seconds, begin with `first_wait` and double up to `longest_wait`, plus up to a second of chance, so
    that ten beamlines do not come back together.
    """
    return Retrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(multiplier=first_wait, max=longest_wait) + wait_random(0, 1),
        stop=lambda _: over(),
        sleep=sleep,
        reraise=True,
    )


def reading(delays: tuple[float, ...], clock: Clock, stopping: threading.Event) -> Patience:
    """For a data file that could not be read: one more try after each of `delays`, in seconds.

    A file that no schema fits is not tried again.
    """

    def wait(state: RetryCallState) -> None:
        clock.wait(delays[state.attempt_number - 1], stopping)

    return Retrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, ScicatWatchError | MemoryError) and not isinstance(error, AssemblyError)
        ),
        stop=stop_after_attempt(len(delays)),
        before=wait,
        reraise=True,
    )


def _sleep(clock: Clock, stopping: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        clock.wait(seconds, stopping)

    return sleep
