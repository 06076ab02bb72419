from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from scicat_watch.catalogue.availability import IN_A_ROW, Availability, Ping
from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import PatienceLimits
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.clock import SystemClock
from scicat_watch.errors import LoginUnanswered, NotLoggedIn, NotScicat, Refused, Unavailable
from tests.fakes import FakeClock
from tests.flows.program import free_port

from .faulty import Answer, Loopback

GONE = Unavailable("no answer")


class Pings:
    """A ping that fails a number of times; it notes when it was asked."""

    def __init__(self, clock: FakeClock, fails: int, error: Exception = GONE) -> None:
        self.clock, self.left, self.error, self.at = clock, fails, error, list[float]()

    def __call__(self, *, login: bool = False) -> None:
        self.at.append(self.clock.seconds)
        self.left -= 1
        if self.left >= 0:
            raise self.error


def made(ping: Ping, clock: FakeClock, **patience: float) -> Availability:
    return Availability(ping, PatienceLimits(**patience), clock, threading.Event())


def test_an_open_way_costs_nothing(clock: FakeClock) -> None:
    pings = Pings(clock, 0)
    assert made(pings, clock).wait() is True
    assert pings.at == []


def test_the_waits_grow_up_to_the_longest(clock: FakeClock) -> None:
    pings = Pings(clock, 8)
    way = made(pings, clock, first_wait=1, longest_wait=20)
    way.report(GONE)
    assert way.error is GONE
    assert way.wait() is True
    assert way.error is None
    assert len(pings.at) == 9
    gaps = [after - before for before, after in zip([1000.0, *pings.at], pings.at, strict=False)]
    for gap, least in zip(gaps, [1, 2, 4, 8, 16, 20, 20, 20, 20], strict=True):
        assert least <= gap <= least + 1


def test_a_deadline_ends_the_wait_and_the_way_stays_closed(clock: FakeClock) -> None:
    way = made(Pings(clock, 10**9), clock)
    way.report(GONE)
    assert way.wait(deadline=clock.seconds + 120) is False
    assert clock.seconds == 1120
    assert way.wait(deadline=clock.seconds) is False


def test_a_stop_ends_the_wait(clock: FakeClock) -> None:
    stopping = threading.Event()

    def ping(*, login: bool = False) -> None:
        stopping.set()
        raise GONE

    way = Availability(ping, PatienceLimits(), clock, stopping)
    way.report(GONE)
    assert way.wait() is False


def test_a_server_that_refuses_the_ping_is_there(clock: FakeClock) -> None:
    way = made(Pings(clock, 1, Refused("no", 403)), clock)
    way.report(GONE)
    assert way.wait() is True


def test_a_wish_to_be_asked_later_is_followed(clock: FakeClock) -> None:
    pings = Pings(clock, 0)
    way = made(pings, clock)
    way.report(Postponed("busy", 429, 90.0))
    assert way.wait() is True
    assert pings.at == [1090.0]


def test_a_server_that_pings_but_fails_is_asked_ever_more_rarely(clock: FakeClock) -> None:
    pings = Pings(clock, 0)
    way = made(pings, clock, first_wait=1, longest_wait=60)
    for _ in range(6):
        way.report(GONE)
        assert way.wait() is True
    assert [after - before for before, after in zip([1000.0, *pings.at], pings.at, strict=False)] == [
        1, 2, 4, 8, 16, 32,
    ]  # fmt: skip
    clock.advance(1000)
    way.report(GONE)
    assert way.wait() is True
    assert clock.seconds - pings.at[-2] == 1001


def test_one_failure_while_the_catalogue_is_well_stops_nobody(clock: FakeClock) -> None:
    pings = Pings(clock, 0)
    way = made(pings, clock)
    for _ in range(3 * IN_A_ROW):
        assert way.met(GONE) is False
        assert way.error is None
        way.succeeded()
    assert clock.seconds == 1000


def test_a_failure_closes_the_way_if_the_catalogue_is_not_well(clock: FakeClock) -> None:
    way = made(Pings(clock, 1), clock)
    assert way.met(GONE) is True
    assert way.error is GONE
    assert way.wait() is True


def test_several_failures_in_a_row_close_the_way_for_a_few_seconds(clock: FakeClock) -> None:
    way = made(Pings(clock, 0), clock, first_wait=1, longest_wait=60)
    assert [way.met(GONE) for _ in range(IN_A_ROW)] == [*[False] * (IN_A_ROW - 1), True]
    closed = []
    for _ in range(7):
        before = clock.seconds
        assert way.wait() is True
        closed.append(clock.seconds - before)
        assert way.met(GONE) is True, "the next one that fails closes it again"
    assert closed == [1, 2, 4, 8, 10, 10, 10]
    assert way.wait() is True
    way.succeeded()
    assert way.met(GONE) is False


def test_waits_shrink_with_success(clock: FakeClock) -> None:
    pings = Pings(clock, 0)
    way = made(pings, clock, first_wait=1, longest_wait=60)
    for _ in range(5):
        way.report(GONE)
        way.wait()
    assert pings.at[-1] - pings.at[-2] == 16
    for _ in range(3):
        way.succeeded()
    way.report(GONE)
    way.wait()
    assert pings.at[-1] - pings.at[-2] == 4


