"""What is special about SciCat with ESS's configuration; the recorded cases are in `flows`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from scicat_watch.catalogue.options import CatalogueOptions, HttpOptions, LoginOptions
from scicat_watch.compat.ess.scicat import EssScicat
from scicat_watch.documents import OrigDatablock
from scicat_watch.errors import ConfigError, Refused, Unavailable
from scicat_watch.model import Secret
from tests.catalogue.bundles import files
from tests.catalogue.faulty import Answer, Loopback, Request, Reset
from tests.fakes import FakeClock

ENDPOINTS = {"datasets": "datasets", "origdatablocks": "origdatablocks", "samples": "/odd/samples"}


@pytest.fixture
def answers() -> list[Answer | None]:
    """Given one after the other; None resets the connection; an empty list at the end."""
    return []


@pytest.fixture
def server(answers: list[Answer | None]) -> Iterator[Loopback]:
    def answer(request: Request) -> Answer:
        given = answers.pop(0) if answers else Answer(200, b"[]")
        if given is None:
            raise Reset
        return given

    with closing(Loopback(answer)) as made:
        yield made


@pytest.fixture
def api(server: Loopback, clock: FakeClock) -> Iterator[EssScicat]:
    options = CatalogueOptions(HttpOptions(server.base, 10.0), LoginOptions(token=Secret("T")))
    with closing(EssScicat(options, ENDPOINTS, threading.Event(), clock)) as made:
        yield made


def asked(server: Loopback) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


def test_a_file_list_whose_answer_got_lost_is_not_posted_twice(
    api: EssScicat, server: Loopback, answers: list[Answer | None]
) -> None:
    answers += [None, Answer(200, b'[{"_id": "1"}]')]
    api.add_datablock("a/1", OrigDatablock(files()), {"ownerGroup": "g"})
    assert asked(server) == ["POST /api/v3/origdatablocks", "GET /api/v3/datasets/a%2F1/origdatablocks"]
    answers += [None, Answer(200, b"[]"), Answer(201, b"{}")]
    api.add_datablock("a/1", OrigDatablock(files()), {"ownerGroup": "g"})
    assert asked(server)[-1] == "POST /api/v3/origdatablocks"
    assert server.requests[-1].body.startswith(b'{"datasetId":"a/1","size":')
    assert server.requests[-1].body.endswith(b',"ownerGroup":"g"}')


def test_collections_are_completed_and_asked_three_times(
    api: EssScicat, server: Loopback, answers: list[Answer | None], clock: FakeClock
) -> None:
    answers += [Answer(503, b"busy"), Answer(429, b"")]
    assert api.look_up('samples?filter={"a b":1}') == []
    assert asked(server) == ["GET /odd/samples?filter=%7B%22a+b%22%3A1%7D"] * 3
    assert clock.waits == [0.5, 1.0]
    answers += [Answer(500, b"")] * 3
    with pytest.raises(Unavailable):
        api.look_up("samples/1")


def test_a_page_instead_of_a_record_is_a_no(api: EssScicat, server: Loopback, answers: list[Answer | None]) -> None:
    answers.append(Answer(404, b"<html>"))
    with pytest.raises(Refused):
        api.look_up("samples/1")
    answers.append(Answer(404, b"<html>"))
    assert api.dataset("a/1") is None
    assert len(server.requests) == 2


def test_documents_are_posted_to_the_catalogue_s_own_server_only(clock: FakeClock) -> None:
    options = CatalogueOptions(HttpOptions("http://127.0.0.1:9/api/v3"), LoginOptions(token=Secret("T")))
    endpoints = ENDPOINTS | {"origdatablocks": "https://elsewhere.example/blocks"}
    with pytest.raises(ConfigError, match=r"api_endpoints\.origdatablocks"):
        EssScicat(options, endpoints, threading.Event(), clock)
