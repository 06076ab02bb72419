"""What a reading process runs. Nothing here is imported by the daemon but the two names."""

from __future__ import annotations

from scicat_watch.errors import ReadingError, ScicatWatchError
from scicat_watch.pipeline.handover import Reading, ReadJob


def prepare(memory_limit: int) -> None:
    """Make this process one that may meet a hostile file."""
    from scicat_watch.pipeline.reading import sandbox

    sandbox.prepare(memory_limit)


def read(job: ReadJob) -> Reading:
    """Read one scan; `ReadingError` for whatever is wrong with its files."""
    from scicat_watch.pipeline.reading import read as reading

    try:
        return reading.read(job)
    except (ScicatWatchError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001
        # HDF5 and the libraries on top of it raise all there is, RuntimeError and KeyError included.
        what = job.scan.master or job.scan.place
        raise ReadingError(f"{what}: cannot be read: {type(error).__name__}: {error}") from None
