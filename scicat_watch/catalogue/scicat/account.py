"""What our account is and may do in SciCat, found out without writing anything.

Whether it may create a dataset of a group is answered by an attempt to create one under an id that is taken: the
backend refuses it with 409 if all else is allowed, and with 403 if it is not (measured on backend 4.5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from scicat_watch.catalogue.publisher import Account
from scicat_watch.catalogue.scicat import rights
from scicat_watch.catalogue.scicat.api import AlreadyThere, ScicatApi
from scicat_watch.documents import Dataset
from scicat_watch.errors import Refused

_MOST_PIDS = 100


def account(api: ScicatApi, owner_groups: Sequence[str]) -> Account:
    """Who we are, and for which of these groups we may create no datasets."""
    known = api.whoami()
    if not known.get("username"):
        return Account()
    taken = _any_pid(api) if owner_groups else ""
    missing = {group: rights.to_create(group) for group in owner_groups if taken and not _may_create(api, group, taken)}
    groups = tuple(map(str, known.get("currentGroups") or ()))
    return Account(str(known["username"]), groups, missing, tried=bool(taken or not owner_groups))


def _any_pid(api: ScicatApi) -> str:
    """The id of some dataset, without prefix; empty if there is none that we see and that has the prefix."""
    wanted = quote(json.dumps({"fields": ["pid"], "limits": {"limit": _MOST_PIDS}}))
    try:
        found: Any = api.look_up(f"datasets?filter={wanted}")
    except Refused:
        return ""
    known = (str(one.get("pid") or "") for one in found or () if isinstance(one, Mapping))
    # Without the prefix it would be another id, and not be taken.
    return next((api.document_pid(pid) for pid in known if pid and api.full_pid(api.document_pid(pid)) == pid), "")


def _may_create(api: ScicatApi, group: str, taken: str) -> bool:
    """Whether nothing but the id that is `taken` keeps us from creating a dataset of the group."""
    fields = {
        "pid": taken, "type": "raw", "ownerGroup": group, "owner": "scicat-watch", "contactEmail": "nobody@example.org",
        "sourceFolder": "/nowhere", "datasetName": "nothing", "creationTime": "2000-01-01T00:00:00Z",
        "creationLocation": "/nowhere", "principalInvestigator": "nobody",
    }  # fmt: skip
    try:
        api.create_dataset(Dataset(fields))
    except AlreadyThere:
        return True
    except Refused as refused:
        return refused.status != 403
    return True
