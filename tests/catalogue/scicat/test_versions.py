"""Which version of the API is used, and that both say the same of the documents that a real backend was given."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.options import HttpOptions
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.scicat.merge import merge
from scicat_watch.catalogue.scicat.shapes import decoded, merge_patch, name_of, to_v3, to_v4, with_units
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.catalogue.scicat.v4 import ScicatV4
from scicat_watch.catalogue.scicat.versions import Versions, chosen
from scicat_watch.documents import Attachment, OrigDatablock
from scicat_watch.errors import ConfigError, Unavailable
from tests.catalogue.bundles import dataset, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import Answer, Loopback, Request

EXCHANGES = json.loads((Path(__file__).parents[2] / "data/scicat/exchanges.json").read_text())
"""Requests with the answers of a real backend 4.5."""
numbers = itertools.count(1)


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in EXCHANGES if one["name"] == name)
    return found


@pytest.mark.parametrize(
    ("posted", "read"),
    [
        ("create raw v3", "read v3"),
        ("create raw v3", "read v4"),
        ("create raw v4", "read v3 of v4"),
        ("create raw v4", "read v4 of v4"),
    ],
)
@pytest.mark.parametrize("fields", ["ours", "three-way"])
def test_what_a_real_backend_stored_by_one_version_is_no_difference_by_the_other(
    posted: str, read: str, fields: Any
) -> None:
    body, answer = recorded(posted)["body"], recorded(read)["expected"]["answer"]
    stored = {**answer, "scientificMetadata": decoded(answer["scientificMetadata"])} if "v4" in read[:7] else answer
    for shaped in (to_v3(body), to_v4(body)):
        if posted == "create raw v4" and shaped == to_v3(body):
            continue  # v3 has room for one of several.
        assert merge(stored, shaped, UpdatePolicy(fields=fields), None).patch == {}


def test_a_document_of_v3_is_what_a_real_backend_took_by_v4() -> None:
    v3, v4 = recorded("create raw v3")["body"], recorded("create raw v4")["body"]
    made = to_v4(v3)
    assert set(made) <= set(v4) | {"creationLocation", "scientificMetadata", "accessGroups"}
    assert made["principalInvestigators"] == ["Prof. P"]
    assert made["proposalIds"] == ["1234"]
    assert not {"principalInvestigator", "proposalId"} & set(made)


def test_lists_of_a_document_become_what_v3_has_room_for() -> None:
    several = {"principalInvestigators": ["A", "B"], "proposalIds": ["1", "2"], "sampleIds": [], "owner": None}
    assert to_v3(several) == {"principalInvestigator": "A; B", "proposalId": "1"}
    assert to_v3(several, "derived") == {"investigator": "A; B", "proposalId": "1"}
    assert to_v4(several) == {"principalInvestigators": ["A", "B"], "proposalIds": ["1", "2"], "sampleIds": []}
    assert name_of("/data/bt-7/raw/") == "bt-7/raw"


def test_a_merge_patch_names_only_what_differs_and_is_not_made_of_keys_that_are_stored_encoded() -> None:
    stored = {"a": {"value": 1, "unit": "mm", "valueSI": 0.001, "unitSI": "m"}, "b": 1, "g": {"x": 1, "y": 2}}
    wanted = {"a": {"value": 2, "unit": "mm"}, "g": {"x": 1, "z": 3}}
    assert merge_patch(stored, wanted) == {"a": {"value": 2}, "b": None, "g": {"y": None, "z": 3}}
    assert merge_patch(stored, stored) == {}
    assert merge_patch({"a.b": 1}, {"a.b": 2}) is None
    assert merge_patch({"a": {"x": 1}}, {"a": 1}) is None
    assert with_units(stored, {"a": {"value": 2}, "b": {"value": 1}}) == {
        "a": {"value": 2, "unit": ""},
        "b": {"value": 1},
    }


@pytest.fixture
def backend(serve: Callable[[Callable[[Request], Answer]], Loopback]) -> Callable[..., Loopback]:
    """Starts servers that have these versions of the API for datasets."""

    def start(*versions: str, status: int = 403) -> Loopback:
        def answer(request: Request) -> Answer:
            there = any(request.path.startswith(f"/api/{version}/datasets") for version in versions)
            if there or request.path == "/api/v3/health":
                return Answer(status, b'{"message": "Forbidden resource"}')
            return Answer(404, json.dumps({"message": f"Cannot GET {request.path}", "statusCode": 404}).encode())

        return serve(answer)

    return start


@pytest.mark.parametrize(
    ("served", "wanted", "used"),
    [
        (("v3", "v4"), "auto", ScicatV3),
        (("v3",), "auto", ScicatV3),
        (("v4",), "auto", ScicatV4),
        ((), "auto", ScicatV3),
        (("v3", "v4"), "v4", ScicatV4),
        (("v4",), "v3", ScicatV3),
    ],
)
def test_the_version_is_asked_for_once(
    backend: Callable[..., Loopback],
    http: Callable[..., HttpClient],
    served: tuple[str, ...],
    wanted: Any,
    used: type[ScicatV3],
) -> None:
    server = backend(*served)
    versions = Versions(http(server.base), wanted)
    assert type(versions()) is used
    asked = len(server.requests)
    assert asked <= 2
    assert type(versions()) is used
    assert len(server.requests) == asked


def test_a_server_that_does_not_answer_is_asked_again(
    backend: Callable[..., Loopback], http: Callable[..., HttpClient]
) -> None:
    server = backend("v4", status=503)
    versions = Versions(http(server.base), "auto")
    with pytest.raises(Unavailable):
        versions()
    with pytest.raises(Unavailable):
        versions()


def test_an_address_that_names_a_version_says_which(http: Callable[..., HttpClient]) -> None:
    v3, v4 = "https://scicat.example.org/api/v3", "https://scicat.example.org/api/v4/"
    assert chosen(HttpOptions(v4), "auto") == (HttpOptions(v3), "v4")
    assert chosen(HttpOptions(v4), "v3") == (HttpOptions(v3), "v3")
    assert chosen(HttpOptions(v3), "auto") == (HttpOptions(v3), "auto")


@pytest.mark.parametrize("version", ["v5", "v2", "V33/", "v5 "])
@pytest.mark.parametrize("wanted", ["auto", "v3", "v4"])
def test_an_address_that_names_a_version_that_does_not_exist_is_a_mistake(version: str, wanted: Any) -> None:
    with pytest.raises(ConfigError, match=f"ends in /api/{version.strip(' /')}, .* in /api/v3 for most"):
        chosen(HttpOptions(f"https://scicat.example.org/api/{version}"), wanted)
    for other in ("https://api.example.org/v5", "https://scicat.example.org/api/v5/scicat", "https://x.example/api/V3"):
        assert chosen(HttpOptions(other), wanted)[0] == HttpOptions(other)


def test_the_totals_of_many_file_lists_are_right_by_either_version(site: Site) -> None:
    from tests.catalogue.bundles import POLICY, bundle

    pid = f"versions/{next(numbers)}"
    blocks = tuple(OrigDatablock(files(1, first=n)) for n in range(13))
    site.publisher().publish(bundle(pid, blocks), POLICY)
    stored = site.api("admin").dataset(pid)
    assert stored is not None
    assert (stored["numberOfFiles"], stored["size"]) == (13, sum(block.size for block in blocks))


def test_where_v4_refuses_an_account_v3_is_asked(site: Site, spoiled: Callable[..., Any]) -> None:
    pid, proxy = f"versions/{next(numbers)}", spoiled()
    site.version = "v4"
    api = site.api(base=proxy.base)
    api.create_dataset(dataset(pid))
    for png in (b"1", b"2"):
        assert api.add_attachment(pid, Attachment(png, "shown"), "bt-7")
    posts = [request.path.split("/")[2] for request in proxy.requests if request.path.endswith("attachments")]
    assert posts == ["v4", "v3", "v3"]
    assert len(api.attachments(pid)) == 2
    foreign = dataset(f"{pid}-foreign", ownerGroup="group9")
    api.create_dataset(foreign)
    assert api.add_datablock(foreign.pid, OrigDatablock(files(1)))
