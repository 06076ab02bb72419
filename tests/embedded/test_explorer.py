"""The description of the API, and requests made at random from it: whatever is sent, the catalogue does not fail."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from scicat_watch.embedded import openapi
from scicat_watch.embedded.v3 import api as api_v3
from scicat_watch.embedded.v4 import api as api_v4
from tests.embedded.conftest import Client, Running, raw_dataset

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install schemathesis")

EXAMPLES = 300 if os.environ.get("SCICAT_WATCH_SOAK_HOURS") else 2
"""Requests for each route; `make soak` makes more."""
ROUTES = {"v3": api_v3.ROUTER.routes, "v4": api_v4.ROUTER.routes}


@pytest.fixture
def client(catalogue: Running) -> Iterator[Client]:
    client = catalogue.client("admin")
    yield client
    client.session.close()


def test_the_description_names_every_route_and_what_it_takes(catalogue: Running) -> None:
    described = requests.get(f"{catalogue.url}/explorer-json", timeout=120).json()
    assert described == openapi.described(ROUTES, described["info"]["version"])
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert len(operations) == sum(len(routes) for routes in ROUTES.values())
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["summary"] for one in operations)
    create = described["paths"]["/api/v3/datasets"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"ownerGroup", "principalInvestigator"} <= set(create["required"])
    assert create["properties"]["size"] == {"type": "integer"}
    page = requests.get(f"{catalogue.url}/explorer", timeout=120)
    assert (page.status_code, "/api/v4/attachments/{aid}" in page.text) == (200, True)


@pytest.mark.soak
def test_requests_at_random_find_no_fault_of_the_catalogue(client: Client, catalogue: Running) -> None:
    client.post("datasets", raw_dataset())
    schema = schemathesis.openapi.from_dict(openapi.described(ROUTES, "1"))
    failed: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            _played(operation.as_strategy(generation_mode=mode), catalogue.url, dict(client.session.headers), failed)()
    assert failed == []
    assert client.get("health").json()["status"] == "ok"
    assert client.get("datasets/{}", "20.500.1/scan_1").status_code in (200, 404)


def _played(strategy: Any, url: str, headers: dict[str, Any], failed: list[str]) -> Callable[[], None]:

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=strategy)
    def play(case: Any) -> None:
        answer = case.call(base_url=url, headers=headers, timeout=120)
        if answer.status_code >= 500:
            failed.append(f"{case.operation.label}: {answer.status_code} for {case.as_curl_command()[:300]}")

    def played() -> None:
        with contextlib.suppress(Unsatisfiable):  # A route that takes nothing cannot be called wrongly.
            play()

    return played
