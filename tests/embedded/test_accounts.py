"""Accounts, tokens and the table of rights."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from scicat_watch.embedded import accounts as a
from scicat_watch.errors import ConfigError

NOW = datetime(2024, 5, 1, 8, tzinfo=UTC)
OURS: dict[str, Any] = {"ownerGroup": "g1"}
OPENED: dict[str, Any] = {"ownerGroup": "g2", "accessGroups": ["g1"]}
SHARED: dict[str, Any] = {"ownerGroup": "g2", "sharedWith": ["ada@x.org"]}
PUBLIC: dict[str, Any] = {"ownerGroup": "g2", "isPublished": True}
FOREIGN: dict[str, Any] = {"ownerGroup": "g2"}

NOBODY = a.Caller()
MEMBER = a.Caller("ada", "ada@x.org", frozenset({"g1"}))
MAKER = a.Caller("mia", "", frozenset({"g1"}), frozenset({a.CREATE_WITH_PID}))
PRIVILEGED = a.Caller("ingestor", "", frozenset({"g1"}), frozenset({a.CREATE_PRIVILEGED}))
ADMIN = a.Caller("admin", "", frozenset(), frozenset({a.ADMIN}))
ARCHIVER = a.Caller("archive", "", frozenset(), frozenset({a.DELETE}))


@pytest.mark.parametrize(
    ("caller", "own", "own_pid", "foreign_pid", "deletes"),
    [
        (NOBODY, False, False, False, False),
        (MEMBER, True, False, False, False),
        (MAKER, True, True, False, False),
        (PRIVILEGED, True, True, True, False),
        (ADMIN, True, True, True, False),
        (ARCHIVER, False, False, False, True),
    ],
)
def test_who_may_create_and_delete(
    caller: a.Caller, own: bool, own_pid: bool, foreign_pid: bool, deletes: bool
) -> None:
    assert caller.may_create("g1", with_pid=False) == own
    assert caller.may_create("g1", with_pid=True) == own_pid
    assert caller.may_create("g2", with_pid=True) == foreign_pid
    assert caller.may_delete == deletes


@pytest.mark.parametrize(
    ("caller", "read", "changed", "added_to"),
    [
        (NOBODY, [PUBLIC], [], []),
        (MEMBER, [OURS, OPENED, SHARED, PUBLIC], [OURS], [OURS]),
        (PRIVILEGED, [OURS, OPENED, PUBLIC], [OURS], [OURS, OPENED, SHARED, PUBLIC, FOREIGN]),
        (ADMIN, *[[OURS, OPENED, SHARED, PUBLIC, FOREIGN]] * 3),
        (ARCHIVER, [PUBLIC], [], []),
    ],
)
def test_who_may_read_change_and_add(
    caller: a.Caller, read: list[Any], changed: list[Any], added_to: list[Any]
) -> None:
    records = [OURS, OPENED, SHARED, PUBLIC, FOREIGN]
    assert [record for record in records if caller.may_read(record)] == read
    assert [record for record in records if caller.may_change(record)] == changed
    assert [record for record in records if caller.may_add(record)] == added_to


def test_a_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: a.load(path), range(8)))
    assert path.stat().st_mode & 0o777 == 0o600
    (account,) = json.loads(path.read_text())["accounts"]
    assert (account["username"], sorted(account["roles"])) == ("ingestor", ["admin", "create_privileged", "delete"])
    assert a.load(path).log_in("ingestor", account["password"]) is not None
    assert len(account["password"]) >= 24


@pytest.fixture
def known(tmp_path: Path) -> a.Accounts:
    path = tmp_path / "accounts.json"
    account = {"username": "ada", "password": "pässword", "groups": ["g1"], "roles": []}
    path.write_text(json.dumps({"secret": "s" * 64, "accounts": [account]}))
    path.chmod(0o600)
    return a.load(path)


def test_logging_in(known: a.Accounts) -> None:
    caller = known.log_in("ada", "pässword")
    assert caller is not None
    assert caller.groups == {"g1"}
    for username, password in [
        ("ada", "x"),
        ("eve", "pässword"),
        ("ada", ""),
        ("ada", None),
        (None, "x"),
        ("ada", "\ud800"),
    ]:
        assert known.log_in(username, password) is None


def test_a_token_is_good_for_an_hour(known: a.Accounts) -> None:
    caller = known.log_in("ada", "pässword")
    assert caller is not None
    token = known.token(caller, NOW)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 3600
    assert known.caller(f"Bearer {token}", NOW + timedelta(seconds=3599)) == caller
    assert known.caller(f"bearer {token}", NOW) == caller
    assert known.caller(f"Bearer {token}", NOW + timedelta(seconds=3600)).anonymous


def test_a_broken_token_is_nobodys(known: a.Accounts) -> None:
    caller = known.log_in("ada", "pässword")
    assert caller is not None
    claims = {"username": "ada", "exp": int(NOW.timestamp()) + 9}
    forged = [
        jwt.encode(claims, "t" * 64, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode({"username": "eve", "exp": claims["exp"]}, "s" * 64, algorithm="HS256"),
        jwt.encode({"username": "ada"}, "s" * 64, algorithm="HS256"),
        jwt.encode({"username": "ada", "exp": True}, "s" * 64, algorithm="HS256"),
        known.token(caller, NOW)[:-3],
        "",
        "x.y.z",
    ]
    assert all(known.caller(f"Bearer {token}", NOW).anonymous for token in forged)
    assert known.caller(f"Basic {known.token(caller, NOW)}", NOW).anonymous


def test_passwords_are_not_shown(known: a.Accounts) -> None:
    assert "pässword" not in repr(vars(known)["_accounts"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "secret"),
        ('{"secret": ""}', "secret"),
        ('{"secret": "x"}', "list"),
        ('{"secret": "x", "accounts": [5]}', "account 1"),
        ('{"secret": "x", "accounts": [{"username": "a"}]}', "no password"),
        ('{"secret": "x", "accounts": [{"username": "a", "password": "pw-1", "roles": ["king"]}]}', "king"),
        ('{"secret": "x", "accounts": [{"username": "a", "password": "pw-1", "groups": "g"}]}', "lists"),
        (
            '{"secret": "x", "accounts": [{"username": "a", "password": "pw-1"}, {"username": "a", "password": "b"}]}',
            "twice",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        a.load(path)
    assert "accounts.json" in str(caught.value)
    assert "pw-1" not in str(caught.value)
