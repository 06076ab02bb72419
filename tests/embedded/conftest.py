"""The embedded catalogue served over HTTP on loopback, and a client for each kind of account."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from scicat_watch.embedded.app import serve
from scicat_watch.embedded.options import ServeOptions

PASSWORD = "correct horse"
ACCOUNTS: dict[str, tuple[list[str], list[str]]] = {
    "ingestor": (["ingestor"], ["create_privileged"]),
    "admin": (["admin"], ["admin"]),
    "archiveManager": (["archivemanager"], ["delete"]),
    "user1": (["group1"], []),
    "maker": (["group1"], ["create_with_pid"]),
    "bl07": (["bl07"], []),
    "everything": (["g1"], ["admin", "create_privileged", "delete"]),
}


def accounts_text(passwords: dict[str, str]) -> str:
    entries = [
        {
            "username": name,
            "password": passwords.get(name, PASSWORD),
            "groups": groups,
            "roles": roles,
            "email": f"{name}@your.site",
        }
        for name, (groups, roles) in ACCOUNTS.items()
    ]
    return json.dumps({"secret": "s" * 64, "accounts": entries})


@dataclass
class Running:
    """A served catalogue."""

    url: str
    directory: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, name: str = "", version: str = "v3") -> Client:
        client = Client(self.url, version)
        if name:
            if name not in self.tokens:
                answer = requests.post(
                    f"{self.url}/api/v3/auth/login", json={"username": name, "password": PASSWORD}, timeout=120
                )
                self.tokens[name] = answer.json()["access_token"]
            client.session.headers["Authorization"] = f"Bearer {self.tokens[name]}"
        return client


class Client:
    """Requests to one version of the API, ids as separate arguments so that they get encoded."""

    def __init__(self, url: str, version: str = "v3") -> None:
        self.url, self.version, self.session = url, version, requests.Session()

    def call(self, method: str, path: str, *ids: str, **options: Any) -> requests.Response:
        filled = path.format(*(quote(key, safe="") for key in ids))
        return self.session.request(method, f"{self.url}/api/{self.version}/{filled}", timeout=120, **options)

    def post(self, path: str, body: object, *ids: str) -> requests.Response:
        return self.call("POST", path, *ids, json=body)

    def get(self, path: str, *ids: str, **wanted: Any) -> requests.Response:
        return self.call("GET", path, *ids, params={name: json.dumps(value) for name, value in wanted.items()})

    def patch(self, path: str, body: object, *ids: str, headers: dict[str, str] | None = None) -> requests.Response:
        return self.call("PATCH", path, *ids, json=body, headers=headers)

    def put(self, path: str, body: object, *ids: str) -> requests.Response:
        return self.call("PUT", path, *ids, json=body)

    def delete(self, path: str, *ids: str) -> requests.Response:
        return self.call("DELETE", path, *ids)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Serve a catalogue below `tmp_path`; all of them are stopped at the end."""
    started: list[tuple[threading.Thread, threading.Event]] = []

    def start(passwords: dict[str, str] | None = None, **options: Any) -> Running:
        accounts = tmp_path / "accounts.json"
        accounts.write_text(accounts_text(passwords or {}))
        accounts.chmod(0o600)
        chosen = ServeOptions(tmp_path / "catalogue.sqlite", accounts, port=0, pid_prefix="20.500.9")
        stopping, ready = threading.Event(), queue.Queue[str]()
        thread = threading.Thread(target=serve, args=(replace(chosen, **options), ready.put, stopping))
        thread.start()
        started.append((thread, stopping))
        return Running(ready.get(timeout=120), tmp_path)

    yield start
    for thread, stopping in started:
        stopping.set()
        thread.join(120)
        assert not thread.is_alive()


@pytest.fixture
def catalogue(served: Callable[..., Running]) -> Running:
    """A served catalogue with the accounts above."""
    return served()


def raw_dataset(name: str = "scan_1", /, **fields: Any) -> dict[str, Any]:
    """The least that API v3 takes for a raw dataset, and what is given."""
    dataset = {
        "pid": f"20.500.1/{name}",
        "type": "raw",
        "ownerGroup": "ingestor",
        "owner": "Ada Example",
        "contactEmail": "ada@example.org",
        "sourceFolder": f"/data/bt-1234/{name}",
        "datasetName": name,
        "creationTime": "2024-05-01T08:00:00Z",
        "creationLocation": "/SITE/BL07",
        "principalInvestigator": "Prof. P",
    }
    return {key: value for key, value in (dataset | fields).items() if value is not ...}


def v4_dataset(name: str = "scan_1", /, **fields: Any) -> dict[str, Any]:
    """The same for API v4."""
    dataset = raw_dataset(name, principalInvestigator=...) | {"principalInvestigators": ["Prof. P"]} | fields
    return {key: value for key, value in dataset.items() if value is not ...}


def block(*sizes: int) -> dict[str, Any]:
    files = [{"path": f"{n}.h5", "size": size, "time": "2024-05-01T08:00:00Z"} for n, size in enumerate(sizes)]
    return {"size": sum(sizes), "dataFileList": files}
