"""Which version of SciCat's API is used: what the settings say, or what the server has, asked once.

`auto` prefers v3: its nested routes add up totals exactly, and an account that is no admin may add thumbnails by it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions
from scicat_watch.catalogue.scicat.api import ScicatApi
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.errors import CatalogueError, ConfigError, Unavailable

log = logging.getLogger(__name__)

Version = Literal["auto", "v3", "v4"]
_V4 = re.compile(r"/api/v4/?$", re.IGNORECASE)
_UNKNOWN = re.compile(r"/api/(?!v[34]/?$)(v\d+)/?$", re.IGNORECASE)


def chosen(options: HttpOptions, version: Version) -> tuple[HttpOptions, Version]:
    """The address of API v3, where logins are, and the version that is wanted: an address that ends in v4 says so.

    `ConfigError` if it ends in a version that nobody here speaks: asked for another one, the server would answer.
    """
    if unknown := _UNKNOWN.search(options.url.strip()):
        raise ConfigError(
            f"catalogue.url ends in /api/{unknown[1]}, a version of SciCat's API that scicat-watch does not know: "
            "it ends in /api/v3 for most, or in /api/v4"
        )
    if not _V4.search(options.url.strip()):
        return options, version
    return replace(options, url=_V4.sub("/api/v3", options.url.strip())), "v4" if version == "auto" else version


class Versions:
    """The API of one server, of the version that is used."""

    def __init__(self, http: HttpClient, version: Version, pid_prefix: str = "") -> None:
        self._http, self._version, self._prefix = http, version, pid_prefix
        self._api: ScicatApi | None = None

    def __call__(self) -> ScicatApi:
        """The API; the first call may ask the server. `Unavailable` if it does not answer."""
        if self._api is None:
            version = self._asked() if self._version == "auto" else self._version
            self._api = self._made(version)
        return self._api

    def ping(self) -> None:
        """Ask for the server's health, which is the same for all versions."""
        ScicatV3(self._http).ping()

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        self._http.close()

    def _made(self, version: Version) -> ScicatApi:
        if version == "v3":
            return ScicatV3(self._http, self._prefix)
        from scicat_watch.catalogue.scicat.v4 import ScicatV4  # Not needed for most.

        return ScicatV4(self._http, self._prefix)

    def _asked(self) -> Version:
        """v4 only where there is no v3; where there seems to be neither, v3 says what is wrong."""
        v4 = self._http.sibling("v4")
        if v4 is None or _has_datasets(self._http.ask) or not _has_datasets(v4.ask):
            return "v3"
        log.info("the catalogue has no API v3 for datasets; API v4 is used")
        return "v4"


def _has_datasets(ask: Callable[..., object]) -> bool:
    """Whether a version answers for datasets, whatever it answers to somebody without an account."""
    try:
        ask("GET", "datasets", "count")
    except Unavailable as error:
        if error.status != 404:
            raise
        return False
    except CatalogueError as error:
        return error.status not in (404, 405)
    return True
