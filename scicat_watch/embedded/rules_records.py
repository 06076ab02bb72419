"""Which proposals, samples, instruments and other records the API accepts. Pure."""

from __future__ import annotations

from typing import Any

from scicat_watch.embedded.validation import (
    Check,
    Rules,
    filled_text,
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
)

_PERIOD: dict[str, Check] = {"instrument": text, "start": moment, "end": moment, "comment": text}
_PROPOSAL_TEXTS = ("firstname", "lastname", "pi_firstname", "pi_lastname", "abstract", "instrumentGroup")
PROPOSAL_TYPES = frozenset({"Default Proposal"})


def proposal_type(name: str, value: Any) -> dict[str, str]:
    """One of the configured types of proposals."""
    known = ", ".join(sorted(PROPOSAL_TYPES))
    return {} if value in PROPOSAL_TYPES else {"isIn": f"{name} must be one of the following values: {known}"}


PROPOSAL = Rules(
    {"proposalId": filled_text, "title": text, "email": mail, "ownerGroup": text, "pi_email": mail}
    | dict.fromkeys(_PROPOSAL_TEXTS, text)
    | {"startTime": moment, "endTime": moment, "accessGroups": texts, "instrumentIds": texts, "metadata": mapping}
    | {"parentProposalId": text, "type": proposal_type, "isPublished": truth},
    frozenset({"proposalId", "title", "email", "ownerGroup"}),
    frozenset({"isPublished", "type"}),
    {"MeasurementPeriodList": Rules(_PERIOD, frozenset({"instrument", "start", "end"}))},
)
SAMPLE = Rules(
    dict.fromkeys(("owner", "description", "type", "proposalId", "parentSampleId", "instrumentGroup"), text)
    | {"sampleId": filled_text, "ownerGroup": text, "accessGroups": texts, "isPublished": truth}
    | {"sampleCharacteristics": metadata},
    frozenset({"ownerGroup"}),
    frozenset({"sampleId", "isPublished"}),
)
INSTRUMENT = Rules(
    {"uniqueName": filled_text, "name": text, "customMetadata": mapping},
    frozenset({"uniqueName", "name"}),
    frozenset({"uniqueName"}),
)

JOB_V3 = Rules(
    {"type": filled_text, "emailJobInitiator": mails, "creationTime": moment, "executionTime": moment}
    | {"jobParams": mapping, "jobStatusMessage": text, "jobResultObject": mapping, "ownerUser": text}
    | {"ownerGroup": text},
    frozenset({"type"}),
    frozenset({"type"}),
    {"datasetList": Rules({"pid": filled_text, "files": texts}, frozenset({"pid"}))},
)
JOB_V4 = Rules(
    {"type": filled_text, "jobParams": mapping, "ownerUser": text, "ownerGroup": text, "contactEmail": mails},
    frozenset({"type", "jobParams"}),
    frozenset({"type", "jobParams"}),
)
JOB_CHANGES = Rules(
    dict.fromkeys(("statusCode", "statusMessage", "jobStatusMessage"), text)
    | dict.fromkeys(("jobResultObject", "jobParams"), mapping)
)
POLICY = Rules(
    dict.fromkeys(("tapeRedundancy", "ownerGroup", "instrumentGroup", "embargoPeriod"), text)
    | dict.fromkeys(("manager", "accessGroups", "archiveEmailsToBeNotified", "retrieveEmailsToBeNotified"), texts)
    | dict.fromkeys(("autoArchive", "archiveEmailNotification", "retrieveEmailNotification", "isPublished"), truth)
    | {"autoArchiveDelay": number, "embargoPeriod": number},
    frozenset({"manager", "ownerGroup"}),
    frozenset({"manager", "ownerGroup"}),
)
_PUBLICATION: dict[str, Check] = {
    "title": filled_text,
    "abstract": text,
    "numberOfFiles": whole,
    "sizeOfArchive": whole,
}
PUBLICATION_V3 = Rules(
    _PUBLICATION
    | dict.fromkeys(("publisher", "affiliation", "url", "dataDescription", "resourceType", "scicatUser"), text)
    | dict.fromkeys(("thumbnail", "downloadLink"), text)
    | dict.fromkeys(("creator", "authors", "relatedPublications", "pidArray"), texts)
    | {"publicationYear": number},
    frozenset({"title", "abstract", "pidArray", "creator", "publisher", "publicationYear"}),
    frozenset({"title", "abstract", "pidArray"}),
)
PUBLICATION_V4 = Rules(
    _PUBLICATION | {"datasetPids": texts, "metadata": mapping},
    frozenset({"title", "abstract", "datasetPids"}),
    frozenset({"title", "abstract", "datasetPids", "metadata"}),
)
