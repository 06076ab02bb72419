"""What of a stored dataset, its file lists and its thumbnails differs from what we would write. Pure.

A backend adds to what it is given, and gives some of it back in another form: neither must count
as a difference, or every second run would write again. What it does is listed in the operator's
reference of SciCat's API; it was measured on backend 4.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
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
TIMES = frozenset({"creationTime", "startTime", "endTime"})
PLURALS = {
    "principalInvestigator": "principalInvestigators",
    "investigator": "principalInvestigators",
    "proposalId": "proposalIds",
    "sampleId": "sampleIds",
    "instrumentId": "instrumentIds",
}
"""Fields of which a backend keeps a list, whose first element is meant."""


def dataset_changes(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that we would write and that differ, as a PATCH takes them; empty if there are none."""
    changes = {
        name: value
        for name, value in wanted.items()
        if name not in FIXED | THEIRS
        and value is not None
        and _normal(name, value) != _normal(name, _stored(stored, name))
    }
    if changes and stored.get("type") not in ("raw", "derived"):
        changes |= {name: stored[name] for name in TOTALS if stored.get(name) is not None}
    return changes


def metadata_members(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The members of the scientific metadata that differ, those first that are wanted."""
    ours, theirs = _metadata(dict(wanted)), _metadata(dict(stored))
    return [name for name in dict.fromkeys([*wanted, *stored]) if ours.get(_key(name)) != theirs.get(_key(name))]


def plan_blocks(stored: Sequence[Mapping[str, Any]], wanted: Sequence[OrigDatablock]) -> BlockPlan:
    """How the stored file lists become the wanted ones, with as little removing as can be.

    Lists are equal if they hold the same files; order and the backend's ids do not count.
    """
    missing = Counter[Hashable]()
    blocks: dict[Hashable, OrigDatablock] = {}
    for block in wanted:
        key = _content(block.as_json())
        missing[key] += 1
        blocks[key] = block
    wrong: list[str] = []
    for there in stored:
        key = _content(there)
        if missing[key] > 0:
            missing[key] -= 1
        else:
            wrong.append(str(there.get("_id") or there.get("id")))
    new = [blocks[key] for key in missing.elements()]
    pairs = min(len(wrong), len(new))
    return BlockPlan(tuple(zip(wrong, new, strict=False)), tuple(new[pairs:]), tuple(wrong[pairs:]))


def plan_attachments(stored: Sequence[Mapping[str, Any]], wanted: Sequence[Attachment]) -> AttachmentPlan:
    """How the wanted thumbnails get there; thumbnails with other captions than ours are left alone."""
    captions = {thumbnail.caption for thumbnail in wanted}
    there = Counter((str(thumbnail.get("caption") or ""), str(thumbnail.get("thumbnail"))) for thumbnail in stored)
    ours = Counter((thumbnail.caption, thumbnail.thumbnail) for thumbnail in wanted)
    stale = there - ours
    if stale and all(caption in captions for caption, _ in there):
        return AttachmentPlan(clear=True, add=tuple(wanted))
    missing = ours - there
    return AttachmentPlan(
        add=tuple(thumbnail for thumbnail in wanted if missing[(thumbnail.caption, thumbnail.thumbnail)] > 0)
    )


def _content(block: Mapping[str, Any]) -> Hashable:
    """What a file list says, apart from order and ids."""
    files = [file for file in block.get("dataFileList") or () if isinstance(file, Mapping)]
    entries = Counter(
        (
            str(file.get("path")),
            _number(file.get("size")),
            _moment(file.get("time")),
            *(file.get(name) or None for name in ("chk", "uid", "gid", "perm")),
        )
        for file in files
    )
    # Without checksums their algorithm says nothing.
    algorithm = block.get("chkAlg") or None if any(file.get("chk") for file in files) else None
    return algorithm, frozenset(entries.items())


def _stored(stored: Mapping[str, Any], name: str) -> Any:
    value = stored.get(name)
    if _empty(value) and name in PLURALS:
        several = stored.get(PLURALS[name])
        return several[0] if isinstance(several, list) and several else None
    return value


def _normal(name: str, value: Any) -> Any:
    """A field in the form in which equal means the same."""
    if _empty(value):
        return None
    if name in TIMES:
        return _moment(value)
    if name == "sourceFolder":
        return folder(value)
    if name == "scientificMetadata":
        return _metadata(value)
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


def _metadata(value: Any) -> Any:
    """Metadata without what the backend adds (SI values), drops (nothing at all) or rewrites (keys, large numbers)."""
    match value:
        case dict():
            members = {_key(name): _metadata(member) for name, member in value.items()}
            return {
                name: member
                for name, member in members.items()
                if name not in ("valueSI", "unitSI") and member is not None and member != {}
            }
        case list():
            return [_metadata(member) for member in value]
    return _number(value)


def _key(name: str) -> str:
    """Keys that look percent-encoded come back decoded."""
    while (decoded := unquote(name)) != name:
        name = decoded
    return name


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
