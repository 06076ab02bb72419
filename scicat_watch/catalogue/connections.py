"""Connections to one server: one for each thread, kept while the server keeps them, through a proxy where there is one.

The environment names proxies (`https_proxy`, `no_proxy`, …) and certificate authorities (`REQUESTS_CA_BUNDLE`) as it
does for most programs. Nothing is repeated here and no redirect is followed.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import certifi
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from scicat_watch.catalogue.options import HttpOptions
from scicat_watch.clock import Clock

IDLE = 3.0
"""Seconds after which a connection is not used again: backends close idle ones after 5."""


Server = urllib3.HTTPConnectionPool | urllib3.ProxyManager


class _AtOnce:
    """A connection that sends a request's head and body together: the server is woken up once, not twice."""

    _parts: list[bytes] | None = None

    def request(self, *given: Any, **named: Any) -> None:
        self._parts = []
        try:
            super().request(*given, **named)  # type: ignore[misc]
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        super().send(whole)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._parts.append(data)


class _Connection(_AtOnce, urllib3.connection.HTTPConnection):
    pass


class _SafeConnection(_AtOnce, urllib3.connection.HTTPSConnection):
    """Says of a fault of TLS whether it came before anything was sent."""

    def connect(self) -> None:
        try:
            super().connect()
        except (ssl.SSLError, urllib3.exceptions.SSLError) as error:
            error.unsent = True  # type: ignore[union-attr]
            raise


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


_POOLS: dict[str, type[urllib3.HTTPConnectionPool]] = {"http": _Pool, "https": _SafePool}


class Connections:
    """The connections to the server of one address, used by several threads."""

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._clock = clock
        address = urlsplit(options.url.strip())
        self._origin = f"{address.scheme}://{address.netloc}"
        self._proxy = _proxy(address.scheme, address.hostname or "", address.port)
        self._how: dict[str, Any] = {"maxsize": 1, "timeout": options.timeout}
        if address.scheme == "https":
            self._how |= _verification(options)
        self._own = threading.local()
        self._all: weakref.WeakSet[Server] = weakref.WeakSet()
        self._closed = 0
        """How often all were closed."""

    def send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.response.BaseHTTPResponse:
        """Send one request over this thread's connection; the answer's body is to be read. Raises urllib3's errors."""
        target = url if self._proxy else url.removeprefix(self._origin)
        return self._server().urlopen(
            method, target, body=body, headers=headers, retries=False, redirect=False, preload_content=False
        )

    def used(self) -> None:
        """This thread's connection was used until now."""
        self._own.used = self._clock.monotonic()

    def close(self) -> None:
        """Close all; a later request opens new ones."""
        self._closed += 1
        for server in list(self._all):
            _close(server)

    def _server(self) -> Server:
        """That of this thread; a connection that idled too long is closed first."""
        server: Server | None = getattr(self._own, "server", None)
        if server is None or self._own.closed != self._closed or self._clock.monotonic() - self._own.used > IDLE:
            if server is not None:
                _close(server)
            server = self._made()
            self._own.server, self._own.closed = server, self._closed
            self._all.add(server)
        self.used()
        return server

    def _made(self) -> Server:
        if not self._proxy:
            address = urlsplit(self._origin)
            return _POOLS[address.scheme](address.hostname or "", address.port, **self._how)
        proxy = urlsplit(self._proxy)
        account = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}" if proxy.username else None
        manager = urllib3.ProxyManager(
            self._proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=account), **self._how
        )
        manager.pool_classes_by_scheme = _POOLS
        return manager


def unsent(error: Exception) -> bool:
    """Whether a request failed before anything of it was sent, as there was no connection, or no safe one."""
    origin = getattr(error, "original_error", error)  # Of a proxy's failure: what happened to the proxy.
    inner = error.args[0] if error.args else None
    return isinstance(origin, urllib3.exceptions.ConnectTimeoutError) or getattr(inner, "unsent", False)


def _close(server: Server) -> None:
    if isinstance(server, urllib3.ProxyManager):
        server.clear()
    else:
        server.close()


def _proxy(scheme: str, host: str, port: int | None) -> str:
    """The proxy that the environment names for a server; empty for none, as for what runs on this machine."""
    if host in ("localhost", "::1") or host.startswith("127."):
        return ""
    named = getproxies_environment()
    found = named.get(scheme) or named.get("all") or ""
    if not found or _excepted(host, port, named):
        return ""
    return found if "://" in found else f"http://{found}"


def _excepted(host: str, port: int | None, named: Mapping[str, str]) -> bool:
    """Whether `no_proxy` names the server: by its name, a domain, or a network of addresses."""
    if proxy_bypass_environment(f"{host}:{port}" if port else host, dict(named)):
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        for one in named.get("no", "").split(","):
            with suppress(ValueError):
                if "/" in one and address in ipaddress.ip_network(one.strip(), strict=False):
                    return True
    return False


def _verification(options: HttpOptions) -> dict[str, Any]:
    """How the server's certificate is checked."""
    if not options.verify:
        return {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    named = options.ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if named:
        place = Path(named)
        return {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if place.is_dir() else "ca_certs": str(place)}
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()  # Those of the system, where a site adds its own; there may be none.
    context.load_verify_locations(certifi.where())
    return {"ssl_context": context}
