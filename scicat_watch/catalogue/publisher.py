"""What all catalogues have in common: documents are published by a policy, compared, and records looked up.

`service` knows only this module, `difference`, `availability` and `connect`; a catalogue's own classes are in a folder
of its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from scicat_watch.catalogue.options import OWNED
from scicat_watch.documents import Bundle
from scicat_watch.errors import Refused
from scicat_watch.model import Status

if TYPE_CHECKING:
    from scicat_watch.catalogue.difference import Difference
    from scicat_watch.catalogue.silence import Unanswered


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """What becomes of a dataset that is in the catalogue already; the default is the native behaviour."""

    existing: Literal["update", "complete"] = "update"
    """`update`: it is brought to what the documents say. `complete`: it gets the file list that it lacks, and
    anything else of it stays as it is."""
    find_by_pid: bool = True
    """Whether a dataset of the same pid is looked for before one is created."""
    find_by_metadata: str = ""
    """Entry of the scientific metadata, e.g. "job_id": a dataset with the same value in it is the one that is meant.
    Empty: none."""
    parts: Literal["all", "files"] = "all"
    """`files`: of a dataset that is there only the file list is updated, and `sourceFolder` if the files have moved."""
    verify: bool = True
    """Whether the catalogue is asked for what it holds of a scan. Otherwise what we remember to have written is
    believed, and a new dataset is taken to have no file lists of a removed one."""
    fields: Literal["ours", "three-way", "never"] = "three-way"
    """What becomes of fields that differ from the documents. `three-way`: what is stored as we last wrote it follows
    the documents, what somebody else changed stays. `ours`: all follow the documents. `never`: all stay, and so do
    file lists and thumbnails that are there."""
    owned: tuple[str, ...] = OWNED
    """Fields, or members of the scientific metadata with dots, that follow the documents where it is not known what
    we last wrote."""
    moved_from: str = ""
    """A `sourceFolder` that the stored dataset may have although that of the documents is another."""

    def __post_init__(self) -> None:
        if self.existing == "update" and (self.find_by_metadata or not self.find_by_pid):
            raise ValueError("only the dataset of the documents' own pid is updated: others are left as they are")

    def owns(self, path: tuple[str, ...]) -> bool:
        """Whether a field, or a member of the scientific metadata, is among the owned ones."""
        return any(".".join(path[:length]) in self.owned for length in range(1, len(path) + 1))


@dataclass(frozen=True, slots=True)
class Published:
    """What the catalogue holds of a scan now."""

    pid: str
    """The dataset's id as the catalogue has it, with the site's prefix."""
    status: Status
    """CREATED, UPDATED or UNCHANGED, for everything together."""
    datablock: Status | None = None
    """The same for the file lists, FAILED if they were refused; None if there are none, or nobody knows."""
    attachment: Status | None = None
    """The same for the thumbnails."""
    refused: Mapping[str, Refused] = field(default_factory=dict)
    """Why "datablock" or "attachment" was refused."""
    left: tuple[str, ...] = field(default=(), compare=False)
    """What of the stored dataset is somebody else's, and was left though it differs; for people."""


@dataclass(frozen=True, slots=True)
class Account:
    """Our account, as the catalogue sees it."""

    username: str = ""
    """Empty if the catalogue cannot say."""
    groups: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    """Groups for which it may create no datasets, each with the right that it lacks."""
    tried: bool = True
    """Whether that could be found out; it takes a dataset that the account sees."""


class Publisher(Protocol):
    """A catalogue to which datasets are brought. Threads may use one side by side, one scan only once at a time.

    Every verb raises `Unavailable` (time fixes it: try later) or `Refused` (a person must act).
    """

    def ping(self, *, login: bool = False) -> None:
        """Return if the catalogue answers, at the cost of a small request; `login`: also if it knows our account."""

    def account(self, owner_groups: Sequence[str]) -> Account:
        """Our account, and for which of these groups it may create no datasets. Writes nothing."""

    def publish(self, bundle: Bundle, policy: UpdatePolicy) -> Published:
        """Bring the catalogue to what `bundle` and `policy` say, from whatever state it is in; safe to repeat.

        Raises `Refused` if the dataset was refused; refused file lists and thumbnails are noted in the answer, and
        the other part is done all the same. After `Unavailable` a later call does what is missing.
        """

    def late_check(self) -> None:
        """Read the datasets again for which that is due, as a write that was not answered may have arrived late.

        What it doubled is removed. `Unavailable` as it comes: what is left is done by a later call.
        """

    def unanswered(self) -> Unanswered | None:
        """The request that has had no answer for longest; None if none has been waited for for long."""

    def difference(self, bundle: Bundle, policy: UpdatePolicy) -> Difference:
        """What `publish` would change. Only asks."""

    def look_up(self, path_or_url: str) -> Any:
        """What the catalogue answers to a path below its base, such as "proposals/20990042"."""

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
