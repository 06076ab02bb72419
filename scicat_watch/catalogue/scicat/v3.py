"""SciCat's API v3: datasets, file lists and thumbnails, by the routes that keep what they should.

Measured on backend 4.5: v3 PATCH leaves a raw dataset's totals alone, v4 zeroes them; the nested
route for new file lists adds them up exactly; the nested routes for a single thumbnail hit another
one, so that thumbnails are only removed all together.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.patience import Patience, once
from scicat_watch.catalogue.scicat.api import AlreadyThere, ChangedMeanwhile, Holding, Unreadable
from scicat_watch.catalogue.scicat.compare import TOTALS, part_id
from scicat_watch.catalogue.scicat.shapes import to_v3
from scicat_watch.documents import Attachment, Dataset, OrigDatablock
from scicat_watch.errors import CatalogueError, Refused, Unavailable

LONGEST_LISTS = 1 << 30
"""Bytes that the file lists of one dataset may have: some millions of files."""
RELATIONS = ("origdatablocks", "attachments")
FIELDS = (
    "pid", "type", "ownerGroup", "accessGroups", "instrumentGroup", "owner", "ownerEmail", "orcidOfOwner",
    "contactEmail", "sourceFolder", "sourceFolderHost", "creationTime", "creationLocation", "startTime", "endTime",
    "datasetName", "description", "comment", "keywords", "license", "validationStatus", "isPublished", "sharedWith",
    "techniques", "relationships", "runNumber", "dataFormat", "dataQualityMetrics", "scientificMetadata",
    "scientificMetadataSchema", "principalInvestigator", "principalInvestigators", "investigator", "proposalId",
    "proposalIds", "sampleId", "sampleIds", "instrumentId", "instrumentIds", "inputDatasets", "usedSoftware",
    "jobParameters", "jobLogData", "size", "packedSize", "numberOfFiles", "numberOfFilesArchived", "createdBy",
    "createdAt", "updatedBy", "updatedAt",
)  # fmt: skip
"""What is asked for of a dataset: all but its history, which may be long and for which some datasets answer 500."""
TOTALS_FIELDS = ("pid", "type", *TOTALS, "updatedAt")
"""What is asked for where only the totals matter: metadata may be long."""
NESTED_BLOCKS = 100
"""How many file lists the nested route gives at most."""
NESTED_ATTACHMENTS = 10
"""How many thumbnails the nested route gives at most."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
PAGE = 20
"""File lists asked for at a time where the nested route gives too few."""


