"""Who we are at the catalogue: the credential file, logging in, and tokens that die.

A token is asked for once and used until shortly before it expires. A dead token does not bring a
401 from SciCat but makes the caller anonymous, who is answered 403 like somebody without rights;
only `whoami` tells the two apart. Passwords and tokens are `Secret` all the way to the header:
they print as stars and are in no message of ours.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scicat_watch.catalogue.options import LoginOptions
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.clock import Clock
from scicat_watch.errors import CatalogueError, ConfigError, LoginUnanswered, NotLoggedIn, Refused, Unavailable
from scicat_watch.model import FileState, Secret

log = logging.getLogger(__name__)

EARLY = 60.0
"""Seconds before its end that a token is renewed, at most a tenth of its life."""
REFUSED_FOR = 60.0
"""Seconds for which a refused login is not repeated with the same file: directory servers lock accounts."""
REFUSED_LONGEST = 3600.0
"""The same after many refusals of the same password; each time it doubles."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a credential file holds: a ready token, or a password to log in with."""

    username: str
    password: Secret | None = None
    token: Secret | None = None
    """A ready token, which needs no login."""


class Ask(Protocol):
    """One request to the catalogue with just this token."""

    def __call__(
        self, method: str, *segments: str, json: Any = None, params: Any = None, token: Secret | None = None
    ) -> Any:
        """The answer's JSON; `Refused` or `Unavailable`."""


def credentials_in(text: str, username: str) -> Credentials:
    """What the text of a credential file says; `username` is the account if the file names none.

    A JSON object holds `jwt` or `id`, a ready token, or `username` and `password`. Anything else is the
    password as it stands. Raises ConfigError, without repeating any of the text.
    """
    text = text.strip()
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict):
        known = {"password": text}
    for name in ("jwt", "id", "username", "password"):
        if not isinstance(known.get(name, ""), str):
            raise ConfigError(f"{name!r} must be a text")
    token, password = known.get("jwt") or known.get("id"), known.get("password")
    if not token and not password:
        raise ConfigError("neither a token ('jwt') nor a password is in it")
    account = known.get("username") or username
    if token:
        return Credentials(account, token=Secret(_header_safe(token)))
    return Credentials(account, password=Secret(str(password)))


def read_credentials(options: LoginOptions) -> Credentials:
    """The credentials that the configuration names; ConfigError with the file if there are none."""
    if options.token is not None:
        return Credentials(options.username, token=options.token)
    file = options.credential_file
    if file is None:
        raise ConfigError("catalogue.credential_file is not set: name the file with the account's password or token")
    try:
        return credentials_in(file.read_text(encoding="utf-8"), options.username)
    except OSError as error:
        raise ConfigError(f"the credential file cannot be read: {error.strerror}", file) from error
    except UnicodeDecodeError:
        raise ConfigError("the credential file is not UTF-8 text", file) from None
    except ConfigError as error:
        raise ConfigError(f"the credential file is of no use: {error.message}", file) from None


