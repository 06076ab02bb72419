"""What datasets refer to in API v3: proposals, samples, instruments.

A dataset may name what does not exist."""

from __future__ import annotations

import uuid

from scicat_watch.embedded import forms, rules_records, search, times
from scicat_watch.embedded.records import Records
from scicat_watch.embedded.tables import INSTRUMENTS, POLICIES, PROPOSALS, SAMPLES, Document
from scicat_watch.embedded.web import Answer, Call, Served


def _stored(body: Document) -> Document:
    found = dict(body)
    for name in ("accessGroups", "instrumentIds"):
        if name in found:
            found[name] = forms.text_list(found[name]) or []
    for name in ("startTime", "endTime"):
        if name in found:
            found[name] = times.normal(found[name])
    if "sampleCharacteristics" in found:
        found["sampleCharacteristics"] = forms.metadata(found["sampleCharacteristics"])
    if isinstance(found.get("MeasurementPeriodList"), list):
        periods = found["MeasurementPeriodList"]
        moments = ({name: times.normal(period[name]) for name in ("start", "end")} for period in periods)
        pairs = zip(periods, moments, strict=True)
        found["MeasurementPeriodList"] = [period | moment | {"_id": forms.object_id()} for period, moment in pairs]
    return found


def _proposal_defaults(catalogue: Served, body: Document) -> Document:
    return {
        "accessGroups": [],
        "instrumentIds": [],
        "isPublished": False,
        "metadata": {},
        "MeasurementPeriodList": [],
        "numberOfDatasets": 0,
        "parentProposalId": None,
        "type": "Default Proposal",
    }


def _sample_defaults(catalogue: Served, body: Document) -> Document:
    return {"sampleId": str(uuid.uuid4()), "accessGroups": [], "isPublished": False, "sampleCharacteristics": {}}


def _instrument_defaults(catalogue: Served, body: Document) -> Document:
    # A real backend puts no slash between prefix and id.
    return {"pid": f"{catalogue.pid_prefix}{uuid.uuid4()}", "customMetadata": {}}


proposals = Records(
    kind=PROPOSALS,
    word="Proposal",
    rules=rules_records.PROPOSAL,
    filter_name="filters",
    stored=_stored,
    may_create=lambda caller, _: caller.privileged,
    defaults=_proposal_defaults,
    shows_id=True,
)
samples = Records(
    kind=SAMPLES,
    word="Sample",
    rules=rules_records.SAMPLE,
    stored=_stored,
    may_create=lambda caller, body: caller.privileged or body["ownerGroup"] in caller.groups,
    defaults=_sample_defaults,
)


def sample_keys(catalogue: Served, call: Call) -> Answer:
    """`GET /samples/metadataKeys`: the keys at the top of the characteristics."""
    with catalogue.store.reading() as session:
        return Answer(search.metadata_keys(session, SAMPLES, "sampleCharacteristics", call))


instruments = Records(
    kind=INSTRUMENTS,
    word="Instrument",
    rules=rules_records.INSTRUMENT,
    stored=_stored,
    may_create=lambda caller, _: caller.admin,
    defaults=_instrument_defaults,
    shows_id=True,
    open=True,
)


def _policy_defaults(catalogue: Served, body: Document) -> Document:
    return {
        "_id": str(uuid.uuid4()),
        "accessGroups": [],
        "isPublished": False,
        "tapeRedundancy": "low",
        "autoArchive": False,
        "autoArchiveDelay": 7,
        "embargoPeriod": 3,
    }


policies = Records(
    kind=POLICIES,
    word="Policy",
    rules=rules_records.POLICY,
    stored=_stored,
    may_create=lambda caller, _: caller.admin,
    defaults=_policy_defaults,
    shows_id=True,
)
