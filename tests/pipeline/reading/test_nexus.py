"""A NeXus file as scientific metadata: the reference's shape, whatever the file holds, and never without end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5s, h5t

from scicat_watch.documents import strict
from scicat_watch.pipeline.reading.nexus import tree as tree_module
from scicat_watch.pipeline.reading.nexus.tree import tree
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.schema.model import TreeOptions
from tests.pipeline.nexus_made import group, nexus, opened
from tests.recorded import DESY

FIXTURES = {
    "run_00001": ("run_00001.nxs", ""),
    "run_00002": ("run_00002.nxs", ""),
    "sub__run_00005": ("sub/run_00005.nxs", ""),
    "pic_00006": ("pic_00006.nxs", ""),
    "pair_00007": ("pair.nxs", "scan_00007"),
    "pair_00008": ("pair.nxs", "scan_00008"),
}


def _tree(
    path: Path, entry: str = "", limit: int = 1 << 20, notes: Notes | None = None, **options: Any
) -> dict[str, Any]:
    with opened(path) as links:
        made = tree(links, TreeOptions(**options), entry, limit, notes or Notes())
    assert strict(made) == made
    json.dumps(made, allow_nan=False)
    return made


@pytest.mark.parametrize("name", FIXTURES)
def test_the_shared_scans_have_the_metadata_that_the_reference_posts(name: str) -> None:
    file, entry = FIXTURES[name]
    posted = json.loads((DESY / f"expected/payloads/{name}.dataset.json").read_text())["scientificMetadata"]
    for elsewhere in ("DOOR_proposalId", "beamtimeId", "ScanCommand"):
        posted.pop(elsewhere, None)
    assert _tree(DESY / "beamtime/raw" / file, entry) == posted


def test_every_kind_of_field_has_a_sensible_form(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["bool"] = True
        entry["int"] = np.uint64(2**64 - 1)
        entry["half"] = np.float16(0.5)
        entry["single"] = np.array([0.1], "f4")
        entry["nan"] = np.array([np.nan], "f4")
        entry["infinity"] = np.inf
        entry["long"] = np.longdouble(1.5)
        entry["complex"] = 1 + 2j
        entry["complex1"] = np.array([complex(np.nan, 1)])
        entry["compound"] = np.array([(1, b"a", 0.5)], [("n", "i4"), ("s", "S3"), ("x", "f8")])
        entry["null"] = h5py.Empty("f8")
        entry["reference"] = entry["int"].ref
        entry.create_dataset("enum", data=2, dtype=h5py.enum_dtype({"OFF": 1, "ON": 2}))
        entry.create_dataset("opaque", data=np.void(b"\x01\xff"))
        moment = np.array(np.datetime64("2026-11-21T01:58:48"))
        entry.create_dataset("moment", data=moment.astype(h5py.opaque_dtype(moment.dtype)))
        entry.create_dataset("vlen", (1,), h5py.vlen_dtype("i4"))[0] = [1, 2]
        entry["fixed"] = np.bytes_(b"abc")
        entry["latin"] = np.bytes_("3 µm".encode("latin-1"))
        entry["text"] = "grüß"
        entry["one_one"] = np.zeros((1, 1))
        entry["empty"] = np.zeros(0)
        entry["type"] = np.dtype("f4")

    made = _tree(nexus(tmp_path / "a.nxs", fill))
    assert {name: member.get("value", member) for name, member in made.items() if name != "name"} == {
        "bool": True,
        "int": 2**64 - 1,
        "half": 0.5,
        "single": 0.10000000149011612,
        "nan": None,
        "infinity": None,
        "long": 1.5,
        "complex": {"real": 1.0, "imag": 2.0},
        "complex1": {"real": None, "imag": 1.0},
        "compound": {"n": 1, "s": "a", "x": 0.5},
        "null": None,
        "reference": "<reference>",
        "enum": 2,
        "opaque": "01ff",
        "moment": "2026-11-21T01:58:48",
        "vlen": [1, 2],
        "fixed": "abc",
        "latin": "3 µm",
        "text": "grüß",
        "one_one": {"shape": [1, 1]},
        "empty": {"shape": [0]},
        "type": {},
    }


def test_text_that_is_filled_up_with_spaces_is_taken_without_them(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        kind = h5t.C_S1.copy()
        kind.set_size(8)
        kind.set_strpad(h5t.STR_SPACEPAD)
        attribute = h5a.create(entry.id, b"padded", kind, h5s.create(h5s.SCALAR))
        attribute.write(np.array(b"ab      ", "S8"))

    assert _tree(nexus(tmp_path / "a.nxs", fill))["padded"] == "ab"


def test_attributes_stand_beside_the_value_under_the_names_of_the_reference(tmp_path: Path) -> None:
    source = (
        '<datasource name="exp_mot01" type="TANGO"><device name="p09/motor/exp.01" hostname="haso" port="10000"/>'
        '<record name="Position"/></datasource>'
    )

    def fill(entry: h5py.Group) -> None:
        entry["a"] = 1.5
        attributes = {
            "units": "mm",
            "unit": "?",
            "source": "?",
            "value": 7,
            "list": [1, 2],
            "one": [1],
            "b": np.bytes_(b"x"),
        }
        attributes |= {"nexdatas_source": source, "nexdatas_strategy": "STEP", "nan": np.nan}
        entry["a"].attrs.update(attributes)
        entry["frames"] = np.zeros((2, 3))
        entry["frames"].attrs["shape"] = "round"

    made = _tree(nexus(tmp_path / "a.nxs", fill))
    assert made["a"] == {
        "value": 1.5,
        "unit": "mm",
        "list": [1, 2],
        "one": 1,
        "b": "x",
        "nan": None,
        "strategy": "STEP",
        "source_name": "exp_mot01",
        "source_type": "TANGO",
        "source": "haso:10000/p09/motor/exp.01/Position",
    }
    assert made["frames"] == {"shape": [2, 3], "shape_": "round"}
    shown = _tree(tmp_path / "a.nxs", hidden_attributes=("unit", "list"), empty_units=False)
    assert shown["a"]["units"] == "mm"
    assert not {"unit", "list"} & set(shown["a"])


def test_a_source_that_would_grow_without_end_is_not_parsed(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaa">]><datasource name="&a;" type="x"/>'
    path = nexus(tmp_path / "a.nxs", lambda entry: entry.attrs.__setitem__("nexdatas_source", bomb))
    assert _tree(path) == {"name": "entry"}


def test_names_that_meet_are_kept_apart(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["name"] = "the field"
        sample = group(entry, "sample", "NXsample", mass="attribute")
        sample["mass"] = 2

    made = _tree(nexus(tmp_path / "a.nxs", fill))
    assert made["name"]["value"] == "the field"
    assert made["name_"] == "entry"
    assert made["sample"] == {"NX_class": "NXsample", "mass": {"value": 2, "unit": ""}, "mass_": "attribute"}


def test_entries_are_merged_and_the_later_wins(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        for name, number in (("b", 2), ("a", 1)):
            sample = group(group(file, name, "NXentry"), "sample", "NXsample")
            sample["n"] = number
            sample[f"only_{name}"] = number
        file["a/sample/list"] = [1, 2, 3]
        group(file, "other", "NXcollection")
    made = _tree(tmp_path / "a.nxs")
    assert made["name"] == "b"
    assert made["sample"]["n"]["value"] == 2
    assert set(made["sample"]) == {"NX_class", "n", "only_a", "only_b", "list"}
    assert _tree(tmp_path / "a.nxs", entry="a")["sample"]["n"]["value"] == 1
    assert _tree(tmp_path / "a.nxs", entry_class="")["name"] == "other"
    notes = Notes()
    assert _tree(tmp_path / "a.nxs", entry="c", notes=notes) == {}
    assert "'c'" in notes.all()[0]


def test_one_dimensional_values_are_included_or_shortened(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["short"] = [1.0, np.nan]
        entry["short"].attrs["units"] = "mm"
        entry["long"] = np.array([3, 1, 2], "u2")
        entry["floats"] = np.array([3, np.nan, 2])
        entry["words"] = ["b", "c", "a"]
        entry["frames"] = np.zeros((2, 2))

    made = _tree(nexus(tmp_path / "a.nxs", fill), one_dimensional=True, max_one_dimensional=2)
    assert made["short"] == {"shape": [2], "value": [1.0, None], "unit": "mm"}
    assert made["long"] == {"shape": [3], "value": [1, 3], "unit": ""}
    assert made["floats"]["value"] == [2.0, 3.0]
    assert made["words"]["value"] == ["a", "c"]
    assert made["frames"] == {"shape": [2, 2]}


def test_links_show_what_they_lead_to_under_their_own_names(tmp_path: Path) -> None:
    nexus(tmp_path / "b.h5", lambda entry: entry.create_dataset("data", data=1))
    nexus(tmp_path / "c.h5", lambda entry: entry.create_dataset("data", data=2))

    def fill(entry: h5py.Group) -> None:
        entry["first"] = h5py.ExternalLink("b.h5", "/entry/data")
        entry["second"] = h5py.ExternalLink("c.h5", "/entry/data")
        entry["gone"] = h5py.ExternalLink("d.h5", "/entry/data")
        entry["broken"] = h5py.SoftLink("/entry/nothing")
        entry["soft"] = h5py.SoftLink("/entry/first")

    made = _tree(nexus(tmp_path / "a.nxs", fill))
    assert {name: member for name, member in made.items() if name != "name"} == {
        "first": {"value": 1, "unit": ""},
        "second": {"value": 2, "unit": ""},
        "soft": {"value": 1, "unit": ""},
        "gone": {},
        "broken": {},
    }


def test_cycles_and_depth_end_with_a_note(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        inner = entry.create_group("inner")
        inner["hard"] = entry
        inner["soft"] = h5py.SoftLink("/entry")
        deep = entry
        for _ in range(80):
            deep = deep.create_group("d")

    notes = Notes()
    made = _tree(nexus(tmp_path / "a.nxs", fill), notes=notes)
    assert made["inner"] == {"hard": {}, "soft": {}}
    assert len([note for note in notes.all() if "leads back" in note]) == 2
    assert any("deep" in note for note in notes.all())


def test_what_is_too_much_is_left_out_with_a_note(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["a_long"] = "x" * 5000
        entry["b_huge"] = "y" * 200_000
        for number in range(1000):
            entry[f"c_{number:04d}"] = number

    notes = Notes()
    made = _tree(nexus(tmp_path / "a.nxs", fill), limit=10_000, notes=notes)
    assert made["a_long"]["value"] == "x" * 5000
    assert "value" not in made["b_huge"]
    assert "c_0000" in made
    assert "c_0999" not in made
    assert len(json.dumps(made)) < 20_000
    assert any("/entry/b_huge" in note for note in notes.all())
    assert any("truncated at 10000 bytes" in note for note in notes.all())


def test_attributes_are_opened_by_name_for_which_hdf5_does_not_sort_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nexus(
        tmp_path / "a.nxs", lambda entry: entry.attrs.update({f"a{number:03d}": number for number in range(50)})
    )
    by_name: list[bytes] = []

    def opened_attribute(node: Any, name: bytes | None = None, index: int = -1) -> Any:
        assert name is not None, "opened by number"
        by_name.append(name)
        return h5a.open(node, name)

    monkeypatch.setattr(
        tree_module, "h5a", SimpleNamespace(open=opened_attribute, iterate=h5a.iterate, get_num_attrs=h5a.get_num_attrs)
    )
    with opened(path) as links:
        made = tree_module.tree(links, TreeOptions(), "", 1 << 20, Notes())
    assert [made[f"a{number:03d}"] for number in range(50)] == list(range(50))
    assert len(by_name) == 51
    assert by_name == sorted(by_name)


def test_hard_links_that_double_at_every_level_are_truncated(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        below = entry.create_group("leaf")
        for number in range(40):
            above = entry.create_group(f"level{number:02d}")
            above["left"] = above["right"] = below
            below = above

    notes = Notes()
    _tree(nexus(tmp_path / "a.nxs", fill), limit=50_000, notes=notes)
    assert any("truncated" in note for note in notes.all())


def test_a_field_with_a_huge_shape_is_named_and_not_read(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry.create_dataset("huge", (1 << 40,), "f8", chunks=(1024,), compression="gzip")
        entry.create_dataset("wide", (1,), "S900000000", chunks=(1,))

    notes = Notes()
    made = _tree(nexus(tmp_path / "a.nxs", fill), notes=notes, one_dimensional=True)
    assert made["huge"] == {"shape": [1 << 40]}
    assert "value" not in made["wide"]
    assert len(notes.all()) == 2


def test_a_forbidden_link_is_an_empty_object_with_a_note(tmp_path: Path) -> None:
    nexus(tmp_path / "out.h5", lambda entry: entry.create_dataset("secret", data="secret"))
    link = h5py.ExternalLink("../out.h5", "/entry/secret")
    path = nexus(tmp_path / "beamtime/a.nxs", lambda entry: entry.__setitem__("s", link))
    notes = Notes()
    assert _tree(path, notes=notes) == {"name": "entry", "s": {}}
    assert "/entry/s is a link out of the beamtime" in notes.all()[0]
