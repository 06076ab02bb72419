"""The configuration of ESS's `scicat-ingestor`: its sections and keys, and what `-c FILE` and options make of them.

Sites that run ESS's ingestor keep their file as it is; the online program and this one read the same. So
a key that we do not know is a warning and not a mistake, and sections that only the online program needs
are accepted as they are. Facts: ESS 8. Command-line options are made from these classes, in `compat.ess`.

These are plain dataclasses, unlike the native configuration: the command is started once for every
file, and loading pydantic would take a third of its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from scicat_watch import yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.model import Secret

MOST_TRIES = 1000
"""How often opening a file may be tried again."""
SANE_TIMEOUT = 60.0
"""Seconds that stand for a `timeout` of 0 or null: a command that waits for ever blocks its starter."""
LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "NOTSET")
"""What `logging_level` may be."""


@dataclass(frozen=True, slots=True)
class DatasetSection:
    """The `dataset` section: ids, and values for what a schema leaves out."""

    allow_dataset_pid: bool = True
    """Whether a pid is sent; if not, the catalogue chooses one."""
    generate_dataset_pid: bool = False
    """Whether the pid is 32 random hexadecimal digits instead of the schema's."""
    dataset_pid_prefix: str = "20.500.12269"
    """Without effect: schemas write the prefix themselves."""
    default_instrument_id: str = "ID_OF_FALLBACK_INSTRUMENT"
    """`instrumentId` where the schema gives none."""
    default_proposal_id: str = "DEFAULT_PROPOSAL_ID"
    """`proposalId` where the schema gives none."""
    default_owner_group: str = "DEFAULT_OWNER_GROUP"
    """`ownerGroup` where the schema gives none."""
    default_access_groups: tuple[str, ...] = ("ACCESS_GROUP_1",)
    """`accessGroups` where the schema gives none."""


@dataclass(frozen=True, slots=True)
class FileHandling:
    """The `ingestion.file_handling` section: the file list and opening the data file."""

    compute_file_stats: bool = True
    """Whether sizes, times, owners and modes are listed."""
    compute_file_hash: bool = True
    """Whether the data file's checksum is listed."""
    file_hash_algorithm: str = "blake2b"
    """blake2b, sha256, sha512, md5 or xxh3; named in the file list's `chkAlg`."""
    save_file_hash: bool = True
    """Whether the checksum is also written to a file, which is listed too."""
    hash_file_extension: str = "b2b"
    """Extension of that file."""
    ingestor_files_directory: str = "../ingestor"
    """Where it is written: absolute, or relative to the data file's folder. Must exist."""
    message_to_file: bool = True
    """Of the online program."""
    message_file_extension: str = "message.json"
    """Of the online program."""
    file_path_type: str = "relative"
    """`relative`: listed paths are relative to the dataset's sourceFolder; anything else: absolute."""
    data_directory: str = ""
    """Of the online program."""
    data_file_open_max_tries: int = 3
    """How often opening the data file is tried again."""
    data_file_open_retry_delay: tuple[float, ...] = ()
    """Seconds before each further try, limited to 1 to 120; the last one goes on. Empty: 3."""

    def __post_init__(self) -> None:
        if "/" in self.hash_file_extension or "\0" in self.hash_file_extension:
            raise ValueError("hash_file_extension: is a part of a file name, and cannot hold a slash")
        if not 0 <= self.data_file_open_max_tries <= MOST_TRIES:
            raise ValueError(f"data_file_open_max_tries: must be from 0 to {MOST_TRIES}")

    def open_delays(self) -> tuple[float, ...]:
        """Seconds before each further try to open the data file."""
        given = self.data_file_open_retry_delay or (3.0,)
        tries = range(self.data_file_open_max_tries)
        return tuple(min(max(given[min(number, len(given) - 1)], 1.0), 120.0) for number in tries)


