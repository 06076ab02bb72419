"""One scan, really read and published, by a catalogue that refuses a part of it or fails at it for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.discovery.completeness import Ready
from scicat_watch.model import Outcome, Status
from tests.catalogue.conftest import Site as Catalogue
from tests.catalogue.faulty import Answer, Request, SpoilingProxy
from tests.fakes import FakeClock
from tests.makers import beamtime, nexus, request, scan
from tests.service.conftest import at
from tests.service.fakes import FakeSite

Sites = Callable[..., FakeSite]
FULL = Answer(507, b'{"message": "no room"}')


class Refusing(SpoilingProxy):
    """Gives these answers, one after the other, in place of the catalogue's to a kind of request."""

    def __init__(self, upstream: str) -> None:
        self.answers: dict[str, deque[Answer]] = {}
        """By method and last word of the path."""
        self.unwell: Callable[[], bool] = lambda: False
        """Whether it says that it is not well."""
        super().__init__(upstream)

    def _spoil(self, request: Request) -> Answer:
        if request.path.endswith("/health") and self.unwell():
            return Answer(503, b'{"status": "error"}')
        kind = f"{request.method} {request.path.partition('?')[0].rpartition('/')[2]}"
        return planned.popleft() if (planned := self.answers.get(kind)) else super()._spoil(request)


@pytest.fixture
def proxy(catalogue: Catalogue) -> Iterator[Refusing]:
    made = Refusing(catalogue.base)
    yield made
    made.close()


@pytest.fixture
def ingest(sites: Sites, catalogue: Catalogue, proxy: Refusing, tmp_path: Path) -> Callable[[str], Outcome]:
    """Ingests a new scan of this name by way of the proxy."""
    section: dict[str, Any] = at(catalogue, tmp_path) | {"url": proxy.base, "patience": {"give_up_after": 1e6}}
    site = sites(catalogue=section)
    site.read_and_publish()

    def made(name: str) -> Outcome:
        one = scan(tmp_path / "bt" / "raw", name)
        nexus(tmp_path / "bt" / "raw" / f"{name}.nxs")
        return site.ingest(Ready(request(one)), beamtime(tmp_path / "bt"))

    return made


def test_a_part_that_is_refused_is_noted_as_refused_and_the_other_as_done(
    ingest: Callable[[str], Outcome], proxy: Refusing
) -> None:
    proxy.answers["POST attachments"] = deque([Answer(400, b'{"message": ["too large"]}')])
    outcome = ingest("shown")
    assert (outcome.status, outcome.done, outcome.stamps.attachment) == (Status.FAILED, False, -1.0)
    assert outcome.stamps.dataset > 0
    assert outcome.stamps.datablock > 0
    assert "the attachment was refused" in outcome.reason
    proxy.answers["POST origdatablocks"] = deque([Answer(400, b'{"message": ["bad file"]}')])
    outcome = ingest("listed")
    assert (outcome.status, outcome.stamps.datablock) == (Status.FAILED, -1.0)
    assert outcome.stamps.attachment > 0
    assert "bad file" in outcome.reason
    assert ingest("well").status is Status.CREATED


def test_a_full_catalogue_is_waited_for_as_long_as_it_says_that_it_is_not_well(
    ingest: Callable[[str], Outcome], proxy: Refusing, clock: FakeClock
) -> None:
    proxy.answers["POST datasets"] = deque([FULL] * 40)  # Each attempt has some: it reads at once what became of it.
    proxy.unwell = lambda: clock.monotonic() < 1000.0 + 60.0 * (40 - len(proxy.answers["POST datasets"]))
    outcome = ingest("patient")
    assert (outcome.status, outcome.reason) == (Status.CREATED, "")
    assert not proxy.answers["POST datasets"]


@pytest.mark.parametrize("answer", [FULL, Answer(503, b'{"message": "busy"}')])
def test_a_catalogue_that_is_well_may_fail_one_scan_three_times(
    ingest: Callable[[str], Outcome], proxy: Refusing, answer: Answer
) -> None:
    proxy.answers["POST datasets"] = deque([answer] * 2)
    assert ingest("twice").status is Status.CREATED
    proxy.answers["POST datasets"] = deque([answer] * 100)
    outcome = ingest("always")
    assert outcome.status is Status.FAILED
    assert "fails at this one" in outcome.reason
    assert 100 - len(proxy.answers["POST datasets"]) < 20
