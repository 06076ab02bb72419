"""The policy that leaves what is there as it is: a missing dataset is created, a missing file list added."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scicat_watch.catalogue.http import HttpClient
from scicat_watch.catalogue.publisher import Published, UpdatePolicy
from scicat_watch.catalogue.scicat.publisher import ScicatPublisher
from scicat_watch.catalogue.scicat.v3 import ScicatV3
from scicat_watch.documents import Bundle, Dataset, OrigDatablock
from scicat_watch.errors import NotLoggedIn, Refused, Unavailable
from scicat_watch.model import Status
from tests.catalogue.bundles import bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import Answer, Fault, Loopback, SpoilingProxy
from tests.fakes import FakeClock

COMPLETE = UpdatePolicy("complete")
numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"complete/scan_{next(numbers):05d}"


def publisher(api: ScicatV3, clock: FakeClock) -> ScicatPublisher:
    return ScicatPublisher(api, threading.Event(), clock)


def without_pid(of: Bundle) -> Bundle:
    fields = {name: value for name, value in of.dataset.fields.items() if name != "pid"}
    return Bundle(Dataset(fields), of.datablocks)


@pytest.mark.parametrize("prefix", ["", "20.500.9/"])
def test_a_dataset_is_created_once_and_then_left_as_it_is(
    site: Site, spoiled: Callable[..., SpoilingProxy], clock: FakeClock, pid: str, prefix: str
) -> None:
    proxy = spoiled()
    ours = publisher(site.api(base=proxy.base, prefix=prefix), clock)
    first = ours.publish(bundle(pid), COMPLETE)
    assert first == Published(prefix + pid, Status.CREATED, Status.CREATED)
    other = bundle(pid, (OrigDatablock(files(3)),), description="another")
    assert ours.publish(other, COMPLETE) == Published(prefix + pid, Status.UNCHANGED, Status.UNCHANGED)
    assert proxy.writes == 2
    stored = site.api("admin").dataset(prefix + pid)
    assert stored is not None
    assert (stored["description"], stored["numberOfFiles"]) == ("theta scan", 2)


@pytest.mark.parametrize("prefix", ["", "20.500.9/"])
def test_a_missing_file_list_is_added_after_a_wait_for_others(
    site: Site, clock: FakeClock, pid: str, prefix: str
) -> None:
    api = site.api(prefix=prefix)
    api.create_dataset(bundle(pid).dataset)
    ours = publisher(api, clock)
    assert ours.publish(bundle(pid), COMPLETE) == Published(prefix + pid, Status.UPDATED, Status.CREATED)
    assert clock.waits == [3.0]
    assert len(api.datablocks(pid)) == 1


def test_a_file_list_that_another_process_adds_meanwhile_is_not_added_twice(
    site: Site, clock: FakeClock, pid: str
) -> None:
    api = site.api()
    api.create_dataset(bundle(pid).dataset)
    clock.at(2.0, lambda: api.add_datablock(pid, OrigDatablock(files())))
    ours = publisher(api, clock)
    assert ours.publish(bundle(pid), COMPLETE) == Published(pid, Status.UNCHANGED, Status.UNCHANGED)
    assert len(api.datablocks(pid)) == 1


def test_a_dataset_of_another_folder_is_left_alone(site: Site, clock: FakeClock, pid: str) -> None:
    api = site.api()
    api.create_dataset(bundle(pid, sourceFolder="/elsewhere").dataset)
    assert publisher(api, clock).publish(bundle(pid), COMPLETE) == Published(pid, Status.UNCHANGED)
    assert not api.datablocks(pid)


def test_a_dataset_is_found_by_its_metadata(site: Site, clock: FakeClock, pid: str) -> None:
    marked = {"job": {"value": f"job of {pid}", "unit": ""}}
    api = site.api()
    ours = publisher(api, clock)
    ours.publish(bundle(pid, scientificMetadata=marked), COMPLETE)
    other = bundle(f"{pid}-again", scientificMetadata=marked)
    by_metadata = UpdatePolicy("complete", find_by_metadata="job")
    assert ours.publish(other, by_metadata) == Published(pid, Status.UNCHANGED, Status.UNCHANGED)
    assert ours.publish(other, COMPLETE).status is Status.CREATED, "nobody asked for the metadata"


def test_without_looking_for_it_a_taken_pid_is_met_when_posting(
    site: Site, spoiled: Callable[..., SpoilingProxy], clock: FakeClock, pid: str
) -> None:
    publisher(site.api(), clock).publish(bundle(pid), COMPLETE)
    proxy = spoiled()
    ours = publisher(site.api(base=proxy.base), clock)
    policy = UpdatePolicy("complete", find_by_pid=False)
    assert ours.publish(bundle(pid), policy) == Published(pid, Status.UNCHANGED, Status.UNCHANGED)
    assert [request.method for request in proxy.requests if "login" not in request.path] == ["POST", "GET", "GET"]


def test_a_dataset_whose_pid_the_catalogue_chooses_gets_its_file_list(site: Site, clock: FakeClock, pid: str) -> None:
    api = site.api()
    published = publisher(api, clock).publish(without_pid(bundle(pid)), COMPLETE)
    assert (published.status, published.datablock) == (Status.CREATED, Status.CREATED)
    assert published.pid
    assert len(api.datablocks(published.pid)) == 1


def test_a_refused_file_list_is_noted(site: Site, clock: FakeClock, pid: str) -> None:
    no_size = OrigDatablock((dataclasses.replace(files()[0], size=None),))
    published = publisher(site.api(), clock).publish(bundle(pid, (no_size,)), COMPLETE)
    assert (published.status, published.datablock) == (Status.CREATED, Status.FAILED)
    assert "size" in str(published.refused["datablock"])


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.BUSY, Fault.BROKEN, Fault.TORN])
def test_one_fault_at_any_place_makes_no_double_dataset(
    site: Site, spoiled: Callable[..., SpoilingProxy], clock: FakeClock, pid: str, fault: Fault, place: int
) -> None:
    proxy = spoiled(*[Fault.NONE] * place, fault)
    ours = publisher(site.api(base=proxy.base), clock)
    for _ in range(3):
        try:
            ours.publish(bundle(pid), COMPLETE)
            break
        except Unavailable:
            continue
    assert len(site.api("admin").datablocks(pid)) == 1


def test_an_answer_without_any_pid_is_refused(
    serve: Callable[..., Loopback], http: Callable[..., HttpClient], clock: FakeClock
) -> None:
    ours = publisher(ScicatV3(http(serve(lambda _: Answer(201, b"{}")).base)), clock)
    with pytest.raises(Refused, match="names no pid"):
        ours.publish(without_pid(bundle("x")), COMPLETE)


def test_collections_may_be_anywhere(serve: Callable[..., Loopback], http: Callable[..., HttpClient]) -> None:
    server = serve(lambda _: Answer(200, b"[]"))
    api = ScicatV3(http(server.base), places={"datasets": ("raw", "data sets")})
    api.datablocks("a/b")
    assert [request.path for request in server.requests] == ["/api/v3/raw/data%20sets/a%2Fb/origdatablocks"]


@pytest.mark.parametrize("odd", [{"find_by_pid": False}, {"find_by_metadata": "job"}])
def test_what_is_brought_up_to_date_is_found_by_its_pid_only(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="own pid"):
        UpdatePolicy(**odd)


def test_ping_with_login_says_whether_our_account_is_known(site: Site, clock: FakeClock) -> None:
    publisher(site.api(), clock).ping(login=True)
    unknown = HttpClient(site.api()._http._options, clock=clock)
    publisher(ScicatV3(unknown), clock).ping()
    with pytest.raises(NotLoggedIn, match="credential_file"):
        publisher(ScicatV3(unknown), clock).ping(login=True)
    unknown.close()
