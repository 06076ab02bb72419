from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scicat_watch.compat.ess import settings as ess
from scicat_watch.compat.ess.settings import EssSettings, load
from scicat_watch.errors import ConfigError
from scicat_watch.model import Secret
from tests.recorded import ROOT

# Every key of ESS's configuration: a value that is not the default, as a file may say it, and what it means.
KEYS: list[tuple[str, Any, Any]] = [
    ("nexus_file", "/data/run.hdf", "/data/run.hdf"),
    ("done_writing_message_file", "/data/run.json", "/data/run.json"),
    ("id", 7, "7"),
    ("dataset.allow_dataset_pid", False, False),
    ("dataset.generate_dataset_pid", "yes", True),
    ("dataset.dataset_pid_prefix", "20.500.1", "20.500.1"),
    ("dataset.default_instrument_id", "i", "i"),
    ("dataset.default_proposal_id", 443503, "443503"),
    ("dataset.default_owner_group", "g", "g"),
    ("dataset.default_access_groups", ["a", "b"], ("a", "b")),
    ("ingestion.dry_run", True, True),
    ("ingestion.offline_ingestor_executable", ["python3", "x.py"], ("python3", "x.py")),
    ("ingestion.max_offline_ingestors", 3, 3),
    ("ingestion.offline_ingestors_wait_time", 1, 1),
    ("ingestion.schemas_directory", "/schemas", "/schemas"),
    ("ingestion.fallback_schema_file_path", "ess-fallback", "ess-fallback"),
    ("ingestion.check_if_dataset_exists_by_pid", False, False),
    ("ingestion.check_if_dataset_exists_by_metadata", False, False),
    ("ingestion.check_if_dataset_exists_by_metadata_key", "run", "run"),
    ("ingestion.file_handling.compute_file_stats", False, False),
    ("ingestion.file_handling.compute_file_hash", False, False),
    ("ingestion.file_handling.file_hash_algorithm", "sha256", "sha256"),
    ("ingestion.file_handling.save_file_hash", False, False),
    ("ingestion.file_handling.hash_file_extension", "sha", "sha"),
    ("ingestion.file_handling.ingestor_files_directory", "/ingestor", "/ingestor"),
    ("ingestion.file_handling.message_to_file", False, False),
    ("ingestion.file_handling.message_file_extension", "json", "json"),
    ("ingestion.file_handling.file_path_type", "absolute", "absolute"),
    ("ingestion.file_handling.data_directory", "/data", "/data"),
    ("ingestion.file_handling.data_file_open_max_tries", 9, 9),
    ("ingestion.file_handling.data_file_open_retry_delay", [1, 2.5], (1.0, 2.5)),
    ("kafka", {"topics": "t", "whatever": 1}, {"topics": "t", "whatever": 1}),
    ("logging.verbose", True, True),
    ("logging.file_log", True, True),
    ("logging.file_log_base_name", "log", "log"),
    ("logging.file_log_timestamp", True, True),
    ("logging.logging_level", "DEBUG", "DEBUG"),
    ("logging.log_message_prefix", "X", "X"),
    ("logging.system_log", True, True),
    ("logging.system_log_facility", "local0", "local0"),
    ("logging.graylog", True, True),
    ("logging.graylog_host", "log.example", "log.example"),
    ("logging.graylog_port", 12201, "12201"),
    ("logging.graylog_facility", "f", "f"),
    ("scicat.host", "http://scicat.example/api/v3", "http://scicat.example/api/v3"),
    ("scicat.timeout", 2.5, 2.5),
    ("scicat.stream", False, False),
    ("scicat.verify", True, True),
    ("scicat.health_endpoint", "alive", "alive"),
    ("scicat.api_endpoints.datasets", "Datasets", "Datasets"),
    ("scicat.api_endpoints.proposals", "Proposals", "Proposals"),
    ("scicat.api_endpoints.origdatablocks", "OrigDatablocks", "OrigDatablocks"),
    ("scicat.api_endpoints.instruments", "Instruments", "Instruments"),
    ("scicat.api_endpoints.samples", "Samples", "Samples"),
    ("health_check", {"port": 1}, {"port": 1}),
]


