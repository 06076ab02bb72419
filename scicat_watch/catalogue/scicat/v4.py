"""SciCat's API v4: the same datasets, file lists and thumbnails by its flat routes.

Measured on backend 4.5: a change sets the totals to 0 that it does not name; a new file list sums up the ten newest
only; thumbnails are for admins, and file lists for the owner group. Where v4 refuses our account, v3 may allow the
same, so that it is asked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.scicat.api import Holding
from scicat_watch.catalogue.scicat.compare import part_id
from scicat_watch.catalogue.scicat.shapes import decoded, merge_patch, name_of, to_v4, with_units
from scicat_watch.catalogue.scicat.v3 import (
    LONGEST_LISTS,
    RELATIONS,
    ScicatV3,
    attachment_body,
    kept_totals,
    unmodified_since,
)
from scicat_watch.documents import Attachment, Dataset, OrigDatablock
from scicat_watch.errors import CatalogueError, Refused

T = TypeVar("T")

_MERGE = "application/merge-patch+json"


class ScicatV4(ScicatV3):
    """A SciCat backend, met through `http` by API v4 as far as that goes."""

    sums_up = 10

    def __init__(self, http: HttpClient, pid_prefix: str = "") -> None:
        """`http`: the way to API v3 of the same server, where logins and look-ups are. `Refused` if it has no other."""
        other = http.sibling("v4")
        if other is None:
            raise Refused("catalogue.url names no version of the API, so that v4 cannot be found: end it in /api/v4")
        super().__init__(other, pid_prefix)
        self._v3 = ScicatV3(http, pid_prefix)
        self._thumbnails_by_v3 = False
        """Whether v4 refuses thumbnails to our account, and v3 takes them."""

    def ping(self) -> None:
        """Ask for the server's health."""
        self._v3.ping()

    def whoami(self) -> Mapping[str, Any]:
        """Who we are; empty if SciCat cannot say, `NotLoggedIn` if we are nobody."""
        return self._v3.whoami()

    def account(self) -> str:
        """The name of our account, as SciCat writes it into what we make; empty if it does not say."""
        return self._v3.account()

    def look_up(self, path_or_url: str) -> Any:
        """What SciCat answers to a path below the base of API v3, such as "proposals/20990042"."""
        return self._v3.look_up(path_or_url)

    def shaped(self, fields: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
        """The fields of a document as this version takes them."""
        return to_v4(fields)

    def dataset(self, pid: str) -> Mapping[str, Any] | None:
        """The stored dataset; None if there is none. `Refused` if it is there but not for our account."""
        stored = self._stored(pid)
        return None if stored is None else _plain(stored)

    def holding(self, pid: str, *, brief: bool = False) -> Holding | None:
        """The stored dataset with its file lists and thumbnails; None and `Refused` as `dataset`; always all of it."""
        stored = self._stored(pid, params=[("include", name) for name in RELATIONS], limit=LONGEST_LISTS)
        if stored is None:
            return None
        blocks, thumbnails = (stored.get(name) or () for name in RELATIONS)
        return Holding(_plain({name: stored[name] for name in stored if name not in RELATIONS}), blocks, thumbnails)

    def create_dataset(self, dataset: Dataset) -> str:
        """Create a dataset and return its full id; `AlreadyThere` if the id is taken."""
        fields = {"datasetName": name_of(str(dataset.fields.get("sourceFolder", "")))} | dict(dataset.fields)
        return super().create_dataset(Dataset(fields))

    def update_dataset(self, pid: str, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        """Replace these fields of a dataset; of the scientific metadata only the members that differ are sent."""
        body, headers = kept_totals(stored) | dict(fields), unmodified_since(stored)
        metadata = fields.get("scientificMetadata")
        if isinstance(metadata, Mapping):
            body["scientificMetadata"] = with_units(stored.get("scientificMetadata"), metadata)
            patch = merge_patch(stored.get("scientificMetadata"), body["scientificMetadata"])
            if patch is not None:
                body["scientificMetadata"] = patch
                headers["Content-Type"] = _MERGE
        self._patch(pid, body, headers)

    def datablocks(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored file lists of a dataset."""
        held = self.holding(pid)
        return held.blocks if held else ()

    def add_datablock(self, pid: str, block: OrigDatablock, groups: Mapping[str, Any] | None = None) -> str:
        """Add a file list to a dataset, and return its id."""
        body = {"datasetId": self._full(pid), **block.as_json()}
        return self._else_v3(
            lambda: part_id(self._http.request("POST", "origdatablocks", json=body)),
            lambda: self._v3.add_datablock(pid, block, groups),
        )

    def remove_datablock(self, pid: str, block_id: str) -> None:
        """Remove a stored file list; it is no fault if it is gone."""
        self._remove("origdatablocks", block_id)

    def attachments(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored thumbnails of a dataset."""
        held = self.holding(pid)
        return held.attachments if held else ()

    def add_attachment(
        self, pid: str, attachment: Attachment, owner_group: str, access_groups: Sequence[str] = ()
    ) -> str:
        """Add a thumbnail to a dataset, and return its id."""
        body = {
            **attachment_body(attachment, owner_group, access_groups),
            "isPublished": False,
            "relationships": [
                {"targetId": self._full(pid), "targetType": "dataset", "relationType": "is attached to"}
            ],
        }  # fmt: skip

        def by_v3() -> str:
            made = self._v3.add_attachment(pid, attachment, owner_group, access_groups)
            self._thumbnails_by_v3 = True
            return made

        if self._thumbnails_by_v3:
            return by_v3()
        return self._else_v3(lambda: part_id(self._http.request("POST", "attachments", json=body)), by_v3)

    def remove_attachments(self, pid: str) -> None:
        """Remove all thumbnails of a dataset."""
        thumbnails = self.attachments(pid)

        def one_by_one() -> None:
            for thumbnail in thumbnails:
                self.remove_attachment(pid, part_id(thumbnail))

        self._else_v3(one_by_one, lambda: self._v3.remove_attachments(pid))

    def remove_attachment(self, pid: str, attachment_id: str) -> None:
        """Remove one thumbnail; it is no fault if it is gone."""
        self._remove("attachments", attachment_id)

    def _else_v3(self, by_v4: Callable[[], T], by_v3: Callable[[], T]) -> T:
        """What v4 does; what v3 does where v4 refuses our account, and v3 does not."""
        try:
            return by_v4()
        except Refused as refused:
            if refused.status != 403:
                raise
            try:
                return by_v3()
            except CatalogueError as other:
                if other.status == 404:
                    raise refused from None
                raise


def _plain(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset with the keys of its metadata as they were sent."""
    return {**stored, "scientificMetadata": decoded(stored.get("scientificMetadata"))}