class ScicatV3:
    """A SciCat backend, met through `http`."""

    sums_up = math.inf
    """Of how many file lists the totals are right after they were added."""

    def __init__(
        self,
        http: HttpClient,
        pid_prefix: str = "",
        places: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        patient: Patience = once,
    ) -> None:
        """`pid_prefix` comes before every dataset id.

        `places` are the paths of collections that are not found below their own name, e.g.
        {"datasets": ("raw", "datasets")}. `patient` makes the requests that may be repeated.
        """
        self._http, self._prefix, self._places, self._patient = http, pid_prefix, places, patient

    def ping(self) -> None:
        """Ask for the server's health; one that has no such route but answers is alive as well."""
        try:
            self._http.ask("GET", "health")
        except Refused:
            return
        except Unavailable as error:
            if error.status != 404:
                raise
            # A page instead of an answer: what is before SciCat may hide this route alone, or have nothing behind it.
            self._http.ask("GET", "auth", "whoami")

    def whoami(self) -> Mapping[str, Any]:
        """Who we are; empty if SciCat cannot say, `NotLoggedIn` if we are nobody."""
        return self._http.whoami()

    def dataset(self, pid: str) -> Mapping[str, Any] | None:
        """The stored dataset; None if there is none. `Refused` if it is there but not for our account."""
        return self._stored(pid, params=_filter({"fields": [*FIELDS]}))

    def holding(self, pid: str, *, brief: bool = False) -> Holding | None:
        """The stored dataset with its file lists and thumbnails; None and `Refused` as `dataset`."""
        wanted = {"fields": [*(TOTALS_FIELDS if brief else FIELDS), *RELATIONS], "include": list(RELATIONS)}
        stored = self._stored(pid, params=_filter(wanted), limit=LONGEST_LISTS)
        if stored is None:
            return None
        # Who does not know `include` leaves them out, which is not the same as having none.
        related = [stored.get(name) for name in RELATIONS]
        blocks = self.datablocks(pid) if related[0] is None else _objects(related[0], f"file lists of {pid}")
        shown = self.attachments(pid) if related[1] is None else _objects(related[1], f"thumbnails of {pid}")
        return Holding({name: stored[name] for name in stored if name not in RELATIONS}, blocks, shown)

    def _stored(self, pid: str, **how: Any) -> Mapping[str, Any] | None:
        try:
            answer = self._get("datasets", self._full(pid), **how)
        except CatalogueError as error:
            if error.status == 404:
                return None
            if error.status == 403:
                raise Unreadable(
                    f"dataset {self._full(pid)} exists, but our account may not read it: it must belong to the "
                    f"dataset's ownerGroup or accessGroups ({error})",
                    403,
                ) from error
            raise
        if answer is None:
            return None
        stored = _object(answer, f"dataset {self._full(pid)}")
        if (other := stored.get("pid") or self._full(pid)) != self._full(pid):
            raise Unavailable(
                f"the catalogue was asked for dataset {self._full(pid)} and answered with {other}: does something "
                "before it keep answers, or change addresses?"
            )
        return stored

    def dataset_with(self, entry: str, value: Any) -> Mapping[str, Any] | None:
        """A stored dataset whose scientific metadata has this value in `entry`; None if there is none."""
        wanted = {"where": {f"scientificMetadata.{entry}.value": {"$in": forms_of(value)}}}
        answer = self._get("datasets", params=_filter(wanted), sure=True)
        found = answer if isinstance(answer, list) else [answer]
        return next((one for one in found if isinstance(one, Mapping) and one), None)

    def full_pid(self, pid: str) -> str:
        """The id of a document as the catalogue has it: with the site's prefix."""
        return self._full(pid)

    def document_pid(self, full_pid: str) -> str:
        """An id that the catalogue gave, as documents have it: without the site's prefix."""
        return full_pid.removeprefix(self._prefix)

    def create_dataset(self, dataset: Dataset) -> str:
        """Create a dataset and return its full id; `AlreadyThere` if the id is taken."""
        fields = {name: value for name, value in self.shaped(dataset.fields).items() if value is not None}
        if dataset.pid:
            fields["pid"] = self._full(dataset.pid)
        # Without an id of its own a second dataset would be a double of a first whose answer got lost.
        patient = self._patient if dataset.pid else once
        try:
            answer = patient(lambda: self._http.request("POST", *self._at("datasets"), json=fields))
        except Refused as refused:
            if refused.status == 409:
                raise AlreadyThere(str(refused), 409) from refused
            raise
        made, wanted = self._made(answer), str(fields.get("pid", ""))
        if made and wanted and made != wanted:
            raise Refused(f"the catalogue made dataset {made} although {wanted} was asked for; remove it, and ask why")
        return made or wanted

    def shaped(self, fields: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
        """The fields of a document as this version takes them; `kind`: the dataset's type."""
        return to_v3(fields, kind)

    def account(self) -> str:
        """The name of our account, as SciCat writes it into what we make; empty if it does not say."""
        return self._http.account()

    def update_dataset(self, pid: str, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        """Replace these fields of a dataset, each as a whole; `ChangedMeanwhile` if it is not as `stored` any more."""
        body = dict(fields)
        if stored.get("type") not in ("raw", "derived"):
            body = kept_totals(stored) | body
        self._patch(pid, body, unmodified_since(stored))

    def _patch(self, pid: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        with _unchanged(f"dataset {self._full(pid)}"):
            self._http.request("PATCH", *self._at("datasets"), self._full(pid), json=body, headers=headers)

    def datablocks(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored file lists of a dataset; `Refused` if the server does not show all of them."""
        where = ("datasets", self._full(pid), "origdatablocks")
        blocks = _objects(self._get(*where, limit=LONGEST_LISTS), f"file lists of {pid}")
        if len(blocks) < NESTED_BLOCKS:
            return blocks
        found = {str(block.get("_id")): block for block in self._paged_blocks(pid)}
        counted = _object(self._get(*where, "count"), f"number of file lists of {pid}").get("count")
        if counted != len(found):
            raise Refused(
                f"dataset {self._full(pid)} has {counted} file lists, of which our account sees {len(found)}: "
                "it must belong to the group that owns them"
            )
        return list(found.values())

    def add_datablock(self, pid: str, block: OrigDatablock, groups: Mapping[str, Any] | None = None) -> str:
        """Add a file list by the nested route, the only one that adds up the dataset's totals exactly.

        It belongs to the dataset's own groups, so `groups` are not sent.
        """
        return _id(
            self._http.request("POST", *self._at("datasets"), self._full(pid), "origdatablocks", json=block.as_json())
        )

    def replace_datablock(self, pid: str, block_id: str, block: OrigDatablock, stored: Mapping[str, Any]) -> None:
        """Put a file list in the place of a stored one, which needs no right to delete.

        The top-level route is taken because it sums the dataset's totals anew (over up to 100 file lists). A backend
        that knows no `If-Unmodified-Since` for file lists ignores it.
        """
        headers = unmodified_since(stored)
        with _unchanged(f"file list {block_id} of dataset {self._full(pid)}"):
            self._http.request("PATCH", *self._at("origdatablocks"), block_id, json=block.as_json(), headers=headers)

    def remove_datablock(self, pid: str, block_id: str) -> None:
        """Remove a stored file list; it is no fault if it is gone."""
        self._remove(*self._at("datasets"), self._full(pid), "origdatablocks", block_id)

    def _remove(self, *segments: str) -> None:
        try:
            self._http.request("DELETE", *segments)
        except Refused as refused:
            if refused.status != 404:
                raise

    def attachments(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored thumbnails of a dataset."""
        answer = self._get("datasets", self._full(pid), "attachments")
        thumbnails = _objects(answer, f"thumbnails of {pid}")
        if len(thumbnails) < NESTED_ATTACHMENTS:
            return thumbnails
        wanted = {"where": {"pid": {"$in": [self._full(pid)]}}, "include": [{"relation": "attachments"}]}
        answer = self._get("datasets", params=_filter(wanted | {"fields": ["pid"]}), sure=True)
        datasets = _objects(answer, f"thumbnails of {pid}")
        return [*_objects(datasets[0].get("attachments", []), f"thumbnails of {pid}")] if datasets else thumbnails

    def add_attachment(
        self, pid: str, attachment: Attachment, owner_group: str, access_groups: Sequence[str] = ()
    ) -> str:
        """Add a thumbnail to a dataset, and return its id."""
        body = attachment_body(attachment, owner_group, access_groups)
        return _id(self._http.request("POST", *self._at("datasets"), self._full(pid), "attachments", json=body))

    def remove_attachment(self, pid: str, attachment_id: str) -> None:
        """Remove one thumbnail by API v4, whose route hits the right one; `Refused` where there is none for us."""
        v4 = self._http.sibling("v4")
        if v4 is None:
            raise Refused(f"a single thumbnail of dataset {self._full(pid)} can only be removed by API v4")
        try:
            v4.request("DELETE", "attachments", attachment_id)
        except CatalogueError as error:
            if error.status == 404:
                raise Refused(f"thumbnail {attachment_id} cannot be removed: {error}", 404) from error
            raise

    def remove_attachments(self, pid: str) -> None:
        """Remove all thumbnails of a dataset."""
        self._http.request("DELETE", *self._at("datasets"), self._full(pid), "attachments")

    def look_up(self, path_or_url: str) -> Any:
        """What SciCat answers to a path below its base, such as "proposals/20990042"."""
        segments, params = self._http.parts(path_or_url)
        return self._patient(lambda: self._http.request("GET", *segments, params=params, sure=True))

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        self._http.close()

    def _made(self, answer: Any) -> str:
        """The id in the answer to a new dataset; empty if there is none in it."""
        return str(_object(answer, "the new dataset").get("pid") or "")

    def _at(self, collection: str) -> tuple[str, ...]:
        """The path of a collection."""
        return self._places.get(collection, (collection,))

    def _get(self, collection: str, *below: str, **how: Any) -> Any:
        """The answer to a question about a collection, or what is below it."""
        return self._patient(lambda: self._http.request("GET", *self._at(collection), *below, **how))

    def _full(self, pid: str) -> str:
        return self._prefix + pid

    def _paged_blocks(self, pid: str) -> Iterator[Mapping[str, Any]]:
        skip = 0
        while True:
            limits = {"limit": PAGE, "skip": skip, "order": "createdAt:asc"}
            wanted = {"where": {"datasetId": self._full(pid)}, "limits": limits}
            answer = self._get("origdatablocks", params=_filter(wanted), sure=True, limit=LONGEST_LISTS)
            blocks = _objects(answer, f"file lists of {pid}")
            yield from blocks
            if len(blocks) < PAGE:
                return
            skip += PAGE


def forms_of(value: Any) -> list[Any]:
    """The forms in which an equal value may be stored: a number also as text, a text also as the number in it.

    In a list no backend converts them; a plain text such as "scan 7" would be taken for a date.
    """
    if isinstance(value, bool):
        return [value]
    forms: list[Any] = [value]
    if isinstance(value, int | float):
        forms += [str(value), f"{value:g}"]
        if isinstance(value, float) and value.is_integer():
            forms += [int(value), str(int(value))]
    elif isinstance(value, str):
        with suppress(ValueError, OverflowError):
            number = float(value) if _NUMBER.fullmatch(value.strip()) else math.nan
            forms += [number] if math.isfinite(number) else []
    return list({(type(one), one): one for one in forms}.values())


@contextmanager
def _unchanged(what: str) -> Iterator[None]:
    """Within it something is changed that was read before; `ChangedMeanwhile` if somebody else was faster."""
    try:
        yield
    except Refused as refused:
        if refused.status == 412:
            raise ChangedMeanwhile(f"{what} was changed since it was read", 412) from refused
        raise


def _filter(wanted: Mapping[str, Any]) -> dict[str, str]:
    return {"filter": json.dumps(wanted)}


def unmodified_since(stored: Mapping[str, Any]) -> dict[str, str]:
    """The header that lets a change fail if somebody else was faster: just after the last change that we have seen."""
    try:
        last = datetime.fromisoformat(str(stored.get("updatedAt")))
    except ValueError:
        return {}
    last = (last if last.tzinfo else last.replace(tzinfo=UTC)).astimezone(UTC) + timedelta(milliseconds=1)
    return {"If-Unmodified-Since": f"{last:%Y-%m-%dT%H:%M:%S}.{last.microsecond // 1000:03d}Z"}


def attachment_body(attachment: Attachment, owner_group: str, access_groups: Sequence[str]) -> dict[str, Any]:
    """What both versions take of a thumbnail."""
    return {
        "caption": attachment.caption,
        "thumbnail": attachment.thumbnail,
        "ownerGroup": owner_group,
        "accessGroups": list(access_groups),
    }


def kept_totals(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The totals as they are, for changes that set to 0 what they do not name."""
    return {name: stored[name] for name in TOTALS if stored.get(name) is not None}


def _id(answer: Any) -> str:
    return part_id(answer) if isinstance(answer, Mapping) else ""


def _object(answer: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise Unavailable(f"{what}: the answer is not SciCat's (an object was expected); is catalogue.url right?")
    return answer


def _objects(answer: Any, what: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(member, dict) for member in answer):
        raise Unavailable(f"{what}: the answer is not SciCat's (a list was expected); is catalogue.url right?")
    return answer
