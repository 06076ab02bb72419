"""Writes the reference pages of the documentation and the commented sample configuration from the program itself.

`python docs/generate.py` writes them; with `--check` it only says which are stale, exit status 1. They are
kept in the repository, so that they can be read there and a change of a setting shows in its diff.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from scicat_watch.cli import cli
from scicat_watch.pipeline import assemble, convert, dataset, operators
from scicat_watch.pipeline import schema as schemas
from scicat_watch.pipeline.sources import scan
from scicat_watch.settings import reference

ROOT = Path(__file__).resolve().parents[1]

Rows = Sequence[Sequence[str]]

SOURCES: Mapping[str, str] = {
    "NXS": "A field or attribute of the scan's NeXus file. `path` is an HDF5 path; `:NXsample` stands for the "
    "first group of that class (*new*), `@name` at the end for an attribute (*new*), and `*`, for type `string[]`, for "
    "any characters of a name.",
    "VALUE": "A literal (`value`) in which `<name>` stands for an earlier variable, and what an "
    "`operator` makes of it.",
    "BT": "A field of the beamtime metadata file. `path` is dotted: `title`, `pi.email`. *New.*",
    "SCAN": "What is known of the scan itself, by the names below. *New.*",
    "SC": "A record of the catalogue. `url` is below its base, such as `proposals/<proposal>`; `field` names the "
    "member of the answer.",
}
"""Sources of variables, for curators."""
TOP_KEYS: Mapping[str, str] = {
    "id": "Identifies the schema in messages. A later file with the same id takes the place of the earlier.",
    "name": "Name for people.",
    "instrument": "The instrument that it is for; for information.",
    "order": "Number. Schemas are tried from the lowest to the highest; the first that fits is taken.",
    "selector": "Which scans it fits. See below.",
    "variables": "Name → definition. They are made in the order of the file.",
    "schema": "Label → item: a field of the dataset, or an entry of its scientific metadata.",
    "sample_attachment": "Optional: looks the sample's id up in the catalogue, by `query_sample_name: true`, "
    "`sample_name_path` and `proposal_id_path`.",
}
"""Keys of a schema file."""
VARIABLE_KEYS: Mapping[str, str] = {
    "source": "One of the sources below.",
    "value_type": "What the value is converted to. See the value types.",
    "unit": "Unit, where the source brings none.",
    "path": "NXS, BT, SCAN: which value.",
    "url": "SC: what to ask for.",
    "value": "VALUE: text, a list or a mapping, in which `<name>` stands for an earlier variable.",
    "operator": "VALUE: what is done with the value.",
    "default": "Value that is taken when the source has none. *New.*",
    "required": "`true`: a scan without this value is refused rather than ingested without it. *New.*",
    "field": "Operators and SC: which member.",
    "pattern": "Operators: text or expression to look for.",
    "replacement": "Operators: what to put instead.",
    "start": "Operators: first position.",
    "stop": "Operators: first position that is left out.",
    "operand": "Operators: second number.",
    "separator": "Operators: text in between.",
    "zone": "Operators: time zone.",
}
"""Keys of a variable."""
ITEM_KEYS: Mapping[str, str] = {
    "field_type": "`high_level` for a field of the dataset, `scientific_metadata` for an entry there, `nexus_tree` "
    "for groups of the NeXus file as scientific metadata (*new*).",
    "machine_name": "Name of the field or entry. Of two items with one name the later wins.",
    "value": "As in a VALUE variable.",
    "type": "Value type.",
    "human_name": "Name for people, of a scientific metadata entry.",
    "unit": "Unit, instead of that of the value.",
    "form": "Shape of a scientific metadata entry: `quantity` (value, type, human_name, unit), `value_unit`, or "
    "`plain`. *New.*",
    "optional": "`true`: a scan without the value is nothing to tell about. *New.*",
}
"""Keys of an item."""
SELECTOR_SOURCES: Mapping[str, str] = {
    "filename": "Path of the data file as it was given.",
    "datafile": "The same.",
    "nexusfile": "The same.",
    "beamline": "`beamline` of the beamtime metadata. *New.*",
    "facility": "`facility` of the beamtime metadata. *New.*",
    "definition": "Application definition of the NeXus file, e.g. `NXsaxs`. *New.*",
}
"""What a selector can look at."""
SELECTOR_FUNCTIONS: Mapping[str, str] = {
    "starts_with": "Begins with the text.",
    "contains": "Holds the text.",
    "ends_with": "Ends with the text. *New.*",
    "equals": "Is the text. *New.*",
    "matches": "The regular expression is found anywhere in it. *New.*",
}
"""What a selector can ask."""

_MADE = "<!-- Made by docs/generate.py: do not edit. -->\n\n"
_EXIT_STATUS = """
Exit status of every verb: 0 all done; 1 something failed, and it was said which; 2 wrong usage or configuration; 3 the
catalogue is unreachable.
"""
_LANGUAGE = """\
# Metadata schemas