def written(tmp_path: Path, document: Any, name: str = "config.yml") -> Path:
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def nested(name: str, value: Any) -> dict[str, Any]:
    for part in reversed(name.split(".")):
        value = {part: value}
    document: dict[str, Any] = value
    return document


def at(settings: EssSettings, name: str) -> Any:
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("name", "value", "meaning"), KEYS, ids=[name for name, _, _ in KEYS])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_every_key_is_read(tmp_path: Path, name: str, value: Any, meaning: Any, form: str) -> None:
    document = nested(name, value)
    text = json.dumps(document, indent="\t") if form == "json" else yaml.safe_dump(document)
    settings, warnings = load(written(tmp_path, text), {})
    assert at(settings, name) == meaning
    assert at(EssSettings(), name) != meaning
    assert warnings == ()


def test_the_keys_above_are_all_there_are() -> None:
    def names(section: Any, above: str = "") -> list[str]:
        found = []
        for one in dataclasses.fields(section):
            value = getattr(section, one.name)
            below = names(value, f"{above}{one.name}.") if dataclasses.is_dataclass(value) else []
            found += below or [above + one.name]
        return found

    tried = {name for name, _, _ in KEYS}
    assert set(names(EssSettings())) == tried | {"config_file", "scicat.token", "scicat.additional_headers"}


@pytest.mark.parametrize("name", [name for name, _ in ess.options() if name != "config_file"])
def test_every_option_overrules_the_file(tmp_path: Path, name: str) -> None:
    if name == "scicat.token":
        settings, _ = load(written(tmp_path, {"scicat": {"token": "old"}}), {name: "new"})
        assert settings.scicat.token.reveal() == "new"
        return
    value, meaning = next((value, meaning) for key, value, meaning in KEYS if key == name)
    settings, _ = load(written(tmp_path, {"id": "x", "scicat": {"timeout": 5}}), {name: value})
    assert at(settings, name) == meaning
    assert name == "scicat.timeout" or settings.scicat.timeout == 5.0


def test_keys_without_effect_are_named_in_the_operator_guide() -> None:
    source = Path(ess.__file__).read_text(encoding="utf-8")
    guide = (ROOT / "docs/operator/ess.md").read_text(encoding="utf-8")
    table = [row.split(" | ") for row in guide.splitlines() if row.startswith("| ")]
    keys = re.findall(r'^    (\w+): .*\n    """Without effect', source, re.MULTILINE)
    assert set(keys) >= {"stream", "verify", "system_log_facility", "dataset_pid_prefix"}
    for key in keys:
        (row,) = (cells for cells in table if f"`{key}`" in "".join(cells[:2]))
        assert any(word in row[-1] for word in ("no effect", "not used")), key


def test_mappings_have_no_options() -> None:
    names = {name for name, _ in ess.options()}
    assert not names & {"kafka", "health_check", "scicat.additional_headers"}


def test_unknown_keys_are_warnings_at_every_depth(tmp_path: Path) -> None:
    document = {"colour": 1, "scicat": {"tocken": "SECRET"}, "ingestion": {"file_handling": {"hash": 1}}}
    _, warnings = load(written(tmp_path, document), {})
    assert len(warnings) == 3
    for name in ("'colour'", "'scicat.tocken'", "'ingestion.file_handling.hash'"):
        assert sum(name in warning for warning in warnings) == 1
    assert "SECRET" not in " ".join(warnings)


def test_a_key_without_a_value_keeps_its_default_and_a_section_without_one_is_a_mistake(tmp_path: Path) -> None:
    settings, _ = load(written(tmp_path, "nexus_file:\ningestion:\n  schemas_directory:\n"), {})
    assert (settings.nexus_file, settings.ingestion.schemas_directory) == ("", "schemas")
    for section in ("scicat", "kafka", "health_check", "logging", "ingestion"):
        with pytest.raises(ConfigError, match=f"{section}: is a section"):
            load(written(tmp_path, f"{section}:\n"), {})


