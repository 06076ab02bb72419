"""What commands print for people: one line for each thing, which a terminal gets wrapped at its width."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator

import click

from scicat_watch.words import printable, wrapped


def say(text: str, *, err: bool = False, indent: int = 2) -> None:
    """Print a line; on a terminal what does not fit is indented, elsewhere it stays one line for `grep`.

    What files and servers say cannot steer the terminal.
    """
    click.echo(fitted(printable(text), err=err, indent=indent), err=err)


def grouped(entries: Iterable[tuple[str, str]], indent: str, *, once: bool) -> Iterator[str]:
    """Lines of what each has a reason, the reason below; `once`: one that several in a row share comes once."""
    known = list(entries)
    for number, (head, reason) in enumerate(known):
        yield head
        if not (once and known[number + 1 : number + 2] and known[number + 1][1] == reason):
            yield f"{indent}{reason}"


def fitted(text: str, *, err: bool = False, indent: int = 2) -> str:
    """A printable line as it fits the terminal that is standard output, or standard error; as it is elsewhere."""
    return wrapped(text, width(), indent) if on_terminal(err=err) else text


def on_terminal(*, err: bool = False) -> bool:
    """Whether standard output, or standard error, is a terminal."""
    return (sys.stderr if err else sys.stdout).isatty()


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns
