from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions, LoginOptions
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.catalogue.scicat.v4 import ScicatV4
from scicat_watch.clock import SystemClock
from scicat_watch.embedded.app import create_app
from tests.fakes import FakeClock

from .faulty import Answer, Fault, Loopback, Request, SpoilingProxy


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Answer]], Loopback]]:
    """Starts servers that give scripted answers."""
    servers: list[Loopback] = []

    def start(answer: Callable[[Request], Answer]) -> Loopback:
        servers.append(Loopback(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("open-sesame\n")
    return file


@pytest.fixture
def http(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., HttpClient]]:
    """Makes clients with a ready token."""
    clients: list[HttpClient] = []
    token = tmp_path / "token"
    token.write_text('{"jwt": "ready-token"}')

    def make(base: str, **options: Any) -> HttpClient:
        http = HttpOptions(base, **({"timeout": 60.0} | options))
        clients.append(HttpClient(http, LoginOptions(credential_file=token), threading.Event(), clock))
        return clients[-1]

    yield make
    for made in clients:
        made.close()


ACCOUNTS: dict[str, Any] = {
    "secret": "a-secret-that-is-long-enough-for-hs256",
    "accounts": [
        {"username": "ingestor", "password": "i", "groups": ["bt-7", "bl07"], "roles": ["create_privileged"]},
        {"username": "keeper", "password": "k", "groups": ["bt-7"], "roles": ["create_privileged", "delete"]},
        {"username": "stranger", "password": "s", "groups": ["others"], "roles": ["create_privileged"]},
        {"username": "plain", "password": "p", "groups": ["bt-7"], "roles": []},
        {"username": "bl07", "password": "b", "groups": ["bl07"], "roles": ["create_privileged"]},
        {"username": "admin", "password": "a", "groups": [], "roles": ["admin"]},
    ],
}


class Site:
    """A real catalogue on loopback; every test asks for other datasets in it."""

    def __init__(self, directory: Path) -> None:
        accounts = directory / "accounts.json"
        accounts.write_text(json.dumps(ACCOUNTS))
        accounts.chmod(0o600)
        for account in ACCOUNTS["accounts"]:
            (directory / account["username"]).write_text(json.dumps(account))
        self._directory = directory
        self._clients: list[HttpClient] = []
        self.version = "v3"
        """Of the API that the tests use."""
        app = create_app(directory / "catalogue.sqlite", accounts, "20.500.9", True)
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, http="h11"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            assert self._thread.is_alive()
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}/api/v3"

    def api(
        self, account: str = "ingestor", base: str = "", prefix: str = "", kind: type[ScicatV3] | None = None
    ) -> ScicatV3:
        """The API as an account has it; `kind` takes the place of the class for v3, and is mixed into that for v4."""
        login = LoginOptions(credential_file=self._directory / account)
        self._clients.append(HttpClient(HttpOptions(base or self.base, timeout=60), login))
        made: ScicatV3 = self._class(kind)(self._clients[-1], prefix)
        return made

    def _class(self, kind: type[ScicatV3] | None) -> Any:
        if self.version == "v3":
            return kind or ScicatV3
        return ScicatV4 if kind is None else type(kind.__name__, (kind, ScicatV4), {})

    def publisher(self, account: str = "ingestor", base: str = "", prefix: str = "") -> ScicatPublisher:
        return ScicatPublisher(self.api(account, base, prefix), threading.Event(), SystemClock())

    def hang_up(self) -> None:
        """Close the connections of all clients."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(120)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    # What the server opens at its first request stays until its end.
    made.api().dataset("nobody/1")
    made.hang_up()
    yield made
    made.close()


@pytest.fixture(params=["v3", "v4"])
def site(server: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A catalogue by each version of its API; the connections that a test opens to it are closed after it."""
    server.version = request.param
    yield server
    server.version = "v3"
    server.hang_up()


@pytest.fixture
def spoiled(site: Site) -> Iterator[Callable[..., SpoilingProxy]]:
    """Starts proxies before the catalogue that spoil what passes through."""
    proxies: list[SpoilingProxy] = []

    def start(*faults: Fault) -> SpoilingProxy:
        proxies.append(SpoilingProxy(site.base, faults))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()
