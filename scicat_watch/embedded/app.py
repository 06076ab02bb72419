"""The embedded catalogue as a web application, and the server that runs it.

Called by the service and by `scicat-watch catalogue`, in a process of its own or in a thread; the
rest of the program meets it over HTTP only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
import signal
import socket
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scicat_watch.clock import SystemClock
from scicat_watch.embedded import accounts as accounts_file
from scicat_watch.embedded import database, pages
from scicat_watch.embedded.database import Published
from scicat_watch.embedded.options import Public, ServeOptions
from scicat_watch.embedded.patterns import PatternError
from scicat_watch.embedded.rows import UnstorableError
from scicat_watch.embedded.store import Store
from scicat_watch.embedded.v3 import api as api_v3
from scicat_watch.embedded.v4 import api as api_v4
from scicat_watch.embedded.web import Answer, Call, ProblemError, Served, bad_request, not_found
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)

_ROUTERS = {"v3": api_v3.ROUTER, "v4": api_v4.ROUTER}

LARGEST_BODY = 16 << 20
"""Maximum size of a request's decompressed body in bytes; the limit of a SciCat backend."""
LARGEST_HEAD = 16 << 10
"""Bytes of a request's address and headers together."""
_MOST_DRAINED = 64 << 20
"""Bytes of a body that is too large that are still read."""
_CONNECTIONS = 8192
_GRACE = 5
"""Seconds that running requests have when the server stops."""
_EXAMINED = 30
"""It is looked whether the database is still there at every so-manieth tick of the server, which are 0.1 s apart."""
_KEEP_ALIVE = 75
"""Seconds for which an idle connection is kept: scans arrive some seconds apart."""
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-cache"}
_TOO_LARGE = ProblemError(
    413, {"message": "the body is larger than 16 MiB", "error": "Payload Too Large", "statusCode": 413}
)
"""A SciCat backend answers with 500, from which no client learns that a repetition is of no use."""


def create_app(
    database: Path,
    accounts: Path,
    pid_prefix: str,
    open_pages: bool,
    public: Public | None = None,
    published: Published = tuple,
) -> Application:
    """The catalogue on these files, as an ASGI application. `published`: see `embedded.database.lost`.

    `public` says what everybody may read; if it is None, published datasets, and `open_pages` says whether the pages
    show every dataset to a browser on this machine. Raises
    `ConfigError` if the accounts or the database cannot be used; a damaged database is moved aside.
    """
    known = accounts_file.load(accounts)
    catalogue = Served(Store(database, published), known, SystemClock(), pid_prefix, public or "published")
    return Application(catalogue, pages.Pages(catalogue.store, open_pages and public is None, catalogue.public))


class Application:
    """Reads requests, finds out who sends them, and passes them to the API or to the pages."""

    def __init__(self, catalogue: Served, shown: pages.Pages) -> None:
        self._catalogue, self._pages = catalogue, shown

    def examine(self) -> None:
        """End the process if the database was removed or replaced: nobody may be writing who would notice."""
        with suppress(database.GoneError):
            self._catalogue.store.still_there()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            response = await self._response(scope, receive)
            await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._catalogue.store.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        request = Request(scope, receive)
        raw_path: str = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        head = len(raw_path) + len(scope["query_string"]) + sum(len(k) + len(v) for k, v in scope["headers"])
        if head > LARGEST_HEAD:
            return Response(status_code=431)
        segments = [unquote(part) for part in raw_path.removesuffix("/").split("/")[1:]]
        if [segment.lower() for segment in segments[:1]] != ["api"]:
            return await run_in_threadpool(self._page, request, segments)
        try:
            content = await _body(request)
            answer = await run_in_threadpool(self._answer, request, raw_path, segments, content)
        except ProblemError as problem:
            answer = problem.answer
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody is there to read it.
        has_body = bool(answer.body)
        kind = "application/json; charset=utf-8" if has_body else None
        return Response(answer.body, answer.status, _HEADERS, media_type=kind)

    def _page(self, request: Request, segments: list[str]) -> Response:
        try:
            return self._pages.response(request, segments)
        except Exception:
            log.exception("the page %s cannot be shown", request.url.path)
            return Response("This page cannot be shown now; the log says why.", 500, media_type="text/plain")

    def _answer(self, request: Request, raw_path: str, segments: list[str], content: bytes) -> Answer:
        try:
            query: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                query.setdefault(name, []).append(value)
            headers = dict(request.headers.items())
            # A token in the address counts only where no header names one, and only with its scheme.
            authorization = headers.get("authorization") or query.get("access_token", [""])[0]
            caller = self._catalogue.accounts.caller(authorization, self._catalogue.clock.now())
            caller = replace(caller, public=self._catalogue.public)
            call = Call(request.method, raw_path, query, headers, caller, content)
            router = _ROUTERS.get(segments[1].lower()) if segments[1:] else None
            found = router.answer(self._catalogue, call, segments[2:]) if router else None
            if found is None:
                raise not_found(f"Cannot {request.method} {raw_path}")
            return found
        except ProblemError as problem:
            return problem.answer
        except (PatternError, UnstorableError, RecursionError, UnicodeEncodeError) as error:
            return bad_request(f"the request cannot be used: {error}").answer
        except database.GoneError as error:  # The store has said so, once.
            return Answer({"message": str(error), "statusCode": 503}, 503)
        except (sqlite3.OperationalError, OSError) as error:
            # The disk is full or the file is locked: that can pass, so the client should retry.
            log.error("%s %s: the database cannot be used: %s", request.method, raw_path, error)
            status = 507 if database.is_full(error) else 503
            message = f"the catalogue's database cannot be used: {error}"
            return Answer({"message": message, "statusCode": status}, status)
        except Exception:
            log.exception("%s %s failed", request.method, raw_path)
            return Answer({"message": "Internal server error", "statusCode": 500}, 500)