A schema file (`*.imsc.yml`) says what a dataset holds. It is YAML or JSON in the language of ESS's ingestor; what is
marked *new* is an addition. The schemas that are shipped, `scicat_watch/schemas/*.imsc.yml`, are good examples. To use
your own, put them into a directory and name that as `schemas.directory`. `scicat-watch config check` tells mistakes
with file and line; `scicat-watch preview FILE` shows what a schema makes of a scan.
"""
_SELECTORS = """\
`"*"` fits every scan. `SOURCE:FUNCTION:ARGUMENT` is one condition, with exactly two colons; written out it is
`{source: …, operator: …, operand_2: …}`, and the argument may then hold colons. `{or: […], and: […]}` wants at least
one of the first list and all of the second. Upper and lower case differ. Example: `facility:starts_with:PETRA`.
"""


def pages() -> dict[Path, str]:
    """What is made, by file."""
    place = ROOT / "docs" / "reference"
    return {
        place / "settings.md": _MADE + reference.settings_page(),
        place / "commands.md": _MADE + commands_page(),
        place / "schemas.md": _MADE + language_page(),
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
        parts += [reference.table(["option", "meaning", "default"], options(command, context)), ""]
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


def language_page() -> str:
    """The schema language, from the tables that schemas are evaluated with."""
    parts = [
        _LANGUAGE,
        _heading("Keys of a file", ["key", "meaning"], _coded(TOP_KEYS)),
        "## Selectors\n",
        _SELECTORS,
        reference.table(["source", "looks at"], _coded(SELECTOR_SOURCES)),
        reference.table(["function", "true if it"], _coded(SELECTOR_FUNCTIONS)),
        _heading("Keys of a variable", ["key", "meaning"], _coded(VARIABLE_KEYS)),
        _heading("Sources of variables", ["source", "gives"], _coded(SOURCES)),
        _heading("Names of SCAN", ["path", "gives"], _coded(dict(listed(scan.__doc__ or "")))),
        _heading("Predefined variables", ["name", "value"], _coded(assemble.PREDEFINED)),
        _heading("Value types", ["type", "takes"], _coded(dict(listed(convert.__doc__ or "")))),
        _heading("Operators", ["operator", "does", "takes"], _operators()),
        _heading("Keys of an item", ["key", "meaning"], _coded(ITEM_KEYS)),
        _heading("Keys of a nexus_tree item", ["key", "meaning", "default"], _tree()),
        "## Fields of a dataset\n",
        "An item of `field_type: high_level` can set these; the ones in bold must have a value.\n",
        ", ".join(f"**`{name}`**" if name in dataset.MANDATORY else f"`{name}`" for name in sorted(dataset.FIELDS)),
    ]
    return "\n".join(parts) + "\n"


def listed(docstring: str) -> Iterator[tuple[str, str]]:
    """The pairs of a docstring's table: a name, two blanks or more, and what it means."""
    for line in inspect.cleandoc(docstring).splitlines():
        if match := re.fullmatch(r"\s*(\S+(?: \S+)*) {2,}(\S.*)", line):
            yield match[1], match[2]


def attribute_docstrings(kind: type[Any]) -> dict[str, str]:
    """What stands in quotes below the attributes of a class."""
    body = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body[0]
    found = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for statement, following in itertools.pairwise(statements):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            told = following.value if isinstance(following, ast.Expr) else None
            if isinstance(told, ast.Constant) and isinstance(told.value, str):
                found[statement.target.id] = told.value
    return found


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


def _operators() -> Rows:
    rows = []
    for operator in operators.OPERATORS:
        names = ", ".join(f"`{name}`" for name in (operator.name, *operator.spellings))
        takes = "; ".join(f"`{key}`: {meaning}" for key, meaning in operator.arguments.items())
        rows.append([names, operator.effect + (" *New.*" if operator.new else ""), takes])
    return rows


def _tree() -> Rows:
    standard = schemas.TreeOptions()
    told = attribute_docstrings(schemas.TreeOptions)
    return [[f"`{name}`", told.get(name, ""), f"`{_plain(getattr(standard, name))}`"] for name in told]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _coded(meanings: Mapping[str, str]) -> Rows:
    return [[f"`{name}`", meaning] for name, meaning in meanings.items()]


def _heading(title: str, header: Sequence[str], rows: Rows) -> str:
    return f"## {title}\n\n{reference.table(header, rows)}"


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
