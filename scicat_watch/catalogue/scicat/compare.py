"""What of a stored dataset, its file lists and its thumbnails differs from what we would write. Pure.

A backend adds to what it is given, and gives some of it back in another form: neither must count
as a difference, or every second run would write again. What it does is listed in the operator's
reference of SciCat's API; it was measured on backend 4.5.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from scicat_watch.catalogue.difference import AttachmentPlan, BlockPlan
from scicat_watch.catalogue.scicat.parts import folder
from scicat_watch.documents import Attachment, OrigDatablock

FIXED = frozenset({"pid", "type"})
"""Fields that a dataset keeps for life."""
THEIRS = frozenset(
    {
        "_id", "id", "__v", "createdAt", "createdBy", "updatedAt", "updatedBy", "version", "history",
        "datasetlifecycle", "classification", "scientificMetadataValid",
        "size", "packedSize", "numberOfFiles", "numberOfFilesArchived",
        "isPublished",
    }
)  # fmt: skip
"""Fields that the backend fills, and `isPublished`: publishing is decided in the catalogue, and stays."""
TOTALS = ("size", "packedSize", "numberOfFiles")
"""What a PATCH of a dataset that is neither raw nor derived sets to 0 unless it names them."""
SI = frozenset({"valueSI", "unitSI"})
"""Members that a backend adds to each quantity."""
TIMES = frozenset({"creationTime", "startTime", "endTime"})
PLURALS = {
    "principalInvestigator": "principalInvestigators",
    "investigator": "principalInvestigators",
    "proposalId": "proposalIds",
    "sampleId": "sampleIds",
    "instrumentId": "instrumentIds",
}
"""Fields of which a backend keeps a list, whose first element is meant."""
LISTS = frozenset({*PLURALS, *PLURALS.values()})
_LOOKS_ENCODED = re.compile("%[0-9A-Fa-f]{2}")


Mine = Callable[[Mapping[str, Any]], bool]
"""Whether a stored file list or thumbnail is ours; asked only where that matters."""


def plan_blocks(stored: Sequence[Mapping[str, Any]], wanted: Sequence[OrigDatablock], mine: Mine) -> BlockPlan:
    """How the stored file lists of ours become the wanted ones, with as little removing as can be.

    Lists are equal if they hold the same files; order and the backend's ids do not count, nor how our files are split
    into lists. What is not ours stays.
    """
    missing = Counter[Hashable]()
    blocks: dict[Hashable, OrigDatablock] = {}
    for block in wanted:
        key = file_set(block.as_json())
        missing[key] += 1
        blocks[key] = block
    others: list[Mapping[str, Any]] = []
    for there in stored:
        key = file_set(there)
        if missing[key] > 0:
            missing[key] -= 1
        else:
            others.append(there)
    wrong = [there for there in others if mine(there)]
    new = [blocks[key] for key in missing.elements()]
    if _all_files(wrong) == _all_files([block.as_json() for block in new]):
        return BlockPlan()
    ids = [part_id(there) for there in wrong]
    pairs = min(len(ids), len(new))
    return BlockPlan(tuple(zip(ids, new, strict=False)), tuple(new[pairs:]), tuple(ids[pairs:]))


def spread(blocks: Sequence[OrigDatablock], count: int) -> tuple[OrigDatablock, ...] | None:
    """The same files in `count` lists, more than there are; None if there are too few files for that."""
    found = list(blocks)
    while len(found) < count:
        longest = max(found, key=lambda block: len(block.files), default=None)
        if longest is None or len(longest.files) < 2:
            return None
        half, at = len(longest.files) // 2, found.index(longest)
        found[at : at + 1] = [
            replace(longest, files=longest.files[:half]),
            replace(longest, files=longest.files[half:]),
        ]
    return tuple(found)


def plan_attachments(stored: Sequence[Mapping[str, Any]], wanted: Sequence[Attachment], mine: Mine) -> AttachmentPlan:
    """How the wanted thumbnails get there; an image is the same with whatever caption. What is not ours stays."""
    missing = Counter(thumbnail.thumbnail for thumbnail in wanted)
    others: list[Mapping[str, Any]] = []
    for there in stored:
        image = str(there.get("thumbnail"))
        if missing[image] > 0:
            missing[image] -= 1
        else:
            others.append(there)
    new = tuple(thumbnail for thumbnail in wanted if missing[thumbnail.thumbnail] > 0)
    stale = [there for there in others if mine(there)]
    if stale and len(stale) == len(others) and (len(stale) == len(stored) or all(mine(there) for there in stored)):
        return AttachmentPlan(clear=True, add=tuple(wanted))
    return AttachmentPlan(add=new, remove=tuple(part_id(there) for there in stale))


def totals(blocks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What a dataset with these file lists is to say of its size and the number of its files."""
    sizes = (block.get("size") for block in blocks)
    return {
        "size": sum(size for size in sizes if isinstance(size, int)),
        "numberOfFiles": sum(len(block.get("dataFileList") or ()) for block in blocks),
    }


