"""Records of any model in a SciCat, one by one or all of them; see `catalogue.records`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.records import Posted
from scicat_watch.catalogue.scicat.api import AlreadyThere, Holding
from scicat_watch.catalogue.scicat.compare import LISTS, THEIRS, first_agrees, metadata_normal, stored_value
from scicat_watch.catalogue.scicat.merge import without_si
from scicat_watch.catalogue.scicat.versions import Versions
from scicat_watch.documents import Dataset
from scicat_watch.errors import CatalogueError, Refused
from scicat_watch.model import Status

PAGE = 200
"""Records that are asked for at a time."""
_BLOCK = frozenset({"dataFileList", "chkAlg"})
_FILE = frozenset({"path", "size", "time", "uid", "gid", "perm", "chk"})
_NEVER = THEIRS - {"isPublished", "classification"} | {"numberOfDatasets"}
"""Fields that the server makes, and refuses or ignores in a document."""


@dataclass(frozen=True, slots=True)
class _Model:
    path: str
    key: str
    """The field by which one is known."""
    by_filter: bool = False
    """Whether one is found by a filter, because the server makes its id."""
    list_parameter: str = "filter"


_MODELS = {
    "proposals": _Model("proposals", "proposalId", list_parameter="filters"),
    "samples": _Model("samples", "sampleId"),
    "instruments": _Model("instruments", "uniqueName", by_filter=True),
}
_DATASETS = {"datasets": "", "rawdatasets": "raw", "deriveddatasets": "derived"}


class ScicatRecords:
    """The records of one SciCat."""

    def __init__(self, http: HttpClient, versions: Versions) -> None:
        """`http`: the way to API v3, which alone has models other than datasets and their parts."""
        self._http, self._versions = http, versions

    def post(self, model: str, document: Mapping[str, Any], *, update: bool) -> Posted:
        """Create a record of a model such as "Samples"; see `Records`."""
        name = model.lower()
        if name in _DATASETS:
            return self._post_dataset(_DATASETS[name], document, update)
        known = _MODELS.get(name)
        if known is None or not document.get(known.key):
            answer = self._http.request("POST", *model.strip("/").split("/"), json=dict(document))
            return Posted(_key_of(answer), Status.CREATED)
        stored = self._found(known, str(document[known.key]))
        if stored is None:
            answer = self._http.request("POST", known.path, json=dict(document))
            return Posted(_key_of(answer) or str(document[known.key]), Status.CREATED)
        key = str(stored.get("pid") if known.by_filter else stored.get(known.key))
        changes = {field: value for field, value in document.items() if not _is(stored, field, value)}
        changes.pop(known.key, None)
        if not changes or not update:
            return Posted(key, Status.UNCHANGED, tuple(changes))
        if "isPublished" in stored:  # A change of a sample resets it unless it is named.
            changes.setdefault("isPublished", stored["isPublished"])
        self._http.request("PATCH", known.path, key, json=changes)
        return Posted(key, Status.UPDATED)

    def count(self) -> int:
        """How many datasets there are for our account."""
        answer = self._http.request("GET", "datasets", "count")
        return int(answer.get("count", 0)) if isinstance(answer, Mapping) else 0

    def all_of(self, model: str) -> Iterator[Mapping[str, Any]]:
        """The documents of all records of a model, as they can be posted elsewhere."""
        known = _MODELS[model.lower()]
        skip = 0
        while True:
            limits = {"limit": PAGE, "skip": skip, "order": f"{known.key}:asc"}
            params = {known.list_parameter: json.dumps({"limits": limits})}
            found = self._http.request("GET", known.path, params=params, sure=True)
            if not isinstance(found, list):
                raise Refused(f"the catalogue's list of {known.path} is not one")
            for one in found:
                yield _document(one, {"pid"} if known.by_filter else set())
            if len(found) < PAGE:
                return
            skip += PAGE

    def datasets(self) -> Iterator[Mapping[str, Any]]:
        """All datasets for our account, in the JSON form of a bundle."""
        api, skip = self._versions(), 0
        while True:
            wanted = {"fields": ["pid"], "limits": {"limit": PAGE, "skip": skip, "order": "pid:asc"}}
            found = self._http.request("GET", "datasets", params={"filter": json.dumps(wanted)}, sure=True)
            pids = [str(one["pid"]) for one in found if isinstance(one, Mapping) and one.get("pid")]
            for full_pid in pids:
                pid = api.document_pid(full_pid)
                held = api.holding(pid)
                if held is not None:  # Otherwise it was removed meanwhile.
                    yield _bundle(held, pid)
            if len(pids) < PAGE:
                return
            skip += PAGE

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _post_dataset(self, kind: str, document: Mapping[str, Any], update: bool) -> Posted:
        api, fields = self._versions(), ({"type": kind} if kind else {}) | dict(document)
        dataset = Dataset(fields)
        try:
            return Posted(api.create_dataset(dataset), Status.CREATED)
        except AlreadyThere:
            stored = api.dataset(dataset.pid)
            if stored is None:
                raise
        wanted = api.shaped(fields)
        changes = {
            name: value
            for name, value in wanted.items()
            if name not in THEIRS | {"pid", "type"} and not first_agrees(name, value, stored_value(stored, name))
        }
        if changes and update:
            api.update_dataset(dataset.pid, changes, stored)
            return Posted(api.full_pid(dataset.pid), Status.UPDATED)
        return Posted(api.full_pid(dataset.pid), Status.UNCHANGED, tuple(changes))

    def _found(self, model: _Model, key: str) -> Mapping[str, Any] | None:
        if model.by_filter:
            wanted = {"where": {model.key: {"$in": [key]}}}
            found = self._http.request("GET", model.path, params={model.list_parameter: json.dumps(wanted)})
            return found[0] if isinstance(found, list) and found else None
        try:
            answer = self._http.request("GET", model.path, key)
        except CatalogueError as error:
            if error.status == 404:
                return None
            raise
        return answer if isinstance(answer, Mapping) else None


def _is(stored: Mapping[str, Any], name: str, value: Any) -> bool:
    if name in ("sampleCharacteristics", "metadata", "customMetadata"):
        return bool(metadata_normal(stored.get(name)) == metadata_normal(value))
    return bool(first_agrees(name, value, stored.get(name)))


def _key_of(answer: Any) -> str:
    known = answer if isinstance(answer, Mapping) else {}
    return next((str(known[name]) for name in ("pid", "proposalId", "sampleId", "_id", "id") if known.get(name)), "")


def _document(stored: Mapping[str, Any], without: set[str]) -> dict[str, Any]:
    """A stored record without what its server made of it."""
    fields = {name: value for name, value in stored.items() if name not in _NEVER | without}
    found = {name: without_si(value) if isinstance(value, Mapping) else value for name, value in fields.items()}
    return {name: value for name, value in found.items() if value is not None and value != [None]}


def _bundle(held: Holding, pid: str) -> dict[str, Any]:
    """A dataset with its parts, in the JSON form of a bundle."""
    fields = _document(held.dataset, {"classification", "pid"})
    plural = {name: [one for one in fields[name] if one] for name in LISTS if isinstance(fields.get(name), list)}
    fields = {name: value for name, value in fields.items() if name not in LISTS}
    fields |= {name: value for name, value in plural.items() if value}
    for name in ("techniques", "relationships"):
        fields[name] = [{key: one[key] for key in one if key not in ("_id", "id")} for one in fields.get(name, ())]
    blocks = []
    for block in held.blocks:
        files = [{name: one[name] for name in one if name in _FILE} for one in block.get("dataFileList") or ()]
        blocks.append({name: block[name] for name in block if name in _BLOCK and block[name]} | {"dataFileList": files})
    attachments = [
        {"thumbnail": one["thumbnail"], "caption": one.get("caption") or ""}
        for one in held.attachments
        if one.get("thumbnail")
    ]
    return {"dataset": {"pid": pid, **fields}, "origdatablocks": blocks, "attachments": attachments}
