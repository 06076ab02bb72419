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


class Records(Protocol):
    """The records of one catalogue. Every verb raises `Unavailable` or `Refused`."""

    def post(self, model: str, document: Mapping[str, Any], *, update: bool) -> Posted:
        """Create a record of a model such as "Samples", unless it is there; `update`: then it is brought up to date.

        Raises `Refused` for a document that the catalogue does not take.
        """

    def count(self) -> int:
        """How many datasets there are for our account."""

    def all_of(self, model: str) -> Iterator[Mapping[str, Any]]:
        """The documents of all records of a model, as they can be posted elsewhere."""

    def datasets(self) -> Iterator[Mapping[str, Any]]:
        """All datasets for our account with their file lists and thumbnails, in the one JSON form of a bundle."""

    def close(self) -> None:
        """Close all connections."""