def part_id(part: Mapping[str, Any]) -> str:
    """The id of a stored file list or thumbnail."""
    return str(part.get("_id") or part.get("id") or part.get("aid") or "")


def _all_files(blocks: Sequence[Mapping[str, Any]]) -> Counter[Hashable]:
    return Counter(entry for block in blocks for entry in _entries(block))


def file_set(block: Mapping[str, Any]) -> Hashable:
    """What a file list says, apart from order and ids."""
    return frozenset(Counter(_entries(block)).items())


def _entries(block: Mapping[str, Any]) -> Iterator[Hashable]:
    """The files of a list; a checksum together with its algorithm, which says nothing without one."""
    for file in block.get("dataFileList") or ():
        if isinstance(file, Mapping):
            checksum = (file.get("chk"), block.get("chkAlg") or None) if file.get("chk") else None
            others = (file.get(name) or None for name in ("uid", "gid", "perm"))
            yield str(file.get("path")), _number(file.get("size")), _moment(file.get("time")), checksum, *others


def stored_value(stored: Mapping[str, Any], name: str) -> Any:
    """The value of a stored field; where a backend keeps a list, all of it."""
    value = stored.get(name)
    several = stored.get(PLURALS.get(name, ""))
    return several if isinstance(several, list) and not _empty(several) else value


def first_agrees(name: str, wanted: Any, stored: Any) -> bool:
    """Whether a field is stored as it is wanted; of a list that we give one element of, this is the first."""
    here, there = normal(name, wanted), normal(name, stored)
    if name in LISTS and isinstance(here, list) and isinstance(there, list):
        return here == there[: len(here)]
    return bool(here == there)


def normal(name: str, value: Any) -> Any:
    """A field in the form in which equal means the same; None for nothing."""
    if _empty(value):
        return None
    if name in LISTS:
        return [one for one in value if one] if isinstance(value, list) else [value]
    if name in TIMES:
        return _moment(value)
    if name == "sourceFolder":
        return folder(value)
    if name == "scientificMetadata":
        return metadata_normal(value) or None
    if name in ("techniques", "relationships") and isinstance(value, list):
        return [_without_ids(member) for member in value]
    if name in ("keywords", "accessGroups", "sharedWith", "inputDatasets", "usedSoftware") and isinstance(value, str):
        return [value]
    return value


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], [None], {})


def _without_ids(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: member for name, member in value.items() if name not in ("_id", "id")}


def metadata_normal(value: Any) -> Any:
    """Metadata without what the backend adds (SI values), drops (nothing at all) or rewrites (keys, large numbers)."""
    match value:
        case dict():
            keys = metadata_keys(value)
            members = {keys[name]: metadata_normal(member) for name, member in value.items()}
            return {
                name: member
                for name, member in members.items()
                if name not in SI and member is not None and member != {}
            }
        case list():
            return [metadata_normal(member) for member in value]
    return _number(value)


def metadata_keys(members: Iterable[str]) -> dict[str, str]:
    """The keys by which the names of one object are compared: decoded, as those that look percent-encoded come back so.

    Of several names that are decoded to the same, each has a key of its own: what is sent as `a%2Eb` and `a%252Eb`
    comes back as `a.b` and `a%2Eb`, in the order of how often they are to be decoded.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for name in members:
        times, key = 0, name
        while (decoded := unquote(key)) != key:
            times, key = times + 1, decoded
        found.setdefault(key, []).append((times, name))
    return {
        name: key + number * "%25" for key, names in found.items() for number, (_, name) in enumerate(sorted(names))
    }


def sent_name(name: str) -> str:
    """A name of stored metadata as it is to be sent: a backend would decode what looks percent-encoded."""
    return name.replace("%", "%25") if _LOOKS_ENCODED.search(name) else name


def _number(value: Any) -> Any:
    """Numbers as JavaScript has them: all floating; those out of range become null."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return float(value)
    except OverflowError:
        return None


def _moment(value: Any) -> Any:
    """Milliseconds since 1970, cut as the backend cuts them; what is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
