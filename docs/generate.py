"""Writes the reference pages of the documentation and the commented sample configuration from the program itself.

`python docs/generate.py` writes them; with `--check` it only says which are stale, exit status 1. They are
kept in the repository, so that they can be read there and a change of a setting shows in its diff.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from scicat_watch.cli import cli
from scicat_watch.pipeline.assembly import reference as language
from scicat_watch.settings import reference
from scicat_watch.words import markdown_table

ROOT = Path(__file__).resolve().parents[1]
LANGUAGE = ROOT / "docs" / "reference" / "schemas.md"
"""Written by hand but for its tables."""

_MADE = "<!-- Made by docs/generate.py: do not edit. -->\n\n"
_EXIT_STATUS = """
Exit status of every verb: 0 all done; 1 something failed, and it was said which; 2 wrong usage or configuration; 3 the
catalogue is unreachable.
"""


def pages() -> dict[Path, str]:
    """What is made, by file."""
    place = ROOT / "docs" / "reference"
    return {
        place / "settings.md": _MADE + reference.settings_page(),
        place / "commands.md": _MADE + commands_page(),
        LANGUAGE: language.filled_in(LANGUAGE.read_text(encoding="utf-8")),
        ROOT / "config" / "scicat-watch.yml": reference.sample(),
    }


def commands_page() -> str:
    """All verbs with their arguments and options."""
    parts = [
        "# Commands\n",
        cli.help or "",
        _EXIT_STATUS,
    ]
    for path, command, context in _commands(cli, click.Context(cli, info_name="scicat-watch", terminal_width=100)):
        usage = command.get_usage(context).removeprefix("Usage: ")
        parts += [f"## `{path}`\n", f"```text\n{usage}\n```\n", inspect.cleandoc(command.help or ""), ""]
        parts += [markdown_table(["option", "meaning", "default"], options(command, context)), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def options(command: click.Command, context: click.Context) -> list[list[str]]:
    """The options of a verb that people use: spellings, help text, default."""
    rows = []
    for option in command.get_params(context):
        if isinstance(option, click.Option) and not option.hidden and "--help" not in option.opts:
            words = f"{', '.join(option.opts)} {_argument(option)}".strip()
            rows.append([f"`{words}`", option.help or "", f"`{option.default}`" if option.show_default else ""])
    return rows


def _argument(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices)
    return str(option.type.name).split(" ", maxsplit=1)[0].upper()


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner.command_path, command, inner


def stale(made: Mapping[Path, str]) -> list[Path]:
    """The files that are not what they should be."""
    return [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(arguments: Sequence[str], say: Callable[[str], None] = click.echo) -> int:
    """Write the files, or only look (`--check`); the exit status."""
    made = pages()
    old = stale(made)
    for path in old:
        say(f"{'stale' if '--check' in arguments else 'written'}: {path.relative_to(ROOT)}")
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
