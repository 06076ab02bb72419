"""The grammar of a dataset list, `scicat-datasets-….lst`: from bytes to typed lines. Pure.

The control system appends one line for each finished scan (facts: DESY's ingestor 1.2):

    scan_00012                              ingest this scan
    scan_00012 pilatus lambda               with further beginnings of file and folder names
    scan_00012:1702988846.07                ingest again; what follows the colon makes the line unique
    multi::/scan_12;multi_00012             entry scan_12 of the file multi.<ext> as dataset multi_00012
    multi::/scan_12;multi_00012:170.5       the same, again
    multi::/scan_12                         entry scan_12 as dataset multi
    sub/scan_00012                          a scan in a subfolder
    __command__ start NAME                  a measurement begins
    __command__ stop                        it ends

White space around lines and between words does not count; empty lines and lines that begin with "#"
say nothing. Sardana writes the newline *before* a line, so that a last line without one is usual.
A line that would lead out of its directory, or that is not text, becomes a `BadLine` and no other
line suffers.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from scicat_watch.model import BadLine, Command, ListEntry
from scicat_watch.words import printable

COMMAND = "__command__"
ListLine = ListEntry | Command | BadLine

_SHOWN = 120  # Characters of a line that a message repeats.
_PLAIN = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{,239}")  # A line that is nothing but a name, as nearly all are.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f]")


def parse_list(
    data: bytes, longest: int = 4096, first: int = 1, seen: set[bytes | str] | None = None
) -> list[ListLine]:
    """The lines of a list in their order; a line that stands twice counts once, at its first place.

    `longest` is the number of characters above which a line is no scan any more. To go on where an earlier
    call ended, give the number of the `first` line, and the lines `seen` so far, which is added to.
    """
    found: list[ListLine] = []
    seen = set() if seen is None else seen
    if first == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    for number, raw in enumerate(data.split(b"\n"), first):
        line = _stripped(raw)
        if not line or line in seen or line[:1] in ("#", b"#"):
            continue
        typed = _line(line, number, longest)
        if not isinstance(typed, Command):
            seen.add(line)
        found.append(typed)
    return found


def entries(lines: list[ListLine]) -> Iterator[ListEntry]:
    """Only the lines that ask for a dataset."""
    return (line for line in lines if isinstance(line, ListEntry))


def _stripped(raw: bytes) -> str | bytes:
    """A line without white space around, which Unicode has more of than ASCII; as bytes if it is not text."""
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.strip()


def _line(text: str | bytes, number: int, longest: int) -> ListLine:
    if isinstance(text, bytes):
        return BadLine(printable(text.decode("utf-8", "backslashreplace"), _SHOWN), number, "is not UTF-8 text")
    if len(text) > longest:
        return BadLine(
            printable(text, _SHOWN), number, f"has {len(text)} characters, more than the {longest} of lists.max_line"
        )
    if _PLAIN.fullmatch(text):
        return ListEntry(text, text, text)
    words = text.split()
    try:
        if words[0] == COMMAND:
            return _command(text, words)
        return _entry(text, words)
    except ValueError as error:
        return BadLine(printable(text, _SHOWN), number, str(error))


def _command(text: str, words: list[str]) -> Command:
    if len(words) < 2:
        raise ValueError("is a command without a word; start NAME and stop are known")
    if words[1] != "start":
        return Command(text, words[1])
    if len(words) < 3:
        raise ValueError("starts a measurement without a name")
    return Command(text, "start", _path(words[2]))


def _entry(text: str, words: list[str]) -> ListEntry:
    stem, several, rest = words[0].partition("::")
    extras = tuple(_path(word) for word in words[1:])
    if not several:
        name, colon, again = words[0].partition(":")
        name = _path(name)
        return ListEntry(text, name, name, again=again if colon else None, extras=extras)
    entry, named, name = rest.partition(";")
    if not named:
        entry, colon, again = rest.partition(":")
        name = stem
    else:
        name, colon, again = name.partition(":")
    if not entry.strip("/"):
        raise ValueError("names a file with '::' but no entry of it")
    return ListEntry(text, _path(name), _path(stem), entry.strip("/"), again if colon else None, extras)


def _path(word: str) -> str:
    """`word` if it is a relative path that stays below its directory, else ValueError with the reason."""
    if not word:
        raise ValueError("has no scan name")
    if word.startswith("/"):
        raise ValueError("holds an absolute path; names are relative to the directory of the list")
    if _CONTROL.search(word):
        raise ValueError("holds a control character, such as NUL")
    if any(part in ("", ".", "..") for part in word.split("/")):
        raise ValueError("holds '..', '.' or an empty part: it could lead out of the directory of the list")
    if any(len(part.encode()) > 240 for part in word.split("/")):
        raise ValueError("holds a name that is longer than a file name can be")
    return word
