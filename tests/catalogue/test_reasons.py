"""Why a server cannot be reached: said in words, by whatever way the HTTP libraries report it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.reasons import why
from scicat_watch.errors import Unavailable

from .faulty import Answer, Loopback, Request, Reset

Serve = Callable[[Callable[[Request], Answer]], Loopback]
MakeHttp = Callable[..., HttpClient]


def _said(client: HttpClient, method: str = "POST") -> str:
    with pytest.raises(Unavailable) as caught:
        client.request(method, "datasets", json={})
    text = str(caught.value)
    for word in ("ConnectionPool", "object at", "Errno", "Max retries", "Error("):
        assert word not in text
    return text


def test_a_port_at_which_nobody_listens(http: MakeHttp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = f"http://127.0.0.1:{server.getsockname()[1]}/api/v3"
    said = _said(http(base))
    assert said.startswith(f"{base} cannot be reached for POST datasets: nothing listens there")
    assert "catalogue.url" in said


def test_an_embedded_catalogue_that_does_not_run_is_nobody_s_setting(http: MakeHttp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = f"http://127.0.0.1:{server.getsockname()[1]}/api/v3"
    said = _said(http(base, embedded=True))
    assert said.startswith(f"the embedded catalogue, {base}, did not answer POST datasets")
    assert "started again by itself" in said
    assert "catalogue.url" not in said


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", b"no HTTP\r\n\r\n"])
def test_a_connection_that_breaks(serve: Serve, http: MakeHttp, sent: bytes) -> None:
    def broken(_: Request) -> Answer:
        raise Reset(sent)

    assert "closed without a whole answer" in _said(http(serve(broken).base))


def test_a_host_without_an_address(http: MakeHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "its name is not known (Name or service not known)" in _said(http("http://scicat.invalid/api/v3"))


def test_a_server_that_speaks_no_tls(serve: Serve, http: MakeHttp) -> None:
    said = _said(http(serve(lambda _: Answer()).base.replace("http:", "https:")))
    assert "no safe connection" in said
    assert "does not speak https" in said
    assert "catalogue.url" in said


def test_a_proxy_that_is_off(http: MakeHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    said = _said(http("http://scicat.invalid/api/v3"))
    assert "the proxy" in said
    assert "connection refused" in said


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_a_host_that_is_out_of_reach(number: int) -> None:
    assert "check the network" in why(OSError(number, "x"))


def test_anything_else_is_said_as_it_is_and_a_circle_of_causes_ends() -> None:
    one, other = OSError(errno.EPERM, "Operation not permitted"), RuntimeError("outer")
    one.__cause__, other.__cause__ = other, one
    assert why(other) == "Operation not permitted"
    assert why(RuntimeError()) == "RuntimeError"
    assert why(RuntimeError("what it was")) == "what it was"
