"""Smallest, largest and mean value of a field, however many values it has: read in pieces of bounded size.

Values that are no number (NaN) do not count. What is not stored has the field's fill value, as for any reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from h5py import h5d, h5s

from scicat_watch.pipeline.reading.nexus import fields
from scicat_watch.pipeline.reading.nexus.links import Node

LARGEST = 1 << 30
"""Bytes of the largest field that is read for its summary."""
PIECE = 16 << 20
"""Bytes that are read at once, unless one chunk of the file is larger."""


def summary(dataset: Node, shape: tuple[int, ...]) -> dict[str, Any]:
    """`min`, `max` and `mean` of a field of numbers, None where there is none; empty for other kinds of fields.

    Raises `TooLarge` for a field of more than `LARGEST` bytes. That its data may be read is to be known before.
    """
    try:
        kind = dataset.dtype
    except TypeError:
        return {}  # Of a type that NumPy does not have.
    if kind.kind not in "iufb":
        return {}
    size = math.prod(shape) * kind.itemsize
    if size > LARGEST:
        raise fields.TooLarge(f"holds {size} bytes; {LARGEST} would be read for a summary")
    total, count = 0.0, 0
    smallest: Any = None
    largest: Any = None
    for start, extent in _pieces(shape, kind.itemsize, _chunk(dataset)):
        values = np.empty(extent, kind)
        space = dataset.get_space()
        space.select_hyperslab(start, extent)
        dataset.read(h5s.create_simple(extent), space, values)
        known = values[~np.isnan(values)] if kind.kind == "f" else values
        if not known.size:
            continue
        smallest = known.min() if smallest is None else min(smallest, known.min())
        largest = known.max() if largest is None else max(largest, known.max())
        total += float(known.sum(dtype="f8"))
        count += known.size
    return {
        "min": fields.plain(smallest),
        "max": fields.plain(largest),
        "mean": fields.plain(total / count) if count else None,
    }


def _chunk(dataset: Node) -> tuple[int, ...] | None:
    creation = dataset.get_create_plist()
    return tuple(creation.get_chunk()) if creation.get_layout() == h5d.CHUNKED else None


def _pieces(
    shape: tuple[int, ...], itemsize: int, chunk: tuple[int, ...] | None
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Start and extent of pieces that together are the whole; of whole chunks, where there are chunks."""
    piece = list(shape)
    for axis, side in enumerate(shape):
        one = math.prod(piece[axis + 1 :]) * math.prod(piece[:axis]) * itemsize
        least = max(1, min(chunk[axis], side)) if chunk else 1
        fitting = PIECE // max(1, one)
        piece[axis] = max(least, min(side, fitting - fitting % least))
        if one <= PIECE:
            break
    for start in product(*(range(0, side, max(1, step)) for side, step in zip(shape, piece, strict=True))):
        yield start, tuple(min(step, side - at) for at, step, side in zip(start, piece, shape, strict=True))
