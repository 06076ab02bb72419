"""The parameters of the embedded catalogue. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where the embedded catalogue serves, and from which files."""

    database: Path
    """The SQLite file."""
    accounts: Path
    """JSON file with the accounts; made with random passwords if it does not exist."""
    host: str = "127.0.0.1"
    port: int = 8085
    """0 takes a free one."""
    pid_prefix: str = "20.500.99999"
    """Prefix of the ids that the catalogue makes for datasets that come without one."""
