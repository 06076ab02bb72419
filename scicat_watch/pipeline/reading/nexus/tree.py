"""A NeXus file's groups and fields as scientific metadata: the item `field_type: nexus_tree` of a schema.

Every group and field becomes an object under its name, down from the entry. A field of one element has
`value` and `unit`; of larger ones there is only the `shape`, and of 1-D ones the values if the schema asks
for them. Attributes stand beside. What a file can be made of has no end, so that everything is bounded:
the JSON's size, the number of objects, the depth; what is left out is noted. What the schema does not
take is not opened. Facts: DESY 8.3, 8.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np
from h5py import h5a, h5d, h5g

from scicat_watch.errors import MissingValue, SourceError
from scicat_watch.pipeline.reading.nexus import fields, summaries
from scicat_watch.pipeline.reading.nexus.links import (
    HDF5_ERRORS,
    MOST_MEMBERS,
    Links,
    Node,
    NotFollowed,
    Storage,
    place_of,
)
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.sizes import json_size
from scicat_watch.pipeline.schema import treepaths
from scicat_watch.pipeline.schema.model import TreeOptions
from scicat_watch.pipeline.schema.treepaths import Way

DEEPEST = 64
"""Groups deeper than this are not entered."""
MOST_OBJECTS = 100_000
"""So many groups, fields and attributes are taken."""
LONGEST_ONE_DIMENSIONAL = 64 << 20
"""Bytes of the largest 1-D field whose values are taken; of a larger one there is only the shape."""
_REPLACED = {"unit", "strategy", "source", "source_name", "source_type"}
"""Attributes that are dropped: what is under these names is made from others."""
_SPECIAL = {"units", "nexdatas_source", "nexdatas_strategy"}
_OVERHEAD = 24
"""Bytes of JSON that a value takes beside itself: braces, and the words value and unit."""


def tree(links: Links, options: TreeOptions, entry: str, limit: int, notes: Notes) -> dict[str, Any]:
    """The entries of a file as one object; of several entries the later ones win, member by member.

    `entry` restricts it to the root group of that name. `limit` is in bytes of JSON, roughly.
    """
    making = _Tree(links, options, limit, notes)
    merged: dict[str, Any] = {}
    found = False
    for name, group in making.entries(entry):
        found = True
        merged = _merged(merged, making.entry(name, group))
    if not found:
        wanted = f"{options.entry_class or 'group'} {entry!r}" if entry else options.entry_class or "group"
        notes.add(f"the file has no {wanted}; the tree is empty")
    return merged


class _Tree:
    """One tree in the making, with what is left of its limits."""

    def __init__(self, links: Links, options: TreeOptions, limit: int, notes: Notes) -> None:
        self._links, self._options, self._notes = links, options, notes
        self._limit, self._bytes, self._objects = limit, limit, MOST_OBJECTS
        self._full = False

    def entries(self, wanted: str) -> Iterator[tuple[str, Node]]:
        """Root groups of the class that the schema asks for, in name order."""
        for encoded in self._links.members(self._links.root):
            name = fields.text(encoded)
            if wanted and name != wanted:
                continue
            node = self._followed(self._links.root, encoded, f"/{name}")
            if not isinstance(node, h5g.GroupID):
                continue
            if not self._options.entry_class or fields.nx_class(node) == self._options.entry_class:
                yield name, node

    def entry(self, name: str, group: Node) -> dict[str, Any]:
        """One entry: its class is left out, its name put in."""
        members = self._attributes(group, f"/{name}")
        members.pop("NX_class", None)
        if self._take(json_size(name) + 12, f"/{name}"):
            _put(members, "name", name)
        way = treepaths.start(self._options)
        return self._below(members, group, f"/{name}", frozenset({place_of(group)}), way)

    def _below(
        self, members: dict[str, Any], group: Node, path: str, above: frozenset[Any], way: Way
    ) -> dict[str, Any]:
        """`members`, the group's attributes, with what is in the group."""
        try:
            names = self._links.members(group)
        except HDF5_ERRORS:
            self._notes.add(f"{path} cannot be listed; the file is damaged there")
            return members
        if len(names) >= MOST_MEMBERS:
            self._notes.truncated(f"{path} has too many members: only {MOST_MEMBERS} are taken")
        for encoded in names:
            name = fields.text(encoded)
            below = f"{path}/{name}"
            node: list[Node | None] = []
            further = way if way.plain else way.below(name, partial(self._class, group, encoded, below, node))
            if further is None:
                continue
            if not self._take(json_size(name) + 6, below):
                break
            child = node[0] if node else self._followed(group, encoded, below)
            if not further.taken and not isinstance(child, h5g.GroupID):
                continue
            made = self._object(child, below, above, further)
            if made or further.taken:
                _put(members, name, made)
        return members

    def _class(self, group: Node, name: bytes, path: str, opened: list[Node | None]) -> str:
        """NeXus class of what is under a name; the object, once opened for that, is kept in `opened`."""
        if not opened:
            opened.append(self._followed(group, name, path))
        return fields.nx_class(opened[0]) if isinstance(opened[0], h5g.GroupID) else ""

    def _object(self, node: Node | None, path: str, above: frozenset[Any], way: Way) -> dict[str, Any]:
        if isinstance(node, h5d.DatasetID):
            return self._field(node, path)
        if node is None:
            return {}
        if not isinstance(node, h5g.GroupID):
            return self._attributes(node, path)
        here = place_of(node)
        if here in above:
            self._notes.add(f"{path} leads back to a group that it is in; it is not entered again")
            return {}
        if len(above) >= DEEPEST:
            self._notes.truncated(f"{path} is more than {DEEPEST} groups deep; it is not entered")
            return {}
        if way.taken:
            return self._below(self._attributes(node, path), node, path, above | {here}, way)
        found = self._below({}, node, path, above | {here}, way)
        return self._attributes(node, path) | found if found else {}

    def _followed(self, group: Node, name: bytes, path: str) -> Node | None:
        """What is under a name; None for a broken link, and with a note for a forbidden one."""
        try:
            return self._links.child(group, name)
        except MissingValue:
            return None
        except NotFollowed as error:
            self._notes.add(f"{path} {error}")
            return None

    def _field(self, dataset: Node, path: str) -> dict[str, Any]:
        members = self._attributes(dataset, path)
        try:
            storage = self._links.storage(dataset)
            if storage.shape in {None, (), (1,)} and not storage.refusal:
                members["value"] = self._value(dataset, path)
                if self._options.empty_units:
                    members.setdefault("unit", "")
                return members
        except fields.TooLarge as error:
            self._notes.truncated(f"{path} {error}; its value is left out")
            return members
        except SourceError as error:
            self._notes.add(f"{path} {error}; its value is left out")
            return members
        except HDF5_ERRORS as error:
            self._notes.add(f"{path} cannot be read ({type(error).__name__}); it is left out")
            return members
        return self._array(members, dataset, storage, path)

    def _array(self, members: dict[str, Any], dataset: Node, storage: Storage, path: str) -> dict[str, Any]:
        shape = storage.shape or ()
        if "shape" in self._options.summaries:
            _put(members, "shape", list(shape))
            self._bytes -= json_size(list(shape)) + 11
        if storage.refusal:
            self._notes.add(f"{path} {storage.refusal}")
            return members
        try:
            if wanted := [name for name in self._options.summaries if name != "shape"]:
                summary = summaries.summary(dataset, shape)
                for name in wanted if summary else ():
                    _put(members, name, summary[name])
                    self._bytes -= 40
            if len(shape) == 1 and self._options.one_dimensional:
                members["value"] = self._checked(self._one_dimensional(dataset), path)
                if self._options.empty_units:
                    members.setdefault("unit", "")
        except fields.TooLarge as error:
            self._notes.truncated(f"{path} {error}; its values are left out")
        except (SourceError, *HDF5_ERRORS) as error:
            self._notes.add(f"{path} {error}; its values are left out")
        return members

    def _value(self, dataset: Node, path: str) -> Any:
        value = fields.read(dataset, min(self._bytes, self._limit))
        return self._checked(None if value is None else fields.plain(value.reshape(-1)[0]), path)

    def _one_dimensional(self, dataset: Node) -> list[Any]:
        values = fields.read(dataset, LONGEST_ONE_DIMENSIONAL)
        if len(values) <= self._options.max_one_dimensional or not len(values):
            plain = fields.plain(values)
            return plain if isinstance(plain, list) else [plain]
        if values.dtype.kind in "iufb":
            known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
            return [fields.plain(known.min()), fields.plain(known.max())] if len(known) else [None, None]
        texts = fields.plain(values)
        if not all(isinstance(member, str) for member in texts):
            raise SourceError(f"holds {len(values)} values that have no order")
        return [min(texts), max(texts)]

    def _attributes(self, node: Node, path: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        derived: dict[str, Any] = {}
        hidden = self._options.hidden_attributes
        try:
            for encoded in _attribute_names(node):
                name = fields.text(encoded)
                if name in _REPLACED or not self._wanted(name):
                    continue
                if not self._take(json_size(name) + 4, f"{path}@{name}"):
                    break
                try:
                    value = self._attribute(node, encoded, path)
                except fields.TooLarge as error:
                    self._notes.truncated(f"{path}@{name} {error}; it is left out")
                    continue
                except SourceError as error:
                    self._notes.add(f"{path}@{name} {error}; it is left out")
                    continue
                if name not in hidden and (self._options.attributes or name == "NX_class"):
                    members[name] = value
                if name in _SPECIAL:
                    derived |= _derived(name, value)
        except HDF5_ERRORS:
            self._notes.add(f"{path} has attributes that cannot be read; they are left out")
        return members | {name: value for name, value in derived.items() if name not in hidden}

    def _attribute(self, node: Node, name: bytes, path: str) -> Any:
        limit = max(self._bytes, fields.LARGEST_ATTRIBUTE)
        return self._checked(fields.element(fields.read(h5a.open(node, name), limit)), path)

    def _wanted(self, name: str) -> bool:
        """Whether an attribute is of use for anything."""
        if not self._options.attributes:
            return name in {"units", "NX_class"}
        return name in _SPECIAL or name not in self._options.hidden_attributes

    def _checked(self, value: Any, path: str) -> Any:
        """`value`, if there is room for it."""
        size = json_size(value) + _OVERHEAD
        if size > self._bytes:
            raise fields.TooLarge(
                f"holds {size} bytes, for which the {self._limit} of reading.metadata_limit have no room left"
            )
        self._bytes -= size
        return value

    def _take(self, size: int, path: str) -> bool:
        """Whether there is room for another object of `size` bytes."""
        if self._objects > 0 and size <= self._bytes:
            self._objects -= 1
            self._bytes -= size
            return True
        what = f"{self._limit} bytes (reading.metadata_limit)" if self._objects > 0 else f"{MOST_OBJECTS} objects"
        if not self._full:
            self._full = True  # Noted once, for the first place.
            self._notes.truncated(f"the metadata is truncated at {what}: {path} and what follows is left out")
        return False


def _attribute_names(node: Node) -> list[bytes]:
    """Names of the attributes of a group or dataset, byte-wise in order.

    Taken in one go: HDF5 sorts all names for every attribute that is opened by its number.
    """
    names: list[bytes] = []
    if h5a.get_num_attrs(node):

        def collect(name: bytes) -> bool | None:
            names.append(name)
            return True if len(names) >= MOST_OBJECTS else None

        h5a.iterate(node, collect)
    return names


def _derived(name: str, value: Any) -> dict[str, Any]:
    if name == "units":
        return {"unit": value if isinstance(value, str) else "" if value is None else str(value)}
    if name == "nexdatas_strategy":
        return {"strategy": value}
    return _source(value)


def _source(description: Any) -> dict[str, Any]:
    """Name and type of the data source that a configuration server noted, and the device or record behind it."""
    if not isinstance(description, str) or "<!" in description:  # No document types: entities can grow without end.
        return {}
    try:
        root = ElementTree.fromstring(description)  # noqa: S314 (no entities, see above; bounded like all attributes)
    except (ElementTree.ParseError, ValueError):
        return {}
    source = root if root.tag == "datasource" else root.find(".//datasource")
    if source is None:
        return {}
    device, record = source.find("device"), source.find("record")
    parts = [] if device is None else [device.get("name", "")]
    if device is not None and device.get("hostname"):
        parts.insert(0, ":".join(filter(None, (device.get("hostname"), device.get("port")))))
    if record is not None:
        parts.append(record.get("name", ""))
    found = {"source_name": source.get("name"), "source_type": source.get("type")}
    found["source"] = "/".join(filter(None, parts))
    return {name: value for name, value in found.items() if value}


def _put(members: dict[str, Any], name: str, value: Any) -> None:
    """Under a name that is taken the new member wins; the old one goes on as `<name>_`."""
    if name in members:
        members[f"{name}_"] = members.pop(name)
    members[name] = value


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for name, value in second.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
