from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.catalogue.http import LONGEST_BODY, HttpClient
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.errors import ConfigError, NotScicat, Refused, Unavailable
from tests.fakes import FakeClock

from .faulty import Answer, Loopback, Request, Reset

Serve = Callable[[Callable[[Request], Answer]], Loopback]
MakeHttp = Callable[..., HttpClient]


def test_each_segment_is_encoded_wholly(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer())
    http(server.base).request("GET", "datasets", "20.500/a b#c?d%e/ü", params={"x": "1&2"})
    assert server.requests[0].path == "/api/v3/datasets/20.500%2Fa%20b%23c%3Fd%25e%2F%C3%BC?x=1%262"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_that_would_ask_for_something_else_is_refused(serve: Serve, http: MakeHttp, segment: str) -> None:
    server = serve(lambda _: Answer())
    with pytest.raises(Refused):
        http(server.base).request("DELETE", "datasets", segment)
    assert server.requests == []


def test_only_strict_json_is_sent(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer())
    with pytest.raises(Refused, match="strict JSON"):
        http(server.base).request("POST", "datasets", json={"energy": float("nan")})
    with pytest.raises(Refused, match="bytes"):
        http(server.base).request("POST", "datasets", json="x" * LONGEST_BODY)
    http(server.base).request("POST", "datasets", json={"µ": "Å"})
    assert [json.loads(request.body) for request in server.requests] == [{"µ": "Å"}]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(400, b'{"message":["property bogus should not exist"]}'), Refused),
        (Answer(404, b'{"message":"not here"}'), Refused),
        (Answer(413, b"<html>too large</html>"), Refused),
        (Answer(301, b"", {"Location": "https://elsewhere.example/"}), Refused),
        (Answer(404, b"<html>default backend</html>"), NotScicat),
        (Answer(302, b"", {"Location": "/sorry"}), NotScicat),
        (Answer(200, b"<html>maintenance</html>"), NotScicat),
        (Answer(408, b""), Unavailable),
        (Answer(429, b""), Unavailable),
        (Answer(500, b'"Internal server error"'), Unavailable),
        (Answer(503, b"<html>busy</html>"), Unavailable),
    ],
)
def test_an_answer_says_who_can_fix_it(serve: Serve, http: MakeHttp, answer: Answer, error: type[Exception]) -> None:
    server = serve(lambda _: answer)
    with pytest.raises((Refused, Unavailable)) as caught:
        http(server.base).request("POST", "datasets", json={})
    assert type(caught.value) is error
    assert caught.value.status == answer.status
    assert len(server.requests) == 1


def test_a_time_to_come_back_is_handed_on(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer(503, b"", {"Retry-After": "17"}))
    with pytest.raises(Postponed) as caught:
        http(server.base).request("GET", "health")
    assert caught.value.retry_after == 17


def test_a_question_is_repeated_over_a_broken_connection_and_a_write_is_not(serve: Serve, http: MakeHttp) -> None:
    def once_broken(request: Request) -> Answer:
        if [seen.method for seen in server.requests].count(request.method) == 1:
            raise Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        return Answer(200, b"[1]")

    server = serve(once_broken)
    assert http(server.base).request("GET", "datasets") == [1]
    with pytest.raises(Unavailable):
        http(server.base).request("POST", "datasets", json={})
    assert [request.method for request in server.requests] == ["GET", "GET", "POST"]


def test_a_server_that_is_off_is_unavailable(serve: Serve, http: MakeHttp) -> None:
    server = Loopback(lambda _: Answer())
    server.close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        http(server.base).request("GET", "health")


def test_a_server_that_never_answers_is_unavailable(serve: Serve, http: MakeHttp) -> None:
    asked, released = threading.Event(), threading.Event()

    def held(_: Request) -> Answer:
        asked.set()
        released.wait(60)
        return Answer()

    server = serve(held)
    with pytest.raises(Unavailable, match="within"):
        http(server.base, timeout=0.2).request("GET", "health")
    assert asked.wait(60)
    released.set()
    assert len(server.requests) == 1


def test_an_answer_without_end_is_not_read(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer(200, b"[" + b" " * (1 << 20) + b"]"))
    with pytest.raises(Refused, match="more than 1000 bytes"):
        http(server.base).request("GET", "datasets", limit=1000)


def test_our_token_goes_to_no_other_host(serve: Serve, http: MakeHttp, tmp_path: Path) -> None:
    other = serve(lambda _: Answer())
    server = serve(lambda _: Answer(307, b"", {"Location": f"{other.base}/datasets"}))
    with pytest.raises(Unavailable):
        http(server.base).request("GET", "datasets")
    assert server.requests[0].token == "ready-token"
    assert other.requests == []


