"""What a catalogue is given for one scan: a dataset, its file list, its thumbnail.

Field names are those of SciCat's API v3; `catalogue` translates for other APIs. Everything here is
strict JSON by construction: see `strict` and `scientific_metadata`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.errors import AssemblyError


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as SciCat's API v3 takes it: `fields` is the JSON object."""

    fields: Mapping[str, Any]

    @property
    def pid(self) -> str:
        """Its id; empty if the catalogue is to choose one."""
        return str(self.fields.get("pid", ""))

    @property
    def owner_group(self) -> str:
        """The group that may change it."""
        return str(self.fields["ownerGroup"])

    @property
    def source_folder(self) -> str:
        """The folder that file paths are relative to."""
        return str(self.fields["sourceFolder"])


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a scan."""

    path: str
    """Relative to the dataset's source folder, with "/"."""
    size: int | None
    """In bytes."""
    time: str
    """ISO 8601 with zone."""
    uid: str | None = None
    gid: str | None = None
    perm: str | None = None
    """E.g. "-rw-r--r--"."""
    chk: str | None = None
    """Checksum, lower-case hexadecimal digits."""

    def as_json(self) -> dict[str, Any]:
        """The entry of a `dataFileList`; what is not known is left out."""
        known = {"path": self.path, "size": self.size, "time": self.time}
        known |= {"uid": self.uid, "gid": self.gid, "perm": self.perm, "chk": self.chk}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class OrigDatablock:
    """A list of files of one dataset."""

    files: tuple[DataFile, ...]
    checksums: str = ""
    """Name of the algorithm of the files' `chk`, e.g. "sha256"; empty without checksums."""

    @property
    def size(self) -> int:
        """Sum of the sizes, in bytes."""
        return sum(file.size or 0 for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """The body of a SciCat datablock, without the dataset that it belongs to."""
        body: dict[str, Any] = {"size": self.size, "dataFileList": [file.as_json() for file in self.files]}
        if self.checksums:
            body["chkAlg"] = self.checksums
        return body


@dataclass(frozen=True, slots=True)
class Attachment:
    """A thumbnail of one dataset."""

    png: bytes = field(repr=False)
    caption: str = ""

    @property
    def thumbnail(self) -> str:
        """The thumbnail as a data URL, which is what SciCat's front ends show."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that the catalogue is to hold of one scan."""

    dataset: Dataset
    datablocks: tuple[OrigDatablock, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    """For people: what could not be had, and was left out."""


def strict(value: Any) -> Any:
    """`value` as JSON can say it: NaN and infinities become None, bytes become text, tuples lists, keys text.

    A backend answers 400 to NaN, and the rest of JSON has no bytes. Raises `AssemblyError` for a type
    that has no such form: that is a fault of the caller, not of the data.
    """
    match value:
        case None | bool() | int() | str():
            return _text(value) if isinstance(value, str) else value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return _text(value.decode("utf-8", "replace"))
        case Mapping():
            return {_text(str(key)): strict(member) for key, member in value.items()}
        case list() | tuple():
            return [strict(member) for member in value]
    raise AssemblyError(f"{type(value).__name__} has no form in JSON")


def scientific_metadata(tree: Mapping[str, Any]) -> dict[str, Any]:
    """`tree` in the form that a real backend survives (measured on SciCat backend 4.5).

    - A null or an empty key at the top ends its process: both are left out, empty keys at any depth.
    - So does a top-level entry whose `human_name` is an object: that member becomes `human_name_`.
    - Any member that begins with "v" or "u" is taken for value and unit when SI values are computed,
      the last one winning: `value` and `unit` are put last.
    """
    metadata = {key: member for key, member in _kept(strict(tree)) if member is not None}
    for member in metadata.values():
        if isinstance(member, dict) and isinstance(member.get("human_name"), dict):
            member["human_name_"] = member.pop("human_name")
    return metadata


def _kept(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, member in tree.items():
        if key:
            yield key, _ordered(member)


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(member) for member in value]
    if not isinstance(value, dict):
        return value
    members = dict(_kept(value))
    for last in ("value", "unit"):
        if last in members:
            members[last] = members.pop(last)
    return members


def _text(text: str) -> str:
    """Without what neither UTF-8 nor a database can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
