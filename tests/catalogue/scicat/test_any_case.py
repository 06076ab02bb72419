"""Publishing under any faults, and of any metadata: it ends in just what the documents say."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scicat_watch.documents import Bundle, OrigDatablock, scientific_metadata
from scicat_watch.errors import Unavailable
from scicat_watch.model import Status
from tests.catalogue.bundles import POLICY, bundle, files
from tests.catalogue.conftest import Site
from tests.catalogue.faulty import Fault, SpoilingProxy
from tests.catalogue.scicat.stored import complete, state

Spoiled = Callable[..., SpoilingProxy]
numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"7/any/scan_{next(numbers):05d}"


def until_done(of: Bundle, site: Site, proxy: SpoilingProxy) -> int:
    """Publish again and again, as the service does; how often it took."""
    publisher = site.publisher(base=proxy.base)
    for attempt in range(1, 40):
        try:
            published = publisher.publish(of, POLICY)
        except Unavailable:
            continue
        if not published.refused:
            return attempt
    raise AssertionError("never done")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
@pytest.mark.parametrize("place", range(10))
def test_one_fault_at_any_place_does_no_harm(site: Site, spoiled: Spoiled, pid: str, fault: Fault, place: int) -> None:
    proxy = spoiled(*[Fault.NONE] * place, fault)
    until_done(bundle(pid), site, proxy)
    assert state(site, pid) == complete(bundle(pid))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(faults=st.lists(st.sampled_from(Fault), max_size=25), update=st.booleans())
def test_whatever_goes_wrong_it_ends_in_one_dataset_one_file_list_and_one_thumbnail(
    site: Site, spoiled: Spoiled, faults: list[Fault], update: bool
) -> None:
    pid = f"8/faults/scan_{next(numbers):05d}"
    if update:
        site.publisher().publish(bundle(pid, (OrigDatablock(files(1)),), b"OLD", description="old"), POLICY)
    proxy = spoiled(*faults)
    until_done(bundle(pid), site, proxy)
    assert state(site, pid) == complete(bundle(pid))
    proxy.faults.clear()
    writes = proxy.writes
    assert site.publisher(base=proxy.base).publish(bundle(pid), POLICY).status is Status.UNCHANGED
    assert proxy.writes == writes


def test_tokens_that_die_again_and_again_are_a_matter_of_time(site: Site, spoiled: Spoiled, pid: str) -> None:
    for deaths in range(1, 8):
        proxy = spoiled(*[Fault.EXPIRED] * deaths)
        until_done(bundle(pid), site, proxy)
    assert state(site, pid) == complete(bundle(pid))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["value", "unit", "a.b", "100%25"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tree=st.dictionaries(st.text(max_size=6), json_values, max_size=5))
def test_any_metadata_is_recognised_when_it_comes_back(site: Site, tree: dict[str, Any]) -> None:
    pid = f"9/any/scan_{next(numbers):05d}"
    publisher = site.publisher()
    made = bundle(pid, (), b"", scientificMetadata=scientific_metadata(tree))
    publisher.publish(made, POLICY)
    assert publisher.publish(made, POLICY).status is Status.UNCHANGED
