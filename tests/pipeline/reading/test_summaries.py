"""Smallest, largest and mean value of large fields, in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from scicat_watch.pipeline.reading.nexus import summaries
from scicat_watch.pipeline.reading.nexus.tree import tree
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.schema.model import TreeOptions
from tests.pipeline.nexus_made import nexus, opened

ALL = ("shape", "min", "max", "mean")


def _tree(path: Path, notes: Notes | None = None, wanted: tuple[str, ...] = ALL) -> dict[str, Any]:
    with opened(path) as links:
        return tree(links, TreeOptions(summaries=wanted), "", 1 << 20, notes or Notes())


@pytest.mark.parametrize("piece", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("chunks", [None, (2, 3, 4), (1, 1, 1), (5, 7, 9)])
def test_a_summary_is_that_of_all_values_whatever_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, chunks: tuple[int, ...] | None
) -> None:
    monkeypatch.setattr(summaries, "PIECE", piece)
    values = np.random.default_rng(1).normal(size=(5, 7, 9)).astype("f4")
    values[3, 3, 3] = np.nan
    made = _tree(nexus(tmp_path / "a.nxs", lambda entry: entry.create_dataset("v", data=values, chunks=chunks)))
    assert made["v"]["shape"] == [5, 7, 9]
    assert (made["v"]["min"], made["v"]["max"]) == (float(np.nanmin(values)), float(np.nanmax(values)))
    assert made["v"]["mean"] == pytest.approx(float(np.nanmean(values.astype("f8"))))


def test_kinds_without_numbers_have_a_shape_only(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["text"] = ["a", "b"]
        entry["nan"] = [np.nan, np.nan]
        entry["empty"] = np.zeros((0, 3))
        entry["flags"] = [True, False]
        entry["big"] = np.array([2**64 - 1, 1], "u8")
        entry["one"] = 5.0
        entry["counts"] = [[1, 2], [3, 4]]
        entry["counts"].attrs["min"] = "attribute"

    made = _tree(nexus(tmp_path / "a.nxs", fill))
    assert made["text"] == {"shape": [2]}
    assert made["nan"] == {"shape": [2], "min": None, "max": None, "mean": None}
    assert made["empty"] == {"shape": [0, 3], "min": None, "max": None, "mean": None}
    assert made["flags"] == {"shape": [2], "min": False, "max": True, "mean": 0.5}
    assert made["big"]["max"] == 2**64 - 1
    assert made["one"] == {"value": 5.0, "unit": ""}
    assert made["counts"] == {"shape": [2, 2], "min": 1, "min_": "attribute", "max": 4, "mean": 2.5}
    assert _tree(tmp_path / "a.nxs", wanted=("mean",))["counts"] == {"mean": 2.5, "min": "attribute"}
    assert "max" not in _tree(tmp_path / "a.nxs", wanted=("shape",))["counts"]


def test_what_is_declared_huge_is_not_read(tmp_path: Path) -> None:
    notes = Notes()
    path = nexus(tmp_path / "a.nxs", lambda entry: entry.create_dataset("huge", (1 << 30, 4), "f8", chunks=(1024, 4)))
    assert _tree(path, notes)["huge"] == {"shape": [1 << 30, 4]}
    assert "/entry/huge" in notes.truncations()[0]
