"""Scans that are done are counted once each, whatever they were called."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.ledger.counting import Counting
from scicat_watch.ledger.ingested import IngestedList
from scicat_watch.model import Stamps

DONE = Stamps(1.7e9, 1.7e9, 0.0)


def _list(directory: Path, *lines: str, **published: str) -> IngestedList:
    directory.mkdir(parents=True, exist_ok=True)
    made = IngestedList(directory / "done.lst")
    for name, pid in published.items():
        made.note_published(name.replace("__", "/"), pid, 1.7e9)
    for line in lines:
        made.note(line, DONE)
    again = IngestedList(directory / "done.lst")
    again.load()
    assert again.contents()[:3] == made.contents()[:3]
    return again


@pytest.mark.parametrize(
    ("root", "renamed", "below", "expected"),
    [
        ((), {}, (), 0),
        (("a", "b", "raw/c"), {}, (), 3),
        (("a", "a:1", "a:2 pilatus"), {}, (), 1),
        (("m::/1;m_1", "m::/2;m_2", "m::/2;m_2:17", "m"), {}, (), 3),
        (("'my scan 1'", "'my scan 2'"), {}, (), 2),
        (("old/a", "old/b", "new/a", "new/b"), {"new__a": "1/old/a", "new__b": "1/old/b"}, (), 2),
        (("cur", "old"), {"cur": "1/cur~2", "old": "1/cur"}, (), 2),  # Another scan at the place of a renamed one.
        (("new/a",), {"new__a": "1/old/a"}, (), 1),  # What the old place's list said is gone.
        (("a",), {"a": "bt/a"}, (), 1),  # Adopted: of a generated beamtime.
        ((), {}, ("a", "b"), 2),
        (("raw/a", "raw/b"), {}, ("a", "c"), 3),  # Found first, then listed.
        (("x",), {}, ("x",), 2),
    ],
)
def test_each_scan_counts_once(
    tmp_path: Path, root: tuple[str, ...], renamed: dict[str, str], below: tuple[str, ...], expected: int
) -> None:
    lists = {tmp_path: _list(tmp_path, *root, **renamed), tmp_path / "raw": _list(tmp_path / "raw", *below)}
    counting = Counting("1")

    def count() -> int:
        return counting.count({directory: one.contents() for directory, one in lists.items()})

    assert [count(), count()] == [expected, expected]
    lists[tmp_path / "raw"].note("one_more", DONE)
    assert count() == expected + 1


def test_a_scan_that_was_renamed_from_one_list_to_another_counts_once(tmp_path: Path) -> None:
    lists = {
        tmp_path: _list(tmp_path, "raw/x/run_1"),
        tmp_path / "y": _list(tmp_path / "y", "run_1", run_1="1/raw/x/run_1"),
    }
    assert Counting("1").count({directory: one.contents() for directory, one in lists.items()}) == 1
