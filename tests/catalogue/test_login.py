from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.login import credentials_in, read_credentials
from scicat_watch.catalogue.options import HttpOptions, LoginOptions
from scicat_watch.errors import CatalogueError, ConfigError, LoginUnanswered, NotLoggedIn, Refused, Unavailable
from scicat_watch.model import Secret
from tests.fakes import FakeClock

from .faulty import Answer, Loopback, Request

Serve = Callable[[Callable[[Request], Answer]], Loopback]


class Accounts:
    """A server's view of tokens: those that are alive may do everything, everybody else is anonymous."""

    def __init__(self, password: str = "open-sesame") -> None:
        self.password, self.alive, self.given, self.forbidden = password, set[str](), 0, False
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        if request.path.endswith("/auth/login"):
            if json.loads(request.body) != {"username": "ingestor", "password": self.password}:
                return Answer(401, json.dumps({"message": f"{request.body!r} is wrong"}).encode())
            with self.lock:
                self.given += 1
                token = f"token-{self.given}"
                self.alive.add(token)
            return Answer(201, json.dumps({"access_token": token, "id": token, "expires_in": 3600}).encode())
        known = request.token in self.alive
        if request.path.endswith("/auth/whoami"):
            return Answer(200, b'{"username":"ingestor"}' if known else b"")
        return Answer(200, b"[1]") if known and not self.forbidden else Answer(403, b'{"message":"Forbidden resource"}')


def client_of(server: Loopback, file: Path, clock: FakeClock, **login: Any) -> HttpClient:
    options = LoginOptions(credential_file=file, **login)
    return HttpClient(HttpOptions(server.base), options, threading.Event(), clock)


def paths(server: Loopback) -> list[str]:
    return [request.path.removeprefix("/api/v3/") for request in server.requests]


@pytest.mark.parametrize(
    ("text", "username", "password", "token"),
    [
        ("secret\n", "ingestor", "secret", None),
        ('"secret"', "ingestor", '"secret"', None),
        ("1234", "ingestor", "1234", None),
        ("{not json", "ingestor", "{not json", None),
        ('{"username": "ada", "password": "p"}', "ada", "p", None),
        ('{"password": "p"}', "ingestor", "p", None),
        ('{"jwt": "t1", "id": "t2", "password": "p"}', "ingestor", None, "t1"),
        ('{"id": "t2"}', "ingestor", None, "t2"),
    ],
)
def test_every_form_of_credential_file_is_understood(
    text: str, username: str, password: str | None, token: str | None
) -> None:
    found = credentials_in(text, "ingestor")
    assert found.username == username
    assert (found.password and found.password.reveal()) == password
    assert (found.token and found.token.reveal()) == token


@pytest.mark.parametrize(
    "text", ["", "{}", '{"username": "ada"}', '{"password": 7654321}', '{"jwt": "bad\\nline"}', '{"id": "ünïcode"}']
)
def test_a_file_without_a_usable_secret_is_said_to_be_so_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(text)
    with pytest.raises(ConfigError, match="credentials") as caught:
        read_credentials(LoginOptions(credential_file=file))
    assert "7654321" not in str(caught.value)
    assert "bad" not in str(caught.value).partition(": ")[2]


def test_one_login_serves_many_requests(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    server = serve(Accounts())
    here = client_of(server, password_file, clock)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: here.request("GET", "datasets"), range(20)))
    assert paths(server).count("auth/login") == 1


def test_a_token_is_renewed_before_it_expires(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    server = serve(Accounts())
    here = client_of(server, password_file, clock)
    here.request("GET", "a")
    clock.advance(3500)
    here.request("GET", "b")
    clock.advance(50)
    here.request("GET", "c")
    assert paths(server) == ["auth/login", "a", "b", "auth/login", "c"]


def test_a_dead_token_is_replaced_once_and_the_request_repeated(
    serve: Serve, password_file: Path, clock: FakeClock
) -> None:
    accounts = Accounts()
    server = serve(accounts)
    here = client_of(server, password_file, clock)
    here.request("GET", "a")
    accounts.alive.clear()
    clock.advance(60)
    assert here.request("POST", "b", json={}) == [1]
    assert paths(server) == ["auth/login", "a", "b", "auth/whoami", "auth/login", "b"]


def test_a_stampede_with_a_dead_token_logs_in_once(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts()
    server = serve(accounts)
    here = client_of(server, password_file, clock)
    here.request("GET", "a")
    accounts.alive.clear()
    clock.advance(60)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: here.request("GET", "b"), range(8))) == [[1]] * 8
    assert paths(server).count("auth/login") == 2
    assert paths(server).count("auth/whoami") == 1