class Login:
    """Our account at one catalogue; all threads share its token."""

    def __init__(self, ask: Ask, base: str, options: LoginOptions, clock: Clock) -> None:
        """`base`: address of the API, for messages."""
        self._ask, self._base, self._options, self._clock = ask, base, options, clock
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._state: FileState | None = None
        self._token: Secret | None = None
        self._expires: float | None = None
        self._moments = itertools.count(1)
        self._alive_at = 0
        self._known: Any = None
        """The last answer to the question who we are."""
        self._refusal: NotLoggedIn | None = None
        self._refusals = 0
        self._again_at = 0.0
        """When what was refused is tried again, unless the credential file changes."""
        self.account: str | None = None
        """Name of our account as the catalogue has it, once somebody asked; None again when the credentials change."""

    def token(self) -> Secret:
        """A token that is alive as far as we know; logs in if there is none or it is about to expire."""
        with self._lock:
            self._reread()
            self._wait_after_refusal()
            if self._token is None or (self._expires is not None and self._clock.monotonic() >= self._expires):
                self._log_in()
            assert self._token is not None  # noqa: S101 - for the type checker
            return self._token

    def moment(self) -> int:
        """This moment among the others: a later one is a larger number."""
        return next(self._moments)

    def replaced(self, used: Secret, status: int | None, answered: int) -> bool:
        """Whether a request that was answered `status` is worth repeating: its token was dead, a new one is here.

        `answered` is the moment of the answer: a token that was alive after it was alive then, so that one
        question does for a stampede. False means that the token is alive, so the account lacks the right.
        It is also False for a token that comes with the configuration. `NotLoggedIn` if the token of a credential file
        is dead, and there is no other.
        """
        with self._lock:
            if self._token is not used:
                return True  # Another thread, or a changed file, was faster.
            if self._options.token is not None:
                return False  # There is no other, so that nothing is to be asked.
            if status != 401 and (answered < self._alive_at or self._alive()):
                return False
            credentials = self._reread()
            if credentials.password is None and self._token is used:
                file = self._options.credential_file
                raise self._refused(f"the token in {file} has expired or is not valid: put a new one there", status)
            self._log_in()
            return True

    def _alive(self) -> bool:
        asked = self.moment()
        try:
            answer = self._ask("GET", "auth", "whoami", token=self._token)
        except Refused as refused:
            # Servers without this route: 404 says nothing about a token, so a new token is tried.
            log.debug("whoami was refused: %s", refused)
            return False
        if not answer:
            return False
        self._alive_at, self._known = asked, answer
        return True

    @property
    def said(self) -> str:
        """Our account for people, as far as the catalogue has said who we are."""
        known = self._known if isinstance(self._known, Mapping) else {}
        groups = ", ".join(map(str, known.get("currentGroups") or ())) or "no groups"
        return f"our account {known['username']!r}, in {groups}, may not do this" if known.get("username") else ""

    def _reread(self) -> Credentials:
        """The credentials, read again if the file changed; what was known is kept while the file is being replaced."""
        state = _state(self._options.credential_file)
        if self._credentials is not None and state in (None, self._state):
            return self._credentials
        try:
            credentials = read_credentials(self._options)
        except ConfigError as error:
            raise NotLoggedIn(str(error)) from None
        self._credentials, self._state = credentials, state
        self.account = None
        self._token, self._expires = credentials.token, None
        self._refusal, self._refusals = None, 0
        return credentials

    def _wait_after_refusal(self) -> None:
        if self._refusal is not None and self._clock.monotonic() < self._again_at:
            raise NotLoggedIn(str(self._refusal), self._refusal.status)

    def _refused(self, message: str, status: int | None, *, longest: float = REFUSED_LONGEST) -> NotLoggedIn:
        """The error for a refusal, which holds for a while."""
        wait = min(longest, REFUSED_FOR * 2.0 ** min(self._refusals, 30))
        self._refusals += 1
        self._refusal, self._again_at = NotLoggedIn(message, status), self._clock.monotonic() + wait
        return NotLoggedIn(message, status)

    def _log_in(self) -> None:
        """Get a new token. Called with the lock held, so that one login serves all who wait."""
        credentials = self._reread()
        if credentials.token is not None:
            self._token = credentials.token
            return
        self._wait_after_refusal()
        now, where = self._clock.monotonic(), self._options.login_path
        self._token = None
        password = credentials.password.reveal() if credentials.password else ""
        body = {"username": credentials.username, "password": password}
        try:
            answer = self._ask("POST", *where.strip("/").split("/"), json=body)
            self._token = _token_in(answer, where)
        except Unavailable as error:
            if isinstance(error, Postponed):
                raise
            reason = self._no_api(error) if _is_no_api(error) else str(error)
            raise LoginUnanswered(reason, error.status) from None
        except Refused as refused:
            # `from None`: what a server says about a login may repeat the password.
            if _is_no_api(refused):
                raise self._refused(self._no_api(refused), refused.status, longest=REFUSED_FOR) from None
            if refused.status is None:
                raise self._refused(str(refused), None, longest=REFUSED_FOR) from None
            if refused.status == 413:
                raise self._refused(
                    f"something before the catalogue at {self._base} refuses even a login as too large (status 413): "
                    "raise the limit of the proxy there, such as client_max_body_size",
                    413,
                    longest=REFUSED_FOR,
                ) from None
            raise self._refused(
                f"the catalogue refused the login of {credentials.username!r} with the password from "
                f"{self._options.credential_file} (status {refused.status} at {where!r}): check both",
                refused.status,
            ) from None
        self._refusal, self._refusals = None, 0
        self._expires = _end(answer, now)
        log.info("logged in to the catalogue as %s", credentials.username)

    def _no_api(self, error: CatalogueError) -> str:
        where, base = self._options.login_path, self._base
        answered = f"no SciCat API at {base}: it answered the login at {where!r} with status {error.status}"
        if base.lower().endswith("/api/v3"):
            return f"{answered}; is the address right, and catalogue.login_path?"
        return f"{answered}; does the URL end in /api/v3?"


def _is_no_api(error: CatalogueError) -> bool:
    """Whether something else than SciCat answered the login: it knows no such route, or shows a page as if well."""
    page = isinstance(error, Unavailable) and error.status is not None and 200 <= error.status < 300
    return page or error.status in (404, 405)


def _token_in(answer: Any, where: str) -> Secret:
    if isinstance(answer, Mapping):
        for name in ("access_token", "id"):
            if isinstance(answer.get(name), str) and answer[name]:
                try:
                    return Secret(_header_safe(answer[name]))
                except ConfigError:
                    break
        raise Unavailable(f"the catalogue's answer to the login at {where!r} holds no token")
    # Backends answer 201 without a body at a path that exists but is not the login.
    raise Refused(f"the login at {where!r} gave no token: set catalogue.login_path, which is 'auth/login' for most")


def _end(answer: Mapping[str, Any], now: float) -> float | None:
    """When a token is to be renewed; None if the answer does not say how long it lives."""
    for name in ("expires_in", "ttl"):
        life = answer.get(name)
        if isinstance(life, int | float) and not isinstance(life, bool) and life > 0:
            return now + life - min(EARLY, life / 10)
    return None


def _header_safe(token: str) -> str:
    # Libraries repeat a header that they cannot send in their error, so such a token is stopped here.
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("the token holds characters that no token has")
    return token


def _state(file: Path | None) -> FileState | None:
    try:
        return FileState.of(file.stat()) if file is not None else None
    except OSError:
        return None
