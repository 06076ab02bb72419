"""What a preview says of the catalogue is what publishing would do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from scicat_watch.catalogue.difference import State
from scicat_watch.documents import Attachment, Bundle, OrigDatablock
from scicat_watch.model import Status
from tests.catalogue.bundles import METADATA, POLICY, bundle, files
from tests.catalogue.conftest import Site

numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"difference/scan_{next(numbers):05d}"


def test_what_is_not_there_is_new_and_what_was_published_is_equal(site: Site, pid: str) -> None:
    publisher, wanted = site.publisher(), bundle(pid)
    assert publisher.difference(wanted, POLICY).state is State.NEW
    assert publisher.publish(wanted, POLICY).status is Status.CREATED
    found = publisher.difference(wanted, POLICY)
    assert (found.state, found.changes, bool(found.blocks), bool(found.thumbnails)) == (State.EQUAL, (), False, False)
    assert found.pid.endswith(pid)


def changed(wanted: Bundle, **fields: Any) -> Bundle:
    return replace(wanted, dataset=replace(wanted.dataset, fields=dict(wanted.dataset.fields) | fields))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"description": "another"}, ["description"]),
        ({"scientificMetadata": dict(METADATA) | {"user": "bob", "new": 1}}, ["user", "new"]),
        ({"scientificMetadata": {key: METADATA[key] for key in METADATA if key != "flag"}}, ["flag"]),
        ({"keywords": ["scan", "more"], "description": "x"}, ["keywords", "description"]),
    ],
    ids=str,
)
def test_the_fields_that_differ_are_named_and_would_be_updated(
    site: Site, pid: str, fields: dict[str, Any], names: list[str]
) -> None:
    publisher, wanted = site.publisher(), bundle(pid)
    publisher.publish(wanted, POLICY)
    other = changed(wanted, **fields)
    found = publisher.difference(other, POLICY)
    assert found.state is State.DIFFERENT
    assert {change.field.removeprefix("scientificMetadata.") for change in found.changes} == set(names)
    assert publisher.publish(other, POLICY).status is Status.UPDATED
    assert publisher.difference(other, POLICY).state is State.EQUAL


def test_file_lists_and_thumbnails_that_differ_are_told(site: Site, pid: str) -> None:
    publisher, wanted = site.publisher(), bundle(pid)
    publisher.publish(wanted, POLICY)
    other = replace(wanted, datablocks=(OrigDatablock(files(3)),))
    found = publisher.difference(other, POLICY)
    assert (found.state, len(found.blocks.replace), bool(found.thumbnails)) == (State.DIFFERENT, 1, False)
    (thumbnail,) = wanted.attachments
    found = publisher.difference(replace(wanted, attachments=(Attachment(b"PNG2", thumbnail.caption),)), POLICY)
    assert (found.state, bool(found.blocks), found.thumbnails.clear) == (State.DIFFERENT, False, True)


def test_another_dataset_is_a_conflict_and_one_without_id_is_not_looked_for(site: Site, pid: str) -> None:
    publisher, wanted = site.publisher(), bundle(pid)
    publisher.publish(wanted, POLICY)
    found = publisher.difference(changed(wanted, sourceFolder="/elsewhere"), POLICY)
    assert found.state is State.CONFLICT
    assert "/elsewhere" in found.reason
    assert publisher.difference(changed(wanted, pid=""), POLICY).state is State.UNKNOWN
