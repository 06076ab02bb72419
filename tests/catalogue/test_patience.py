"""How often each policy tries, and what it waits in between; all on a clock that only the waits move."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import scicat_watch
from scicat_watch.catalogue import patience
from scicat_watch.catalogue.options import PatienceLimits
from scicat_watch.catalogue.patience import ConnectionBroken, Patience, Postponed
from scicat_watch.clock import Clock
from scicat_watch.errors import AssemblyError, NotLoggedIn, ReadingError, Refused, Unavailable
from tests.fakes import FakeClock

Make = Callable[[Clock, threading.Event], Patience]


def commands(clock: Clock, stopping: threading.Event) -> Patience:
    return patience.for_commands(PatienceLimits(first_wait=1.0, longest_wait=4.0, give_up_after=10.0), clock, stopping)


def opening(clock: Clock, stopping: threading.Event) -> Patience:
    return patience.reading((4.0, 7.0), clock, stopping)


class Failing:
    """Fails with each of `errors`, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.tries = list(errors), 0

    def __call__(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


AWAY, BROKEN = Unavailable("busy", 503), ConnectionBroken("reset")


@pytest.mark.parametrize(
    ("make", "error", "tries"),
    [
        (patience.for_questions, BROKEN, 4),
        (patience.for_questions, AWAY, 4),
        (patience.for_questions, Unavailable("a bad gateway", 502), 4),
        (patience.for_questions, Unavailable("no answer in time"), 1),
        (patience.for_questions, Unavailable("broken", 500), 1),
        (patience.for_questions, Postponed("later", 503, 9.0), 1),
        (patience.for_questions, Refused("no"), 1),
        (patience.few_tries, NotLoggedIn("no such account", 401), 1),
        (patience.few_tries, AWAY, 3),
        (patience.few_tries, BROKEN, 3),
        (patience.few_tries, Unavailable("a page", 404), 1),
        (patience.few_tries, Refused("no"), 1),
        (commands, AWAY, 5),  # After 0, 1, 3, 7 and 10 seconds.
        (commands, BROKEN, 5),
        (commands, Postponed("later", 429, 6.0), 3),
        (commands, NotLoggedIn("no such account", 401), 1),
        (commands, Unavailable("a page", 404), 1),
        (commands, Refused("no"), 1),
        (opening, ReadingError("not yet"), 2),
        (opening, MemoryError(), 2),
        (opening, AssemblyError("no schema fits"), 1),
        (opening, KeyError("a fault"), 1),
    ],
)
def test_each_policy_tries_again_what_time_may_fix(clock: FakeClock, make: Make, error: Exception, tries: int) -> None:
    failing = Failing(*[error] * 9)
    with pytest.raises(type(error)) as caught:
        make(clock, threading.Event())(failing)
    assert caught.value is error
    assert failing.tries == tries
    assert make(clock, threading.Event())(Failing(*[error] * (tries - 1))) == "done"


def test_the_waits_are_those_of_the_policy(clock: FakeClock) -> None:
    patience.few_tries(clock, threading.Event())(Failing(AWAY, AWAY))
    assert clock.waits == [0.5, 1.0]
    clock.waits.clear()
    opening(clock, threading.Event())(Failing(ReadingError("not yet")))
    assert clock.waits == [4.0, 7.0], "there is a wait before each further try"
    clock.waits.clear()
    patience.for_questions(clock, threading.Event())(Failing(BROKEN, BROKEN))
    assert len(clock.waits) == 2
    assert all(0 <= wait <= 1 for wait in clock.waits)


def test_a_stop_cuts_the_waits_short(clock: FakeClock) -> None:
    stopping = threading.Event()
    clock.at(0.1, stopping.set)
    with pytest.raises(Unavailable):
        patience.few_tries(clock, stopping)(Failing(*[AWAY] * 9))
    assert clock.seconds == pytest.approx(1000.1)


def test_threads_may_share_a_policy_that_also_nests(clock: FakeClock) -> None:
    policy = patience.few_tries(clock, threading.Event())
    inner, outer = Failing(AWAY), Failing(AWAY)
    assert policy(lambda: (policy(inner), outer())) == ("done", "done")
    assert (inner.tries, outer.tries) == (3, 2)


def test_nobody_else_knows_the_library() -> None:
    source = Path(scicat_watch.__file__).parent
    knowing = [
        file.relative_to(source).as_posix()
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if "tenacity" in (getattr(node, "module", "") or "")
        or any("tenacity" in alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias))
    ]
    assert knowing == ["catalogue/patience.py"]
