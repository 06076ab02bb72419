"""Scans of which nothing is there: what comes is noticed, whoever waits for it, and only what came."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.discovery.absent import Absent
from scicat_watch.model import RequestKey

ROOT = Path("/bt")


class Disk:
    """Directories, as names; how often each was listed."""

    def __init__(self, **names: set[str]) -> None:
        self.names, self.listed = names, 0

    def __call__(self, directory: str) -> list[str]:
        self.listed += 1
        return sorted(self.names.get(Path(directory).name, set()))


def _key(line: str) -> RequestKey:
    return RequestKey(ROOT / "raw", line)


def _beginnings(key: RequestKey) -> list[str]:
    return [f"{key.directory}/{word}" for word in key.line.split()]


def _absent(disk: Disk, *lines: str, now: float = 0.0) -> Absent:
    absent = Absent(lambda waited: 5.0 + waited / 2, _beginnings)
    for line in lines:
        absent.add(_key(line), disk, now)
    return absent


def _arrived(absent: Absent, disk: Disk, now: float) -> list[str]:
    return sorted(key.line for key in absent.take_arrived(now, disk))


def test_a_name_that_comes_is_that_of_the_scans_that_it_begins_with() -> None:
    disk = Disk(raw={"old.nxs"})
    absent = _absent(disk, "scan_1", "scan_10", "a.b", "never lambda")
    assert (_arrived(absent, disk, 4.9), absent.next_due()) == ([], 5.0)
    disk.names["raw"] |= {"scan_1_0001.tif", "a.b.nxs", "lambda", "scan_2.nxs"}
    assert _arrived(absent, disk, 5.0) == ["a.b", "never lambda", "scan_1"]
    disk.names["raw"].add("scan_10")
    assert _arrived(absent, disk, 60.0) == ["scan_10"]
    assert absent.next_due() is None


def test_a_directory_is_listed_once_for_all_scans_and_more_and_more_seldom() -> None:
    disk = Disk()
    absent = _absent(disk, *(f"scan_{number}" for number in range(1000)))
    before, listings = disk.listed, []
    for second in range(200):
        if (due := absent.next_due()) is not None and due <= second:
            assert _arrived(absent, disk, second) == []
            listings.append(second)
    assert disk.listed - before == len(listings)
    assert listings == [5, 13, 25, 43, 70, 110, 170]


def test_a_name_that_went_and_came_again_has_come() -> None:
    disk = Disk(raw={"x.nxs"})
    absent = _absent(disk, "other")
    disk.names["raw"] = set()
    absent.add(_key("x"), disk, 1.0)
    disk.names["raw"] = {"x.nxs"}
    absent.hurry(str(ROOT / "raw"), 2.0)
    assert _arrived(absent, disk, 2.0) == ["x"]


def test_what_nobody_waits_for_is_not_listed() -> None:
    disk = Disk()
    absent = _absent(disk, "a", "b c")
    for line in ("a", "b c", "never added"):
        absent.discard(_key(line))
    assert (absent.next_due(), _arrived(absent, disk, 1000.0)) == (None, [])


_names = st.sampled_from(["a", "b", "a.nxs", "a_1.tif", "a_1", "b.c.nxs", "x"])
_steps = st.lists(
    st.tuples(st.sampled_from(["make", "remove", "expect", "drop", "wait"]), _names, st.integers(0, 20)), max_size=30
)


@given(_steps)
def test_whatever_comes_while_it_is_expected_is_noticed(steps: list[tuple[str, str, int]]) -> None:
    """Against the plain way: search the names for each scan."""
    disk, now = Disk(raw=set()), 0.0
    absent, expected = Absent(lambda waited: 1.0, _beginnings), set[str]()

    def there(name: str) -> bool:
        return any(one == name or one.startswith((f"{name}.", f"{name}_")) for one in disk.names["raw"])

    for what, name, seconds in steps:
        match what:
            case "make":
                disk.names["raw"].add(name)
            case "remove":
                disk.names["raw"].discard(name)
            case "expect" if not there(name):
                expected.add(name)
                absent.add(_key(name), disk, now)
            case "drop":
                expected.discard(name)
                absent.discard(_key(name))
            case "wait":
                now += 1.0 + seconds
                arrived = _arrived(absent, disk, now)
                assert set(arrived) >= {name for name in expected if there(name)}
                assert set(arrived) <= expected
                expected -= set(arrived)
