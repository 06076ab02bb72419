"""A write whose answer was lost arrives late: what it doubles is removed by a late check, whenever that is made."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scicat_watch.catalogue.memory import ShortMemory
from scicat_watch.catalogue.patience import ConnectionBroken, NoAnswer, Postponed
from scicat_watch.catalogue.scicat.latecheck import LATER, REFUSED, TIMES, LateChecks, may_arrive
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.documents import OrigDatablock
from scicat_watch.errors import CatalogueError, NotLoggedIn, Unavailable
from scicat_watch.progress import LateCheck
from tests.catalogue.bundles import POLICY, bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import Fault, HoldingProxy, Request, SpoilingProxy
from tests.fakes import FakeClock

LIMIT = 60.0
"""Seconds after which a request counts as not answered here; what is held is answered 504 before."""
numbers = itertools.count(1)
Holding = Callable[..., HoldingProxy]


@pytest.fixture
def pid() -> str:
    return f"7/late_{next(numbers):05d}"


@pytest.fixture
def holding(site: Site) -> Iterator[Holding]:
    """Starts proxies that hold the first request of a method to a path that holds a word."""
    proxies: list[HoldingProxy] = []

    def start(method: str, word: str, *, with_next: bool = True) -> HoldingProxy:
        def held(request: Request) -> bool:
            return request.method == method and word in request.path

        proxies.append(HoldingProxy(site.base, held, with_next=with_next, gateway=True))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def publisher(
    site: Site, base: str, clock: FakeClock, memory: ShortMemory | None = None, account: str = "keeper"
) -> ScicatPublisher:
    api = site.api(account, base)
    return ScicatPublisher(api, threading.Event(), clock, memory, LIMIT)


def held_by(site: Site, pid: str) -> tuple[int, int, int, int]:
    """How many file lists and thumbnails there are, and the totals."""
    admin = site.api("admin")
    stored = admin.dataset(pid)
    assert stored is not None
    return len(admin.datablocks(pid)), len(admin.attachments(pid)), stored["size"], stored["numberOfFiles"]


@pytest.mark.parametrize("word", ["origdatablocks", "attachments"])
def test_what_arrived_twice_is_there_once_after_a_late_check(
    site: Site, holding: Holding, clock: FakeClock, pid: str, word: str
) -> None:
    if (site.version, word) == ("v4", "attachments"):
        pytest.skip("only admins add thumbnails by API v4, and these delete nothing")
    memory, proxy = ShortMemory(), holding("POST", word)
    wanted = bundle(pid) if site.version == "v3" else bundle(pid, thumbnail=b"")
    publisher(site, proxy.base, clock, memory).publish(wanted, POLICY)
    assert LIMIT in clock.waits, "it was waited for the first one before a second one was sent"
    once = (1, len(wanted.attachments), 201, 2)
    assert held_by(site, pid) != once, "both are there"
    later = publisher(site, site.base, clock, memory)
    later.late_check()
    assert held_by(site, pid) != once, "it is too early"
    clock.advance(TIMES * LIMIT)
    later.late_check()
    assert held_by(site, pid) == once
    for seconds in LATER:
        assert memory.next_late_check() is not None
        clock.advance(seconds)
        later.late_check()
    assert memory.next_late_check() is None
    assert held_by(site, pid) == once
    assert "unsure" not in memory.recall(pid)


def test_a_write_that_arrives_while_it_is_waited_for_is_not_sent_again(
    site: Site, holding: Holding, clock: FakeClock, pid: str
) -> None:
    proxy = holding("POST", "origdatablocks", with_next=False)

    def arrive() -> None:
        proxy.release()
        assert proxy.arrived.wait(120)

    clock.at(LIMIT / 2, arrive)
    publisher(site, proxy.base, clock).publish(bundle(pid, thumbnail=b""), POLICY)
    assert held_by(site, pid) == (1, 0, 201, 2)
    assert sum(one.method == "POST" and "origdatablocks" in one.path for one in proxy.requests) == 1


def test_without_the_right_to_delete_the_files_are_spread_over_both_lists(
    site: Site, holding: Holding, clock: FakeClock, pid: str
) -> None:
    memory, proxy = ShortMemory(), holding("POST", "origdatablocks")
    publisher(site, proxy.base, clock, memory, "ingestor").publish(bundle(pid, thumbnail=b""), POLICY)
    assert held_by(site, pid) == (2, 0, 402, 4)
    clock.advance(TIMES * LIMIT)
    publisher(site, site.base, clock, memory, "ingestor").late_check()
    assert held_by(site, pid) == (2, 0, 201, 2)


def test_what_cannot_be_removed_is_reported_and_tried_again_daily(
    site: Site, holding: Holding, clock: FakeClock, pid: str
) -> None:
    memory, proxy = ShortMemory(), holding("POST", "origdatablocks")
    wanted = bundle(pid, (OrigDatablock(files(1)),), thumbnail=b"")
    publisher(site, proxy.base, clock, memory, "ingestor").publish(wanted, POLICY)
    clock.advance(TIMES * LIMIT)
    publisher(site, site.base, clock, memory, "ingestor").late_check()
    left = memory.next_late_check()
    assert left is not None
    assert "cannot be removed" in left.reason
    assert left.due == clock.now().timestamp() + REFUSED


def test_a_removal_that_arrives_late_is_undone(site: Site, holding: Holding, clock: FakeClock, pid: str) -> None:
    if site.version == "v4":
        pytest.skip("only admins add thumbnails by API v4")
    memory, proxy = ShortMemory(), holding("DELETE", "attachments", with_next=False)
    publisher(site, site.base, clock, memory).publish(bundle(pid), POLICY)
    publisher(site, proxy.base, clock, memory).publish(bundle(pid, thumbnail=b"PNG2"), POLICY)
    assert held_by(site, pid) == (1, 1, 201, 2)
    proxy.release()
    assert proxy.arrived.wait(120)
    assert held_by(site, pid) == (1, 0, 201, 2)
    clock.advance(TIMES * LIMIT)
    publisher(site, site.base, clock, memory).late_check()
    assert held_by(site, pid) == (1, 1, 201, 2)


def test_a_process_that_was_killed_in_the_middle_of_a_write_leaves_it_in_doubt(
    site: Site, clock: FakeClock, pid: str
) -> None:
    class Killed(BaseException):
        pass

    class Dies(ShortMemory):
        def remember(self, pid: str, text: str) -> None:
            super().remember(pid, text)
            if '"origdatablock:' in text:
                raise Killed

    dying, memory = Dies(), ShortMemory()
    with pytest.raises(Killed):
        publisher(site, site.base, clock, dying).publish(bundle(pid, thumbnail=b""), POLICY)
    memory.remember(pid, dying.recall(pid))
    publisher(site, site.base, clock, memory).publish(bundle(pid, thumbnail=b""), POLICY)
    assert memory.next_late_check() is not None


def test_a_dataset_that_was_removed_is_not_made_again(
    site: Site, spoiled: Callable[..., SpoilingProxy], clock: FakeClock, pid: str
) -> None:
    memory = ShortMemory()
    LateChecks(memory, clock, LIMIT).note(pid, bundle(pid))
    clock.advance(TIMES * LIMIT)
    publisher(site, site.base, clock, memory).late_check()
    assert site.api("admin").dataset(pid) is None


def test_while_the_catalogue_does_not_answer_a_late_check_is_put_off(
    site: Site, spoiled: Callable[..., SpoilingProxy], clock: FakeClock, pid: str
) -> None:
    memory, proxy = ShortMemory(), spoiled(*[Fault.BUSY] * 10)
    LateChecks(memory, clock, LIMIT).note(pid, bundle(pid))
    clock.advance(TIMES * LIMIT)
    with pytest.raises(Unavailable):
        publisher(site, proxy.base, clock, memory).late_check()
    left = memory.next_late_check()
    assert left is not None
    assert left.due > clock.now().timestamp()
    assert "503" in left.reason


def test_what_was_noted_by_a_clock_that_was_far_ahead_is_due(clock: FakeClock) -> None:
    memory = ShortMemory()
    backs = LateChecks(memory, clock, LIMIT)
    backs.note("7/a", bundle("7/a"))
    noted = memory.next_late_check()
    assert noted is not None
    memory.late_check(LateCheck("7/a", 0.0, clock.now().timestamp() + 10 * REFUSED, noted.documents))
    assert backs.due() is not None
    memory.late_check(LateCheck("7/a", 0.0, 0.0, "what no version wrote"))
    assert backs.due() is None
    assert memory.next_late_check() is None


def _error(kind: type[CatalogueError], *given: Any, **more: Any) -> Any:
    return kind("it failed", *given, **more)


@pytest.mark.parametrize(
    ("error", "late"),
    [
        (_error(NoAnswer), True),
        (_error(ConnectionBroken), True),
        (_error(ConnectionBroken, sent=False), False),
        (_error(Unavailable, 504), True),
        (_error(Unavailable, 500), False),
        (_error(Unavailable, 200), False),
        (_error(Postponed, 503, 5.0), False),
        (_error(NotLoggedIn, 401), False),
    ],
)
def test_only_what_may_still_be_on_its_way_is_looked_back_at(error: Unavailable, late: bool) -> None:
    assert may_arrive(error) is late
