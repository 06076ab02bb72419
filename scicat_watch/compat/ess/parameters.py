"""What an ESS configuration means to the rooms: the parameters that each of them is given."""

from __future__ import annotations

from typing import Literal

from scicat_watch.catalogue.options import CatalogueOptions, HttpOptions, LoginOptions
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.compat.ess.settings import DatasetSection, EssSettings
from scicat_watch.pipeline.assembly.assemble import AssemblyOptions
from scicat_watch.pipeline.assembly.dataset import FIELDS_AT_ESS, MANDATORY_AT_ESS, DatasetRules
from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.pipeline.schema.model import Schema

TIME_LIMIT = 120.0
"""Seconds that reading a file may take: nobody waits for the one process of a command."""


def read_limits(settings: EssSettings) -> ReadLimits:
    """How the data file is read. ESS's datasets have no thumbnail."""
    return ReadLimits(
        thumbnails=False, time_limit=TIME_LIMIT, retry_delays=settings.ingestion.file_handling.open_delays()
    )


def catalogue_options(settings: EssSettings) -> CatalogueOptions:
    """Which catalogue, and who we are there: a ready token, and certificates that are always verified."""
    scicat = settings.scicat
    http = HttpOptions(scicat.host, scicat.seconds(), headers=scicat.additional_headers)
    return CatalogueOptions(http, LoginOptions(token=scicat.token))


def update_policy(settings: EssSettings) -> UpdatePolicy:
    """A dataset that is there is left as it is, but for a file list that it lacks."""
    ingestion = settings.ingestion
    key = ingestion.check_if_dataset_exists_by_metadata_key
    by_metadata = key if ingestion.check_if_dataset_exists_by_metadata else ""
    return UpdatePolicy("complete", ingestion.check_if_dataset_exists_by_pid, by_metadata)


def assembly_options(settings: EssSettings, schema: Schema) -> AssemblyOptions:
    """How the documents are made; `schema` is the one that fits."""
    handling = settings.ingestion.file_handling
    return AssemblyOptions(
        rules=_rules(settings.dataset),
        pid=_pid(settings.dataset, schema),
        paths="absolute",
        totals=True,
        checksums=handling.file_hash_algorithm,
        ingestor_files_directory=handling.ingestor_files_directory,
    )


def _rules(section: DatasetSection) -> DatasetRules:
    defaults = {
        "instrumentId": section.default_instrument_id,
        "proposalId": section.default_proposal_id,
        "ownerGroup": section.default_owner_group,
        "accessGroups": list(section.default_access_groups),
    }
    return DatasetRules(MANDATORY_AT_ESS, defaults, FIELDS_AT_ESS)


def _pid(section: DatasetSection, schema: Schema) -> Literal["schema", "generated", "catalogue"]:
    """Who says the dataset's id."""
    by_schema = any(item.field_type == "high_level" and item.machine_name == "pid" for item in schema.items)
    if not section.allow_dataset_pid and by_schema:
        return "catalogue"
    return "generated" if section.generate_dataset_pid else "schema"
