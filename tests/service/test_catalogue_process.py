"""The embedded catalogue as a process: how long its start may take, and whose it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scicat_watch.service import catalogue_process
from scicat_watch.service.catalogue_process import CatalogueProcess, start_limit
from scicat_watch.service.site import catalogue_process as made
from scicat_watch.settings.model import Settings
from tests.flows.program import Site, eventually, free_port


def test_a_large_database_may_take_longer_to_start(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    least = start_limit(path)
    path.touch()
    assert start_limit(path) == least
    os.truncate(path, 2_000_000_000)  # It has no content, and takes no room.
    assert start_limit(path) == least + 2000


class Watched(CatalogueProcess):
    """Counts how often a catalogue is started."""

    started = 0

    def _spawn(self) -> None:
        self.started += 1
        super()._spawn()


@pytest.fixture
def listens(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What was seen whenever it was asked whether a program listens at the port; it is asked often."""
    seen: list[bool] = []
    real = catalogue_process._listens

    def watched(host: str, port: int) -> bool:
        seen.append(real(host, port))
        return seen[-1]

    monkeypatch.setattr(catalogue_process, "_listens", watched)
    monkeypatch.setattr(catalogue_process, "_RESTART_AFTER", 0.05)
    return seen


def test_a_catalogue_of_somebody_else_is_left_alone_and_replaced_when_it_has_ended(
    tmp_path: Path, listens: list[bool]
) -> None:
    site = Site(tmp_path)
    settings = Settings.model_validate({"var_dir": str(site.var), "embedded": {"port": free_port()}})
    answers = made(settings)._answers
    process = Watched(settings, answers)
    try:
        with site.catalogue(settings.embedded.port) as theirs:
            process.start()
            assert process.url == theirs.url
            begun = process.started
            eventually(lambda: len(listens) > 5, "it is asked again and again whether it is there")
            assert all(listens)
            assert (process.started, theirs.pids()) == (begun, [])
        eventually(lambda: process._child is not None, "one of our own")
        assert process.find() is not None
        child = process._child
        assert child is not None
    finally:
        process.close()
    assert child.wait(60) is not None
