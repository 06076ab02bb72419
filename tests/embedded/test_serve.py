"""The server as a process: addresses, signals, restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from scicat_watch.embedded.app import Application, is_loopback, serve
from scicat_watch.embedded.options import ServeOptions
from scicat_watch.errors import ConfigError
from tests.embedded.conftest import Client, Running, raw_dataset

PROGRAM = """
import sys
from pathlib import Path
from scicat_watch.embedded.app import serve
from scicat_watch.embedded.options import ServeOptions
place = Path(sys.argv[1])
options = ServeOptions(place / 'catalogue.sqlite', place / 'catalogue-accounts.json', port=0)
serve(options, lambda url: print(url, flush=True))
print("stopped", flush=True)
"""


def started(var_dir: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(var_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def logged_in(url: str, var_dir: Path) -> Client:
    (account,) = json.loads((var_dir / "catalogue-accounts.json").read_text())["accounts"]
    client = Client(url)
    token = client.post("auth/login", {name: account[name] for name in ("username", "password")}).json()["id"]
    client.session.headers["Authorization"] = f"Bearer {token}"
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_was_answered_is_there_after_any_end(tmp_path: Path, number: signal.Signals) -> None:
    var_dir = tmp_path / "state" / "scicat-watch"
    process, url = started(var_dir)
    client = logged_in(url, var_dir)
    assert client.post("datasets", raw_dataset(ownerGroup="any")).status_code == 201
    process.send_signal(number)
    rest, _ = process.communicate(timeout=120)
    assert (process.returncode, rest) == ((-9, "") if number is signal.SIGKILL else (0, "stopped\n"))
    process, url = started(var_dir)
    client = logged_in(url, var_dir)
    assert client.get("datasets/{}", "20.500.1/scan_1").json()["datasetName"] == "scan_1"
    assert client.patch("datasets/{}", {"comment": "corrected"}, "20.500.1/scan_1").status_code == 200
    assert client.delete("datasets/{}", "20.500.1/scan_1").status_code == 200
    process.terminate()
    process.communicate(timeout=120)


def _options(place: Path, **more: Any) -> ServeOptions:
    return ServeOptions(place / "catalogue.sqlite", place / "catalogue-accounts.json", **more)


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}.*Address already in use"):
            serve(_options(tmp_path, port=port))


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.such\.host\.invalid"):
        serve(_options(tmp_path, host="no.such.host.invalid", port=0))


def test_broken_accounts_are_named(tmp_path: Path) -> None:
    (tmp_path / "catalogue-accounts.json").write_text("{")
    with pytest.raises(ConfigError, match="catalogue-accounts"):
        serve(_options(tmp_path, port=0))


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False),
     ("example.org", False), ("192.168.0.1", False)],
)  # fmt: skip
def test_which_addresses_are_this_machines_own(host: str, own: bool) -> None:
    assert is_loopback(host) == own


def test_health(catalogue: Running) -> None:
    assert requests.get(f"{catalogue.url}/api/v3/health", timeout=120).json()["status"] == "ok"


def test_a_client_that_goes_in_the_middle_of_a_body_is_no_fault() -> None:
    """The program that sent it was killed, for example: nobody is there to answer, and the log is not the place."""
    nobody: Any = None
    scope = {
        "type": "http", "method": "POST", "path": "/api/v3/datasets", "raw_path": b"/api/v3/datasets",
        "query_string": b"", "headers": [(b"content-length", b"1000")],
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Application(nobody, nobody)(scope, receive, send))
    assert sent[0]["status"] == 400