@dataclass(frozen=True, slots=True)
class IngestionSection:
    """The `ingestion` section."""

    dry_run: bool = False
    """Whether everything is done but the two posts."""
    offline_ingestor_executable: tuple[str, ...] = ("scicat_background_ingestor",)
    """Of the online program."""
    max_offline_ingestors: int = 10
    """Of the online program."""
    offline_ingestors_wait_time: int = 10
    """Of the online program."""
    schemas_directory: str = "schemas"
    """Directory with the metadata schemas; relative to the working directory."""
    fallback_schema_file_path: str = ""
    """Schema for files that no other fits, whatever its selector; `ess-fallback` is the shipped one."""
    check_if_dataset_exists_by_pid: bool = True
    """Whether a dataset with this pid is looked for before posting."""
    check_if_dataset_exists_by_metadata: bool = True
    """Whether a dataset with the same value in its scientific metadata is looked for before posting."""
    check_if_dataset_exists_by_metadata_key: str = "job_id"
    """Which entry of the scientific metadata is compared."""
    file_handling: FileHandling = field(default_factory=FileHandling)


@dataclass(frozen=True, slots=True)
class EssLogging:
    """The `logging` section. Without any output, warnings and errors go to standard error."""

    verbose: bool = False
    """Whether a readable log goes to standard output."""
    file_log: bool = False
    """Whether a log file is written, anew at every start."""
    file_log_base_name: str = "scicat_ingestor_log"
    """Beginning of its path."""
    file_log_timestamp: bool = False
    """Whether its name holds the time of the start."""
    logging_level: str = "INFO"
    """The least important kind of message."""
    log_message_prefix: str = "SFI"
    """First part of the lines of the log file."""
    system_log: bool = False
    """Whether messages go to /dev/log."""
    system_log_facility: str = "mail"
    """Without effect: the facility is always `user`."""
    graylog: bool = False
    """Whether messages go to a Graylog server (GELF over UDP)."""
    graylog_host: str = ""
    graylog_port: str = ""
    graylog_facility: str = "scicat.ingestor"

    def __post_init__(self) -> None:
        if self.logging_level not in LEVELS:
            raise ValueError(f"logging_level: must be one of {', '.join(LEVELS)}")


@dataclass(frozen=True, slots=True)
class ApiEndpoints:
    """The `scicat.api_endpoints` section: where collections are, joined to `host`."""

    datasets: str = "datasets"
    proposals: str = "proposals"
    origdatablocks: str = "origdatablocks"
    instruments: str = "instruments"
    samples: str = "samples"


@dataclass(frozen=True, slots=True)
class ScicatSection:
    """The `scicat` section: which catalogue, and who we are there."""

    host: str = "https://scicat.host"
    """Base of the API, e.g. https://host/api/v3."""
    token: Secret = field(default_factory=Secret)
    """Sent as it is; there is no login."""
    additional_headers: Mapping[str, Secret] = field(default_factory=dict)
    """Sent with every request to the catalogue."""
    timeout: float = SANE_TIMEOUT
    """Seconds for connecting and for each answer; 0 and null: 60."""
    stream: bool = True
    """Without effect."""
    verify: bool = False
    """Without effect: certificates are always verified."""
    health_endpoint: str = "health"
    """Of the online program."""
    api_endpoints: ApiEndpoints = field(default_factory=ApiEndpoints)

    def __post_init__(self) -> None:
        address = self.host.lower()
        if not address.startswith(("http://", "https://")) or "@" in address or any(map(str.isspace, address)):
            raise ValueError("host: must be the address of an API such as https://host/api/v3, without a user name")
        if self.timeout < 0:
            raise ValueError("timeout: must not be negative")
        _check_sendable("token", self.token.reveal(), first="!")
        for name, value in self.additional_headers.items():
            _check_sendable("additional_headers", name, first="!")
            _check_sendable("additional_headers", value.reveal(), first=" ")

    def seconds(self) -> float:
        """The time limit that really holds."""
        return self.timeout or SANE_TIMEOUT


def _check_sendable(key: str, text: str, first: str) -> None:
    # The HTTP library repeats a header that it cannot send in its error, so such a secret is stopped here.
    if not all(first <= character <= "~" for character in text):
        raise ValueError(f"{key}: holds characters that a request's header cannot have")


@dataclass(frozen=True, slots=True)
class EssSettings:
    """The whole configuration, with the options of the command line in it."""

    nexus_file: str = ""
    """The data file."""
    done_writing_message_file: str = ""
    """Message file of the online program; accepted, not listed."""
    config_file: str = ""
    """Set by -c."""
    id: str = ""
    """Free identifier of the configuration."""
    dataset: DatasetSection = field(default_factory=DatasetSection)
    ingestion: IngestionSection = field(default_factory=IngestionSection)
    kafka: Mapping[str, Any] = field(default_factory=dict)
    """Of the online program."""
    logging: EssLogging = field(default_factory=EssLogging)
    scicat: ScicatSection = field(default_factory=ScicatSection)
    health_check: Mapping[str, Any] = field(default_factory=dict)
    """Of the online program."""


