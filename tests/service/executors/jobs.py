"""What tests of executors have read: good files, and files that are bad for their readers."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.handover import Reading, ReadJob, ReadLimits
from scicat_watch.service.executors.executor import Running
from tests import makers
from tests.recorded import POISON

PATIENT = ReadLimits(thumbnails=False, first_time_limit=60.0, time_limit=60.0)
"""No file that is good exceeds these, however slow the machine is."""
LATEST = 120.0


def job_of(root: Path, name: str = "scan_1", *, poison: str = "", suspect: bool = False) -> ReadJob:
    """To read a good file, or one of those that hang or crash their reader."""
    file = root / f"{name}.nxs"
    if poison:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(POISON / f"{poison}.nxs", file)
    elif not file.exists():
        makers.nexus(file)
    return job_for(file, suspect=suspect)


def job_for(file: Path, *, suspect: bool = False) -> ReadJob:
    """To read a file, which is not touched here."""
    scan = makers.scan(file.parent, file.stem, master=file)
    return ReadJob(scan, makers.beamtime(file.parent), schemas.load().schemas, PATIENT, (file.parent,), suspect)


def answer(running: Running) -> Reading:
    """What was read; a test that gets none fails, and does not wait for ever."""
    done = threading.Event()
    running.add_done_callback(done.set)
    assert done.wait(LATEST), "there is no answer"
    return running.result()
