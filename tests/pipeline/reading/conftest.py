"""What the tests of reading share."""

from __future__ import annotations

import numpy as np
import pytest

from scicat_watch.pipeline.reading.thumbnails import Plot, draw


@pytest.fixture(scope="session", autouse=True)
def _fonts() -> None:
    """Matplotlib keeps the files of its fonts open once it has drawn: it does so before a test that counts them."""
    draw(Plot(np.arange(3.0), "", label="y"))
