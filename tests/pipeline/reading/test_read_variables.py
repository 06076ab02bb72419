"""NXS variables: what a path names, and what is read there."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.reading.nexus.reader import NexusFile
from scicat_watch.pipeline.reading.nexus.values import value
from scicat_watch.pipeline.reading.read import file_values
from scicat_watch.pipeline.schema.model import Variable
from tests.pipeline.nexus_made import group, nexus, opened, schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    def fill(entry: h5py.Group) -> None:
        for number, name in enumerate(("Ann", "Bob", "Cy")):
            group(entry, ("user_1", "user_10", "user_2")[number], "NXuser")["name"] = name
        group(entry, "superuser", "NXuser")["name"] = "Root"
        group(entry, "my_user_3", "NXcollection")["name"] = "Nobody"
        entry["superuser"].attrs["role"] = "all"
        entry["energy"] = np.array([7112.0], "f4")
        entry["energy"].attrs["units"] = np.array([b"eV"])
        entry["matrix"] = [[1, 2], [3, 4]]
        entry["empty"] = h5py.Empty("f8")
        entry["soft"] = h5py.SoftLink("/entry/energy")
        entry["star*"] = 5

    return nexus(tmp_path / "a.nxs", fill)


def _value(path: Path, at: str, value_type: str = "string", entry: str = "") -> FieldValue:
    with opened(path) as links:
        return value(links, at, value_type, entry, 1 << 20)


@pytest.mark.parametrize("at", ["/entry/energy", "entry/energy", "/entry/soft", "/:NXentry/energy"])
def test_a_path_gives_value_unit_and_shape(path: Path, at: str) -> None:
    assert _value(path, at) == FieldValue(7112.0, "eV", (1,))


def test_arrays_are_nested_lists(path: Path) -> None:
    assert _value(path, "/entry/matrix") == FieldValue([[1, 2], [3, 4]], None, (2, 2))


def test_a_class_stands_for_its_first_group_in_name_order(path: Path) -> None:
    assert _value(path, "/:NXentry/:NXuser/name").value == "Root"
    with h5py.File(path, "a") as file:
        group(file, "aaa", "NXentry")["energy"] = 1
    assert _value(path, "/:NXentry/energy").value == 1
    assert _value(path, "/:NXentry/energy", entry="entry").value == 7112.0


def test_an_attribute_is_addressed_with_an_at_sign(path: Path) -> None:
    assert _value(path, "/entry/superuser@role") == FieldValue("all")
    assert _value(path, "/entry/energy@units") == FieldValue("eV", None, (1,))
    with h5py.File(path, "a") as file:
        file.attrs["default"] = "entry"
    assert _value(path, "/@default") == FieldValue("entry")


def test_a_star_stands_for_any_characters_of_a_whole_name(path: Path) -> None:
    assert _value(path, "/entry/user_*/name", "string[]") == FieldValue(["Ann", "Bob", "Cy"], None, (3,))
    assert _value(path, "/*/*user*/name", "string[]").value == ["Nobody", "Root", "Ann", "Bob", "Cy"]
    assert _value(path, "/entry/nobody_*/name", "string[]") == FieldValue([], None, (0,))


def test_a_star_is_only_a_star_for_other_types(path: Path) -> None:
    assert _value(path, "/entry/star*").value == 5
    with pytest.raises(SourceError):
        _value(path, "/entry/user_*/name")


@pytest.mark.parametrize("at", ["/entry/*/name", "/entry/e*", "/entry/ener*/*"])
def test_one_match_that_is_no_text_spoils_the_variable(path: Path, at: str) -> None:
    with pytest.raises(SourceError):
        _value(path, at, "string[]")


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("/entry/nothing", "not there"),
        ("/entry", "group"),
        ("/", "group"),
        ("/entry/energy/below", "not there"),
        ("/entry/energy@nothing", "attribute 'nothing'"),
        ("/entry/empty", "null"),
        ("/entry/:NXsample/name", "NXsample"),
    ],
)
def test_what_cannot_be_read_says_why(path: Path, at: str, reason: str) -> None:
    with opened(path) as links:
        read = file_values(NexusFile(links), "NXS", schema([Variable("v", "NXS", "string", path=at)]), 1 << 20)["v"]
    assert isinstance(read, Unread)
    assert read.reason.startswith(at)
    assert reason in read.reason


def test_too_much_is_not_read(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry.create_dataset("many", (1 << 40,), "f8", chunks=(1024,))
        entry.create_dataset("wide", (10,), "S500")
        entry["long"] = "x" * 2000

    at = nexus(tmp_path / "a.nxs", fill)
    with opened(at) as links:
        variables = [Variable(name, "NXS", "string", path=f"/entry/{name}") for name in ("many", "wide", "long")]
        assert all(
            isinstance(read, Unread) for read in file_values(NexusFile(links), "NXS", schema(variables), 1000).values()
        )


def test_data_outside_of_the_beamtime_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    stored = [(str(tmp_path / "secret"), 0, 6)]
    at = nexus(tmp_path / "b/a.nxs", lambda entry: entry.create_dataset("s", (6,), "u1", external=stored))
    with pytest.raises(SourceError, match="outside the beamtime"):
        _value(at, "/entry/s")
