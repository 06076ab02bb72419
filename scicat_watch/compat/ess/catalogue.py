"""A SciCat as ESS's ingestor is configured for it: collections at given places, a ready token, further headers.

The documents go by the routes that ESS's ingestor takes (`datasets`, `origdatablocks`), so that a site's
proxies and rights stay as they are. Every write may be repeated: a dataset that is there already is
met as `AlreadyThere`, a file list is looked for before it is posted a second time.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential
from tenacity.nap import sleep_using_event

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions
from scicat_watch.catalogue.scicat.api import AlreadyThere
from scicat_watch.errors import Refused, Unavailable
from scicat_watch.model import Secret

log = logging.getLogger(__name__)

T = TypeVar("T")
TRIES = 3
"""How often an unavailable catalogue is asked; nobody starts the command again for the same file."""


@dataclass(frozen=True, slots=True)
class EssAccess:
    """Where a catalogue is, and who we are there."""

    host: str
    """Base of the API, e.g. https://host/api/v3."""
    endpoints: Mapping[str, str]
    """Place of each collection, joined to `host`, e.g. {"datasets": "datasets"}."""
    token: Secret
    """Ready token; empty: none is sent."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """Further headers of all requests to this host."""
    timeout: float = 60.0
    """Seconds for connecting and for each answer."""


class EssCatalogue:
    """The catalogue of a site with ESS's configuration."""

    def __init__(self, access: EssAccess, stopping: threading.Event) -> None:
        """Raises `ConfigError` for an address that is none."""
        self._access, self._stopping = access, stopping
        self._base = access.host.rstrip("/") + "/"
        self._home = _origin(self._base)
        options = HttpOptions(self._home, access.timeout, headers=access.headers)
        self._http = HttpClient(options, stopping=stopping)

    def look_up(self, url: str) -> Any:
        """The JSON at `url`: a whole address, or one that begins with the name of a collection.

        Another server than the catalogue's is asked without token and headers. Raises `Refused` or `Unavailable`.
        """
        return self._patiently(lambda: self._get(self._completed(url)))

    def dataset(self, pid: str) -> Mapping[str, Any] | None:
        """The stored dataset; None if there is none."""
        try:
            found = self._patiently(lambda: self._ask("GET", self._place("datasets"), pid))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return found if isinstance(found, Mapping) and found else None

    def dataset_with(self, key: str, value: Any) -> Mapping[str, Any] | None:
        """A dataset whose scientific metadata hold this value under `key`; None if there is none."""
        wanted = {"filter": json.dumps({"where": {f"scientificMetadata.{key}.value": value}})}
        found = self._patiently(lambda: self._ask("GET", self._place("datasets"), params=wanted))
        if isinstance(found, Mapping):
            return found or None
        return next((one for one in found or () if isinstance(one, Mapping)), None)

    def create(self, fields: Mapping[str, Any]) -> str:
        """Create a dataset and return its pid; `AlreadyThere` if the pid is taken."""

        def post() -> Any:
            try:
                return self._ask("POST", self._place("datasets"), body=fields)
            except Refused as refused:
                if refused.status == 409:
                    raise AlreadyThere(str(refused), 409) from None
                raise

        # Without a pid of its own a second dataset would be a double of a first whose answer got lost.
        answer = self._patiently(post) if "pid" in fields else post()
        if not isinstance(answer, Mapping) or not answer:
            raise Refused("the catalogue's answer to the new dataset is empty, so it is not sure that there is one")
        made = answer.get("pid")
        pid = fields.get("pid") or made
        if not pid:
            raise Refused("the catalogue's answer to the new dataset names no pid, so its file list cannot be added")
        return str(pid)

    def has_files(self, pid: str) -> bool:
        """Whether a dataset has a file list."""
        found = self._patiently(lambda: self._ask("GET", self._place("datasets"), pid, "origdatablocks"))
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise Refused(f"the catalogue's answer to the file lists of {pid} is no list")
        return bool(found)

    def add_files(self, pid: str, block: Mapping[str, Any]) -> None:
        """Add a file list to a dataset that has none."""
        repeated = False

        def post() -> None:
            nonlocal repeated
            if repeated and self.has_files(pid):
                return
            repeated = True
            self._ask("POST", self._place("origdatablocks"), body=block)

        self._patiently(post)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _place(self, collection: str) -> str:
        return urljoin(self._base, self._access.endpoints[collection])

    def _completed(self, url: str) -> str:
        for collection in self._access.endpoints:
            if url.startswith(collection):
                return self._place(collection) + url[len(collection) :]
        return url

    def _get(self, address: str) -> Any:
        segments, params = self._to(address).parts(address)
        return self._sent(address, "GET", segments, params=params)

    def _ask(self, method: str, place: str, *segments: str, body: Any = None, params: Any = None) -> Any:
        above, _ = self._to(place).parts(place)
        return self._sent(place, method, (*above, *segments), json=body, params=params)

    def _sent(self, address: str, method: str, segments: Sequence[str], **what: Any) -> Any:
        ours = _origin(address) == self._home and self._access.token.reveal()
        token = self._access.token if ours else None
        try:
            return self._to(address).ask(method, *segments, token=token, **what)
        except Unavailable as error:
            # A page instead of JSON: whatever is behind the address, its no is a no.
            if error.status is not None and 400 <= error.status < 500 and error.status not in (408, 425, 429):
                raise Refused(str(error), error.status) from None
            raise

    def _to(self, address: str) -> HttpClient:
        origin = _origin(address)
        return (
            self._http
            if origin == self._home
            else HttpClient(HttpOptions(origin, self._access.timeout), stopping=self._stopping)
        )

    def _patiently(self, ask: Callable[[], T]) -> T:
        return Retrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=0.5, max=10),
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )(ask)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
