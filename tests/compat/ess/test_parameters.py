"""What an ESS configuration means to the rooms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.compat.ess import parameters
from scicat_watch.compat.ess.settings import EssSettings, load
from scicat_watch.pipeline.schema.model import Item, Schema


def settings(tmp_path: Path, document: dict[str, Any]) -> EssSettings:
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(document))
    return load(path, {})[0]


def schema(*names: str) -> Schema:
    items = tuple(Item(name, "high_level", machine_name=name, value="x", value_type="string") for name in names)
    return Schema("id", "name", "", 1, "*", (), items)


@pytest.mark.parametrize(
    ("ingestion", "policy"),
    [
        ({}, UpdatePolicy("complete", find_by_pid=True, find_by_metadata="job_id")),
        ({"check_if_dataset_exists_by_pid": False}, UpdatePolicy("complete", False, "job_id")),
        ({"check_if_dataset_exists_by_metadata": False}, UpdatePolicy("complete", True, "")),
        ({"check_if_dataset_exists_by_metadata_key": "run"}, UpdatePolicy("complete", True, "run")),
    ],
)
def test_the_existence_checks_are_the_policy(tmp_path: Path, ingestion: dict[str, Any], policy: UpdatePolicy) -> None:
    assert parameters.update_policy(settings(tmp_path, {"ingestion": ingestion})) == policy


def test_tries_to_open_the_file_are_delays_of_the_reader(tmp_path: Path) -> None:
    handling = {"data_file_open_max_tries": 3, "data_file_open_retry_delay": [2, 7]}
    limits = parameters.read_limits(settings(tmp_path, {"ingestion": {"file_handling": handling}}))
    assert (limits.retry_delays, limits.thumbnails) == ((2.0, 7.0, 7.0), False)
    assert limits.longest == limits.time_limit + 16.0


def test_the_token_is_ready_and_certificates_are_always_verified(tmp_path: Path) -> None:
    scicat = {"host": "https://h/api/v3", "token": " T ", "timeout": 0, "verify": False}
    options = parameters.catalogue_options(settings(tmp_path, {"scicat": scicat | {"additional_headers": {"X": "Y"}}}))
    assert (options.http.url, options.http.timeout, options.http.verify) == ("https://h/api/v3", 60.0, True)
    assert options.login.token is not None
    assert (options.login.token.reveal(), options.http.headers["X"].reveal()) == ("T", "Y")


def test_the_documents_are_those_of_ess(tmp_path: Path) -> None:
    given = settings(tmp_path, {"dataset": {"default_owner_group": "G", "default_access_groups": ["A", "B"]}})
    options = parameters.assembly_options(given, schema("pid"))
    assert (options.paths, options.totals, options.checksums) == ("absolute", True, "blake2b")
    assert options.rules.defaults["ownerGroup"] == "G"
    assert options.rules.defaults["accessGroups"] == ["A", "B"]


@pytest.mark.parametrize(
    ("allowed", "generated", "in_schema", "who"),
    [
        (True, False, True, "schema"),
        (True, True, True, "generated"),
        (False, True, True, "catalogue"),
        (False, True, False, "generated"),
        (False, False, False, "schema"),
    ],
)
def test_who_says_the_pid(allowed: bool, generated: bool, in_schema: bool, who: str) -> None:
    ess = EssSettings()
    given = replace(ess, dataset=replace(ess.dataset, allow_dataset_pid=allowed, generate_dataset_pid=generated))
    assert parameters.assembly_options(given, schema(*["pid"] * in_schema)).pid == who
