"""Dispatcher with an ingestor that has a fault: no scan is forgotten."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

from scicat_watch.clock import SystemClock
from scicat_watch.discovery.pending import Ready
from scicat_watch.model import Beamtime, Outcome, Status
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.ingest import UnderWay
from tests import makers

BEAMTIME = Beamtime("11018765", Path("/bt"), {})


class FaultyIngestor:
    """Cannot start the second scan of each queue."""

    def __init__(self) -> None:
        self._started = 0

    def start(self, ready: Ready, beamtime: Beamtime) -> UnderWay:
        self._started += 1
        if self._started == 2:
            raise BrokenPipeError("no process")
        running: Any = None
        return UnderWay(ready, beamtime, running, 0.0)

    def finish(self, under_way: UnderWay) -> Outcome:
        return Outcome(under_way.ready.request, Status.CREATED)


def test_what_a_fault_keeps_from_an_outcome_counts_as_failed_and_the_queue_goes_on() -> None:
    stopping = threading.Event()
    ingestor: Any = FaultyIngestor()
    dispatcher = Dispatcher(ingestor, SystemClock(), stopping, side_by_side=1, read_ahead=2)
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    names = [f"scan_{number}" for number in range(5)]
    for name in names:
        ready = Ready(makers.request(makers.scan(Path("/bt"), name)))
        dispatcher.put(ready, BEAMTIME, outcomes.put)
    ended = {outcome.request.scan.name: outcome.status for outcome in (outcomes.get(timeout=10) for _ in names)}
    stopping.set()
    assert dispatcher.join(10.0)
    assert sorted(ended) == names
    assert ended["scan_1"] is Status.FAILED
    assert ended["scan_4"] is Status.CREATED