async def _body(request: Request) -> bytes:
    """The body, decompressed; one that is too large is read to its end, so that the sender gets the answer."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
        elif size > _MOST_DRAINED:
            break
    if size > LARGEST_BODY:
        raise _TOO_LARGE
    content = b"".join(parts)
    packing = request.headers.get("content-encoding", "identity").lower()
    if packing == "gzip":
        return _unpacked(content)
    if packing != "identity":
        raise bad_request(f"the body's encoding {packing!r} is not known: send it plain or with gzip")
    return content


def _unpacked(content: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(content, LARGEST_BODY + 1)
    except zlib.error as error:
        raise bad_request(f"the body is not gzip: {error}") from error
    if len(found) > LARGEST_BODY:
        raise _TOO_LARGE
    if not unpacking.eof:
        raise bad_request("the body is not gzip: it ends early")
    return found


def serve(
    options: ServeOptions,
    ready: Callable[[str], None] | None = None,
    stopping: threading.Event | None = None,
    published: Published = tuple,
) -> None:
    """Serve the catalogue until SIGTERM or SIGINT, or until `stopping` is set, which works in any thread.

    `ready` is called with the base address, e.g. "http://127.0.0.1:8085", once connections are accepted.
    `published`: the ids of datasets that a catalogue in this place had; asked for only if it is made anew.
    Raises `ConfigError` if the address is in use or the files cannot be used.
    """
    _allow_connections()
    for path in (options.database, options.accounts):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _listening(options.host, options.port) as listener:
        app = create_app(
            options.database, options.accounts, options.pid_prefix, is_loopback(options.host), options.public, published
        )
        url = f"http://{_written(options.host)}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
        )
        _Server(config, lambda: ready(url) if ready else None, stopping, app.examine).run([listener])


def _allow_connections() -> None:
    """Let the process have as many open connections as it may: each is a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, _CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address, which other machines cannot reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """uvicorn, with a callback when it accepts connections; also works in threads that cannot catch signals."""

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], None],
        stopping: threading.Event | None,
        examine: Callable[[], None],
    ) -> None:
        """`examine` is called every few seconds, in a thread: it may wait for a file system."""
        super().__init__(config)
        self._ready, self._stopping, self._examine = started, stopping, examine
        self._examining: asyncio.Future[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await asyncio.get_running_loop().run_in_executor(None, self._ready)

    async def on_tick(self, counter: int) -> bool:
        if counter % _EXAMINED == 0 and (self._examining is None or self._examining.done()):
            self._examining = asyncio.get_running_loop().run_in_executor(None, self._examine)
        return (self._stopping is not None and self._stopping.is_set()) or await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT; unlike uvicorn's own, do not raise the signal again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    bare = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"embedded: {host} is no address to serve on: {error.strerror}") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            what = f"embedded: cannot serve on {host}, port {port}: {error.strerror}"
            raise ConfigError(f"{what}. Is a catalogue running already? Otherwise name another port") from error
        yield listener


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
