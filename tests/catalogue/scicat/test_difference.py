"""What a preview says of the catalogue is what publishing would do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from scicat_watch.catalogue.scicat.difference import State, difference
from scicat_watch.catalogue.scicat.publish import publish
from scicat_watch.documents import Attachment, Bundle, OrigDatablock
from scicat_watch.model import Status
from tests.catalogue.bundles import METADATA, bundle, files
from tests.catalogue.conftest import Site

numbers = itertools.count(1)


@pytest.fixture
def pid() -> str:
    return f"difference/scan_{next(numbers):05d}"


def test_what_is_not_there_is_new_and_what_was_published_is_equal(site: Site, pid: str) -> None:
    catalogue, wanted = site.catalogue(), bundle(pid)
    assert difference(wanted, catalogue).state is State.NEW
    assert publish(wanted, catalogue).status is Status.CREATED
    found = difference(wanted, catalogue)
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
    catalogue, wanted = site.catalogue(), bundle(pid)
    publish(wanted, catalogue)
    other = changed(wanted, **fields)
    found = difference(other, catalogue)
    assert found.state is State.DIFFERENT
    assert {change.field.removeprefix("scientificMetadata.") for change in found.changes} == set(names)
    assert publish(other, catalogue).status is Status.UPDATED
    assert difference(other, catalogue).state is State.EQUAL


def test_file_lists_and_thumbnails_that_differ_are_told(site: Site, pid: str) -> None:
    catalogue, wanted = site.catalogue(), bundle(pid)
    publish(wanted, catalogue)
    other = replace(wanted, datablocks=(OrigDatablock(files(3)),))
    found = difference(other, catalogue)
    assert (found.state, len(found.blocks.replace), bool(found.thumbnails)) == (State.DIFFERENT, 1, False)
    (thumbnail,) = wanted.attachments
    found = difference(replace(wanted, attachments=(Attachment(b"PNG2", thumbnail.caption),)), catalogue)
    assert (found.state, bool(found.blocks), found.thumbnails.clear) == (State.DIFFERENT, False, True)


def test_another_dataset_is_a_conflict_and_one_without_id_is_not_looked_for(site: Site, pid: str) -> None:
    catalogue, wanted = site.catalogue(), bundle(pid)
    publish(wanted, catalogue)
    found = difference(changed(wanted, sourceFolder="/elsewhere"), catalogue)
    assert found.state is State.CONFLICT
    assert "/elsewhere" in found.reason
    assert difference(changed(wanted, pid=""), catalogue).state is State.UNKNOWN
