"""Datasets that our account may create and then not read: what is noted of the writes decides alone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scicat_watch.catalogue.memory import ShortMemory
from scicat_watch.catalogue.publisher import Published
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.clock import SystemClock
from scicat_watch.documents import OrigDatablock
from scicat_watch.errors import Refused
from scicat_watch.model import Status
from tests.catalogue.bundles import POLICY, bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import SpoilingProxy
from tests.catalogue.scicat.stored import complete, state

Spoiled = Callable[..., SpoilingProxy]
numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"7/unreadable/scan_{next(numbers):05d}"


def test_a_dataset_that_we_neither_wrote_nor_may_read_is_refused_with_a_reason(site: Site, pid: str) -> None:
    stranger = site.publisher("stranger")
    first = stranger.publish(bundle(pid), POLICY)
    assert (first.status, first.datablock, first.attachment) == (Status.CREATED,) * 3
    assert state(site, pid) == complete(bundle(pid))
    with pytest.raises(Refused, match="may not read"):
        site.publisher("stranger").publish(bundle(pid), POLICY)


def test_what_we_wrote_and_may_not_read_is_known_to_be_done(site: Site, pid: str) -> None:
    stranger = site.publisher("stranger")
    stranger.publish(bundle(pid), POLICY)
    assert stranger.publish(bundle(pid), POLICY) == Published(pid, Status.UNCHANGED, Status.UNCHANGED, Status.UNCHANGED)
    with pytest.raises(Refused, match="changed since"):
        stranger.publish(bundle(pid, description="another"), POLICY)
    more = stranger.publish(bundle(pid, (OrigDatablock(files(3)),)), POLICY)
    assert "changed since" in str(more.refused["datablock"])
    assert state(site, pid) == complete(bundle(pid))


@pytest.mark.parametrize(("killed_at", "doubted"), [(0, "datablock"), (1, "datablock"), (2, "attachment")])
def test_what_was_begun_when_the_process_was_killed_is_not_sent_twice_where_nothing_may_be_read(
    site: Site, spoiled: Spoiled, pid: str, killed_at: int, doubted: str
) -> None:
    class Killed(BaseException):
        """The process ends here: after the note that a write begins, before the note that it ended."""

    class Mortal(ScicatV3):
        left = killed_at

        def _step(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Killed

        def add_datablock(self, *how: Any) -> str:
            self._step()
            return super().add_datablock(*how)

        def add_attachment(self, *how: Any) -> str:
            self._step()
            return super().add_attachment(*how)

    memory = ShortMemory()
    blocks = (OrigDatablock(files(1)), OrigDatablock(files(2, first=1)))
    before = ScicatPublisher(site.api("stranger", kind=Mortal), threading.Event(), SystemClock(), memory)
    with pytest.raises(Killed):
        before.publish(bundle(pid, blocks), POLICY)
    proxy = spoiled()
    after = ScicatPublisher(site.api("stranger", proxy.base), threading.Event(), SystemClock(), memory)
    published = after.publish(bundle(pid, blocks), POLICY)
    assert list(published.refused) == [doubted]
    assert "answer to its upload was lost" in str(published.refused[doubted])
    assert proxy.writes == (1 if doubted == "datablock" else 0)


def test_a_kill_between_two_writes_costs_nothing_where_nothing_may_be_read(site: Site, pid: str) -> None:
    class Stop(Exception):
        """The process ends between two writes."""

    class Dying(ShortMemory):
        """What the process does while it dies is kept nowhere."""

        dead = False

        def remember(self, pid: str, text: str) -> None:
            if not self.dead:
                super().remember(pid, text)

    class Ending(ScicatV3):
        def holding(self, pid: str, *, brief: bool = False) -> Any:
            memory.dead = True
            raise Stop

    memory = Dying()
    before = ScicatPublisher(site.api("stranger", kind=Ending), threading.Event(), SystemClock(), memory)
    with pytest.raises(Stop):
        before.publish(bundle(pid), POLICY)
    memory.dead = False
    after = ScicatPublisher(site.api("stranger"), threading.Event(), SystemClock(), memory)
    assert after.publish(bundle(pid), POLICY) == Published(pid, Status.UPDATED, Status.CREATED, Status.CREATED)
    assert state(site, pid) == complete(bundle(pid))
    assert after.publish(bundle(pid), POLICY).status is Status.UNCHANGED
