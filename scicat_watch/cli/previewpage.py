"""A preview as text: plain, or with colours and fitted columns on a terminal.

Control characters in what comes from files and servers are escaped: a title must not be able to control
the reader's terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scicat_watch.words import counted

_LONGEST = 72
"""Characters of a cell; `--json` has the whole value."""
_FILES = 20
"""Number of files of a file list that are shown."""

Shown = Mapping[str, Any]
"""A preview, or a part of it, as `service.previewjson` makes it."""
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the page: a heading and the rows below it."""

    heading: str
    columns: Row = ()
    """Headings of the columns; without any the rows are lines of text."""
    rows: tuple[Row, ...] = ()
    bad: bool = False
    """Whether it reports what is wrong."""


def parts(preview: Shown, catalogue_url: str) -> Iterator[Part]:
    """The page of one scan."""
    yield Part(f"scan {_safe(preview['pid'])}", ("", ""), tuple(_head(preview)))
    values = tuple(_value_row(made) for made in preview["variables"] if "value" in made)
    if values:
        yield Part("variables", ("name", "value", "unit", "source", "type"), values)
    failed = tuple(_failed_row(made) for made in preview["variables"] if "problem" in made)
    if failed:
        yield Part("variables without a value", ("name", "line", "source", "reason"), failed, bad=True)
    if preview["problem"]:
        yield Part("cannot be ingested", (), ((_safe(preview["problem"]),),), bad=True)
    if "dataset" in preview:
        yield from _documents(preview)
    yield _catalogue(preview["catalogue"], catalogue_url)


def plain(page: Sequence[Part]) -> str:
    """The page as text of aligned columns."""
    lines: list[str] = []
    for part in page:
        lines += ["", part.heading] if lines else [part.heading]
        lines += [f"  {line}".rstrip() for line in _aligned(part)]
    return "\n".join(lines)


def print_coloured(page: Sequence[Part]) -> None:
    """Print the page on the terminal that is standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for part in page:
        console.print(Text(part.heading, style="bold red" if part.bad else "bold"))
        table = Table(box=box.SIMPLE_HEAD if any(part.columns) else None, show_header=any(part.columns), pad_edge=True)
        for name in part.columns or ("",):
            table.add_column(Text(name), overflow="fold")
        for row in part.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


def _head(preview: Shown) -> Iterator[Row]:
    if preview["file"] is not None:
        yield "file", _safe(preview["file"])
    if preview["waiting"]:
        yield "waiting", _safe(preview["waiting"])
    schema = preview["schema"]
    yield "schema", "none" if schema is None else _safe(f"{schema['id']}: {schema['name']} ({schema['file']})")
    for name, reason in preview["passed_over"].items():
        yield f"not {_safe(name)}", _safe(reason)


def _value_row(made: Shown) -> Row:
    kind = f"{made['type']}, from {_cell(made['found'])}" if made["converted"] else made["type"]
    source = "default" if "by_default" in made else _cell(f"{made['source']} {made['from']}".rstrip(), quoted=False)
    return _safe(made["name"]), _cell(made["value"]), _safe(made["unit"]), source, kind


def _failed_row(made: Shown) -> Row:
    name = _safe(made["name"]) + (" (required)" if made["required"] else "")
    return name, str(made["line"] or ""), _safe(made["source"]), _safe(made["problem"])


def _documents(preview: Shown) -> Iterator[Part]:
    text = json.dumps(preview["dataset"], indent=2, ensure_ascii=False)
    yield Part("dataset", (), tuple((_safe(line),) for line in text.splitlines()))
    for block in preview["origdatablocks"]:
        files = block["dataFileList"]
        rows = [(_safe(file["path"]), str(file.get("size", "")), str(file.get("time", ""))) for file in files[:_FILES]]
        more = [(f"… and {len(files) - _FILES} more", "", "")] if len(files) > _FILES else []
        yield Part(f"files: {len(files)}, {counted(block['size'], 'byte')}", ("path", "bytes", "time"), (*rows, *more))
    for thumbnail in preview["thumbnails"]:
        yield Part(
            "thumbnail", (), ((f"{counted(thumbnail['bytes'], 'byte')} {_safe(thumbnail['caption'])}".rstrip(),),)
        )
    if preview["notes"]:
        yield Part("notes", (), tuple((_safe(note),) for note in preview["notes"]))


_STATES = {
    "new": "new: the dataset would be created",
    "equal": "equal: nothing would be written",
    "different": "different: the dataset would be updated",
    "conflict": "conflict: it would be refused",
}


def _catalogue(difference: Shown, url: str) -> Part:
    heading = f"in the catalogue at {url}" if url else "in the catalogue"
    state = difference["state"]
    about = _safe(": ".join(filter(None, [_STATES.get(state, state), difference["reason"]])))
    rows: list[Row] = [
        (_safe(change["field"]), _cell(change["stored"]), _cell(change["wanted"])) for change in difference["changes"]
    ]
    rows += [
        (f"{_safe(change['field'])} (left as it is)", _cell(change["stored"]), _cell(change["wanted"]))
        for change in difference["left"]
    ]
    blocks, thumbnails = difference["origdatablocks"], difference["thumbnails"]
    if any(blocks.values()):
        changes = f"{blocks['replace']} replaced, {blocks['add']} added, {blocks['remove']} removed"
        rows.append(("file lists", "", changes))
    if any(thumbnails.values()):
        rows.append(("thumbnails", "all removed" if thumbnails["clear"] else "", f"{thumbnails['add']} added"))
    if not rows:
        return Part(heading, (), ((about,),), state == "conflict")
    return Part(f"{heading}: {about}", ("field", "stored", "wanted"), tuple(rows))


def _aligned(part: Part) -> Iterator[str]:
    header = [part.columns] if any(part.columns) else []
    rows = [*header, *part.rows]
    for row in rows:
        widths = [max(len(other[column]) for other in rows) for column in range(len(row))]
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _cell(value: Any, *, quoted: bool = True) -> str:
    """A value on one line of limited length: text in quotes, so that spaces and empty text are visible."""
    if value is None:
        return "null"
    text = json.dumps(value, ensure_ascii=False, default=str) if quoted or not isinstance(value, str) else value
    text = _safe(text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _safe(text: str) -> str:
    """`text` with its control characters escaped, e.g. "\\x1b": a curator sees what is in the file."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
