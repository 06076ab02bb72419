"""Documents are strict JSON, in the form that a real backend survives."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.documents import (
    Attachment,
    Bundle,
    DataFile,
    Dataset,
    OrigDatablock,
    original_name,
    safe_name,
    scientific_metadata,
    strict,
)
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
            assert not isinstance(member.get("human_name"), dict | list)
            keys = [key for key in member if key in ("value", "unit")]
            assert [key for key in member if key.rstrip("_") != "human_name"][-len(keys) :] == keys if keys else True


def test_value_and_unit_come_last_at_every_depth() -> None:
    tree = {"a": {"value": 1, "unit": "m", "valid": 2, "deep": [{"unit": "s", "value": 3, "user": "x"}]}}
    metadata = scientific_metadata(tree)
    assert list(metadata["a"]) == ["valid", "deep", "value", "unit"]
    assert list(metadata["a"]["deep"][0]) == ["user", "value", "unit"]


_OURS = st.text(st.sampled_from("abE._$%2450"), min_size=1, max_size=8)
_JAVASCRIPT = ["constructor", "prototype", "toString", "valueOf", "hasOwnProperty", "__proto__"]


@given(
    _OURS | st.sampled_from(_JAVASCRIPT).flatmap(lambda name: st.builds(name.ljust, st.integers(0, 20), st.just("_")))
)
def test_names_that_backends_choke_on_are_renamed_reversibly(name: str) -> None:
    assert original_name(safe_name(name)) == name
    assert safe_name(name) not in _JAVASCRIPT
    assert not set(".$") & set(safe_name(name))


@given(_OURS)
def test_a_backend_that_decodes_what_looks_encoded_gives_names_back_as_they_were(name: str) -> None:
    sent = safe_name(name)
    assert (unquote(sent) if re.search("%[0-9A-Fa-f]{2}", sent) else sent) == name


def test_all_other_names_stay() -> None:
    names = [
        "energy",
        "value",
        "_id",
        "x_",
        "Constructor",
        "constructors",
        "100%",
        "%2",
        "%zz",
        "µ",
        "a/b",
        "human_name",
    ]
    assert [safe_name(name) for name in names] == names


def test_names_are_changed_at_every_depth_and_it_is_said_which() -> None:
    tree = {
        "constructor": 1, "constructor_": 2, "a%2Eb": 0, "a.b": {"$c": 3, "list": [{"prototype": 4}]},
        "d": {"value": 5, "human_name": ["x"], "human_name_": "y"},
    }  # fmt: skip
    renamed: dict[str, str] = {}
    metadata = scientific_metadata(tree, renamed)
    assert metadata == {
        "constructor_": 1, "constructor__": 2, "a%252Eb": 0, "a%2Eb": {"%24c": 3, "list": [{"prototype_": 4}]},
        "d": {"human_name_": ["x"], "human_name__": "y", "value": 5},
    }  # fmt: skip
    assert list(metadata["d"])[-1] == "value"
    assert renamed == {
        "constructor": "constructor_", "constructor_": "constructor__", "a%2Eb": "a%252Eb", "a.b": "a%2Eb",
        "$c": "%24c", "prototype": "prototype_", "human_name": "human_name_", "human_name_": "human_name__",
    }  # fmt: skip


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


_strict_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_maybe = st.none() | _strict_texts
_files = st.builds(
    DataFile, _strict_texts, st.none() | st.integers(min_value=0), _strict_texts, _maybe, _maybe, _maybe, _maybe
)
_bundles = st.builds(
    Bundle,
    st.builds(Dataset, st.dictionaries(_strict_texts, _trees.map(strict), max_size=4)),
    st.lists(
        st.builds(OrigDatablock, st.lists(_files, max_size=3).map(tuple), st.sampled_from(["", "sha256"])), max_size=2
    ).map(tuple),
    st.lists(st.builds(Attachment, st.binary(), _strict_texts), max_size=2).map(tuple),
    st.lists(_strict_texts, max_size=2).map(tuple),
)


@given(_bundles)
def test_a_bundle_comes_back_equal_from_its_json(bundle: Bundle) -> None:
    written = json.dumps(bundle.as_json(), allow_nan=False, ensure_ascii=False)
    written.encode("utf-8")
    again = Bundle.from_json(json.loads(written))
    assert again == bundle
    assert list(again.dataset.fields) == list(bundle.dataset.fields)
    assert again.as_json() == bundle.as_json()


def _document() -> dict[str, Any]:
    file = {"path": "a.nxs", "size": 5, "time": "2099-01-01T00:00:00Z"}
    return {
        "dataset": {"pid": "1/a", "scientificMetadata": {"energy": {"value": 9.5, "unit": "keV"}}},
        "origdatablocks": [{"size": 5, "dataFileList": [file], "chkAlg": "sha256"}],
        "attachments": [{"thumbnail": "data:image/png;base64,iVBORw==", "caption": "counts"}],
        "notes": ["no sample"],
    }


def test_the_json_form_of_a_bundle_is_the_documented_one() -> None:
    bundle = Bundle(
        Dataset(_document()["dataset"]),
        (OrigDatablock((DataFile("a.nxs", 5, "2099-01-01T00:00:00Z"),), "sha256"),),
        (Attachment(b"\x89PNG", "counts"),),
        ("no sample",),
    )
    assert bundle.as_json() == _document()
    assert Bundle.from_json(_document()) == bundle
    assert Bundle.from_json({"dataset": {"pid": "1/a"}}) == Bundle(Dataset({"pid": "1/a"}))


def test_the_size_of_an_edited_file_list_is_added_up_anew() -> None:
    document = _document()
    del document["origdatablocks"][0]["dataFileList"][0]
    assert Bundle.from_json(document).datablocks[0].as_json()["size"] == 0


def test_what_json_readers_let_through_is_made_strict() -> None:
    edited = json.loads('{"dataset": {"temperature": NaN, "title": "a\\u0000b"}}')
    assert Bundle.from_json(edited).dataset.fields == {"temperature": None, "title": "ab"}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), [], "the document is a list, but must be an object"),
        ((), {}, "dataset is missing"),
        (("dataset",), "x", "dataset is text, but must be an object"),
        (("datasets",), {}, "datasets is not known here; did you mean 'dataset'"),
        (("origdatablocks",), {}, "origdatablocks is an object, but must be a list"),
        (("origdatablocks", 0), None, r"origdatablocks\[0\] is null"),
        (("origdatablocks", 0), {"size": 0}, r"origdatablocks\[0\].dataFileList is missing"),
        (("origdatablocks", 0, "chkAlg"), 5, r"origdatablocks\[0\].chkAlg is a number, but must be text"),
        (("origdatablocks", 0, "dataFileList", 0, "size"), "5", r"dataFileList\[0\].size is '5', but must be a number"),
        (("origdatablocks", 0, "dataFileList", 0, "size"), -1, r"dataFileList\[0\].size is -1"),
        (("origdatablocks", 0, "dataFileList", 0, "size"), True, r"dataFileList\[0\].size is True"),
        (("origdatablocks", 0, "dataFileList", 0, "path"), None, r"dataFileList\[0\].path is null"),
        (("origdatablocks", 0, "dataFileList", 0, "sise"), 5, r"sise is not known here; did you mean 'size'"),
        (("attachments", 0, "thumbnail"), "iVBORw==", r"attachments\[0\].thumbnail is no PNG as data URL"),
        (("attachments", 0, "thumbnail"), "data:image/png;base64,iVBO*", r"attachments\[0\].thumbnail is not base64"),
        (("attachments", 0, "caption"), 1, r"attachments\[0\].caption is a number"),
        (("notes", 0), False, r"notes\[0\] is true or false, but must be text"),
    ],
)
def test_what_is_wrong_with_a_document_is_named_with_its_place(
    place: tuple[str | int, ...], value: Any, message: str
) -> None:
    document: Any = {"": _document()}
    inner, name = document, ""
    for step in place:
        inner, name = inner[name], step  # type: ignore[assignment]
    inner[name] = value
    with pytest.raises(AssemblyError, match=message):
        Bundle.from_json(document[""])
