"""Every well-formed HDF5 file gives a reading whose tree a catalogue can hold, whatever is in it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from scicat_watch.documents import scientific_metadata, strict
from scicat_watch.pipeline.handover import Reading
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.schema.model import Item, Schema, TreeOptions, Variable
from tests.pipeline.hand_made import documents, shipped
from tests.pipeline.nexus_made import group, job, scan
from tests.pipeline.reading.hdf5_kinds import FORMS, ODDITIES, VALUES

EVERYTHING = TreeOptions("", one_dimensional=True, max_one_dimensional=50, summaries=("shape", "min", "max", "mean"))


def _schema() -> Schema:
    """Asks for all that there is, in every way; and, of fields by name, for `entry/x`."""
    items = tuple(
        Item(name, "nexus_tree", "", tree=options)
        for name, options in {"all": EVERYTHING, "usual": TreeOptions()}.items()
    )
    variables = tuple(
        Variable(f"{kind} {path}", "NXS", kind, path=path)
        for kind in ("string", "string[]", "float")
        for path in ("/entry/x", "/entry/x1", "/entry/xn", "/entry@x", "/:NXentry/:NXsample/name", "/entry/*")
    )
    return Schema("test", "Test", "", 1.0, "*", variables, items)


def _write(folder: Path, fill: Callable[[h5py.Group], None], **form: Any) -> Path:
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "scan_1.nxs", "w", **form) as file:
        fill(group(file, "entry", "NXentry"))
    return folder


def _read(folder: Path, *schemas: Schema) -> Reading:
    """The reading of `scan_1.nxs`, which crosses processes, and is strict JSON."""
    reading = read(job(scan(folder, "scan_1"), *(schemas or (_schema(),))))
    assert pickle.loads(pickle.dumps(reading)) == reading
    for tree in reading.trees.values():
        assert strict(tree) == tree
        json.dumps(scientific_metadata(tree), allow_nan=False)
    for value in reading.values.values():
        strict(getattr(value, "value", None))
    return reading


def _dataset(folder: Path) -> dict[str, Any]:
    """The dataset that the schema for any NeXus file makes of it."""
    wanted = job(scan(folder, "scan_1"), shipped("nexus"), thumbnails=False)
    fields = dict(documents(read(wanted), wanted.beamtime).dataset.fields)
    json.dumps(fields, allow_nan=False)
    return fields


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_of_value_is_taken(tmp_path: Path, name: str) -> None:
    value = VALUES[name]

    def fill(entry: h5py.Group) -> None:
        for field, shape in {"x": (), "x1": (1,), "xn": (3,), "x0": (0,), "x2": (2, 2), "x11": (1, 1)}.items():
            made = entry.create_dataset(field, shape, value.dtype)
            made[...] = np.full(shape, value, value.dtype)
            made.attrs.create("x", np.full(shape, value, value.dtype), shape, value.dtype)

    reading = _read(_write(tmp_path, fill))
    for tree in reading.trees.values():
        assert "value" in tree["x"]
        assert "x" in tree["x"]
        assert tree["x"]["value"] == tree["x1"]["value"]
        assert tree["x2"]["shape"] == [2, 2]
    assert len(reading.trees["all"]["xn"].get("value", [0, 0, 0])) == 3
    assert reading.notes == ()
    # What would steer a terminal does not leave for the catalogue, and a dot in a name only encoded.
    text = json.dumps(reading.trees["usual"]["x"]["value"], ensure_ascii=False)
    expected = json.loads(text.replace("\\u0001", "\ufffd").replace('"a.b/c"', '"a%2Eb/c"'))
    assert _dataset(tmp_path)["scientificMetadata"]["x"]["value"] == expected


@pytest.mark.parametrize("name", ODDITIES)
@pytest.mark.parametrize("form", ["usual", "latest"])
def test_every_oddity_is_read(tmp_path: Path, name: str, form: str) -> None:
    if name == "large_attributes" and form == "usual":
        pytest.skip("attributes of more than 64 KB need the newer format")
    folder = _write(tmp_path / "beamtime", lambda entry: ODDITIES[name](entry, tmp_path / "beamtime"), **FORMS[form])
    reading = _read(folder)
    assert len(reading.trees["usual"]) > 1
    assert _dataset(folder)["pid"] == "20990042/scan_1"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_is_read(tmp_path: Path, form: str) -> None:
    def fill(entry: h5py.Group) -> None:
        for number in range(50):
            group(entry, f"g{number}", "NXcollection")["x"] = number

    reading = _read(_write(tmp_path, fill, **FORMS[form]))
    assert reading.trees["usual"]["g49"]["x"]["value"] == 49
    assert reading.notes == ()


def test_a_file_that_was_written_while_others_read_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan_1.nxs", "w", libver="latest") as file:
        entry = group(file, "entry", "NXentry")
        values = entry.create_dataset("x", (0,), "i4", maxshape=(None,), chunks=(10,))
        file.swmr_mode = True
        values.resize((25,))
        values[:] = 7
        values.flush()
    assert _read(tmp_path).trees["all"]["x"]["mean"] == 7.0


def test_what_the_tree_tells_of_the_harder_kinds(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        for name in ("references", "odd_numbers", "vlens", "compound_complex", "external_storage", "virtual"):
            ODDITIES[name](group(entry, name, "NXcollection"), tmp_path)

    tree = _read(_write(tmp_path, fill)).trees["usual"]
    assert tree["references"]["object"]["value"] == "<reference>"
    assert tree["references"]["region"]["value"] == "<reference>"
    assert tree["vlens"]["one"]["value"] == [1, 2]
    assert {tree["odd_numbers"][name]["value"] for name in ("three", "shifted", "brain", "tiny", "wide")} == {0}
    assert tree["compound_complex"]["c1"]["value"] == {"real": 1.0, "imag": None}
    assert tree["compound_complex"]["c0"]["value"] == {"real": 1.0, "imag": None}
    assert tree["external_storage"]["one"]["value"] == 0
    assert tree["virtual"]["half"]["shape"] == [2, 4]


def test_whole_numbers_of_any_size_keep_their_value(tmp_path: Path) -> None:
    def stored_as(entry: h5py.Group, name: str, stored: Any) -> None:
        made = h5d.create(entry.id, name.encode(), stored, h5s.create_simple((2,)))
        made.write(h5s.ALL, h5s.ALL, np.array([-5, 70_000], "i8"))

    def fill(entry: h5py.Group) -> None:
        for name, kind, size in (("three", h5t.STD_I64BE, 3), ("five", h5t.STD_I64LE, 5), ("wide", h5t.STD_I64LE, 16)):
            stored = kind.copy()
            stored.set_size(size)
            stored_as(entry, name, stored)
            stored.set_precision(8 * size)
            stored_as(entry, f"{name}, all bits", stored)

    reading = _read(_write(tmp_path, fill))
    assert {tuple(member["value"]) for member in reading.trees["all"].values() if member != "entry"} == {(-5, 70_000)}
    assert len(reading.trees["all"]) == 1 + 6
    assert reading.notes == ()


def test_attributes_of_megabytes_are_taken_as_far_as_there_is_room(tmp_path: Path) -> None:
    folder = _write(tmp_path, lambda entry: ODDITIES["large_attributes"](entry, tmp_path), libver="latest")
    tree = _read(folder).trees["all"]
    assert len(tree["n"]["text"]) == 2_000_000
    assert len(tree["n"]["fixed"]) == 1_500_000
    assert len(tree["n"]["long"]) == 100_000
    small = read(job(scan(folder, "scan_1"), _schema(), metadata_limit=100_000))
    assert len(json.dumps(small.trees["all"])) <= 100_000
    assert "text" not in small.trees["all"]["n"]
    assert any("/entry/n@text" in truncation for truncation in small.truncations)


@pytest.mark.parametrize("limit", [1024, 20_000, 300_000])
@pytest.mark.parametrize("name", ["names", "many_groups", "strings", "bad_attributes", "shapes"])
def test_the_metadata_is_never_larger_than_its_limit_and_the_dataset_says_what_is_missing(
    tmp_path: Path, name: str, limit: int
) -> None:
    folder = _write(tmp_path / "b", lambda entry: ODDITIES[name](entry, tmp_path / "b"))
    wanted = job(scan(folder, "scan_1"), shipped("nexus"), metadata_limit=limit, thumbnails=False)
    reading = read(wanted)
    size = len(json.dumps(reading.trees["entry"]))
    fields = documents(reading, wanted.beamtime).dataset.fields
    assert size <= limit
    whole = len(json.dumps(read(job(scan(folder, "scan_1"), shipped("nexus"), thumbnails=False)).trees["entry"]))
    if whole > limit:
        assert "scientific metadata is not complete" in fields["comment"]
        assert str(limit) in fields["comment"]
    elif whole < limit // 2:
        assert "comment" not in fields


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda name: name not in {".", ".."}
)
LEAVES = st.one_of(
    st.integers(-(2**63), 2**64 - 1).map(np.array),
    st.floats(width=32),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary(min_size=1, max_size=9).map(np.void),
    st.booleans(),
    st.complex_numbers(),
    of_numpy.arrays(
        of_numpy.scalar_dtypes().filter(lambda kind: kind.kind not in "mM"),
        of_numpy.array_shapes(max_dims=3, max_side=3, min_side=0),
    ),
    of_numpy.arrays(
        of_numpy.nested_dtypes(of_numpy.integer_dtypes() | of_numpy.byte_string_dtypes(min_len=1), max_leaves=4),
        st.sampled_from([(), (1,), (2,)]),
    ),
)
TREES = st.recursive(
    st.tuples(LEAVES, st.dictionaries(NAMES, LEAVES, max_size=2)),
    lambda below: st.dictionaries(NAMES, below, max_size=5),
    max_leaves=12,
)


def _fill(parent: h5py.Group, tree: dict[str, Any]) -> None:
    for name, member in tree.items():
        if name in parent:
            continue
        if isinstance(member, dict):
            _fill(parent.create_group(name), member)
            continue
        value, attributes = member
        try:
            made = parent.create_dataset(name, data=value)
            for key, attribute in attributes.items():
                made.attrs[key] = attribute
        except (TypeError, ValueError, OSError, RuntimeError):
            continue  # A value that h5py cannot write.


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(NAMES, TREES, max_size=6))
def test_any_tree_of_groups_and_fields_is_read(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    folder = _write(tmp_path_factory.mktemp("any"), lambda entry: _fill(entry, tree))
    _read(folder)
    _dataset(folder)
