"""The HTTP client of a catalogue: every request goes through here.

It encodes paths, sets a time limit, puts our token into the header, reads the answer and sorts what
went wrong into `Unavailable` (time fixes it) and `Refused` (a person fixes it). Only questions are
repeated here: whether a write was done before its answer got lost, `publish` finds out by reading.
Nothing is sent to another host than the catalogue's own: redirects are not followed.
"""

from __future__ import annotations

import copy
import json as jsonlib
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import urllib3

from scicat_watch.catalogue import patience
from scicat_watch.catalogue.answers import NotJson, complaint, parsed, seconds_to_wait
from scicat_watch.catalogue.connections import Connections, unsent
from scicat_watch.catalogue.login import Login
from scicat_watch.catalogue.options import HttpOptions, LoginOptions
from scicat_watch.catalogue.patience import ConnectionBroken, NoAnswer, Patience, Postponed
from scicat_watch.catalogue.reasons import closed, why
from scicat_watch.catalogue.silence import Silence
from scicat_watch.clock import Clock, SystemClock
from scicat_watch.errors import ConfigError, NotLoggedIn, NotScicat, Refused, Unavailable
from scicat_watch.model import Secret

log = logging.getLogger(__name__)

LONGEST_ANSWER = 64 << 20
"""Bytes of an answer that are read."""
LONGEST_BODY = 16 << 20
"""Bytes that a backend's database takes as one document; above, it answers 500 as if it were broken."""
_USUAL = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "scicat-watch"}
_VERSION = re.compile(r"/api/v\d+$", re.IGNORECASE)
_PERHAPS_SAFE = "; or the server there speaks only https: then begin catalogue.url with https://"
_NOT_BEHIND = "a proxy there gets no answer from SciCat itself: is it running, and in time?"
SLOWEST = 10
"""How many times the time limit a long answer may take as a whole."""

Headers = Mapping[str, str]
NO_HEADERS: Headers = MappingProxyType({})
Params = Mapping[str, str] | Sequence[tuple[str, str]]


