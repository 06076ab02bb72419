"""What we last wrote of a dataset, in digests: by these we know later who changed it, we or somebody else. Pure.

Only equality is asked of it, so that of a field and of each value in the scientific metadata eight bytes are enough:
four of the digest of its path, four of that of its value.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

MOST_VALUES = 1000
"""Values that are distinguished; of a dataset with more, larger groups of them count as one."""
DEEPEST = 255
_FORMAT = 1
_HEAD = struct.Struct("<BBH")  # Format, depth, number of parts.

Path = tuple[str, ...]
"""Where a value is: the field, and the members of the scientific metadata below it."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What we last wrote of one dataset."""

    values: Mapping[bytes, bytes] = field(default_factory=dict)
    """Digests of values, by the digests of their paths."""
    depth: int = DEEPEST
    """How many members a path has at most; what is below counts as one value."""
    parts: frozenset[bytes] = frozenset()
    """Digests of the ids of the file lists and thumbnails that we made."""

    def knows(self, path: Path) -> bool:
        """Whether there was a value at this path."""
        return _short(path) in self.values

    def agrees(self, path: Path, value: Any) -> bool:
        """Whether this value is what we wrote; None: that we wrote nothing there."""
        if value is None:
            return not self.knows(path)
        return all(self.values.get(_short(one)) == _digest(leaf) for one, leaf in leaves(path, value, self.depth))

    def made(self, part_id: str) -> bool:
        """Whether we made the file list or thumbnail of this id."""
        return part_of(part_id) in self.parts

    def as_bytes(self) -> bytes:
        """The form in which it is kept."""
        parts = b"".join(sorted(self.parts))
        values = b"".join(path + self.values[path] for path in sorted(self.values))
        return _HEAD.pack(_FORMAT, self.depth, len(self.parts)) + parts + values

    @classmethod
    def from_bytes(cls, kept: bytes) -> Baseline | None:
        """What `as_bytes` made; None for another format."""
        if len(kept) < _HEAD.size:
            return None
        version, depth, count = _HEAD.unpack_from(kept)
        begin = _HEAD.size + 8 * count
        if version != _FORMAT or begin > len(kept) or (len(kept) - begin) % 8:
            return None
        parts = frozenset(kept[at : at + 8] for at in range(_HEAD.size, begin, 8))
        values = {kept[at : at + 4]: kept[at + 4 : at + 8] for at in range(begin, len(kept), 8)}
        return cls(values, depth, parts)


def noted(values: Mapping[Path, Any], depth: int) -> dict[bytes, bytes]:
    """The digests of values in their normal form, by path; those that are None are left out."""
    return {
        _short(one): _digest(leaf)
        for path, value in values.items()
        if value is not None
        for one, leaf in leaves(path, value, depth)
    }


def part_of(part_id: str) -> bytes:
    """The digest of a file list's or thumbnail's id."""
    return blake2b(part_id.encode("utf-8", "replace"), digest_size=8).digest()


def depth_for(values: Mapping[Path, Any]) -> int:
    """The depth at which there are not too many values."""
    for depth in (DEEPEST, 5, 4, 3):
        if sum(1 for path, value in values.items() for _ in leaves(path, value, depth)) <= MOST_VALUES:
            return depth
    return 2


def leaves(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, Any]]:
    """The values at and below a path: a group of metadata is its members, a quantity is one value."""
    if not is_group(value) or len(path) >= depth:
        yield path, value
        return
    for name, member in value.items():
        yield from leaves((*path, name), member, depth)


def is_group(value: Any) -> bool:
    """Whether metadata has members of their own: it is no quantity, no list and no plain value."""
    return isinstance(value, dict) and "value" not in value


def _short(path: Path) -> bytes:
    return blake2b("\0".join(path).encode("utf-8", "replace"), digest_size=4).digest()


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=4).digest()
