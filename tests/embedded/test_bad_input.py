"""What nobody should send: an answer or 4xx, never 5xx, and no writer waits for it."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.embedded.conftest import Client, Running, raw_dataset

MILLION = 1 << 20


@pytest.fixture
def client(catalogue: Running) -> Iterator[Client]:
    client = catalogue.client("admin")
    assert client.post("datasets", raw_dataset(scientificMetadata={"text": "a" * 5000})).status_code == 201
    yield client
    client.session.close()


def test_bodies_of_fifty_megabytes_are_refused(client: Client) -> None:
    body = json.dumps(raw_dataset("large", description="x" * 50 * MILLION)).encode()
    for method, path in (("POST", "datasets"), ("PATCH", "datasets/20.500.1%2Fscan_1"), ("POST", "auth/login")):
        assert client.call(method, path, data=body).status_code == 413
    assert client.get("datasets/count").json() == {"count": 1}


@pytest.mark.parametrize("depth", [50, 900, 5000, 200_000])
def test_deep_json_is_stored_or_refused(client: Client, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    body = json.dumps(raw_dataset("deep"))[:-1] + f', "scientificMetadata": {{"x": {deep}}}}}'
    status = client.call("POST", "datasets", data=body).status_code
    assert status in ((201,) if depth == 50 else (201, 400))
    wanted = '{"where":' + '{"$and":[' * depth + "{}" + "]}" * depth + "}"
    if len(wanted) < 15_000:
        assert client.call("GET", "datasets", params={"filter": wanted}).status_code in (200, 400, 431)
    if status == 201:
        assert client.get("datasets/{}", "20.500.1/deep").status_code == 200
        assert client.patch("datasets/{}", {"comment": "x"}, "20.500.1/deep").status_code == 200
        assert client.get("datasets/fullquery", fields={"text": "deep"}).status_code == 200


SQL = "x' OR 1=1; DROP TABLE datasets; --"


@pytest.mark.parametrize(
    "wanted",
    [
        {"where": {"pid": SQL}},
        {"where": {SQL: 1}},
        {"where": {f'pid" = "{SQL}': "x"}},
        {"where": {"keywords": {"$in": [SQL, '"', "\\", "%", "_"]}}},
        {"where": {"datasetName": {"like": SQL}}},
        {"where": {"size": {"$gt": SQL}}},
        {"where": {"size": {"$gt": 10**400}}},
        {"where": {"size": {"$in": [10**30, -(10**30), 1.5e308]}}},
        {"where": {"$text": {"$search": SQL}}},
        {"where": {"$text": {"$search": 'a" NEAR(b, 10) AND *'}}},
        {"where": {"scientificMetadata.x": "\x00\ud800"}},
        {"where": {"creationTime": {"$gt": "9999999-99-99"}}},
        {"limits": {"order": f"{SQL}:asc"}},
        {"limits": {"limit": 10**15, "skip": 10**15}},
        {"fields": [SQL, "", ".", "a..b", "$where"]},
        {"include": [SQL]},
        {"where": {"$where": "while(true){}"}},
        {"where": {"$expr": {"$function": {}}}},
    ],
)
def test_filters_are_data(client: Client, wanted: dict[str, Any]) -> None:
    for version in ("v3", "v4"):
        client.version = version
        for path in ("datasets", "datasets/count", "origdatablocks"):
            assert client.get(path, filter=wanted).status_code in (200, 400)
        client.get("datasets/fullquery", fields={"text": SQL, "mode": wanted.get("where", {})})
    client.version = "v3"
    assert client.get("datasets/count").json() == {"count": 1}


def test_a_slow_filter_ends_and_holds_up_no_writer(client: Client, catalogue: Running) -> None:
    slow = {"where": {"scientificMetadata.text": {"$regex": "(a|aa|a?)*(b|a+)*$c"}}}
    answers: list[int] = []
    other = catalogue.client("admin")
    reader = threading.Thread(target=lambda: answers.append(other.get("datasets", filter=slow).status_code))
    reader.start()
    for number in range(20):
        assert client.post("datasets", raw_dataset(f"meanwhile_{number}")).status_code == 201
    reader.join(300)
    assert answers[0] in (200, 400)
    other.session.close()


@pytest.mark.parametrize(
    "pid", ["..", ".", "a/../b", "\x00", "\n", "😀" * 50, "%2F", "' OR 1=1", "<script>", " ", "x" * 3000]
)
def test_odd_ids_are_ids(client: Client, pid: str) -> None:
    answer = client.post("datasets", raw_dataset(pid=pid))
    assert answer.status_code in (201, 400)
    for method in ("GET", "PATCH", "DELETE"):
        assert client.call(method, "datasets/x{}", pid, json={"comment": "x"}).status_code in (400, 403, 404)
    if answer.status_code == 201 and pid not in ("..", "."):  # Clients resolve these two themselves.
        assert client.get("datasets/{}", pid).json()["pid"] == pid


@pytest.mark.parametrize(
    "sent",
    [b"GET /api/v3/datasets", b"\x16\x03\x01\x02\x00\x01",
     b"POST /api/v3/datasets HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
     b"GET /api/v3/datasets/%FF%FE HTTP/1.1\r\nHost: x\r\n\r\n",
     b"GET /%00/../..//etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_proper_request_does_no_harm(client: Client, catalogue: Running, sent: bytes) -> None:
    port = int(catalogue.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert client.get("health").status_code == 200


def test_a_thousand_clients_at_once_are_all_answered(client: Client, catalogue: Running) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip(f"a process may open only {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    port = int(catalogue.url.rpartition(":")[2])
    request = b"GET /api/v3/datasets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    waiting: list[socket.socket] = []
    try:
        for _ in range(1000):
            waiting.append(socket.create_connection(("127.0.0.1", port), timeout=300))
        assert client.post("datasets", raw_dataset("meanwhile")).status_code == 201
        for connection in waiting:
            connection.sendall(request)
        assert {connection.recv(12) for connection in waiting} == {b"HTTP/1.1 200"}
    finally:
        for connection in waiting:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
