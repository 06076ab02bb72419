"""A dataset's forms: as the versions of the API accept it, as it is stored, and as they return it. Pure.

The stored form is the one that SciCat's own database has: lists of investigators, proposals, samples
and instruments, decoded metadata keys, times in UTC with milliseconds. API v3 writes and
shows the first of each list under the singular name as well.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from scicat_watch.embedded import times
from scicat_watch.embedded.rules_datasets import later_name
from scicat_watch.embedded.tables import Document
from scicat_watch.embedded.units import with_si

PLURALS = {
    "principalInvestigator": "principalInvestigators",
    "investigator": "principalInvestigators",
    "proposalId": "proposalIds",
    "sampleId": "sampleIds",
    "instrumentId": "instrumentIds",
}
"""API v3's name for a single value, and the list in which it is stored."""

SHOWN = ("principalInvestigator", "proposalId", "sampleId", "instrumentId")
TEXT_LISTS = (
    "accessGroups", "keywords", "sharedWith", "inputDatasets", "usedSoftware", "principalInvestigators",
    "proposalIds", "sampleIds", "instrumentIds",
)  # fmt: skip
CLASSIFICATION = "IN=medium,AV=low,CO=low"
_TIMES = ("creationTime", "startTime", "endTime")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


def object_id() -> str:
    """A new id like those that a backend's database makes: 24 hexadecimal digits."""
    return secrets.token_hex(12)


def changes(body: Mapping[str, Any]) -> Document:
    """The fields of a v3 body, create or patch, in their stored form."""
    found: Document = {}
    for name, value in body.items():
        if name == "version":
            continue  # API v3 accepts and ignores it.
        if name == "investigator" and "principalInvestigator" in body:
            continue  # Of a raw dataset it is ignored.
        if name in PLURALS:
            found[PLURALS[name]] = [value]
        else:
            found[name] = _stored(name, value)
    return found


def new_dataset(body: Mapping[str, Any], pid: str, username: str, now: str, version: str = "3") -> Document:
    """The stored form of a create; `now` is a time as `times.utc_text` writes it."""
    given = changes(body)
    document: Document = {"_id": pid, "pid": pid, "__v": 0, "version": version}
    document |= dict.fromkeys(("size", "packedSize", "numberOfFiles", "numberOfFilesArchived"), 0)
    document |= {name: [] for name in (*TEXT_LISTS, "techniques", "relationships")}
    if version == "3" and body.get("type") in ("raw", "derived"):
        # A real backend stores an absent id as a list of one null, and clients see that.
        document |= {name: [None] for name in ("proposalIds", "sampleIds", "instrumentIds")}
    document |= {"scientificMetadata": {}, "isPublished": False}
    document |= given
    document["datasetlifecycle"] = _lifecycle(now) | (given.get("datasetlifecycle") or {})
    document["classification"] = CLASSIFICATION
    document["pid"] = pid
    if document.get("datasetName") is None:
        document["datasetName"] = later_name(document["sourceFolder"])
    return document | stamps(username, now)


def replaced(stored: Document, body: Mapping[str, Any]) -> Document:
    """The fields of a dataset after a PUT: what `body` does not name gets its default.

    Unlike on a real backend, what says what the dataset is stays, and so do the totals.
    """
    kept = ("type", "version", "classification", "size", "numberOfFiles", "packedSize")
    typed = {**body, "type": stored.get("type")}
    whole = new_dataset(typed, stored["pid"], stored["createdBy"], stored["createdAt"], stored.get("version") or "3")
    gone = dict.fromkeys(stored.keys() - whole.keys(), None)
    return gone | whole | {name: stored[name] for name in kept if name not in body and name in stored}


def stamps(username: str, now: str) -> dict[str, str]:
    """Who made a record, and when."""
    return {"createdBy": username, "createdAt": now, "updatedBy": username, "updatedAt": now}


def created(document: Document) -> Document:
    """What API v3 answers to a create: singular names only where there is something to name."""
    firsts = _firsts(document)
    return document | {name: value for name, value in firsts.items() if value is not None}


def shown(document: Document) -> Document:
    """A dataset as API v3 shows it in all other answers but that to a delete."""
    return document | _firsts(document)


def shown_v4(document: Document) -> Document:
    """A dataset as API v4 shows it: the stored lists, and metadata keys percent-encoded as a backend stores them."""
    metadata = document.get("scientificMetadata")
    return document | {"scientificMetadata": _encoded(metadata)} if isinstance(metadata, dict) else document


def merged(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """A stored object after a merge patch (RFC 7396); the keys of the patch may be percent-encoded or not."""
    found = dict(stored)
    for key, value in patch.items():
        name = _key(key)
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            inner = found.get(name)
            found[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            found[name] = value
    return found


def metadata(tree: Any) -> Document | None:
    """Metadata in its stored form: decoded keys, SI values added; a list becomes an object."""
    if tree is None:
        return None
    members = tree if isinstance(tree, dict) else {str(number): member for number, member in enumerate(tree)}
    return with_si(_decoded(members))


def text_list(value: Any) -> list[Any] | None:
    """A list of texts as it is stored: a single text is a list of one."""
    return [value] if isinstance(value, str) else value


def _stored(name: str, value: Any) -> Any:
    if name in TEXT_LISTS:
        return text_list(value)
    if name in _TIMES:
        # A backend accepts an end time that it cannot parse, and drops it; better that than no dataset.
        return times.normal(value)
    if name == "scientificMetadata":
        return metadata(value)
    if name == "sourceFolder":
        return value.removesuffix("/") or value
    if name in ("techniques", "relationships") and value is not None:
        return [{**member, "_id": object_id()} for member in value]
    return value


def _firsts(document: Document) -> Document:
    return {name: document[PLURALS[name]][0] for name in SHOWN if document.get(PLURALS[name])}


def _decoded(tree: Document) -> Document:
    return {_key(key): _decoded(member) if isinstance(member, dict) else member for key, member in tree.items()}


def _encoded(tree: Document) -> Document:
    return {
        quote(key, safe="-_!~*'()").replace(".", "%2E"): _encoded(member) if isinstance(member, dict) else member
        for key, member in tree.items()
    }


def _key(key: str) -> str:
    # A key that seems to be percent-encoded is decoded, as by a backend, which stores all keys encoded.
    return unquote(key) if _ENCODED.search(key) else key


def _lifecycle(now: str) -> Document:
    midnight = f"{now[:10]}T00:00:00.000Z"
    return {
        "_id": object_id(),
        "archivable": True,
        "retrievable": False,
        "publishable": False,
        "dateOfDiskPurging": now,
        "archiveRetentionTime": midnight,
        "dateOfPublishing": midnight,
        "publishedOn": now,
        "isOnCentralDisk": True,
        "archiveStatusMessage": "datasetCreated",
        "retrieveStatusMessage": "",
        "retrieveIntegrityCheck": False,
    }