def load(path: Path, options: Mapping[str, Any]) -> tuple[EssSettings, tuple[str, ...]]:
    """The settings in a configuration file, overruled by `options` (dotted names), and warnings about them.

    Raises `ConfigError`, never with the value of a key in it, since that may be the token.
    """
    located = yamltext.load(path, repeated_keys=True)
    if not isinstance(located.data, dict):
        raise ConfigError("a configuration is a mapping of sections, such as `scicat:`", path, 1)
    reader = _SectionReader(path, located)
    settings = reader.section(EssSettings, _with(located.data, {**options, "config_file": str(path)}), ())
    return settings, tuple(reader.warnings)


def options(section: type = EssSettings, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The dotted name and the type of every key that has an option on the command line: all but mappings."""
    for name, kind in _kinds(section).items():
        if isinstance(kind, type) and is_dataclass(kind):
            yield from options(kind, (*above, name))
        elif kind in _OF_OPTIONS:
            yield ".".join((*above, name)), kind


class _SectionReader:
    """Turns the mappings of a file into sections."""

    def __init__(self, path: Path, located: yamltext.Located) -> None:
        self._path, self._located = path, located
        self.warnings: list[str] = []

    def section(self, section: Any, data: Any, above: tuple[str, ...]) -> Any:
        """An object of this class; keys that are null count as not given, but for the limit that null takes away."""
        if not isinstance(data, Mapping):
            raise self._mistake(above, "is a section, and must be a mapping")
        kinds, given = _kinds(section), {}
        for name, value in data.items():
            where = (*above, str(name))
            if name not in kinds:
                self.warnings.append(f"the configuration's key {'.'.join(where)!r} is not known, and has no effect")
            elif is_dataclass(kinds[name]):
                given[name] = self.section(kinds[name], value, where)
            elif kinds[name] == Mapping[str, Any] and not isinstance(value, Mapping):
                raise self._mistake(where, "is a section, and must be a mapping")
            elif value is not None:
                try:
                    given[name] = _CONVERSIONS[kinds[name]](value)
                except ValueError as error:
                    raise self._mistake(where, str(error)) from None
        try:
            return section(**given)
        except ValueError as error:
            key, _, message = str(error).partition(": ")
            raise self._mistake((*above, key), message) from None

    def _mistake(self, where: tuple[str, ...], message: str) -> ConfigError:
        return ConfigError(f"{'.'.join(where)}: {message}", self._path, self._located.line(where))


@cache
def _kinds(section: type) -> dict[str, Any]:
    """The keys of a section with their types."""
    hints = get_type_hints(section)
    return {one.name: hints[one.name] for one in fields(section)}


def _with(data: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with `options` in the place of what it says."""
    both = dict(data)
    for name, value in options.items():
        first, _, rest = name.partition(".")
        if not rest:
            both[first] = value
        elif isinstance(both.setdefault(first, {}), Mapping):
            both[first] = _with(both[first], {rest: value})
    return both


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be text")
    return str(value)


def _secret(value: Any) -> Secret:
    return Secret(_text(value).strip())


def _flag(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).lower()]


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(member) for member in (value if isinstance(value, list | tuple) else [value]))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(_number(member) for member in (value if isinstance(value, list | tuple) else [value]))


def _headers(value: Any) -> Mapping[str, Secret]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of header names to texts")
    return {_text(name): _secret(member) for name, member in value.items()}


_CONVERSIONS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    bool: _flag,
    int: _whole,
    float: _number,
    tuple[str, ...]: _texts,
    tuple[float, ...]: _numbers,
    Secret: _secret,
    Mapping[str, Secret]: _headers,
    Mapping[str, Any]: dict,
}
"""How a value of a file becomes one of each type; `ValueError`, without the value, if it cannot."""
_OF_OPTIONS = (str, bool, int, float, tuple[str, ...], tuple[float, ...], Secret)
