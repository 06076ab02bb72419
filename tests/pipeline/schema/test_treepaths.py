"""Which parts of a tree a schema takes: patterns of paths, and that what is not taken is not opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import pytest

from scicat_watch.pipeline.reading.nexus.links import Links
from scicat_watch.pipeline.reading.nexus.tree import tree
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.schema.model import TreeOptions, try_parse
from tests.pipeline.nexus_made import group, nexus, opened


def _fill(entry: h5py.Group) -> None:
    entry["title"] = "t"
    instrument = group(entry, "instrument", "NXinstrument")
    for number in (1, 2):
        detector = group(instrument, f"detector_{number}", "NXdetector")
        detector["gain"] = number
        group(detector, "log", "NXlog")["value"] = 0
    group(instrument, "mono", "NXmonochromator")["energy"] = 7.0
    group(entry, "sample", "NXsample")["name"] = "YIG"


def _names(made: dict[str, Any], path: str = "") -> set[str]:
    """Paths of all fields."""
    if "value" in made and not isinstance(made["value"], dict):
        return {path}
    return {name for key, below in made.items() if isinstance(below, dict) for name in _names(below, f"{path}/{key}")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return nexus(tmp_path / "a.nxs", _fill)


DETECTORS = {f"/instrument/detector_{number}/{name}" for number in (1, 2) for name in ("gain", "log/value")}
OTHERS = {"/title", "/instrument/mono/energy", "/sample/name"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, DETECTORS | OTHERS),
        ({"take": ("instrument",)}, DETECTORS | {"/instrument/mono/energy"}),
        ({"take": ("instrument/**",)}, DETECTORS | {"/instrument/mono/energy"}),
        ({"take": ("instrument/detector_*/gain",)}, {"/instrument/detector_1/gain", "/instrument/detector_2/gain"}),
        ({"take": ("instrument/detector_?",)}, DETECTORS),
        ({"take": ("**/gain", "title")}, {"/instrument/detector_1/gain", "/instrument/detector_2/gain", "/title"}),
        ({"take": ("**/:NXdetector",)}, DETECTORS),
        ({"take": (":NXinstrument/:NXmonochromator",)}, {"/instrument/mono/energy"}),
        (
            {"leave_out": ("**/:NXlog", "sample")},
            {name for name in DETECTORS | OTHERS if "log" not in name} - {"/sample/name"},
        ),
        (
            {"take": ("instrument",), "leave_out": ("**/detector_1",)},
            {name for name in DETECTORS if "_2" in name} | {"/instrument/mono/energy"},
        ),
        ({"take": ("nothing/**",)}, set()),
        ({"leave_out": ("**",)}, set()),
    ],
)
def test_patterns_say_what_is_taken(path: Path, options: dict[str, Any], expected: set[str]) -> None:
    with opened(path) as links:
        made = tree(links, TreeOptions(**options), "", 1 << 20, Notes())
    assert _names(made) == expected
    assert made["name"] == "entry"


def test_groups_on_the_way_keep_their_class_and_others_vanish(path: Path) -> None:
    with opened(path) as links:
        made = tree(links, TreeOptions(take=("instrument/mono/energy",)), "", 1 << 20, Notes())
    assert made["instrument"] == {
        "NX_class": "NXinstrument",
        "mono": {"NX_class": "NXmonochromator", "energy": {"value": 7.0, "unit": ""}},
    }
    assert "sample" not in made


def test_what_is_not_asked_for_is_not_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    child = Links.child

    def watched(self: Links, node: object, name: bytes) -> object:
        seen.append(name)
        return child(self, node, name)

    monkeypatch.setattr(Links, "child", watched)
    with opened(path) as links:
        tree(links, TreeOptions(take=("instrument/mono/energy",)), "", 1 << 20, Notes())
    assert seen == [b"entry", b"instrument", b"mono", b"energy"]


def _parsed(**keys: Any) -> Any:
    item = {"field_type": "nexus_tree"} | keys
    general = {"id": "t", "name": "T", "instrument": "", "order": 1, "selector": "*", "variables": {}}
    return try_parse(general | {"schema": {"tree": item}})


def test_a_schema_file_says_it_in_lists_or_with_commas() -> None:
    schema, mistakes = _parsed(
        take=["instrument/**", "sample"], leave_out="**/:NXlog, title", summaries=["shape", "mean"], attributes=False
    )
    assert mistakes == ()
    assert schema.items[0].tree == TreeOptions(
        take=("instrument/**", "sample"),
        leave_out=("**/:NXlog", "title"),
        summaries=("shape", "mean"),
        attributes=False,
    )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"take": 5}, "patterns of paths"),
        ({"leave_out": [1]}, "patterns of paths"),
        ({"summaries": ["median"]}, "not median"),
        ({"attributes": "some"}, "true or false"),
    ],
)
def test_mistakes_in_it_are_reported(keys: dict[str, Any], words: str) -> None:
    schema, mistakes = _parsed(**keys)
    assert schema is None
    assert words in str(mistakes[0])
