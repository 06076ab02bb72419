"""Attachments, most of them thumbnails: their stored form, and how both versions of the API show it. Pure.

What an attachment belongs to is stored as API v4 has it, as `relationships`. API v3 shows the first dataset, sample and
proposal of them under names of their own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from scicat_watch.embedded import forms
from scicat_watch.embedded.tables import Document, targets

PARENTS = ("dataset", "proposal", "sample")
"""What API v3 knows an attachment to belong to."""


def relationship(kind: str, key: str) -> Document:
    """What an attachment says of a record that it belongs to."""
    return {"targetId": key, "targetType": kind, "relationType": "is attached to"}


def made_v3(body: Mapping[str, Any], kind: str, parent: Document, key: str, username: str, now: str) -> Document:
    """The stored form of an attachment that API v3 adds to the record `parent`, whose id is `key`."""
    given = {name: body[name] for name in ("thumbnail", "caption", "instrumentGroup") if body.get(name) is not None}
    other = {name: body.get(f"{name}Id") for name in PARENTS if name != kind}
    found = {"_id": str(uuid.uuid4()), "__v": 0, "isPublished": False, **given}
    found["accessGroups"] = forms.text_list(body.get("accessGroups")) or []
    found["ownerGroup"] = parent["ownerGroup"]
    found["relationships"] = [relationship(kind, key)]
    found["relationships"] += [relationship(name, value) for name, value in other.items() if value]
    return found | forms.stamps(username, now)


def shown_v3(attachment: Document) -> Document:
    """An attachment as API v3 shows it."""
    found = {name: value for name, value in attachment.items() if name != "relationships"}
    found["id"] = attachment["_id"]
    for kind in PARENTS:
        ids = targets(attachment, kind)
        if ids:
            found[f"{kind}Id"] = ids[0]
    return found


def made_v4(body: Mapping[str, Any], username: str, now: str) -> Document:
    """The stored form of an attachment that API v4 makes."""
    key = body.get("aid") or str(uuid.uuid4())
    return {"_id": key, "__v": 0, "accessGroups": [], "relationships": [], **changes_v4(body)} | forms.stamps(
        username, now
    )


def changes_v4(body: Mapping[str, Any]) -> Document:
    """The fields of a body of API v4 in their stored form."""
    found = {name: value for name, value in body.items() if name != "aid"}
    if "accessGroups" in found:
        found["accessGroups"] = forms.text_list(found["accessGroups"]) or []
    if "relationships" in found:
        found["relationships"] = [{"relationType": "is attached to", **one} for one in found["relationships"] or ()]
    return found


def shown_v4(attachment: Document) -> Document:
    """An attachment as API v4 lists it."""
    return {**attachment, "aid": attachment["_id"]}
