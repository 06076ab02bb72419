"""Which right an account lacks when SciCat answers 403. Pure.

The groups in capitals are lists of the backend's configuration, as documented for backend 4.x; an operator of the
catalogue puts the account's group into one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scicat_watch.errors import Refused


def to_create(group: str) -> str:
    """The right to create a dataset of a group under an id of our choice."""
    return (
        f"to create a dataset of the group {group!r} with a given pid, an account must be in one of "
        f"CREATE_DATASET_PRIVILEGED_GROUPS, or in {group!r} itself and one of CREATE_DATASET_WITH_PID_GROUPS"
    )


def to_change(group: str) -> str:
    """The right to change a dataset of a group."""
    return f"to change a dataset, an account must be in its ownerGroup, {group!r}"


def to_add(group: str) -> str:
    """The right to add file lists and thumbnails to a dataset of a group."""
    return (
        f"to add to a dataset, an account must be in its ownerGroup, {group!r}, or in one of "
        "CREATE_DATASET_PRIVILEGED_GROUPS"
    )


TO_REMOVE = "to remove a file list, an account must be in one of DELETE_GROUPS"


@contextmanager
def needing(right: str) -> Iterator[None]:
    """Within it something is done that needs this right: a refusal for lack of it says so."""
    try:
        yield
    except Refused as refused:
        if refused.status != 403:
            raise
        raise Refused(f"{refused}; {right}", refused.status) from refused
