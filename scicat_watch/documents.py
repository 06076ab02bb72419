"""What a catalogue is given for one scan: a dataset, its file list, its thumbnail; and their one JSON form.

Field names are those of SciCat's API v3; `catalogue` translates for other APIs. Everything here is
strict JSON by construction: see `strict` and `scientific_metadata`. A bundle as JSON (`Bundle.as_json`,
`Bundle.from_json`) is

    {"dataset": {…}, "origdatablocks": [{"size", "dataFileList", "chkAlg"}], "attachments": [{"thumbnail", "caption"}],
     "notes": ["…"]}

where the lists may be missing if they are empty, and the thumbnail is a PNG as data URL.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from scicat_watch.errors import AssemblyError
from scicat_watch.words import harmless, nearest


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

    @classmethod
    def from_json(cls, entry: Any, place: str = "the data file") -> Self:
        """The file that `as_json` made `entry` of; `AssemblyError` with what is wrong at which `place`."""
        known = _object(entry, place, tuple(one.name for one in fields(cls)), needed=("path", "time"))
        size = known.get("size")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise AssemblyError(f"{place}.size is {size!r:.80}, but must be a number of bytes")
        texts = {name: _text_at(known[name], f"{place}.{name}") for name in known if name != "size"}
        return cls(size=size, **texts)


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

    @classmethod
    def from_json(cls, body: Any, place: str = "the datablock") -> Self:
        """The list that `as_json` made `body` of; its `size` is added up anew. Errors as for `DataFile`."""
        known = _object(body, place, ("size", "dataFileList", "chkAlg"), needed=("dataFileList",))
        entries = _list(known["dataFileList"], f"{place}.dataFileList")
        files = (DataFile.from_json(entry, f"{place}.dataFileList[{n}]") for n, entry in enumerate(entries))
        return cls(tuple(files), _text_at(known.get("chkAlg", ""), f"{place}.chkAlg"))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A thumbnail of one dataset."""

    png: bytes = field(repr=False)
    caption: str = ""
    url: str = field(default="", repr=False)
    """The image as data URL, where it is no PNG of ours; empty: `png`."""

    @property
    def thumbnail(self) -> str:
        """The thumbnail as a data URL, which is what SciCat's front ends show."""
        return self.url or _DATA_URL + base64.b64encode(self.png).decode("ascii")

    def as_json(self) -> dict[str, Any]:
        """The thumbnail, and the caption if there is one."""
        return {"thumbnail": self.thumbnail} | ({"caption": self.caption} if self.caption else {})

    @classmethod
    def carried(cls, url: str, caption: str) -> Self:
        """An attachment of another catalogue, as it is there."""
        return cls(b"", caption, url)

    @classmethod
    def from_json(cls, body: Any, place: str = "the attachment") -> Self:
        """The attachment that `as_json` made `body` of. Errors as for `DataFile`."""
        known = _object(body, place, ("thumbnail", "caption"), needed=("thumbnail",))
        url = _text_at(known["thumbnail"], f"{place}.thumbnail")
        if not url.startswith(_DATA_URL):
            raise AssemblyError(f"{place}.thumbnail is no PNG as data URL: it does not begin with {_DATA_URL}")
        try:
            png = base64.b64decode(url.removeprefix(_DATA_URL), validate=True)
        except (binascii.Error, ValueError) as error:
            raise AssemblyError(f"{place}.thumbnail is not base64: {error}") from None
        return cls(png, _text_at(known.get("caption", ""), f"{place}.caption"))


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that the catalogue is to hold of one scan."""

    dataset: Dataset
    datablocks: tuple[OrigDatablock, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    """For people: what could not be had, and was left out."""

    def as_json(self) -> dict[str, Any]:
        """The bundle as strict JSON, from which `from_json` makes an equal one."""
        whole: dict[str, Any] = {
            "dataset": dict(self.dataset.fields),
            "origdatablocks": [block.as_json() for block in self.datablocks],
            "attachments": [attachment.as_json() for attachment in self.attachments],
            "notes": list(self.notes),
        }
        return {name: strict(part) for name, part in whole.items()}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The bundle that `as_json` made `document` of, or that a person edited or wrote.

        `AssemblyError` with what is wrong and where, e.g. "origdatablocks[0].dataFileList[3].size is 'x', but …".
        That the dataset has all that a catalogue demands, the catalogue says.
        """
        known = _object(document, "", ("dataset", "origdatablocks", "attachments", "notes"), needed=("dataset",))
        blocks, attachments, notes = (
            [(one, f"{name}[{number}]") for number, one in enumerate(_list(known.get(name, []), name))]
            for name in ("origdatablocks", "attachments", "notes")
        )
        return cls(
            Dataset(strict(_object(known["dataset"], "dataset"))),
            tuple(OrigDatablock.from_json(*one) for one in blocks),
            tuple(Attachment.from_json(*one) for one in attachments),
            tuple(_text_at(*one) for one in notes),
        )


