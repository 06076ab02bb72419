"""The single requests that publishing to a SciCat is made of, and what can be special about its answers.

Every verb is one thing said to SciCat. Each raises `Unavailable` if there was no usable
answer, which leaves open whether a write was done, and `Refused` if the answer was no. Dataset ids
are those of the documents; a site's prefix is put before them by the class of the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scicat_watch.documents import Attachment, Dataset, OrigDatablock
from scicat_watch.errors import Refused


@dataclass(frozen=True, slots=True)
class Holding:
    """What SciCat has of a scan."""

    dataset: Mapping[str, Any]
    blocks: Sequence[Mapping[str, Any]] = ()
    """Its file lists."""
    attachments: Sequence[Mapping[str, Any]] = ()
    """Its thumbnails."""


class ScicatApi(Protocol):
    """A version of SciCat's API: datasets with their file lists and thumbnails."""

    def ping(self) -> None:
        """Ask for nothing, cheaply: returns if SciCat answers, `Unavailable` if not."""

    def whoami(self) -> Mapping[str, Any]:
        """Who we are: `username`, `currentGroups`; empty if SciCat cannot say, `NotLoggedIn` if we are nobody."""

    def dataset(self, pid: str) -> Mapping[str, Any] | None:
        """The stored dataset; None if there is none."""

    def holding(self, pid: str, *, brief: bool = False) -> Holding | None:
        """The stored dataset with its file lists and thumbnails, by one request; None if there is none.

        `brief`: of the dataset itself no more is needed than its totals and what changing them takes.
        """

    def dataset_with(self, entry: str, value: Any) -> Mapping[str, Any] | None:
        """A stored dataset whose scientific metadata has this value in `entry`; None if there is none."""

    def full_pid(self, pid: str) -> str:
        """The id of a document as the catalogue has it: with the site's prefix."""

    def document_pid(self, full_pid: str) -> str:
        """An id that the catalogue gave, as documents have it: without the site's prefix."""

    def create_dataset(self, dataset: Dataset) -> str:
        """Create a dataset and return its full id; `AlreadyThere` if the id is taken."""

    @property
    def sums_up(self) -> float:
        """Of how many file lists the totals of a dataset are right after they were added."""

    def shaped(self, fields: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
        """The fields of a document as this version takes them; `kind`: the dataset's type."""

    def account(self) -> str:
        """The name of our account, as SciCat writes it into what we make; empty if it does not say."""

    def update_dataset(self, pid: str, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        """Replace these fields of a dataset, each as a whole.

        `ChangedMeanwhile` if it is not as it was when `stored` was read.
        """

    def datablocks(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored file lists of a dataset."""

    def add_datablock(self, pid: str, block: OrigDatablock, groups: Mapping[str, Any] | None = None) -> str:
        """Add a file list to a dataset, and return its id; `groups`: the dataset's `ownerGroup` and `accessGroups`."""

    def replace_datablock(self, pid: str, block_id: str, block: OrigDatablock, stored: Mapping[str, Any]) -> None:
        """Put a file list in the place of a stored one; `ChangedMeanwhile` if that is not as `stored` any more."""

    def remove_datablock(self, pid: str, block_id: str) -> None:
        """Remove a stored file list; it is no fault if it is gone."""

    def attachments(self, pid: str) -> Sequence[Mapping[str, Any]]:
        """All stored thumbnails of a dataset."""

    def add_attachment(
        self, pid: str, attachment: Attachment, owner_group: str, access_groups: Sequence[str] = ()
    ) -> str:
        """Add a thumbnail to a dataset, and return its id."""

    def remove_attachment(self, pid: str, attachment_id: str) -> None:
        """Remove one thumbnail; `Refused` where only all can be removed."""

    def remove_attachments(self, pid: str) -> None:
        """Remove all thumbnails of a dataset."""

    def look_up(self, path_or_url: str) -> Any:
        """What SciCat answers to a path below its base, such as "proposals/20990042"."""

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""


class ChangedMeanwhile(Refused):
    """Somebody else changed the dataset, or a file list of it, since it was read."""


class AlreadyThere(Refused):
    """A dataset of this id exists already: somebody was faster, or an answer was lost."""


class Unreadable(Refused):
    """The dataset exists, but our account may not read it."""
