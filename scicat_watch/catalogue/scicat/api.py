"""What scicat-watch asks of a catalogue, and what can be special about its answers.

Every verb is one thing said to the catalogue. Each raises `Unavailable` if there was no usable
answer, which leaves open whether a write was done, and `Refused` if the answer was no. Dataset ids
are those of the documents; a site's prefix is put before them by the catalogue's own class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scicat_watch.documents import Attachment, Dataset, OrigDatablock
from scicat_watch.errors import Refused, Unavailable


class Catalogue(Protocol):
    """A catalogue of datasets with their file lists and thumbnails."""

    def ping(self) -> None:
        """Ask for nothing, cheaply: returns if the catalogue answers, `Unavailable` if not."""

    def dataset(self, pid: str) -> Mapping[str, Any] | None:
        """The stored dataset; None if there is none."""

    def create_dataset(self, dataset: Dataset) -> str:
        """Create a dataset and return its full id; `AlreadyThere` if the id is taken."""

    def update_dataset(self, pid: str, fields: Mapping[str, Any]) -> None:
        """Replace these fields of a dataset, each as a whole."""

    def datablocks(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored file lists of a dataset."""

    def add_datablock(self, pid: str, block: OrigDatablock) -> None:
        """Add a file list to a dataset."""

    def replace_datablock(self, pid: str, block_id: str, block: OrigDatablock) -> None:
        """Put a file list in the place of a stored one."""

    def remove_datablock(self, pid: str, block_id: str) -> None:
        """Remove a stored file list; one that is not there is well."""

    def attachments(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored thumbnails of a dataset."""

    def add_attachment(
        self, pid: str, attachment: Attachment, owner_group: str, access_groups: Sequence[str] = ()
    ) -> None:
        """Add a thumbnail to a dataset."""

    def remove_attachments(self, pid: str) -> None:
        """Remove all thumbnails of a dataset."""

    def look_up(self, path_or_url: str) -> Any:
        """What the catalogue answers to a path below its base, such as "proposals/20990042"."""


class AlreadyThere(Refused):
    """A dataset of this id exists already: somebody was faster, or an answer was lost."""


class Postponed(Unavailable):
    """The catalogue says when to come back; `retry_after` is in seconds."""

    def __init__(self, message: str, status: int | None, retry_after: float) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after