_DATA_URL = "data:image/png;base64,"


def _object(
    value: Any, place: str, allowed: tuple[str, ...] | None = None, needed: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """`value` as a JSON object with only `allowed` members, `needed` ones among them; None: any are."""
    if not isinstance(value, Mapping):
        raise AssemblyError(f"{place or 'the document'} is {_kind(value)}, but must be an object")
    dot = f"{place}." if place else ""
    for name in value:
        if not isinstance(name, str) or (allowed is not None and name not in allowed):
            raise AssemblyError(f"{dot}{name} is not known here{nearest(str(name), allowed or ())}")
    for name in needed:
        if name not in value:
            raise AssemblyError(f"{dot}{name} is missing")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise AssemblyError(f"{place} is {_kind(value)}, but must be a list")
    return value


def _text_at(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise AssemblyError(f"{place} is {_kind(value)}, but must be text")
    return _text(value)


def _kind(value: Any) -> str:
    """What JSON calls it."""
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}")


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


def cleaned(value: Any) -> Any:
    """`value`, which is strict, without characters that steer a terminal or turn the direction of writing."""
    match value:
        case str():
            return harmless(value)
        case dict():
            return {harmless(key): cleaned(member) for key, member in value.items()}
        case list():
            return [cleaned(member) for member in value]
    return value


def scientific_metadata(tree: Mapping[str, Any], renamed: dict[str, str] | None = None) -> dict[str, Any]:
    """`tree` in the form that a real backend survives (measured on SciCat backend 4.5).

    - A null or an empty key at the top ends its process: both are left out, empty keys at any depth.
    - So does a top-level entry whose `human_name` is an object or a list: that member becomes `human_name_`.
    - `constructor` is answered 500 for ever, and other names of JavaScript's own are dropped: they get a `_` at the
      end, as does a name that would be taken for one of these.
    - `.` and `$` in a key, which not all backends can store, are sent percent-encoded, and so is a `%` in a key that
      would be taken for encoded; 4.5 gives them back decoded.
    - Any member that begins with "v" or "u" is taken for value and unit when SI values are computed,
      the last one winning: `value` and `unit` are put last.

    `renamed` gets the names that were changed, each with the new one.
    """
    names: dict[str, str] = {} if renamed is None else renamed
    metadata = {key: member for key, member in _kept(cleaned(strict(tree)), names) if member is not None}
    return {key: _with_plain_human_name(member, names) for key, member in metadata.items()}


_MEANT = {"%25": "%", "%2E": ".", "%24": "$"}
_ENCODED = re.compile("|".join(_MEANT))
_TO_ENCODE = re.compile("[.$]|%[0-9A-Fa-f]{2}")
_OF_JAVASCRIPT = re.compile("(constructor|prototype|toString|valueOf|hasOwnProperty|__proto__)_*")


def safe_name(name: str) -> str:
    """A key of the scientific metadata that no backend chokes on or drops; other names stay as they are."""
    if _OF_JAVASCRIPT.fullmatch(name):
        return f"{name}_"
    if not _TO_ENCODE.search(name):
        return name
    return name.replace("%", "%25").replace(".", "%2E").replace("$", "%24")


def original_name(name: str) -> str:
    """The name that `safe_name` made `name` of."""
    if _OF_JAVASCRIPT.fullmatch(name):
        return name.removesuffix("_")
    return _ENCODED.sub(lambda found: _MEANT[found[0]], name)


def _kept(tree: Mapping[str, Any], renamed: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for key, member in tree.items():
        if key:
            name = safe_name(key)
            if name != key:
                renamed[key] = name
            yield name, _ordered(member, renamed)


def _ordered(value: Any, renamed: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_ordered(member, renamed) for member in value]
    if not isinstance(value, dict):
        return value
    members = dict(_kept(value, renamed))
    for last in ("value", "unit"):
        if last in members:
            members[last] = members.pop(last)
    return members


def _with_plain_human_name(member: Any, renamed: dict[str, str]) -> Any:
    """The same; a `human_name` that is no text has a `_` at its end, and so have those that it would be taken for."""
    if not isinstance(member, dict) or not isinstance(member.get("human_name"), dict | list):
        return member
    others = {key: value for key, value in member.items() if key.rstrip("_") != "human_name"}
    names = {key: f"{key}_" for key in member if key not in others}
    renamed |= names
    kept = {key: others.pop(key) for key in ("value", "unit") if key in others}
    return others | {name: member[key] for key, name in names.items()} | kept


def _text(text: str) -> str:
    """Without what neither UTF-8 nor a database can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