class HttpClient:
    """The way to one catalogue; threads may use it side by side, each has its own connection."""

    def __init__(
        self,
        options: HttpOptions,
        login: LoginOptions | None = None,
        stopping: threading.Event | None = None,
        clock: Clock | None = None,
        questions: Patience | None = None,
    ) -> None:
        """`questions`: how often is asked; None: `patience.for_questions`. Raises `ConfigError` for a bad address."""
        self._base = _checked(options.url)
        self._options = options
        self._headers = _USUAL | {name.title(): value.reveal() for name, value in options.headers.items()}
        self._clock: Clock = clock or SystemClock()
        self._questions = questions or patience.for_questions(self._clock, stopping or threading.Event())
        _check(options)
        self._connections = Connections(options, self._clock)
        self._heard = False
        """Whether the server has ever answered."""
        self.silence = Silence(self._clock, options.timeout)
        """Which request has no answer."""
        self._login = Login(self.ask, self._base, login or LoginOptions(), self._clock)

    def __repr__(self) -> str:
        return f"HttpClient({self._base!r})"

    def request(
        self,
        method: str,
        *segments: str,
        json: Any = None,
        params: Params | None = None,
        sure: bool = False,
        limit: int = LONGEST_ANSWER,
        headers: Headers = NO_HEADERS,
    ) -> Any:
        """Ask as our account and return the answer's JSON, None for an empty answer.

        `segments` are the parts of the path below the base, as they are. `sure`: an empty list is believed
        only with a token that is alive, because lists hide what an anonymous caller may not see.
        `limit` is in bytes; `headers` are those of this request. Raises `Unavailable` or `Refused`.
        """
        token = self._login.token()
        try:
            answer = self.ask(method, *segments, json=json, params=params, token=token, limit=limit, headers=headers)
        except Refused as refused:
            answered = self._login.moment()
            if refused.status not in (401, 403) or not self._login.replaced(token, refused.status, answered):
                raise self._named(refused) from refused.__cause__
        else:
            if not sure or answer or not self._login.replaced(token, None, self._login.moment()):
                return answer
        renewed = self._login.token()
        try:
            return self.ask(method, *segments, json=json, params=params, token=renewed, limit=limit, headers=headers)
        except Refused as refused:
            if refused.status in (401, 403) and self._login.replaced(renewed, refused.status, self._login.moment()):
                raise Unavailable(f"the catalogue forgets our logins: {refused}") from None
            raise self._named(refused) from refused.__cause__

    def _named(self, refused: Refused) -> Refused:
        """A refusal for lack of a right says whose."""
        said = self._login.said if refused.status == 403 else ""
        return Refused(f"{refused} ({said})", refused.status) if said else refused

    def ask(
        self,
        method: str,
        *segments: str,
        json: Any = None,
        params: Params | None = None,
        token: Secret | None = None,
        limit: int = LONGEST_ANSWER,
        headers: Headers = NO_HEADERS,
    ) -> Any:
        """The same with just this token, or with none."""
        what = f"{method} {'/'.join(segments)}"
        url = f"{self._base}/{_path(segments)}"
        body = None if json is None else _encoded(json, what)
        patient = self._questions if method == "GET" else patience.once
        return patient(
            lambda: self._judged(self._exchange(method, url, what, body, params, token, limit, headers), what)
        )

    @contextmanager
    def _waiting(self, what: str) -> Iterator[None]:
        """Within it the answer to a request is waited for."""
        self.silence.begun(what)
        answered = False
        try:
            yield
            answered = True
        finally:
            self.silence.ended(what, answered=answered)

    def whoami(self) -> Mapping[str, Any]:
        """Who we are, as the catalogue says: `username`, `currentGroups` and more; empty if it cannot say.

        Raises `NotLoggedIn` if it does not accept our account, `Unavailable` otherwise.
        """
        for _ in range(2):
            token = self._login.token()
            try:
                answer = self.ask("GET", "auth", "whoami", token=token)
            except Refused as refused:
                if refused.status != 401:
                    return {}  # A server without this route.
                answer = None
            if isinstance(answer, Mapping) and answer:
                return answer
            if not self._login.replaced(token, 401, self._login.moment()):
                break
        raise NotLoggedIn("the catalogue does not accept our token: it has expired or is not valid")

    def sibling(self, version: str) -> Self | None:
        """The way to another version of the same API, by the same login; None if the base names no version."""
        base = _VERSION.sub(f"/api/{version}", self._base)
        if base == self._base:
            return self if self._base.lower().endswith(f"/api/{version}") else None
        other = copy.copy(self)
        other._base = base
        return other

    def account(self) -> str:
        """The name of our account, as the catalogue writes it into what we make; empty if it does not say."""
        name = self._login.account
        if name is None:
            name = self._login.account = str(self.whoami().get("username") or "")
        return name

    def parts(self, path_or_url: str) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
        """Segments and parameters of a path below the base, or of a whole address if it lies there.

        `Refused` for an address anywhere else: our token goes to no other server.
        """
        try:
            address, base = urlsplit(path_or_url.strip()), urlsplit(self._base)
            elsewhere = bool(address.scheme or address.netloc) and _origin(address) != _origin(base)
        except ValueError:
            raise Refused(f"{path_or_url!r} is no address") from None
        path = address.path
        if address.scheme or address.netloc:
            elsewhere = elsewhere or not path.startswith(base.path + "/")
            path = path.removeprefix(base.path)
        if elsewhere:
            raise Refused(f"{path_or_url!r} is not below {self._base}; nothing else is asked")
        segments = tuple(unquote(segment) for segment in path.split("/") if segment)
        _path(segments)
        return segments, parse_qsl(address.query, keep_blank_values=True)

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        self._connections.close()

    def _exchange(
        self,
        method: str,
        url: str,
        what: str,
        body: bytes | None,
        params: Params | None,
        token: Secret | None,
        limit: int,
        own: Headers,
    ) -> _Answer:
        """One request and its whole answer."""
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers |= own
        if token is not None and token.reveal():
            headers["Authorization"] = f"Bearer {token.reveal()}"
        address = f"{url}?{urlencode(params)}" if params else url
        try:
            with self._waiting(what), self._connections.send(method, address, body, headers) as response:
                answer = _Answer(response.status, response.headers, self._read(response, what, limit))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            failed = self._failed(error, what)
            failed.sent = not unsent(error)
            raise failed from error
        self._connections.used()
        self._heard = True
        return answer

    def _failed(self, error: Exception, what: str) -> Unavailable:
        """A request without an answer."""
        if isinstance(error, urllib3.exceptions.SSLError) and unsent(error):
            return Unavailable(f"{self._base}: no safe connection for {what}: {_advice(error)}")
        if _took_too_long(error):
            return NoAnswer(f"{self._base} did not answer {what} within {self._options.timeout:g} s")
        if self._options.embedded:
            why_not = "it has ended, or just starts: the log says why, and it is started again by itself"
            return ConnectionBroken(f"the embedded catalogue, {self._base}, did not answer {what}: {why_not}")
        hint = "" if self._heard or not closed(error) or not self._base.startswith("http:") else _PERHAPS_SAFE
        return ConnectionBroken(f"{self._base} cannot be reached for {what}: {why(error)}{hint}")

    def _read(self, response: urllib3.response.BaseHTTPResponse, what: str, limit: int) -> bytes:
        """The body, within limits of size and time; a server that sends byte by byte keeps nobody for ever."""
        latest = self._clock.monotonic() + SLOWEST * self._options.timeout
        content = bytearray()
        while chunk := response.read1(1 << 16, decode_content=True):
            content += chunk
            if len(content) > limit:
                raise Refused(f"{self._base} answered {what} with more than {limit} bytes, which are not read")
            if self._clock.monotonic() > latest:
                raise Unavailable(f"{self._base} answers {what} too slowly")
        return bytes(content)

    def _judged(self, answered: _Answer, what: str) -> Any:
        """The JSON of a good answer; of any other, the error that says who can fix it."""
        status = answered.status
        try:
            answer = parsed(answered.content)
        except NotJson:
            answer = NotJson
        if 200 <= status < 300 and answer is not NotJson:
            return answer
        message = f"{self._base} answered {what} with status {status}: {complaint(answered.content)}"
        if 200 <= status < 300 or (status == 404 and answer is NotJson):
            kind = Unavailable if _is_json(answered.content) else NotScicat
            raise kind(f"{message}; {_other_than_scicat(answered.content)}", status)
        if status < 400:
            there = f"{message}; it redirects to {answered.headers.get('Location', 'nowhere')!r}"
            if status in (301, 308):
                raise Refused(f"{there}: put the address of SciCat's API into catalogue.url", status)
            raise NotScicat(f"{there}: a login page before SciCat? The API must be reachable without one", status)
        if status == 413:
            raise Refused(f"{message}; the document is larger than the server, or what is before it, takes", status)
        if status == 400 and answer is NotJson and b"HTTPS port" in answered.content:
            raise Unavailable(f"{message}; the server there speaks https: begin catalogue.url with https://", status)
        if status in (408, 425, 429) or status >= 500:
            wait = seconds_to_wait(answered.headers.get("Retry-After"), self._clock.now())
            if wait is not None:
                raise Postponed(f"{message}; it is to be asked again after {wait:.0f} s", status, wait)
            proxied = status in (502, 503, 504) and answer is NotJson
            raise Unavailable(f"{message}; {_NOT_BEHIND}" if proxied else message, status)
        raise Refused(message, status)


