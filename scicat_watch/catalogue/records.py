"""What is done with single records of any model, and with a catalogue as a whole: posted, listed, carried elsewhere.

Scans go by `publisher`; this is for what people prepare by hand, and for moving from one catalogue to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scicat_watch.model import Status


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of one record."""

    key: str
    """Its id in the catalogue, e.g. a pid; empty if it has none."""
    status: Status
    """CREATED, UPDATED, or UNCHANGED: it is there already, as it is."""
    differs: tuple[str, ...] = ()
    """Fields of a record that is there, and was left, in which it differs from the document."""
    nameless: bool = False
    """Whether the document has nothing to know the record by, so that posting it again makes another one."""


class Records(Protocol):
    """The records of one catalogue.

    Every verb waits for a while if the catalogue is unavailable, and then raises `Unavailable`; or `Refused`.
    """

    def post(self, model: str, document: Mapping[str, Any], *, update: bool) -> Posted:
        """Create a record of a model such as "Samples", unless it is there; `update`: then it is brought up to date.

        Raises `Refused` for a document that the catalogue does not take.
        """

    def find(self, model: str, name: str) -> str:
        """The id of the record that is known by a name, e.g. of the instrument "bl07"; empty if there is none."""

    def all_of(self, model: str) -> Iterator[Mapping[str, Any]]:
        """The documents of all records of a model, as they can be posted elsewhere; with ids that the server made."""

    def pids(self) -> Iterator[str]:
        """The ids of all datasets for our account, as the catalogue has them."""

    def bundle(self, pid: str) -> Mapping[str, Any] | None:
        """A dataset with its file lists and thumbnails, in the one JSON form of a bundle, but with its `pid` as here.

        None if it was removed meanwhile.
        """

    def full_pid(self, pid: str) -> str:
        """The id that the dataset of a document has here: with the site's prefix."""

    def document_pid(self, full_pid: str) -> str:
        """An id as documents have it: without the site's prefix, if it has that."""

    def close(self) -> None:
        """Close all connections."""
