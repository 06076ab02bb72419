"""Servers that answer with something else than SciCat's API: each gets one clear message that says what to do."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.errors import CatalogueError, NotScicat, Refused, Unavailable
from tests.catalogue.bundles import dataset
from tests.fakes import FakeClock

from .faulty import Answer, Loopback, Request, Reset

Serve = Callable[[Callable[[Request], Answer]], Loopback]
PAGE = b"<!doctype html><html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("answer", "kind", "advice"),
    [
        (Answer(200, PAGE), NotScicat, "it ends in /api/v3 for most"),
        (Answer(404, PAGE), NotScicat, "it ends in /api/v3 for most"),
        (Answer(200, b'{"pid": "1/a", "descr'), Unavailable, "it broke off"),
        (Answer(302, PAGE, {"Location": "https://sso.example/login"}), NotScicat, "sso.example/login.*without one"),
        (Answer(308, b"", {"Location": "https://x.example/api/v3"}), Refused, "x.example/api/v3.*into catalogue.url"),
        (Answer(413, PAGE), Refused, "larger than the server, or what is before it, takes"),
        (Answer(400, b"<html>The plain HTTP request was sent to HTTPS port</html>"), Unavailable, "with https://"),
        (Answer(502, PAGE), Unavailable, "status 502.*no answer from SciCat itself"),
    ],
)
def test_one_message_says_what_to_do(
    serve: Serve, http: Callable[..., HttpClient], answer: Answer, kind: type[CatalogueError], advice: str
) -> None:
    server = serve(lambda _: answer)
    with pytest.raises(CatalogueError, match=advice) as caught:
        http(server.base).request("POST", "datasets", json={})
    said = str(caught.value)
    assert type(caught.value) is kind
    assert said.count("status") == 1
    assert said.count(server.base) <= 1
    assert "<" not in said, "no page is repeated"


def test_a_date_to_come_back_is_followed(serve: Serve, http: Callable[..., HttpClient], clock: FakeClock) -> None:
    later = "Thu, 01 Jan 2099 00:00:00 GMT"
    with pytest.raises(Postponed) as caught:
        http(serve(lambda _: Answer(429, b"", {"Retry-After": later})).base).request("GET", "datasets")
    assert caught.value.retry_after > 3600
    assert f"asked again after {caught.value.retry_after:.0f} s" in str(caught.value)
    for nonsense in ("soon", "", "-5"):
        server = serve(lambda _: Answer(429, b"", {"Retry-After": nonsense}))  # noqa: B023
        with pytest.raises(Unavailable) as unknown:
            http(server.base).request("GET", "datasets")
        assert not isinstance(unknown.value, Postponed)


def test_an_answer_about_another_dataset_is_not_believed(serve: Serve, http: Callable[..., HttpClient]) -> None:
    answer = json.dumps({"pid": "7/other", "sourceFolder": "/data/bt-7/raw"}).encode()
    catalogue = ScicatV3(http(serve(lambda _: Answer(200, answer)).base))
    with pytest.raises(Unavailable, match="asked for dataset 7/a and answered with 7/other"):
        catalogue.holding("7/a")
    with pytest.raises(Refused, match="made dataset 7/other although 7/a"):
        catalogue.create_dataset(dataset("7/a"))


@contextlib.contextmanager
def tls_server(directory: Path, name: str, then: Callable[[ssl.SSLSocket], None] = lambda _: None) -> Iterator[int]:
    """A server that speaks https with a certificate of its own for `name`, and does `then`; its port."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
            "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve_some() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), contextlib.closing(connection):
                safe = context.wrap_socket(connection, server_side=True)
                then(safe)
                safe.close()

    thread = threading.Thread(target=serve_some)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_a_certificate_that_does_not_match_is_explained(tmp_path: Path, http: Callable[..., HttpClient]) -> None:
    with tls_server(tmp_path, "scicat.example") as port:
        with pytest.raises(Unavailable, match=r"catalogue\.ca_file") as unknown:
            http(f"https://localhost:{port}/api/v3").request("GET", "datasets")
        assert not unknown.value.sent
        assert "is self-signed" in str(unknown.value)
        assert "SSL" not in str(unknown.value)
        with pytest.raises(Unavailable, match="its certificate is for another name"):
            http(f"https://localhost:{port}/api/v3", ca_file=tmp_path / "certificate.pem").request("GET", "datasets")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_authorities_of_the_system_and_of_the_environment_are_trusted(
    tmp_path: Path, http: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, str(tmp_path / "certificate.pem"))
    with tls_server(tmp_path, "localhost") as port:
        with pytest.raises(Unavailable, match="closed without a whole answer") as caught:
            http(f"https://localhost:{port}/api/v3").request("POST", "datasets", json={})
        assert caught.value.sent


def test_a_safe_connection_that_is_spoilt_leaves_open_whether_the_request_was_done(
    tmp_path: Path, http: Callable[..., HttpClient]
) -> None:
    def spoil(connection: ssl.SSLSocket) -> None:
        assert connection.recv(1)
        plain = socket.socket(fileno=connection.detach())
        with contextlib.closing(plain):
            plain.sendall(b"HTTP/1.1 400 of something between, without TLS\r\n\r\n")
            while plain.recv(1 << 16):
                pass

    with tls_server(tmp_path, "localhost", spoil) as port:
        client = http(f"https://localhost:{port}/api/v3", ca_file=tmp_path / "certificate.pem")
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            client.request("POST", "datasets", json={})
        client.close()
    assert caught.value.sent


def test_http_where_only_https_is_spoken_is_explained_until_the_server_has_answered(
    serve: Serve, http: Callable[..., HttpClient]
) -> None:
    answers = [True, False, True]

    def answer(_: Request) -> Answer:
        if answers.pop():
            raise Reset
        return Answer()

    here = http(serve(answer).base)
    for hinted in (True, False):
        with pytest.raises(Unavailable, match="closed without a whole answer") as caught:
            here.request("POST", "datasets", json={})
        assert ("begin catalogue.url with https://" in str(caught.value)) is hinted
        if hinted:
            here.request("POST", "datasets", json={})


def test_https_where_only_http_is_spoken_is_explained(serve: Serve, http: Callable[..., HttpClient]) -> None:
    port = serve(lambda _: Answer()).port
    with pytest.raises(Unavailable, match="does not speak https"):
        http(f"https://127.0.0.1:{port}/api/v3").request("GET", "datasets")
