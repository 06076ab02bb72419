"""Libraries that only some scans need: a reader does not load them itself, but asks its worker for them.

What is loaded in the worker is there in every reader that it starts from then on. So a library is loaded once and not
for each beamtime, and by a process that no data file has touched.
"""

from __future__ import annotations

COMPRESSION, DRAWING, DEFAULT_PLOTS = "compression", "drawing", "default plots"
"""hdf5plugin; matplotlib and Pillow; silx."""
READER_OF = "reader of ."
"""Beginning of the name of what another package brings to read files; the extension follows."""


class NotLoaded(BaseException):
    """A reader cannot go on without a library, whose name is the argument. No fault, so nothing else catches it."""


class _Known:
    """What is known in this process about its libraries."""

    loaded: frozenset[str] | None = None
    """Those that are loaded; None where any may be loaded at any time."""


def need(name: str) -> None:
    """To be called before a library is imported. `NotLoaded` if that is the worker's to do first."""
    if _Known.loaded is not None and name not in _Known.loaded:
        raise NotLoaded(name)


def only(loaded: frozenset[str]) -> None:
    """This process is a reader, in which these libraries are loaded and no others may be."""
    _Known.loaded = loaded
