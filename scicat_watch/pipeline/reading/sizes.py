"""How large metadata are as JSON, and keeping them within a limit. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from scicat_watch.pipeline.reading.notes import Notes


def json_size(value: Any) -> int:
    """Bytes that a plain value takes as JSON, with everything beyond ASCII escaped."""
    if isinstance(value, str):
        return len(encode_basestring_ascii(value))
    return len(json.dumps(value))


def truncated(tree: Mapping[str, Any], limit: int, notes: Notes) -> dict[str, Any]:
    """`tree` with as many of its members, in their order, as fit into `limit` bytes; says in `notes` what did not.

    An object that does not fit is taken in part; any other value as a whole or not.
    """
    if json_size(tree) <= limit:
        return dict(tree)
    kept, _ = _truncated(tree, limit - 2, "", notes, limit)
    return kept


def _truncated(tree: Mapping[str, Any], left: int, path: str, notes: Notes, limit: int) -> tuple[dict[str, Any], int]:
    kept: dict[str, Any] = {}
    for name, member in tree.items():
        key, below = json_size(name) + 4, f"{path}/{name}"
        size = key + json_size(member)
        if size <= left:
            kept[name] = member
            left -= size
        elif isinstance(member, Mapping) and left > key + 2:
            kept[name], left = _truncated(member, left - key - 2, below, notes, limit)
        else:
            notes.truncated(f"the metadata is truncated at {limit} bytes (reading.metadata_limit): {below} is left out")
    return kept, left