@pytest.mark.parametrize(("timeout", "seconds"), [(0, 60.0), (None, 60.0), (2.5, 2.5), (10, 10.0)])
def test_no_time_limit_is_a_sane_one(tmp_path: Path, timeout: Any, seconds: float) -> None:
    settings, _ = load(written(tmp_path, {"scicat": {"timeout": timeout}}), {})
    assert settings.scicat.seconds() == seconds


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"scicat": {"timeout": "soon"}}, r"scicat\.timeout: must be a number"),
        ({"scicat": {"timeout": -1}}, r"scicat\.timeout: must not be negative"),
        ({"scicat": {"timeout": float("inf")}}, r"scicat\.timeout: must be a number"),
        ({"scicat": {"host": "scicat.example"}}, r"scicat\.host: must be the address"),
        ({"scicat": {"host": "https://me:word@scicat.example"}}, r"scicat\.host: must be the address"),
        ({"scicat": {"additional_headers": ["x"]}}, r"additional_headers: must be a mapping"),
        ({"logging": {"logging_level": "info"}}, r"logging\.logging_level: must be one of"),
        ({"ingestion": {"dry_run": "perhaps"}}, r"ingestion\.dry_run: must be true or false"),
        ({"ingestion": {"max_offline_ingestors": 1.5}}, r"must be a whole number"),
        ({"ingestion": {"file_handling": {"hash_file_extension": "../x"}}}, r"hash_file_extension: .* slash"),
        ({"ingestion": {"file_handling": {"data_file_open_max_tries": -1}}}, r"data_file_open_max_tries: must be from"),
        ({"dataset": {"default_owner_group": {"a": 1}}}, r"dataset\.default_owner_group: must be text"),
        ("[1, 2]", r"a configuration is a mapping"),
        ("a: [", r"not readable as YAML"),
        ('{"id": ', r"not readable as YAML"),
    ],
)
def test_a_mistake_is_reported_with_its_key(tmp_path: Path, document: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, document), {})


def test_a_mistake_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yml:3: ingestion\.dry_run"):
        load(written(tmp_path, "id: x\ningestion:\n  dry_run: perhaps\n"), {})


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing.yml", {})
    (tmp_path / "latin.yml").write_bytes(b"id: \xe4\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.yml", {})


def test_secrets_are_in_no_representation_and_no_error(tmp_path: Path) -> None:
    document = {"scicat": {"token": "SECRET-1", "additional_headers": {"X-Key": "SECRET-2"}}}
    settings, _ = load(written(tmp_path, document), {})
    assert "SECRET" not in repr(settings)
    assert settings.scicat.additional_headers["X-Key"].reveal() == "SECRET-2"
    for scicat in ({"token": "SECRET\nx"}, {"additional_headers": {"X": "SECRET\r\ny"}}, {"token": ["SECRET"]}):
        with pytest.raises(ConfigError) as caught:
            load(written(tmp_path, {"scicat": scicat}), {})
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("tries", "delays", "expected"),
    [
        (3, [], (3.0, 3.0, 3.0)),
        (0, [5], ()),
        (4, [2, 7], (2.0, 7.0, 7.0, 7.0)),
        (2, [5, 6, 7], (5.0, 6.0)),
        (3, [0, 500, 60], (1.0, 120.0, 60.0)),
    ],
)
def test_waits_between_tries_to_open_the_file(
    tmp_path: Path, tries: int, delays: list[float], expected: tuple[float, ...]
) -> None:
    handling = {"data_file_open_max_tries": tries, "data_file_open_retry_delay": delays}
    settings, _ = load(written(tmp_path, {"ingestion": {"file_handling": handling}}), {})
    assert settings.ingestion.file_handling.open_delays() == expected


def test_a_secret_prints_as_stars() -> None:
    assert f"{Secret('SECRET')} {Secret('SECRET')!r}".count("***") == 2