def test_a_success_opens_the_way(clock: FakeClock) -> None:
    way = made(Pings(clock, 10**9), clock)
    way.report(GONE)
    way.succeeded()
    assert way.error is None
    assert way.wait() is True


def test_a_refused_login_closes_the_way_until_the_account_is_accepted(clock: FakeClock) -> None:
    refused = NotLoggedIn("the password is wrong", 401)
    asked: list[tuple[float, bool]] = []

    def ping(*, login: bool = False) -> None:
        asked.append((clock.seconds, login))
        if clock.seconds < 1100:
            raise refused

    way = made(ping, clock)
    assert way.met(refused) is True
    assert way.outage is not None
    assert "the password is wrong" in way.outage.reason
    assert way.wait() is True
    assert clock.seconds <= 1102, "it is noticed within seconds, however long it took"
    assert all(login for _, login in asked)


def test_a_login_that_is_not_answered_closes_the_way_until_one_is(clock: FakeClock) -> None:
    asked: list[bool] = []

    def ping(*, login: bool = False) -> None:
        asked.append(login)
        if len(asked) < 3:
            raise LoginUnanswered("no answer")

    way = made(ping, clock)
    assert way.met(LoginUnanswered("no answer")) is True
    assert way.wait() is True
    assert asked == [True] * 3


def test_a_page_in_the_catalogue_s_place_lets_one_try_at_a_time_until_one_succeeds(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    pings = Pings(clock, 0)
    way = made(pings, clock, first_wait=1, longest_wait=8)
    page = NotScicat("a login page", 200)
    waited = []
    with caplog.at_level(logging.INFO, logger="scicat_watch"), ThreadPoolExecutor(1) as others:
        for _ in range(5):
            assert way.met(page) is True
            before = clock.seconds
            assert way.wait() is True, "this one may try, though the way is closed"
            waited.append(clock.seconds - before)
            assert way.error is page
            assert others.submit(way.wait, clock.seconds).result(120) is False, "nobody else may"
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        way.succeeded()
        assert others.submit(way.wait).result(120) is True
    assert waited == [1, 2, 4, 8, 8]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_trial_that_ends_without_an_answer_lets_another_one_try(clock: FakeClock) -> None:
    way = made(Pings(clock, 0), clock)
    way.report(NotScicat("a login page", 200))
    assert way.wait() is True
    way.undecided()
    with ThreadPoolExecutor(1) as others:
        assert others.submit(way.wait).result(120) is True
    assert way.error is not None


def test_closing_and_opening_are_each_said_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    way = made(Pings(clock, 3), clock)
    with caplog.at_level(logging.INFO, logger="scicat_watch"):
        for _ in range(5):
            way.report(GONE)
        way.wait()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_while_the_server_is_off_one_asks_and_all_go_on_when_it_is_back(http: Callable[..., HttpClient]) -> None:
    port = free_port()
    catalogue = ScicatV3(http(f"http://127.0.0.1:{port}/api/v3"))
    asking, most, asked, lock = 0, 0, threading.Event(), threading.Lock()

    def ping(*, login: bool = False) -> None:
        nonlocal asking, most
        with lock:
            asking += 1
            most = max(most, asking)
        try:
            catalogue.ping()
        finally:
            with lock:
                asking -= 1
            asked.set()

    with pytest.raises(Unavailable) as caught:
        catalogue.ping()
    way = Availability(ping, PatienceLimits(first_wait=0.01, longest_wait=0.02), SystemClock(), threading.Event())
    way.report(caught.value)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(way.wait) for _ in range(4)]
        assert asked.wait(120)
        assert not any(each.done() for each in waiting)
        server = Loopback(lambda _: Answer(), port)
        assert [each.result(120) for each in waiting] == [True] * 4
    server.close()
    assert most == 1
    assert {request.path for request in server.requests} == {"/api/v3/health"}


@pytest.mark.parametrize("answer", [Answer(404, b'{"message":"Cannot GET"}'), Answer(404, b"<html>"), Answer(403)])
def test_a_server_without_a_health_route_is_alive(
    serve: Callable[..., Loopback], http: Callable[..., HttpClient], answer: Answer
) -> None:
    ScicatV3(http(serve(lambda asked: answer if asked.path.endswith("health") else Answer(200, b"")).base)).ping()


def test_a_gate_with_nothing_behind_it_is_not(serve: Callable[..., Loopback], http: Callable[..., HttpClient]) -> None:
    with pytest.raises(Unavailable):
        ScicatV3(http(serve(lambda _: Answer(404, b"<html>default backend</html>")).base)).ping()


def test_a_server_whose_database_is_down_is_not(
    serve: Callable[..., Loopback], http: Callable[..., HttpClient]
) -> None:
    with pytest.raises(Unavailable):
        ScicatV3(http(serve(lambda _: Answer(503, b'{"status":"error"}')).base)).ping()