def test_a_missing_right_is_not_taken_for_a_dead_token(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts()
    accounts.forbidden = True
    server = serve(accounts)
    here = client_of(server, password_file, clock)
    clock.advance(60)
    for _ in range(5):
        with pytest.raises(Refused, match="Forbidden resource") as caught:
            here.request("POST", "datasets", json={})
        assert caught.value.status == 403
    assert paths(server).count("auth/login") == 1
    assert paths(server).count("auth/whoami") == 5


def test_one_question_does_for_a_stampede_of_missing_rights(
    serve: Serve, password_file: Path, clock: FakeClock
) -> None:
    server = serve(Accounts())
    account = client_of(server, password_file, clock)._login
    token = account.token()
    answered = [account.moment() for _ in range(5)]
    assert [account.replaced(token, 403, moment) for moment in answered] == [False] * 5
    assert paths(server) == ["auth/login", "auth/whoami"]
    account.replaced(token, 403, account.moment())
    assert paths(server).count("auth/whoami") == 2


def test_an_empty_list_is_believed_only_with_a_token_that_is_alive(
    serve: Serve, password_file: Path, clock: FakeClock
) -> None:
    accounts = Accounts()

    def lists(request: Request) -> Answer:
        if request.path.endswith("/instruments"):
            return Answer(200, b"[1]" if request.token in accounts.alive else b"[]")
        return accounts(request)

    server = serve(lists)
    here = client_of(server, password_file, clock)
    here.request("GET", "a")
    accounts.alive.clear()
    clock.advance(60)
    assert here.request("GET", "instruments", sure=True) == [1]


def test_a_refused_login_names_account_and_file_and_is_not_hammered(
    serve: Serve, password_file: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(Accounts(password="changed-meanwhile"))
    here = client_of(server, password_file, clock)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            with pytest.raises(NotLoggedIn, match=r"'ingestor'.*password") as caught:
                here.request("GET", "a")
            assert str(password_file) in str(caught.value)
    assert paths(server) == ["auth/login"]
    chain = [caught.value]
    while inner := chain[-1].__cause__ or (None if chain[-1].__suppress_context__ else chain[-1].__context__):
        chain.append(inner)  # type: ignore[arg-type]
    said = " ".join(map(str, chain)) + caplog.text + repr(here) + repr(vars(here)) + repr(vars(here._login))
    assert "open-sesame" not in said
    moments: list[int] = []
    for second in range(3600):
        clock.advance(1)
        with pytest.raises(NotLoggedIn):
            here.request("GET", "a")
        if len(paths(server)) > len(moments) + 1:
            moments.append(second + 1)
    assert moments == [60, 180, 420, 900, 1860], "ever more rarely, as directory servers lock accounts"


def test_a_dead_token_is_asked_about_rarely_until_the_file_changes(
    serve: Serve, tmp_path: Path, clock: FakeClock
) -> None:
    accounts, file = Accounts(), tmp_path / "token"
    file.write_text('{"jwt": "made-by-operator"}')
    server = serve(accounts)
    here = client_of(server, file, clock)
    for _ in range(20):
        with pytest.raises(NotLoggedIn, match="put a new one there"):
            here.request("GET", "a")
        clock.advance(1)
    assert paths(server) == ["a", "auth/whoami"]
    accounts.alive.add("a-newer-one")
    file.write_text('{"jwt": "a-newer-one"}')
    assert here.request("GET", "a") == [1]


def test_who_we_are_is_said_by_the_catalogue(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts()
    server = serve(accounts)
    here = client_of(server, password_file, clock)
    assert here.whoami()["username"]
    accounts.alive.clear()
    assert here.whoami()["username"]
    assert paths(server) == ["auth/login", "auth/whoami", "auth/whoami", "auth/login", "auth/whoami"]


@pytest.mark.parametrize("answer", [Answer(200, b""), Answer(401, b'{"message":"Unauthorized"}')])
def test_a_token_of_the_configuration_that_is_dead_is_said_to_be_so(
    serve: Serve, clock: FakeClock, answer: Answer
) -> None:
    server = serve(lambda _: answer)
    here = HttpClient(HttpOptions(server.base), LoginOptions(token=Secret("given")), threading.Event(), clock)
    with pytest.raises(NotLoggedIn, match="not valid"):
        here.whoami()
    here.close()


def test_a_server_that_cannot_say_who_we_are_is_not_blamed(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts()
    server = serve(lambda asked: Answer(404, b"{}") if asked.path.endswith("whoami") else accounts(asked))
    assert client_of(server, password_file, clock).whoami() == {}


def test_a_new_password_is_read_when_the_file_changes(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts(password="rotated-secret")
    server = serve(accounts)
    here = client_of(server, password_file, clock)
    with pytest.raises(NotLoggedIn):
        here.request("GET", "a")
    password_file.write_text('{"username": "ingestor", "password": "rotated-secret"}')
    assert here.request("GET", "a") == [1]
    password_file.unlink()
    assert here.request("GET", "a") == [1], "a file that is being replaced stops nobody who has a token"


def test_a_ready_token_needs_no_login_and_its_end_is_said(serve: Serve, tmp_path: Path, clock: FakeClock) -> None:
    accounts, file = Accounts(), tmp_path / "token"
    accounts.alive.add("made-by-operator")
    file.write_text('{"jwt": "made-by-operator"}')
    server = serve(accounts)
    here = client_of(server, file, clock)
    assert here.request("GET", "a") == [1]
    accounts.alive.clear()
    with pytest.raises(NotLoggedIn, match="expired") as caught:
        here.request("GET", "a")
    assert "made-by-operator" not in str(caught.value)
    assert str(file) in str(caught.value)
    accounts.alive.add("a-newer-one")
    file.write_text('{"jwt": "a-newer-one"}')
    assert here.request("GET", "a") == [1]
    file.write_text('{"jwt": "the-newest-token"}')
    accounts.alive.add("the-newest-token")
    here.request("GET", "a")
    assert server.requests[-1].token == "the-newest-token", "a changed file counts before the old token dies"
    assert "auth/login" not in paths(server)


def test_a_strict_server_that_answers_401_is_understood(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    accounts = Accounts()

    def strict(request: Request) -> Answer:
        answer = accounts(request)
        return Answer(401, answer.body) if answer.status == 403 else answer

    server = serve(strict)
    here = client_of(server, password_file, clock)
    here.request("GET", "a")
    accounts.alive.clear()
    assert here.request("GET", "a") == [1]


@pytest.mark.parametrize(
    ("body", "error"), [(b"", NotLoggedIn), (b"{}", Unavailable), (b'{"id": "a\\nb"}', Unavailable)]
)
def test_a_login_without_a_token_is_an_error(
    serve: Serve, password_file: Path, clock: FakeClock, body: bytes, error: type[CatalogueError]
) -> None:
    here = client_of(serve(lambda _: Answer(201, body)), password_file, clock)
    with pytest.raises(error, match="token"):
        here.request("GET", "a")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404, b'{"message":"Cannot POST /auth/login"}'), NotLoggedIn),
        (Answer(405, b"<html>not allowed</html>"), NotLoggedIn),
        (Answer(404, b"<html>default backend</html>"), LoginUnanswered),
        (Answer(200, b"<html>a front end</html>"), LoginUnanswered),
    ],
)
def test_something_else_than_scicat_at_the_address_is_said_to_be_so(
    serve: Serve, password_file: Path, clock: FakeClock, answer: Answer, error: type[CatalogueError]
) -> None:
    server = serve(lambda _: answer)
    root = server.base.removesuffix("/api/v3")
    for base, advice in ((root, "does the URL end in /api/v3?"), (server.base, "is the address right")):
        here = HttpClient(HttpOptions(base), LoginOptions(credential_file=password_file), threading.Event(), clock)
        with pytest.raises(CatalogueError, match=f"no SciCat API at {base}: ") as caught:
            here.request("GET", "a")
        assert advice in str(caught.value)
        assert type(caught.value) is error
        assert caught.value.status == answer.status
        here.close()


def test_a_token_of_the_configuration_is_used_as_it_is(serve: Serve, clock: FakeClock) -> None:
    server = serve(lambda _: Answer(403, b'{"message":"Forbidden resource"}'))
    for token, header in (("given", "Bearer given"), ("", None)):
        here = HttpClient(HttpOptions(server.base), LoginOptions(token=Secret(token)), threading.Event(), clock)
        with pytest.raises(Refused, match="Forbidden resource"):
            here.request("GET", "a")
        assert server.requests[-1].headers.get("authorization") == header
        here.close()
    assert paths(server) == ["a", "a"], "there is no other token, so nobody asks whether it is alive"


def test_without_a_credential_file_the_message_says_what_to_set(serve: Serve, clock: FakeClock) -> None:
    here = HttpClient(HttpOptions(serve(lambda _: Answer()).base), LoginOptions(), threading.Event(), clock)
    with pytest.raises(NotLoggedIn, match="credential_file"):
        here.request("GET", "a")


def test_the_login_path_can_be_another(serve: Serve, password_file: Path, clock: FakeClock) -> None:
    server = serve(lambda _: Answer(201, b'{"id": "tok", "ttl": 10}'))
    here = client_of(server, password_file, clock, login_path="auth/ldap")
    here.request("GET", "a")
    assert paths(server) == ["auth/ldap", "a"]
    assert server.requests[1].token == "tok"


def test_a_login_that_is_too_large_for_a_proxy_says_nothing_about_the_password(
    serve: Serve, password_file: Path, clock: FakeClock
) -> None:
    here = client_of(serve(lambda _: Answer(413, b"<html>413</html>")), password_file, clock)
    with pytest.raises(NotLoggedIn, match="raise the limit of the proxy") as caught:
        here.request("GET", "a")
    assert "password" not in str(caught.value)


def test_a_login_without_an_answer_is_no_write_that_may_have_been_done(
    serve: Serve, password_file: Path, clock: FakeClock
) -> None:
    here = client_of(serve(lambda _: Answer(503, b"<html>busy</html>")), password_file, clock)
    with pytest.raises(LoginUnanswered) as caught:
        here.request("POST", "datasets", json={})
    assert not caught.value.sent
