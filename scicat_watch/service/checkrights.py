"""Whether our account at the catalogue may do what the beamtimes need: a part of `check`, for people.

The group that is to own a dataset is said by the schemas and the beamtime's metadata file; what only a data file says
is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scicat_watch.catalogue.publisher import Account, Publisher
from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.model import Beamtime
from scicat_watch.pipeline.assembly.groups import owner_group
from scicat_watch.pipeline.schema.model import Schema
from scicat_watch.service.answering import named_directories, needed
from scicat_watch.settings.model import Settings

_MOST_GROUPS = 20
"""So many groups are asked about at most."""


def examine_rights(
    settings: Settings, schemas: Sequence[Schema], publisher: Publisher, mistakes: list[str], remarks: list[str]
) -> bool:
    """Ask the catalogue who we are and what we may; `Unavailable` and `Refused` as it raises them.

    Returns whether all could be found out.
    """
    groups = _groups(settings.beamtimes.rules(), schemas)
    account = publisher.account(tuple(groups)[:_MOST_GROUPS])
    if not account.username:
        remarks.append("catalogue: it does not say who we are, so what our account may do is not checked")
        return False
    remarks.append(f"catalogue: our account is {account.username!r}, in {', '.join(account.groups) or 'no groups'}")
    for group, ids in groups.items():
        lack = _lack(account, group)
        if lack is not None:
            cannot, what = lack
            (mistakes if cannot else remarks).append(f"catalogue: beamtime {', '.join(ids[:3])}: {what}")
    return account.tried


def _lack(account: Account, group: str) -> tuple[bool, str] | None:
    """What the account may not do for the datasets of a group, and whether that keeps scans from being ingested."""
    if group in account.missing:
        return True, f"our account {account.username!r} may not create its datasets: {account.missing[group]}"
    unsure = "could not be found out, because our account sees no dataset there"
    if group in account.groups:
        return None if account.tried else (False, f"whether it may choose the ids of its datasets {unsure}")
    may = (
        "it may be allowed to create them, but"
        if account.tried
        else f"whether it may create them all the same {unsure}; if not, all its scans fail, and if so,"
    )
    return False, (
        f"our account {account.username!r} is not in the group {group!r} that will own its datasets: {may} "
        "unless it is an administrator it can neither read nor update them, and a file list whose upload is "
        f"interrupted stays missing; make it a member of {group!r}"
    )


def _groups(rules: BeamtimeRules, schemas: Sequence[Schema]) -> dict[str, list[str]]:
    """The groups that are to own datasets, each with the ids of its beamtimes."""
    groups: dict[str, list[str]] = {}
    for beamtime in _beamtimes(rules):
        if group := owner_group(schemas, beamtime):
            groups.setdefault(group, []).append(beamtime.id)
    return groups


def _beamtimes(rules: BeamtimeRules) -> Iterator[Beamtime]:
    for directory in named_directories(rules):
        try:
            with needed(directory):
                found = beamtimes.find(directory, rules)
        except OSError:
            continue  # Said by `check`.
        yield from (one for one in found if isinstance(one, Beamtime))