def test_a_netrc_does_not_replace_our_token(
    serve: Serve, http: MakeHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password other-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(lambda _: Answer())
    here = http(server.base)
    here.request("GET", "datasets")
    here.ask("GET", "health")
    assert [request.headers.get("authorization") for request in server.requests] == ["Bearer ready-token", None]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    serve: Serve, http: MakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(lambda _: Answer(502)), serve(lambda _: Answer())
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert http(server.base).request("GET", "datasets") == {}
    assert proxy.requests == []


def test_a_proxy_of_the_environment_is_asked_as_its_address_says(
    serve: Serve, http: MakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(lambda _: Answer())
    monkeypatch.setenv("http_proxy", f"http://ada:a%3Ab@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,.example.org")
    assert http("http://scicat.invalid/api/v3").request("GET", "datasets", "7/a", params={"x": "y z"}) == {}
    [asked] = proxy.requests
    assert asked.path == "http://scicat.invalid/api/v3/datasets/7%2Fa?x=y+z"
    assert asked.token == "ready-token"
    assert asked.headers["proxy-authorization"] == f"Basic {base64.b64encode(b'ada:a:b').decode()}"


@pytest.mark.parametrize("host", ["10.255.0.1", "scicat.example.org", "[::1]", "localhost"])
def test_a_proxy_is_not_asked_for_what_no_proxy_names(
    serve: Serve, http: MakeHttp, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    proxy = serve(lambda _: Answer())
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,.example.org")

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable) as caught:
        http(f"http://{host}:1/api/v3").request("POST", "datasets", json={})
    assert not caught.value.sent
    assert proxy.requests == []


def test_connections_are_kept_but_not_longer_than_the_server_keeps_them(
    serve: Serve, http: MakeHttp, clock: FakeClock
) -> None:
    server = serve(lambda _: Answer())
    here = http(server.base)
    for _ in range(5):
        here.request("POST", "datasets", json={})
        clock.advance(2.0)
    assert server.connections == 1
    clock.advance(4.0)
    here.request("POST", "datasets", json={})
    assert server.connections == 2


def test_a_closed_client_opens_new_connections(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer())
    here = http(server.base)
    here.request("GET", "a")
    here.close()
    here.request("GET", "b")
    assert server.connections == 2


def test_threads_ask_side_by_side(serve: Serve, http: MakeHttp) -> None:
    together = threading.Barrier(4)

    def meet(_: Request) -> Answer:
        together.wait(120)
        return Answer(200, b"[1]")

    here = http(serve(meet).base)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: here.request("GET", f"d{n}"), range(4))) == [[1]] * 4


def test_what_is_looked_up_lies_below_the_base(serve: Serve, http: MakeHttp) -> None:
    server = serve(lambda _: Answer())
    here = http(server.base)
    assert here.parts("proposals/2099%2F1?limit=3&x=") == (("proposals", "2099/1"), [("limit", "3"), ("x", "")])
    assert here.parts(f"{server.base}/proposals/7") == (("proposals", "7"), [])
    for elsewhere in (
        "http://elsewhere.example/api/v3/proposals/7",
        f"http://user@127.0.0.1:{server.port}/api/v3/proposals/7",
        f"http://127.0.0.1:{server.port}/admin",
        f"http://127.0.0.1:{server.port}/api/v33/x",
        f"https://127.0.0.1:{server.port}/api/v3/proposals/7",
        "//elsewhere.example/api/v3/x",
        "file:///etc/passwd",
        "proposals/../../admin",
        "proposals/%2e%2e/users",
        "http://[broken/",
    ):
        with pytest.raises(Refused):
            here.parts(elsewhere)


@pytest.mark.parametrize(
    "url", ["scicat.example.org", "ftp://x/api", "https://", "https://ada:pw@scicat.example.org/api/v3", "http://x/?a"]
)
def test_a_base_that_cannot_work_is_a_mistake_of_the_configuration(http: MakeHttp, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        http(url)
    assert "pw" not in str(caught.value)


def test_leaving_certificates_unchecked_warns_once(
    serve: Serve, http: MakeHttp, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    server = serve(lambda _: Answer())
    with caplog.at_level(logging.WARNING):
        unchecked = http(server.base, verify=False)
        unchecked.request("GET", "a")
        unchecked.request("GET", "b")
    assert len(caplog.records) == 1
    with pytest.raises(ConfigError):
        http(server.base, ca_file=tmp_path / "absent.pem")
