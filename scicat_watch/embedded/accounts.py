"""Who may do what in the embedded catalogue: accounts, tokens and rights.

The accounts file is `{"secret": "...", "accounts": [{"username", "password", "groups", "roles"}]}`,
readable by its owner only. The rights are those that the groups of a SciCat backend's configuration
give; a role corresponds to the group list of the same meaning. There is no 401: a missing, invalid or
expired token makes the caller anonymous, as on a real backend.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import jwt.types
from filelock import FileLock

from scicat_watch import files
from scicat_watch.embedded.options import Public
from scicat_watch.errors import ConfigError

log = logging.getLogger(__name__)

ADMIN = "admin"
CREATE_PRIVILEGED = "create_privileged"
CREATE_WITH_PID = "create_with_pid"
DELETE = "delete"
ROLES = frozenset({ADMIN, CREATE_PRIVILEGED, CREATE_WITH_PID, DELETE})

LIFETIME = 3600
"""Seconds for which a token is valid."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and what they may do."""

    username: str = ""
    email: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    public: Public = "published"
    """What everybody may read in this catalogue."""

    @property
    def stranger(self) -> Caller:
        """The same catalogue's caller without an account."""
        return Caller(public=self.public)

    @property
    def shut_out(self) -> bool:
        """Whether nothing may be read at all."""
        return self.anonymous and self.public == "nothing"

    @property
    def anonymous(self) -> bool:
        """Whether the caller is not logged in."""
        return not self.username

    @property
    def may_list(self) -> bool:
        """Whether API v4 lists anything outside its public routes."""
        return not self.anonymous or self.public == "datasets"

    @property
    def admin(self) -> bool:
        """Whether everything may be read and changed."""
        return ADMIN in self.roles

    @property
    def user_id(self) -> str:
        """A stable id of 24 hexadecimal digits, like those of a backend's database."""
        return hashlib.sha256(self.username.encode()).hexdigest()[:24]

    @property
    def privileged(self) -> bool:
        """Whether records may be made for any group, with any id."""
        return bool(self.roles & {ADMIN, CREATE_PRIVILEGED})

    def may_create(self, owner_group: object, with_pid: bool) -> bool:
        """Whether a dataset of this group may be made; one's own id needs a right of its own."""
        if self.privileged:
            return True
        return owner_group in self.groups and (not with_pid or CREATE_WITH_PID in self.roles)

    def may_read(self, document: Mapping[str, Any]) -> bool:
        """Whether a record is published, ours, opened to one of our groups, or shared with our address."""
        return not self.shut_out and (
            self.admin
            or bool(document.get("isPublished"))
            or document.get("ownerGroup") in self.groups
            or not self.groups.isdisjoint(document.get("accessGroups") or ())
            or (self.email != "" and self.email in (document.get("sharedWith") or ()))
        )

    def may_read_data(self, document: Mapping[str, Any]) -> bool:
        """The same for a dataset, a file list or an attachment: these may be everybody's."""
        return self.public == "datasets" or self.may_read(document)

    def may_change(self, document: Mapping[str, Any]) -> bool:
        """Whether a record may be patched: by its own group."""
        return self.admin or document.get("ownerGroup") in self.groups

    def may_add(self, document: Mapping[str, Any]) -> bool:
        """Whether file lists and thumbnails may be added to a dataset."""
        return self.privileged or self.may_change(document)

    @property
    def may_delete(self) -> bool:
        """Whether datasets and file lists may be deleted; an admin may not, as on a real backend."""
        return DELETE in self.roles


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the accounts file."""

    caller: Caller
    password: str = field(repr=False)


class Accounts:
    """The accounts of one catalogue; issues and checks their tokens."""

    def __init__(self, secret: str, accounts: Mapping[str, Account]) -> None:
        self._secret, self._accounts = secret, dict(accounts)

    def log_in(self, username: object, password: object) -> Caller | None:
        """The account with this name and password, or None. Takes equally long whether or not the name exists."""
        if not isinstance(username, str) or not isinstance(password, str):
            return None
        account = self._accounts.get(username)
        expected = account.password if account else secrets.token_hex(8)
        same = hmac.compare_digest(password.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
        return account.caller if account and same else None

    def token(self, caller: Caller, now: datetime) -> str:
        """A token that names `caller` until `LIFETIME` seconds from now."""
        claims = {
            "_id": caller.user_id,
            "username": caller.username,
            "email": caller.email,
            "authStrategy": "local",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=LIFETIME)).timestamp()),
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def caller(self, authorization: str, now: datetime) -> Caller:
        """The caller that an Authorization header identifies; anonymous if the token is invalid or expired."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return Caller()
        # Expiry is checked with the catalogue's own clock, so the library must not check it with another.
        options: jwt.types.Options = {"require": ["exp"], "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(token.strip(), self._secret, algorithms=["HS256"], options=options)
            alive = now.timestamp() < float(claims["exp"])
        except (jwt.InvalidTokenError, TypeError, ValueError):
            return Caller()
        account = self._accounts.get(str(claims.get("username")))
        return account.caller if alive and account else Caller()


def load(path: Path) -> Accounts:
    """The accounts of `path`; a missing file is created, with one account that may do everything.

    Raises `ConfigError` if the file cannot be read, or does not have the form that the module's docstring gives.
    """
    try:
        with FileLock(f"{path}.lock", mode=0o600):
            if not path.exists():
                files.replace(path, _first_accounts(), mode=0o600)
                log.info("created the accounts file %s with the account 'ingestor'", path)
        if path.stat().st_mode & 0o077:
            log.warning("%s holds passwords and can be read by others: chmod 600 it", path)
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"the accounts file cannot be read or created: {error.strerror}", path) from error
    except ValueError as error:
        raise ConfigError("the accounts file is not JSON: correct it, or remove it to get a new one", path) from error
    return _accounts(content, path)


