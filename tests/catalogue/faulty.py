"""Servers that go wrong on purpose: one with scripted answers, and a proxy that spoils what passes through it."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Answer:
    """What it is answered."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


class Reset(Exception):
    """The connection is to be reset; `sent` are bytes that still get out."""

    def __init__(self, sent: bytes = b"") -> None:
        self.sent = sent


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    # A reset connection is what we are here for, not something to print.
    def handle_error(self, request: Any, client_address: Any) -> None: ...


class Loopback:
    """A server on loopback that gives `answer(request)`; it remembers requests and counts connections."""

    def __init__(self, answer: Callable[[Request], Answer], port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_any(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                outer.requests.append(request)
                try:
                    reply = answer(request)
                except Reset as reset:
                    self.wfile.write(reset.sent)
                    self.wfile.flush()
                    _reset(self.connection)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}/api/v3"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Fault(StrEnum):
    """What a spoiling proxy does to one request."""

    NONE = "passed on"
    REFUSED_CONNECTION = "reset before it reached the catalogue"
    BUSY = "503, not passed on"
    MAINTENANCE = "an HTML page with status 200, not passed on"
    LOST = "done by the catalogue, then the connection is reset"
    TORN = "done by the catalogue, then the connection is reset in the middle of the answer"
    BROKEN = "done by the catalogue, answered 500"
    EXPIRED = "the token is dead from now on"


PASSED_ON = ("content-type", "authorization", "if-unmodified-since")
"""Headers that a proxy passes on."""


class SpoilingProxy(Loopback):
    """Passes requests on to `upstream`, and spoils one after the other as `faults` says; then none."""

    def __init__(self, upstream: str, faults: Iterable[Fault] = ()) -> None:
        self.faults = deque(faults)
        self.dead: set[str] = set()
        self.writes = 0
        """How many requests changed something."""
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        super().__init__(self._spoil)

    def _spoil(self, request: Request) -> Answer:
        with self._lock:
            fault = self.faults.popleft() if self.faults else Fault.NONE
        match fault:
            case Fault.REFUSED_CONNECTION:
                raise Reset
            case Fault.BUSY:
                return Answer(503, b"<html>busy</html>", {"Content-Type": "text/html"})
            case Fault.MAINTENANCE:
                return Answer(200, b"<html>We are back soon.</html>", {"Content-Type": "text/html"})
            case Fault.EXPIRED:
                self.dead.add(request.token)
        answer = self._passed_on(request)
        match fault:
            case Fault.LOST:
                raise Reset
            case Fault.TORN:
                head = f"HTTP/1.1 {answer.status} OK\r\nContent-Length: {len(answer.body) + 9}\r\n\r\n".encode()
                raise Reset(head + answer.body[: len(answer.body) // 2])
            case Fault.BROKEN:
                return Answer(500, b'"Internal server error"')
        return answer

    def _passed_on(self, request: Request) -> Answer:
        if request.path.endswith("/auth/login"):
            self.dead.clear()  # Two logins within one second give the same token.
        headers = {name: value for name, value in request.headers.items() if name in PASSED_ON}
        if request.token in self.dead:
            headers.pop("authorization", None)
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=120)
        try:
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
            kind = response.getheader("Content-Type") or "application/json"
            if request.method != "GET" and response.status < 300 and not request.path.endswith("/auth/login"):
                self.writes += 1
            return Answer(response.status, response.read(), {"Content-Type": kind})
        finally:
            connection.close()


class HoldingProxy(SpoilingProxy):
    """Holds the first request that is `held`, answers it not at all or 504, and passes it on later all the same.

    That is when `release` is called or, `with_next`, when the same request comes again: before that one is answered.
    """

    def __init__(
        self, upstream: str, held: Callable[[Request], bool], *, with_next: bool = False, gateway: bool = False
    ) -> None:
        """`gateway`: it answers 504."""
        self._held, self._with_next, self._gateway = held, with_next, gateway
        self._first = threading.Lock()
        self._released = threading.Event()
        self._later: list[threading.Thread] = []
        self.arrived = threading.Event()
        """Set once the request that was held was answered."""
        super().__init__(upstream)

    def release(self) -> None:
        self._released.set()

    def close(self) -> None:
        self.release()
        for thread in self._later:
            thread.join(120)
        super().close()

    def _spoil(self, request: Request) -> Answer:
        if not self._held(request):
            return super()._spoil(request)
        if self._first.acquire(blocking=False):
            self._later.append(threading.Thread(target=self._pass_on_later, args=(request,), daemon=True))
            self._later[-1].start()
            if self._gateway:
                return Answer(504, b"<html>gateway timeout</html>", {"Content-Type": "text/html"})
            self.arrived.wait()
            raise Reset
        answer = self._passed_on(request)
        if self._with_next:
            self.release()
            self.arrived.wait(120)
        return answer

    def _pass_on_later(self, request: Request) -> None:
        self._released.wait()
        try:
            self._passed_on(request)
        except OSError:  # The catalogue has ended meanwhile, and so has the test.
            pass
        finally:
            self.arrived.set()


class ChanceProxy(SpoilingProxy):
    """Spoils requests by chance: `lost`, `gateway` (502, half of them after the catalogue did it), `reset`."""

    def __init__(
        self, upstream: str, *, lost: float = 0.0, gateway: float = 0.0, reset: float = 0.0, seed: int = 1
    ) -> None:
        self._chance, self._random_lock = random.Random(seed), threading.Lock()
        self._limits = (reset, reset + gateway, reset + gateway + lost)
        self.spoiled = 0
        super().__init__(upstream)

    def _spoil(self, request: Request) -> Answer:
        with self._random_lock:
            drawn, half = self._chance.random(), self._chance.random() < 0.5
            self.spoiled += drawn < self._limits[-1]
        reset, gateway, lost = self._limits
        if drawn < reset:
            raise Reset
        page = Answer(502, b"<html><center><h1>502 Bad Gateway</h1></center></html>", {"Content-Type": "text/html"})
        if drawn < gateway and half:
            return page
        answer = self._passed_on(request)
        if drawn < gateway:
            return page
        if drawn < lost:
            raise Reset
        return answer


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
