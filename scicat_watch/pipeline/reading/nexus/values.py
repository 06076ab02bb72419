"""Values of a schema's NXS variables: what is at an HDF5 path of the scan's file.

A path is literal, with these exceptions. `*` stands for any characters of a name, where the variable
is of type `string[]`: it then has one text for each match, in byte-wise order of names. *New:*
`:NXsample` stands for the first group of that class, in name order; `:NXentry` at the root for the
entry that the list names, if it names one. *New:* `path@name` is an attribute of what is at the path.
"""

from __future__ import annotations

import re
from typing import Any

from h5py import h5a, h5d, h5g

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.pipeline.handover import FieldValue
from scicat_watch.pipeline.reading.nexus import fields
from scicat_watch.pipeline.reading.nexus.links import HDF5_ERRORS, Links, Node, place_of

MOST_ELEMENTS = 100_000
"""So many elements of one field are read."""
MOST_MATCHES = 10_000
"""So many matches of a path with `*` are read."""


def value(links: Links, path: str, value_type: str, entry: str, limit: int) -> FieldValue:
    """What is at `path`. Raises `SourceError` with the reason if there is nothing that can be read."""
    elements = [name for name in path.split("/") if name]
    name = ""
    if elements and "@" in elements[-1]:
        elements[-1], _, name = elements[-1].rpartition("@")
        elements = [element for element in elements if element]
    if value_type == "string[]" and "*" in path:
        found = [_read(links, node, name, limit) for node in _matches(links, elements, entry)]
        texts = [member.value for member in found]
        if not all(isinstance(text, str) for text in texts):
            raise SourceError("matches something that is not one text")
        return FieldValue(texts, None, (len(texts),))
    node = links.root
    for element in elements:
        node = _next(links, node, element, entry)
    return _read(links, node, name, limit)


def _next(links: Links, node: Node, element: str, entry: str) -> Node:
    if not element.startswith(":NX"):
        return links.find(element, node)
    return _first_of_class(links, node, element[1:], entry)


def _first_of_class(links: Links, group: Node, wanted: str, entry: str) -> Node:
    if not isinstance(group, h5g.GroupID):
        raise MissingValue("is not there")
    if wanted == "NXentry" and entry and place_of(group) == place_of(links.root):
        return links.find(entry, group)
    if (place := place_of(group)) not in links.classes:
        links.classes[place] = _first_members(links, group)
    if wanted not in links.classes[place]:
        raise MissingValue(f"is not there: no {wanted} in its place")
    return links.child(group, links.classes[place][wanted])


def _first_members(links: Links, group: Node) -> dict[str, bytes]:
    """Name of the first group of each NeXus class in a group, in name order."""
    first: dict[str, bytes] = {}
    for name in links.members(group):
        try:
            child = links.child(group, name)
        except (SourceError, *HDF5_ERRORS):
            continue  # A broken link elsewhere in the group does not matter to who wants another child.
        if isinstance(child, h5g.GroupID):
            first.setdefault(fields.nx_class(child), name)
    return first


def _matches(links: Links, elements: list[str], entry: str) -> list[Node]:
    """All objects that a path with `*` names, in byte-wise order of the names."""
    nodes = [links.root]
    for element in elements:
        if "*" not in element:
            nodes = [_next(links, node, element, entry) for node in nodes]
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", element)), re.DOTALL)
        below: list[Node] = []
        for node in nodes:
            if not isinstance(node, h5g.GroupID):
                raise MissingValue("matches a field where a group is expected")
            below += [links.child(node, name) for name in links.members(node) if pattern.fullmatch(fields.text(name))]
            if len(below) > MOST_MATCHES:
                raise SourceError(f"matches more than {MOST_MATCHES} objects")
        nodes = below
    return nodes


def _read(links: Links, node: Node, attribute: str, limit: int) -> FieldValue:
    if attribute:
        encoded = attribute.encode("utf-8", "surrogateescape")
        if not h5a.exists(node, encoded):
            raise MissingValue(f"is not there: no attribute {attribute!r}")
        return _field_value(h5a.open(node, encoded), None, limit)
    if not isinstance(node, h5d.DatasetID):
        raise SourceError("is a group, which has no value")
    storage = links.storage(node)
    if storage.refusal:
        raise SourceError(storage.refusal)
    return _field_value(node, fields.unit_of(node), limit)


def _field_value(field: Any, unit: str | None, limit: int) -> FieldValue:
    count = field.get_space().get_simple_extent_npoints()
    if count > MOST_ELEMENTS:
        raise SourceError(f"has {count} elements; at most {MOST_ELEMENTS} are read")
    array = fields.read(field, limit)
    if array is None:
        raise MissingValue("holds nothing (a null dataspace)")
    found = fields.element(array)
    if isinstance(found, str) and len(found) > limit:
        raise fields.TooLarge(f"holds {len(found)} characters; at most {limit} are taken (reading.metadata_limit)")
    return FieldValue(found, unit, tuple(array.shape))
