"""Read a configuration file into `Settings`; every mistake is reported with file, line and the closest known key.

A key that had another name in an earlier version is a mistake, too, and the message has its new name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scicat_watch import words, yamltext
from scicat_watch.errors import ConfigError
from scicat_watch.settings.model import Settings

RENAMED: Mapping[str, str] = {
    "watching.silent_rescan_interval": "watching.poll_interval",
    "reading.pictures": "reading.thumbnails",
    "reading.picture_extensions": "reading.thumbnail_extensions",
}
"""Names that keys had in earlier versions, and what they are called now."""


class ConfigErrors(ConfigError):
    """Several mistakes of one file; the message has one line for each."""

    def __init__(self, errors: list[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in errors))


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read a native configuration file; `overrides`, nested like the file, come from the command line and win.

    Raises `ConfigError` for a file that cannot be read, and `ConfigErrors` with every mistake in it.
    """
    located = yamltext.load(path)
    data = {} if located.data is None else located.data
    if not isinstance(data, dict):
        raise ConfigError("a configuration is a mapping of sections, such as `beamtimes:`", path, 1)
    given = {name: section for name, section in data.items() if section is not None}
    return _validated(_merged(given, overrides or {}), located, path)


def default(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings without a file: everything at its default but for `overrides`."""
    return _validated(dict(overrides or {}), yamltext.Located({}, {}), None)


def _validated(data: dict[str, Any], located: yamltext.Located, path: Path | None) -> Settings:
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        mistakes = [_mistake(detail, located, path) for detail in error.errors()]
        raise ConfigErrors(sorted(mistakes, key=lambda mistake: mistake.line or 0)) from None


def _mistake(detail: ErrorDetails, located: yamltext.Located, path: Path | None) -> ConfigError:
    where = tuple(part for part in detail["loc"])
    key = ".".join(str(part) for part in where)
    line = located.line(where)
    if detail["type"] == "extra_forbidden" and key in RENAMED:
        return ConfigError(f"{key} is called {RENAMED[key]} now", path, line)
    if detail["type"] == "extra_forbidden":
        return ConfigError(f"unknown key {key!r}{_suggestion(where)}", path, line)
    reason = detail["msg"].removeprefix("Value error, ")
    return ConfigError(f"{key}: {reason}" if key else reason, path, line)


def _suggestion(where: tuple[str | int, ...]) -> str:
    """The end of a message about the unknown key at `where`: a close key, the section it belongs to, or all keys."""
    section: type[BaseModel] = Settings
    for part in where[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        section = annotation
    word = str(where[-1])
    if words.closest(word, section.model_fields) is None:
        for path in _keys(Settings):
            if path[-1] == word:
                return f"; did you mean {'.'.join(path)!r}?"
    return words.nearest(word, section.model_fields)


def _keys(section: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, info in section.model_fields.items():
        yield (*above, name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _keys(info.annotation, (*above, name))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
