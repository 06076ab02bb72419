"""What a worker process loads for the readers that it starts: see `libraries`."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from scicat_watch.errors import SourceError
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.reading import choose, libraries, thumbnails
from scicat_watch.pipeline.reading.read import read

__all__ = ["load", "read", "usual"]


def usual() -> None:
    """What the first scan needs already."""
    plugins.installed(plugins.READERS)


def load(name: str) -> None:
    """Load a library by its name in `libraries`; one that is not there or does not work is the reader's to say."""
    if name == libraries.COMPRESSION:
        import hdf5plugin  # noqa: F401
    elif name == libraries.DEFAULT_PLOTS:
        import silx.io.nxdata.parse  # noqa: F401
    elif name == libraries.DRAWING:
        for values in (np.arange(3.0), np.ones((3, 3))):  # Makes the canvases, and opens the fonts.
            thumbnails.draw(thumbnails.Plot(values, "scan"))
    elif name.startswith(libraries.READER_OF):
        with suppress(SourceError):
            choose.READERS.get(name.removeprefix(libraries.READER_OF))
