"""Records of any model in a SciCat, one by one or all of them; see `catalogue.records`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.patience import Patience, once
from scicat_watch.catalogue.records import Posted
from scicat_watch.catalogue.scicat.api import AlreadyThere, Holding
from scicat_watch.catalogue.scicat.compare import LISTS, THEIRS, first_agrees, metadata_normal, stored_value
from scicat_watch.catalogue.scicat.merge import without_si
from scicat_watch.catalogue.scicat.versions import Versions
from scicat_watch.documents import Dataset
from scicat_watch.errors import CatalogueError, Refused
from scicat_watch.model import Status
from scicat_watch.words import nearest

PAGE = 200
"""Records that are asked for at a time."""
PIDS = 2000
"""The same of ids alone."""
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
_COLLECTIONS = (
    "Datasets", "RawDatasets", "DerivedDatasets", "Samples", "Proposals", "Instruments", "OrigDatablocks", "Datablocks",
    "Attachments", "Jobs", "PublishedData", "Policies", "Logbooks", "Users",
)  # fmt: skip
"""What there is in a SciCat, as people write it."""
_DATASETS = {"datasets": "", "rawdatasets": "raw", "deriveddatasets": "derived"}


class ScicatRecords:
    """The records of one SciCat."""

    def __init__(self, http: HttpClient, versions: Versions, prefix: str = "", patient: Patience = once) -> None:
        """`http`: the way to API v3, which alone has models other than datasets and their parts.

        `versions` put no prefix before ids, because not all datasets of a catalogue need have it; `prefix` is that of
        documents' ids. `patient` makes what may be repeated.
        """
        self._http, self._versions, self._prefix, self._patient = http, versions, prefix, patient

    def post(self, model: str, document: Mapping[str, Any], *, update: bool) -> Posted:
        """Create a record of a model such as "Samples"; see `Records`."""
        name = model.lower()
        if name in _DATASETS:
            kind = _DATASETS[name]
            # Without an id a second one would be a double of a first whose answer got lost.
            patient = self._patient if document.get("pid") else once
            return patient(lambda: self._post_dataset(kind, document, update))
        known = _MODELS.get(name)
        if known is None or not document.get(known.key):
            return self._post_nameless(model, document)
        return self._patient(lambda: self._post_record(known, document, update))

    def find(self, model: str, name: str) -> str:
        """The id of the record that is known by a name; empty if there is none."""
        known = _MODELS[model.lower()]
        stored = self._patient(lambda: self._found(known, name))
        return "" if stored is None else _id_of(known, stored)

    def all_of(self, model: str) -> Iterator[Mapping[str, Any]]:
        """The documents of all records of a model; see `Records`."""
        known = _MODELS[model.lower()]
        skip = 0
        while True:
            limits = {"limit": PAGE, "skip": skip, "order": f"{known.key}:asc"}
            found = self._listed(known.path, {known.list_parameter: json.dumps({"limits": limits})})
            yield from (_document(one, set()) for one in found)
            if len(found) < PAGE:
                return
            skip += PAGE

    def pids(self) -> Iterator[str]:
        """The ids of all datasets for our account."""
        skip = 0
        while True:
            wanted = {"fields": ["pid"], "limits": {"limit": PIDS, "skip": skip, "order": "pid:asc"}}
            found = self._listed("datasets", {"filter": json.dumps(wanted)})
            yield from (str(one["pid"]) for one in found if one.get("pid"))
            if len(found) < PIDS:
                return
            skip += PIDS

    def bundle(self, pid: str) -> Mapping[str, Any] | None:
        """A dataset with its parts; see `Records`."""
        found = self._patient(lambda: self._versions().holding(pid))
        return None if found is None else _bundle(found, pid)

    def full_pid(self, pid: str) -> str:
        """The id that the dataset of a document has here."""
        return self._prefix + pid

    def document_pid(self, full_pid: str) -> str:
        """An id as documents have it."""
        return full_pid.removeprefix(self._prefix)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _listed(self, path: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """A page of a list of records."""
        found = self._patient(lambda: self._http.request("GET", path, params=params, sure=True))
        if not isinstance(found, list):
            raise Refused(f"the catalogue's list of {path} is not one")
        return [one for one in found if isinstance(one, Mapping)]

    def _post_record(self, known: _Model, document: Mapping[str, Any], update: bool) -> Posted:
        stored = self._found(known, str(document[known.key]))
        if stored is None:
            answer = self._http.request("POST", known.path, json=dict(document))
            return Posted(_key_of(answer) or str(document[known.key]), Status.CREATED)
        key = _id_of(known, stored)
        changes = {field: value for field, value in document.items() if not _is(stored, field, value)}
        changes.pop(known.key, None)
        if not changes or not update:
            return Posted(key, Status.UNCHANGED, tuple(changes))
        if "isPublished" in stored:  # A change of a sample resets it unless it is named.
            changes.setdefault("isPublished", stored["isPublished"])
        self._http.request("PATCH", known.path, key, json=changes)
        return Posted(key, Status.UPDATED)

    def _post_nameless(self, model: str, document: Mapping[str, Any]) -> Posted:
        """Create a record that nothing says whether it is there."""
        try:
            answer = self._http.request("POST", *model.strip("/").split("/"), json=dict(document))
        except CatalogueError as error:
            if error.status == 404 and model.lower() not in map(str.lower, _COLLECTIONS):
                raise Refused(f"the catalogue has no model {model!r}{nearest(model, _COLLECTIONS)}", 404) from error
            raise
        return Posted(_key_of(answer), Status.CREATED, nameless=True)

    def _post_dataset(self, kind: str, document: Mapping[str, Any], update: bool) -> Posted:
        api, fields = self._versions(), ({"type": kind} if kind else {}) | dict(document)
        if pid := str(fields.get("pid") or ""):
            fields["pid"] = pid = self.full_pid(self.document_pid(pid))
        try:
            return Posted(api.create_dataset(Dataset(fields)), Status.CREATED, nameless=not pid)
        except AlreadyThere:
            stored = api.dataset(pid)
            if stored is None:
                raise
        wanted = api.shaped(fields)
        changes = {
            name: value
            for name, value in wanted.items()
            if name not in THEIRS | {"pid", "type"} and not first_agrees(name, value, stored_value(stored, name))
        }
        if changes and update:
            api.update_dataset(pid, changes, stored)
            return Posted(pid, Status.UPDATED)
        return Posted(pid, Status.UNCHANGED, tuple(changes))

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


def _id_of(model: _Model, stored: Mapping[str, Any]) -> str:
    return str(stored.get("pid") if model.by_filter else stored.get(model.key))


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