def _is_json(content: bytes) -> bool:
    """Whether an answer begins as SciCat's do."""
    return content.lstrip()[:1] in (b"{", b"[")


def _other_than_scicat(content: bytes) -> str:
    """What to do about an answer that is not SciCat's."""
    if _is_json(content):
        return "it broke off, or something between here and SciCat spoils it"
    return "something before SciCat answers, or the url is wrong: it ends in /api/v3 for most"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back. Errors remember it for long, so it must not hold the connection."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def _advice(error: Exception) -> str:
    """What is wrong with a safe connection, and what to do about it."""
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text or "packet length too long" in text:
        return "the server there does not speak https; does catalogue.url begin with http:// instead?"
    if "Hostname mismatch" in text or "doesn't match" in text or "not valid for" in text:
        return "its certificate is for another name; use the name in catalogue.url that the certificate has"
    if "certificate has expired" in text:
        return "its certificate has expired; the operator of the server renews it"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        kind = "is self-signed" if "self-signed" in text or "self signed" in text else "is of an unknown authority"
        return (
            f"its certificate {kind}: name the file of the site's own certificate authority, or of this certificate, "
            "as catalogue.ca_file"
        )
    return f"{why(error)}; if the site has its own certificate authority, name its file as catalogue.ca_file"


def _took_too_long(error: Exception) -> bool:
    """Whether a time limit ended it, be it to connect or to be answered."""
    origin = getattr(error, "original_error", error)
    late = isinstance(origin, urllib3.exceptions.TimeoutError | TimeoutError)
    return late and not isinstance(origin, urllib3.exceptions.NewConnectionError)


def _checked(base_url: str) -> str:
    """The base without a slash at its end; ConfigError if it is none."""
    try:
        address = urlsplit(base_url.strip())
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        usable = False
    if not usable or address.query or address.fragment:
        raise ConfigError("catalogue.url is no address of an API, such as https://scicat.example.org/api/v3")
    if "@" in address.netloc:
        raise ConfigError("catalogue.url holds a user name or password: move them to catalogue.credential_file")
    return base_url.strip().rstrip("/")


def _check(options: HttpOptions) -> None:
    """Warn of certificates that are not checked; `ConfigError` if there is nothing to check them by."""
    if not options.verify:
        log.warning("catalogue.verify is off: anybody between here and the catalogue can read the token")
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    elif options.ca_file is not None and not options.ca_file.exists():
        raise ConfigError("catalogue.ca_file does not exist", options.ca_file)


def _path(segments: Sequence[str]) -> str:
    # An empty segment would turn "this dataset" into "all datasets", a dot segment leave the API.
    for segment in segments:
        if segment in ("", ".", ".."):
            raise Refused(f"{segment!r} cannot be a part of a path: {'/'.join(segments)!r}")
    return "/".join(quote(segment, safe="") for segment in segments)


def _encoded(json: Any, what: str) -> bytes:
    try:
        body = jsonlib.dumps(json, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise Refused(f"{what}: the document is not strict JSON: {error}") from None
    if len(body) > LONGEST_BODY:
        raise Refused(f"{what}: the document has {len(body)} bytes; SciCat takes no more than {LONGEST_BODY}")
    return body


def _origin(address: Any) -> tuple[str, str | None, int | None]:
    if "@" in address.netloc:
        raise ValueError("an address with a user name")
    scheme = address.scheme.lower()
    return scheme, address.hostname, address.port or {"http": 80, "https": 443}.get(scheme)