def _first_accounts() -> str:
    account = {
        "username": "ingestor",
        "password": secrets.token_urlsafe(24),
        "groups": ["ingestor"],
        "roles": [ADMIN, CREATE_PRIVILEGED, DELETE],
    }
    return json.dumps({"secret": secrets.token_hex(32), "accounts": [account]}, indent=2) + "\n"


def _accounts(content: Any, path: Path) -> Accounts:
    if not isinstance(content, dict) or not isinstance(content.get("secret"), str) or not content["secret"]:
        raise ConfigError('the accounts file has no "secret": a long random text that signs tokens', path)
    entries = content.get("accounts")
    if not isinstance(entries, list):
        raise ConfigError('the accounts file has no list "accounts"', path)
    accounts: dict[str, Account] = {}
    for number, entry in enumerate(entries, 1):
        account = _account(entry, number, path)
        if account.caller.username in accounts:
            raise ConfigError(f"account {account.caller.username!r} is there twice", path)
        accounts[account.caller.username] = account
    return Accounts(content["secret"], accounts)


def _account(entry: Any, number: int, path: Path) -> Account:
    if not isinstance(entry, dict):
        raise ConfigError(f"account {number} is not an object", path)
    for name in ("username", "password"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ConfigError(f"account {number} has no {name}", path)
    groups, roles = (entry.get(name, []) for name in ("groups", "roles"))
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in (groups, roles)):
        raise ConfigError(f"account {entry['username']!r}: groups and roles are lists of names", path)
    unknown = set(roles) - ROLES
    if unknown:
        known = ", ".join(sorted(ROLES))
        raise ConfigError(f"account {entry['username']!r}: no such role: {min(unknown)!r}; there are {known}", path)
    caller = Caller(entry["username"], str(entry.get("email", "")), frozenset(groups), frozenset(roles))
    return Account(caller, entry["password"])
