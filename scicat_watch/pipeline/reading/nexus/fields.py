"""What an HDF5 field or attribute holds, as plain Python values that JSON can say.

Numbers become int and float (float32 widened, NaN and infinities None), text is UTF-8 or else Latin-1,
an enum its number, a complex number {"real", "imag"}, a compound an object by field names, opaque bytes
hexadecimal digits, a moment its ISO form, a reference the words "<reference>". Nothing is read before it
is known how much it is: a declared shape says little about what is stored.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5s, h5t

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.reading.nexus.links import HDF5_ERRORS, Node
from scicat_watch.words import why

LARGEST_ATTRIBUTE = 1 << 20
"""Bytes of the largest attribute that is read, unless the caller has room for more."""
_NUMPY_SIZES = {1, 2, 4, 8}


class TooLarge(SourceError):
    """A field that holds more than may be read of it."""


def read(field: Node, limit: int) -> Any:
    """All of a dataset or attribute as a NumPy array; None for a null dataspace.

    Raises `TooLarge` before reading more than `limit` bytes (of variable-length data, of their
    addresses), `SourceError` if HDF5 cannot read it or has no form for it. That a dataset's data is
    where it may be read is for `Links.storage` to say, before.
    """
    try:
        space = field.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            return None
        shape = space.get_simple_extent_dims()
        stored = field.get_type()
        if isinstance(stored, h5t.TypeIntegerID) and stored.get_size() not in _NUMPY_SIZES:
            return _whole_numbers(field, stored, shape, limit)
        kind = stored.dtype
        size = math.prod(shape) * kind.itemsize
        if size > limit:
            raise TooLarge(f"holds {size} bytes; {limit} would be read")
        values = np.empty(shape, kind)
        if values.size and isinstance(field, h5a.AttrID):
            field.read(values)
        elif values.size:
            field.read(h5s.ALL, h5s.ALL, values)
        if kind.kind == "S" and stored.get_strpad() == h5t.STR_SPACEPAD:
            values = np.char.rstrip(values, b" ")
    except HDF5_ERRORS as error:
        raise SourceError(f"cannot be read ({why(error)})") from error
    return values


def _whole_numbers(field: Node, stored: Any, shape: tuple[int, ...], limit: int) -> np.ndarray[Any, Any]:
    """Values of a size that NumPy has no type for, such as 3 or 16 bytes, as whole numbers of Python."""
    size = math.prod(shape) * stored.get_size()
    if size > limit:
        raise TooLarge(f"holds {size} bytes; {limit} would be read")
    raw = np.zeros(shape, f"V{stored.get_size()}")
    if raw.size and isinstance(field, h5a.AttrID):
        field.read(raw, stored)
    elif raw.size:
        field.read(h5s.ALL, h5s.ALL, raw, stored)
    numbers = np.empty(shape, object)
    numbers.reshape(-1)[:] = [_whole_number(one.tobytes(), stored) for one in raw.reshape(-1)]
    return numbers


def _whole_number(raw: bytes, stored: Any) -> int:
    """A number by the bits that count: `precision` many, from bit `offset` on."""
    order: Any = "big" if stored.get_order() == h5t.ORDER_BE else "little"
    bits = int(stored.get_precision())
    number = (int.from_bytes(raw, order) >> int(stored.get_offset())) & ((1 << bits) - 1)
    is_negative = bool(stored.get_sign() == h5t.SGN_2 and number >> (bits - 1))
    return number - (1 << bits) if is_negative else number


def plain(value: Any) -> Any:
    """A NumPy or h5py value as plain Python: text, numbers, bools, None, nested lists and objects."""
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, np.void):
        if value.dtype.names:
            return {name: plain(value[name]) for name in value.dtype.names}
        return value.tobytes().hex()
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return None if np.isnat(value) else str(value)
    return _plain_number(value)


def element(values: Any) -> Any:
    """What `read` gave, plain; an array of one element as that element."""
    if isinstance(values, np.ndarray) and values.size == 1:
        return plain(values.reshape(-1)[0])
    return plain(values)


def text(raw: bytes) -> str:
    """Text of a file, up to its first NUL: UTF-8, and Latin-1 where it is not that."""
    raw = raw.split(b"\0", 1)[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def attribute(node: Node, name: str) -> Any:
    """An attribute of a group or dataset, plain; None if there is none or it cannot be read."""
    encoded = name.encode("utf-8", "surrogateescape")
    try:
        if not h5a.exists(node, encoded):
            return None
        return element(read(h5a.open(node, encoded), LARGEST_ATTRIBUTE))
    except (*HDF5_ERRORS, SourceError):
        return None


def unit_of(node: Node) -> str | None:
    """The `units` attribute as text; None if there is none."""
    units = attribute(node, "units")
    return units if units is None or isinstance(units, str) else str(units)


def nx_class(node: Node) -> str:
    """The NeXus class of a group; empty if it has none."""
    name = attribute(node, "NX_class")
    return name if isinstance(name, str) else ""


def _plain_array(values: np.ndarray[Any, Any]) -> Any:
    if values.dtype.kind in "iub" or (values.dtype.kind == "f" and np.isfinite(values).all()):
        # A long double has no plain form that keeps all of it, and `tolist` leaves it as it is.
        return (values.astype("f8") if values.dtype.itemsize > 8 else values).tolist()
    return [plain(member) for member in values] if values.ndim else plain(values[()])


def _plain_number(value: Any) -> Any:
    if isinstance(value, (h5py.Reference, h5py.RegionReference)):
        return "<reference>"
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (complex, np.complexfloating)):
        return {"real": _plain_number(value.real), "imag": _plain_number(value.imag)}
    raise SourceError(f"is of a type that has no plain form ({type(value).__name__})")
