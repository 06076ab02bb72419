"""The SciCat of a site with ESS's configuration: collections at given places, file lists by ESS's route, three tries.

Documents go by the routes that ESS's ingestor takes (`datasets`, `origdatablocks`), so that a site's proxies and
rights stay as they are. Everything else is the native client and publisher.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from scicat_watch.catalogue import patience
from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import CatalogueOptions, HttpOptions, LoginOptions
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.clock import Clock
from scicat_watch.documents import OrigDatablock
from scicat_watch.errors import ConfigError, Refused, Unavailable
from scicat_watch.model import Secret


def connect(
    options: CatalogueOptions, endpoints: Mapping[str, str], stopping: threading.Event, clock: Clock
) -> ScicatPublisher:
    """The catalogue of `options`; `endpoints` are the places of its collections, joined to its address.

    Raises `ConfigError` for an address that cannot work.
    """
    return ScicatPublisher(EssScicat(options, endpoints, stopping, clock), stopping, clock)


class EssScicat(ScicatV3):
    """SciCat's API as ESS's ingestor meets it."""

    def __init__(
        self, options: CatalogueOptions, endpoints: Mapping[str, str], stopping: threading.Event, clock: Clock
    ) -> None:
        base = options.http.url.rstrip("/") + "/"
        self._addresses = {collection: urljoin(base, place) for collection, place in endpoints.items()}
        self._home, self._timeout = _origin(base), options.http.timeout
        self._stopping, self._clock = stopping, clock
        http = self._client(replace(options.http, url=self._home), options.login)
        places = {name: _path_of(http, name, self._addresses[name]) for name in ("datasets", "origdatablocks")}
        # Nobody starts the command again for the same file.
        super().__init__(http, options.pid_prefix, places, patience.few_tries(clock, stopping))

    def add_datablock(self, pid: str, block: OrigDatablock, groups: Mapping[str, Any] | None = None) -> str:
        """Add a file list to a dataset that has none; one whose answer got lost is not posted twice."""
        body = {"datasetId": self._full(pid), **block.as_json(), **(groups or {})}
        posted = False

        def post() -> None:
            nonlocal posted
            if not posted or not self.datablocks(pid):
                posted = True
                self._http.request("POST", *self._at("origdatablocks"), json=body)

        self._patient(post)
        return ""

    def look_up(self, path_or_url: str) -> Any:
        """The JSON at a whole address, or at one that begins with the name of a collection.

        Another server than the catalogue's is asked without token and headers.
        """
        address = self._completed(path_or_url)
        if _origin(address) == self._home:
            return self._patient(lambda: _answered(self._http, address))
        options = HttpOptions(_origin(address), self._timeout)
        with closing(self._client(options, LoginOptions(token=Secret()))) as other:
            return self._patient(lambda: _answered(other, address))

    def _client(self, options: HttpOptions, login: LoginOptions) -> HttpClient:
        # The three tries are made out here, of questions as of writes.
        return HttpClient(options, login, self._stopping, self._clock, patience.once)

    def _completed(self, url: str) -> str:
        for collection, place in self._addresses.items():
            if url.startswith(collection):
                return place + url[len(collection) :]
        return url

    def _made(self, answer: Any) -> str:
        if not isinstance(answer, Mapping) or not answer:
            raise Refused("the catalogue's answer to the new dataset is empty, so it is not sure that there is one")
        return super()._made(answer)


def _answered(http: HttpClient, address: str) -> Any:
    segments, params = http.parts(address)
    try:
        return http.request("GET", *segments, params=params)
    except Unavailable as error:
        if error.status == 404:  # A page instead of JSON: whatever is behind the address, its no is a no.
            raise Refused(str(error), 404) from None
        raise


def _path_of(http: HttpClient, collection: str, address: str) -> tuple[str, ...]:
    """Where a collection is, below the catalogue's server."""
    try:
        return http.parts(address)[0]
    except Refused as refused:
        raise ConfigError(f"scicat.api_endpoints.{collection}: {refused}") from None


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
