"""Damaged files end in a reading, an error that names the file, or a process that is ended: nothing else."""

from __future__ import annotations

import random
from concurrent.futures import TimeoutError as TookTooLong
from pathlib import Path

import h5py
import numpy as np
from pebble import ProcessExpired, ProcessPool

from scicat_watch.errors import ReadingError
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.reading.sandbox import prepare
from scicat_watch.service.executors import processes
from tests.pipeline.nexus_made import group, job, line_plot, nexus, scan

FILES = 60
SECRET = "the secret of another beamtime"


def _everything(outside: Path, entry: h5py.Group) -> None:
    line_plot(entry)
    sample = group(entry, "sample", "NXsample")
    sample["name"] = ["one", "two"]
    sample["compound"] = np.array([(1, b"a")], [("n", "i4"), ("s", "S3")])
    sample.create_dataset("packed", data=np.arange(1000), chunks=(100,), compression="gzip")
    entry["soft"] = h5py.SoftLink("/entry/sample/name")
    entry["out"] = h5py.ExternalLink(str(outside / "secret.h5"), "/entry/secret")
    entry.create_dataset("stolen", (1,), "S30", external=[(str(outside / "secret.txt"), 0, 30)])
    entry["tracked"] = 1


def test_mutated_files_are_read_or_refused_and_never_lead_outside(tmp_path: Path) -> None:
    beamtime, outside = tmp_path / "beamtime", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    nexus(outside / "secret.h5", lambda entry: entry.create_dataset("secret", data=SECRET))
    whole = nexus(beamtime / "whole.nxs", lambda entry: _everything(outside, entry)).read_bytes()
    chance = random.Random(20261121)
    memory = 1 << 30
    context = processes.context()
    read_well = 0
    with ProcessPool(2, initializer=prepare, initargs=(memory,), context=context) as pool:
        pending = {}
        for number in range(FILES):
            content = bytearray(whole)
            for _ in range(chance.choice((1, 3, 10, 100))):
                content[chance.randrange(len(content))] = chance.randrange(256)
            (beamtime / f"scan_{number}.nxs").write_bytes(content)
            wanted = job(scan(beamtime, f"scan_{number}"), memory_limit=memory)
            pending[number] = pool.schedule(read, args=(wanted,), timeout=20)
        for number, future in pending.items():
            error = future.exception()
            if isinstance(error, (ProcessExpired, TookTooLong)):
                continue  # The file killed or hung its process, which was ended.
            if error is None:
                assert isinstance(future.result(), Reading)
                assert SECRET not in repr(future.result())
                read_well += 1
            else:
                assert isinstance(error, ReadingError)
                assert f"scan_{number}.nxs" in str(error)
                assert SECRET not in str(error)
    assert read_well > FILES // 4
