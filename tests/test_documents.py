"""Documents are strict JSON, in the form that a real backend survives."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.documents import Attachment, DataFile, Dataset, OrigDatablock, scientific_metadata, strict
from scicat_watch.errors import AssemblyError

_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
_keys = st.sampled_from(["", "value", "unit", "v", "u", "human_name", "x", "valid"]) | st.text(max_size=3)
_trees: st.SearchStrategy[Any] = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4), max_leaves=12
)


@given(_trees)
def test_whatever_goes_in_strict_json_comes_out(tree: Any) -> None:
    text = json.dumps(strict(tree), allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text


def test_what_json_cannot_say_becomes_what_it_can() -> None:
    given_ = {"nan": math.nan, "inf": -math.inf, "b": b"\xff\0x", "t": (1, 2), 5: "a\ud800", "n": 10**30, "yes": True}
    assert strict(given_) == {
        "nan": None, "inf": None, "b": "\ufffdx", "t": [1, 2], "5": "a?", "n": 10**30, "yes": True,
    }  # fmt: skip
    with pytest.raises(AssemblyError, match="set"):
        strict({"a": {1}})


def _no_empty_keys(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_no_empty_keys, value))
    return not isinstance(value, dict) or ("" not in value and all(map(_no_empty_keys, value.values())))


@given(st.dictionaries(_keys, _trees, max_size=5))
def test_metadata_has_nothing_that_ends_a_backend(tree: dict[str, Any]) -> None:
    metadata = scientific_metadata(tree)
    assert _no_empty_keys(metadata)
    for member in metadata.values():
        assert member is not None
        if isinstance(member, dict):
            assert not isinstance(member.get("human_name"), dict)
            keys = [key for key in member if key in ("value", "unit")]
            assert [key for key in member if key != "human_name_"][-len(keys) :] == keys if keys else True


def test_value_and_unit_come_last_at_every_depth() -> None:
    tree = {"a": {"value": 1, "unit": "m", "valid": 2, "deep": [{"unit": "s", "value": 3, "user": "x"}]}}
    metadata = scientific_metadata(tree)
    assert list(metadata["a"]) == ["valid", "deep", "value", "unit"]
    assert list(metadata["a"]["deep"][0]) == ["user", "value", "unit"]


def test_file_lists_add_up_and_leave_out_what_is_not_known() -> None:
    files = (DataFile("a/b.nxs", 5, "2099-01-01T00:00:00Z", perm="-rw-r--r--"), DataFile("c", None, "t", chk="ab"))
    block = OrigDatablock(files, checksums="sha256")
    assert block.as_json() == {
        "size": 5,
        "chkAlg": "sha256",
        "dataFileList": [
            {"path": "a/b.nxs", "size": 5, "time": "2099-01-01T00:00:00Z", "perm": "-rw-r--r--"},
            {"path": "c", "time": "t", "chk": "ab"},
        ],
    }
    assert "chkAlg" not in OrigDatablock(()).as_json()


def test_a_thumbnail_is_a_data_url_and_not_in_messages() -> None:
    thumbnail = Attachment(b"\x89PNG", "a")
    assert thumbnail.thumbnail == "data:image/png;base64,iVBORw=="
    assert "PNG" not in repr(thumbnail)


def test_a_dataset_tells_its_own_names() -> None:
    dataset = Dataset({"pid": "1/a", "ownerGroup": "g", "sourceFolder": "/bt"})
    assert (dataset.pid, dataset.owner_group, dataset.source_folder) == ("1/a", "g", "/bt")
    assert Dataset({}).pid == ""
