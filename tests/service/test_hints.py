"""Hints from file events: gathered until somebody takes them, and only those that can mean a scan."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.discovery.watch import Hints
from scicat_watch.service.daemon.hints import HintQueue
from tests.makers import LIST
from tests.service.fakes import FakeEvents

ROOT = Path("/bt")
RAW = ROOT / "raw"


@pytest.fixture
def queue() -> HintQueue:
    return HintQueue(ROOT, LIST, ("nxs", "h5"))


@pytest.fixture
def events(queue: HintQueue) -> FakeEvents:
    return FakeEvents().open(queue.put)


def test_hints_are_gathered_until_they_are_taken(queue: HintQueue, events: FakeEvents) -> None:
    events.named(RAW / "scan_1.nxs")
    events.named(RAW / "scan_2.nxs")
    events.written(RAW / "scan_1.nxs")
    events.appended(ROOT / "other" / LIST)
    assert queue.filled.is_set()
    files = frozenset({RAW / "scan_1.nxs", RAW / "scan_2.nxs"})
    assert queue.take() == (Hints(frozenset({RAW, ROOT / "other"}), files), False)
    assert not queue.filled.is_set()
    assert queue.take() == (Hints(), False)


def test_lost_events_ask_for_a_full_rescan_once(queue: HintQueue, events: FakeEvents) -> None:
    events.named(RAW / "scan_1.nxs")
    events.lost()
    assert queue.filled.is_set()
    assert queue.take() == (Hints(frozenset({RAW}), frozenset({RAW / "scan_1.nxs"})), True)
    assert queue.take() == (Hints(), False)


@pytest.mark.parametrize("name", ["frame_0001.tif", "scan_1.nxs.part", "scicat-ingested-datasets-11018765.lst", "x"])
def test_a_name_that_cannot_mean_a_scan_wakes_nobody(queue: HintQueue, events: FakeEvents, name: str) -> None:
    events.named(RAW / name)
    events.written(RAW / name)
    assert not queue.filled.is_set()
    assert queue.take() == (Hints(), False)


@pytest.mark.parametrize("name", [LIST, "scan_1.NXS", "scan_1.h5"])
def test_a_list_and_a_data_file_do(queue: HintQueue, events: FakeEvents, name: str) -> None:
    events.named(RAW / name)
    files = frozenset({RAW / name} - {RAW / LIST})
    assert queue.take() == (Hints(frozenset({RAW}), files), False)


def test_a_folder_does_whatever_its_name_is(queue: HintQueue, events: FakeEvents, tmp_path: Path) -> None:
    (tmp_path / "frames.tif").mkdir()
    events.named(tmp_path / "frames.tif")
    assert queue.take() == (Hints(frozenset({tmp_path})), False)


def test_somebody_may_be_woken_without_a_hint(queue: HintQueue) -> None:
    queue.wake()
    assert queue.filled.is_set()
    assert queue.take() == (Hints(), False)


def test_all_directories_in_which_something_was_reported_are_known_until_asked(
    queue: HintQueue, events: FakeEvents
) -> None:
    events.named(RAW / "frame_0001.tif")
    events.written(ROOT / "x.nxs")
    assert queue.take()[0] == Hints(files=frozenset({ROOT / "x.nxs"}))
    assert queue.take_reported() == {RAW, ROOT}
    assert queue.take_reported() == set()
