"""The parameters of the embedded catalogue. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Public = Literal["datasets", "published", "nothing"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where the embedded catalogue serves, and from which files."""

    database: Path
    """The SQLite file."""
    accounts: Path
    """JSON file with the accounts; created with random passwords if it does not exist."""
    host: str = "127.0.0.1"
    port: int = 8085
    """0 selects a free port."""
    public: Public | None = None
    """What everybody may read; None: published datasets, and the pages show all on loopback."""
    pid_prefix: str = "20.500.99999"
    """Prefix of the ids that the catalogue generates for datasets without one."""
