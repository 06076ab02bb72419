"""The lines that commands and the daemon exchange: one request, then messages, the last of which is an end. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from scicat_watch.errors import ConfigError

VERSION = 1
"""Of the protocol. A daemon of another version refuses a request, and says so."""
LARGEST_REQUEST = 1 << 20
"""Bytes of a request; some thousand paths."""
LARGEST_MESSAGE = 1 << 26
"""Bytes of a message of the daemon; the status of a large site has some megabytes."""

ALIVE = "alive"
"""`event` of a message that says only that the daemon is still at it."""
END = "end"
"""`event` of the last message of a request that was carried out."""
ERROR = "error"
"""`event` of the last message of a request that was not; it has a `message`, and `usage` where the request is wrong."""

Message = dict[str, Any]


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("is not an absolute path")
    return path


class Named(BaseModel):
    """A path that a person named; the command has looked it up, so that the daemon need not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: Annotated[str, AfterValidator(_absolute)]
    folder: bool
    """Whether it is a directory."""

    @property
    def place(self) -> Path:
        """The path."""
        return Path(self.path)


class Asked(BaseModel):
    """What a command asks the daemon for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: int
    command: Literal["status", "ingest", "rescan", "reload", "pause", "resume"]
    paths: tuple[Named, ...] = ()
    """Of `ingest` and `rescan`; without any: everything."""
    retry: bool = False
    """Of `ingest`: only what failed before."""
    beamtime: str = ""
    """Of `pause` and `resume`: an id, or the path of a beamtime directory."""


def parse(line: bytes) -> Asked:
    """The request of a line; `ConfigError` if it is none."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError("the request is not JSON") from None
    if isinstance(data, dict) and data.get("version", VERSION) != VERSION:
        theirs = data["version"]
        raise ConfigError(f"the daemon knows version {VERSION} of the protocol, not {theirs!r}: is it another release?")
    if isinstance(data, dict) and isinstance(data.get("paths"), list):
        data["paths"] = tuple(data["paths"])  # JSON has no tuples.
    try:
        return Asked.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the request cannot be understood: {where}: {first['msg']}") from None


def line(message: Message) -> bytes:
    """A message as it is sent."""
    return json.dumps(message).encode() + b"\n"
