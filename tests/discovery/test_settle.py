"""Quiet is what two checks that are far enough apart agree on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.discovery.settle import Settling


def test_a_key_has_settled_once_it_has_looked_the_same_for_the_quiet_time() -> None:
    settling: Settling[str] = Settling(5.0)
    assert not settling.check("a", 1, 100.0)
    assert not settling.check("a", 1, 104.9)
    assert settling.check("a", 1, 105.0)
    assert not settling.check("a", 2, 106.0)
    assert settling.quiet_for("a", 108.0) == 2.0
    assert settling.ready_at("a") == 111.0
    assert not settling.check("a", 1, 110.0)


def test_a_known_age_is_believed_only_at_the_first_look() -> None:
    settling: Settling[str] = Settling(5.0)
    assert settling.check("old", 1, 0.0, age=6.0)
    assert not settling.check("old", 2, 1.0, age=1000.0)


def test_what_was_forgotten_begins_anew() -> None:
    settling: Settling[str] = Settling(5.0)
    settling.check("a", 1, 0.0)
    settling.forget("a")
    assert (len(settling), settling.quiet_for("a", 9.0), settling.ready_at("a")) == (0, 0.0, 0.0)
    assert not settling.check("a", 1, 9.0)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 40))),
    st.integers(0, 100),
)
def test_nothing_settles_that_was_not_seen_unchanged_for_the_quiet_time(
    checks: list[tuple[str, int, int]], quiet: int
) -> None:
    settling: Settling[str] = Settling(float(quiet))
    now = 0.0
    since: dict[str, tuple[int, float]] = {}
    for key, state, later in checks:
        now += later
        if since.get(key, (None, 0.0))[0] != state:
            since[key] = (state, now)
        assert settling.check(key, state, now) == (now - since[key][1] >= quiet)
