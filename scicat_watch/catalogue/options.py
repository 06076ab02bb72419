"""The parameters of this room: where the catalogue is, who we are there, how patient we are. Pure.

Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scicat_watch.model import Secret

OWNED = (
    "sourceFolder", "sourceFolderHost", "creationTime", "startTime", "endTime", "creationLocation", "dataFormat",
    "scientificMetadata",
)  # fmt: skip
"""Fields that say what is on the disk, so that nobody else has a reason to change them."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to reach an API over HTTP."""

    url: str
    """Its base, e.g. "https://scicat.example.org/api/v3"."""
    timeout: float = 30.0
    """For a connection, and for each answer."""
    ca_file: Path | None = None
    """Certificates of the authorities that are trusted; None: those of the system."""
    verify: bool = True
    """Whether the server's certificate is checked."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """Sent with every request, but never in the place of our own."""
    embedded: bool = False
    """Whether it is the embedded catalogue, whose address is nobody's setting."""


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """Who we are at a catalogue."""

    username: str = "ingestor"
    """Account to log in with, unless the credential file names one."""
    credential_file: Path | None = None
    """File with the account's secret; read again when it changes."""
    login_path: str = "auth/login"
    """Where to log in, below the base."""
    token: Secret | None = None
    """A ready token that comes with the configuration; then no file is read and nobody logs in."""


@dataclass(frozen=True, slots=True)
class PatienceLimits:
    """How long the catalogue is asked again while it is unavailable."""

    first_wait: float = 1.0
    """Before the second try; the waits double from here."""
    longest_wait: float = 60.0
    give_up_after: float = 120.0
    """After which `ingest` gives up; the daemon never does."""


@dataclass(frozen=True, slots=True)
class CatalogueOptions:
    """A SciCat catalogue and our account there."""

    http: HttpOptions
    login: LoginOptions = LoginOptions()
    patience: PatienceLimits = PatienceLimits()
    pid_prefix: str = ""
    """Put before every dataset id."""
    api: Literal["auto", "v3", "v4"] = "auto"
    """Which version of the API is used; `auto`: v3 where the server has it, or what the address says."""
