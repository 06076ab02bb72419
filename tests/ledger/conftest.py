"""Journals that are closed when their test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_watch.ledger.journal import Journal

Journals = Callable[[Path], Journal]


@pytest.fixture
def journals() -> Iterator[Journals]:
    """Opens journals."""
    opened: list[Journal] = []

    def open_one(path: Path) -> Journal:
        opened.append(Journal(path))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()
