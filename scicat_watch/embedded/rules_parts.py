"""Which file lists (origdatablocks) and attachments the versions of the API accept. Pure."""

from __future__ import annotations

from typing import Any

from scicat_watch.embedded.validation import (
    Check,
    Rules,
    filled_text,
    moment,
    number,
    text,
    texts,
    truth,
    whole,
)

_FILE: dict[str, Check] = {"path": text, "size": number, "time": moment}
_FILE |= dict.fromkeys(("chk", "uid", "gid", "perm", "type"), text)
_FILES = {"dataFileList": Rules(_FILE, frozenset({"path", "size", "time"}))}
NESTED_BLOCK = Rules(
    {"size": whole, "chkAlg": filled_text, "isPublished": truth},
    frozenset({"size", "dataFileList"}),
    frozenset({"isPublished"}),
    _FILES,
)
"""A file list that is posted below its dataset."""
BLOCK = Rules(
    {**NESTED_BLOCK.fields, "datasetId": filled_text}
    | {"ownerGroup": text, "accessGroups": texts, "instrumentGroup": text},
    frozenset({"size", "dataFileList", "datasetId"}),
    NESTED_BLOCK.never_null,
    _FILES,
)
"""A file list that names its dataset; its groups are always those of the dataset."""

_ATTACHMENT: dict[str, Check] = {"caption": text, "thumbnail": text, "accessGroups": texts, "instrumentGroup": text}
ATTACHMENT = Rules(
    {**_ATTACHMENT, "ownerGroup": text} | dict.fromkeys(("id", "datasetId", "proposalId", "sampleId"), text),
    frozenset({"caption", "ownerGroup"}),
)
"""An attachment that is posted below what it belongs to."""
SAMPLE_ATTACHMENT = ATTACHMENT.without("ownerGroup", "sampleId")
"""Below a sample the group is refused."""


TARGET_TYPES = ("dataset", "proposal", "sample", "published_data")


def target_type(name: str, value: Any) -> dict[str, str]:
    """What an attachment of API v4 may belong to."""
    good = isinstance(value, str) and value in TARGET_TYPES
    return {} if good else {"isIn": f"{name} must be one of the following values: {', '.join(TARGET_TYPES)}"}


ATTACHMENT_V4 = Rules(
    {**_ATTACHMENT, "ownerGroup": text, "isPublished": truth, "aid": filled_text},
    frozenset({"caption", "ownerGroup", "isPublished"}),
    frozenset({"caption", "ownerGroup", "isPublished", "aid"}),
    {
        "relationships": Rules(
            {"targetId": filled_text, "targetType": target_type, "relationType": text},
            frozenset({"targetId", "targetType"}),
            frozenset({"relationType"}),
        )
    },
)
