"""The grammar of a dataset list: every line of DESY's, and nothing that leads out of the directory."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.discovery.listfile import entries, parse_list
from scicat_watch.model import BadLine, Command, ListEntry


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("scan_00012", ListEntry("scan_00012", "scan_00012", "scan_00012")),
        (
            "scan_00012 pilatus lambda",
            ListEntry("scan_00012 pilatus lambda", "scan_00012", "scan_00012", extras=("pilatus", "lambda")),
        ),
        ("scan_1:170.5", ListEntry("scan_1:170.5", "scan_1", "scan_1", again="170.5")),
        ("scan_1:", ListEntry("scan_1:", "scan_1", "scan_1", again="")),
        ("scan_1:7 pilatus", ListEntry("scan_1:7 pilatus", "scan_1", "scan_1", again="7", extras=("pilatus",))),
        ("multi::/scan_12;multi_12", ListEntry("multi::/scan_12;multi_12", "multi_12", "multi", "scan_12")),
        ("multi::/s;m:170.5", ListEntry("multi::/s;m:170.5", "m", "multi", "s", again="170.5")),
        ("multi::/scan_12", ListEntry("multi::/scan_12", "multi", "multi", "scan_12")),
        ("multi::/scan_12:3", ListEntry("multi::/scan_12:3", "multi", "multi", "scan_12", again="3")),
        ("sub/scan_1", ListEntry("sub/scan_1", "sub/scan_1", "sub/scan_1")),
        ("mesure_été_1", ListEntry("mesure_été_1", "mesure_été_1", "mesure_été_1")),
    ],
)
def test_every_spelling_of_a_scan_is_understood(line: str, entry: ListEntry) -> None:
    assert parse_list(line.encode()) == [entry]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("__command__ start m1", Command("__command__ start m1", "start", "m1")),
        ("__command__ start m1 m2", Command("__command__ start m1 m2", "start", "m1")),
        ("__command__ stop", Command("__command__ stop", "stop")),
        ("__command__ nap", Command("__command__ nap", "nap")),
    ],
)
def test_commands_are_understood(line: str, command: Command) -> None:
    assert parse_list(line.encode()) == [command]


@pytest.mark.parametrize(
    "line",
    ["/etc/passwd", "../secret", "a/../../b", "a//b", "./a", "scan_1 ../x", "scan_1 /etc", ":17", "a::", "a::/;b",
     "a::/x;", "::/x", "__command__", "__command__ start", "__command__ start ../m", "a\0b", "x" * 241, "é" * 121],
)  # fmt: skip
def test_a_line_that_cannot_be_used_says_why_and_no_other_line_suffers(line: str) -> None:
    first, bad, last = parse_list(f"scan_1\n{line}\nscan_2".encode())
    assert isinstance(first, ListEntry)
    assert isinstance(last, ListEntry)
    assert isinstance(bad, BadLine)
    assert (bad.number, bool(bad.reason)) == (2, True)


def test_white_space_comments_and_blank_lines_say_nothing() -> None:
    text = "\n\n  scan_1\t\r\n# scan_9\n   # scan_8\n\u00a0\n\u2003scan_2\u00a0\n\x1c\n\t\nscan_3"
    assert [one.line for one in entries(parse_list(text.encode()))] == ["scan_1", "scan_2", "scan_3"]


def test_the_mark_that_windows_puts_before_a_file_is_not_a_part_of_the_first_name() -> None:
    assert [one.name for one in entries(parse_list(b"\xef\xbb\xbfscan_1\n"))] == ["scan_1"]


def test_a_line_that_stands_twice_counts_once_but_commands_as_often_as_they_stand() -> None:
    found = parse_list(b"a\n__command__ stop\na\n__command__ stop\n a \na:1\n")
    assert [one.line for one in found] == ["a", "__command__ stop", "__command__ stop", "a:1"]


def test_what_is_not_text_or_too_long_is_a_bad_line_that_can_be_shown() -> None:
    latin, long, control = parse_list(b"scan_\xe9\n" + b"x" * 300 + b"\na\x1b[2Jb/../c\n", longest=200)
    assert isinstance(latin, BadLine)
    assert isinstance(long, BadLine)
    assert isinstance(control, BadLine)
    assert len(long.line) <= 120
    assert control.line.isprintable()


_words = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=":;/#"), min_size=1, max_size=20)
_names = _words.filter(lambda word: word not in (".", "..", "__command__"))
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)


@given(_paths, st.lists(_paths, max_size=3), st.none() | _words)
def test_a_line_that_was_built_is_read_as_it_was_meant(name: str, extras: list[str], again: str | None) -> None:
    line = " ".join([name if again is None else f"{name}:{again}", *extras])
    assert parse_list(line.encode()) == [ListEntry(line, name, name, again=again, extras=tuple(extras))]


@given(_paths, _names, _paths, st.none() | _words)
def test_a_line_for_one_entry_of_a_file_is_read_as_it_was_meant(
    stem: str, entry: str, name: str, again: str | None
) -> None:
    line = f"{stem}::/{entry};{name}" + ("" if again is None else f":{again}")
    assert parse_list(line.encode()) == [ListEntry(line, name, stem, entry, again)]


_nasty = st.lists(
    st.sampled_from([b"\n", b" ", b":", b";", b"/", b"..", b".", b"#", b"\0", b"a", b"__command__", b"start",
                     b"\xc2\xa0", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1c", b"\r", b"\xff",
                     b"\xef\xbb\xbf", b"::", "é".encode()])
).map(b"".join)  # fmt: skip


@given(st.binary() | _nasty)
def test_no_bytes_raise_and_no_name_that_is_accepted_leads_out_of_its_directory(data: bytes) -> None:
    for line in parse_list(data):
        assert line.line == line.line.strip()
        assert "\n" not in line.line
        if isinstance(line, ListEntry):
            for path in (line.name, line.stem, *line.extras):
                assert posixpath.normpath(f"/list/{path}") == f"/list/{path}"
                assert posixpath.normpath(f"/list/{path}") != "/list"
                assert "\0" not in path


@given(_nasty, st.integers(0, 200))
def test_a_list_that_is_read_in_two_parts_says_what_it_says_in_one(data: bytes, at: int) -> None:
    cut = data.rfind(b"\n", 0, at) + 1
    seen: set[bytes | str] = set()
    first = parse_list(data[:cut], seen=seen)
    parts = first + parse_list(data[cut:], first=data.count(b"\n", 0, cut) + 1, seen=seen)
    assert parts == parse_list(data)
