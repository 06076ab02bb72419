"""Which datasets the versions of the API accept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scicat_watch.embedded.validation import (
    Check,
    Fault,
    Rules,
    anything,
    check,
    filled_text,
    host,
    mail,
    mails,
    mapping,
    metadata,
    moment,
    number,
    text,
    texts,
    truth,
    whole,
    word,
)


def later_name(folder: object) -> str:
    """What a v3 dataset without a name is called: the last two components of its folder."""
    return "/".join(str(folder).rstrip("/").split("/")[-2:]).strip("/")


_REQUIRED = ("ownerGroup", "owner", "contactEmail", "sourceFolder", "creationTime", "type")
_NEVER_NULL = frozenset(
    {
        "pid", "size", "packedSize", "numberOfFiles", "numberOfFilesArchived", "isPublished", "ownerGroup",
        "sourceFolder", "contactEmail", "creationTime", "datasetlifecycle",
    }
)  # fmt: skip
"""Fields that have a value in every stored dataset; the others may be null."""

_COMMON: dict[str, Check] = {
    "pid": word, "type": word, "ownerGroup": text, "owner": text, "contactEmail": mails,
    "ownerEmail": mail, "sourceFolder": filled_text, "sourceFolderHost": host, "creationTime": moment,
    "datasetName": filled_text, "size": whole, "packedSize": whole, "numberOfFiles": whole,
    "numberOfFilesArchived": whole, "accessGroups": texts, "keywords": texts, "sharedWith": texts,
    "scientificMetadata": metadata, "scientificMetadataSchema": text, "isPublished": truth,
    "dataQualityMetrics": number, "classification": text, "datasetlifecycle": mapping, "description": text,
    "comment": text, "license": text, "validationStatus": text, "orcidOfOwner": text, "runNumber": text,
    "instrumentGroup": text,
}  # fmt: skip
_PLACE: dict[str, Check] = {"creationLocation": text, "startTime": text, "endTime": text, "dataFormat": text}
_PROVENANCE: dict[str, Check] = {
    "inputDatasets": texts, "usedSoftware": texts, "jobParameters": mapping, "jobLogData": text,
}  # fmt: skip
_LISTS = {
    "techniques": Rules({"pid": text, "name": text}, frozenset({"pid", "name"})),
    "relationships": Rules({"pid": text, "relationship": text}, frozenset({"pid", "relationship"})),
}

RAW = Rules(
    _COMMON
    | _PLACE
    | {"principalInvestigator": text, "proposalId": text, "sampleId": text, "instrumentId": text, "version": anything}
    | {"investigator": anything, "scientificMetadataValid": truth}
    | {"investigator": anything, "scientificMetadataValid": truth}
    | dict.fromkeys(_PROVENANCE, anything),
    frozenset({*_REQUIRED, "principalInvestigator", "creationLocation"}),
    _NEVER_NULL,
    _LISTS,
)
DERIVED = Rules(
    _COMMON
    | _PROVENANCE
    | {"investigator": text, "proposalId": text, "version": anything, "scientificMetadataValid": truth},
    frozenset({*_REQUIRED, "investigator", "inputDatasets", "usedSoftware"}),
    _NEVER_NULL,
    _LISTS,
)
DATASET_V4 = Rules(
    _COMMON
    | _PLACE
    | _PROVENANCE
    | dict.fromkeys(("principalInvestigators", "proposalIds", "sampleIds", "instrumentIds"), texts),
    frozenset({*_REQUIRED, "datasetName"}),
    _NEVER_NULL,
    _LISTS,
)
"""The fields of API v4, which v3 uses for types that are neither raw nor derived."""


def dataset_rules(kind: object) -> Rules:
    """The rules of API v3 for a dataset of this type."""
    return {"raw": RAW, "derived": DERIVED}.get(str(kind), DATASET_V4)


def check_dataset(document: Mapping[str, Any], rules: Rules, *, unknown: bool = True) -> list[Fault]:
    """`check`, and that there is a name if none is given."""
    found = check(document, rules, unknown=unknown)
    folder = document.get("sourceFolder")
    if "datasetName" not in document and isinstance(folder, str) and folder and not later_name(folder):
        found.append(Fault("datasetName", {"isNotEmpty": "datasetName should not be empty"}))
    return found


def halves(stored: Any, given: Any, where: str = "scientificMetadata") -> list[Fault]:
    """API v4 keeps value and unit together: which stored quantities would lose one of them and keep the other."""
    found: list[Fault] = []
    if not isinstance(stored, dict) or not isinstance(given, dict):
        return found
    for name, before in stored.items():
        after = given.get(name)
        if not isinstance(before, dict) or not isinstance(after, dict):
            continue
        if {"value", "unit"} <= before.keys() and len({"value", "unit"} & after.keys()) == 1:
            found.append(Fault(name, {"isQuantity": f"{where}.{name}: value and unit must stay together"}))
        found += halves(before, after, f"{where}.{name}")
    return found
