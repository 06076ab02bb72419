"""Outdated and quaint words stay out of pages, help, messages, docstrings and comments; see `docs/glossary.md`.

Each pattern of the table stands for a word that scicat-watch used to have, with the word to use instead. A pattern must
not match ordinary English: the examples below hold both.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import scicat_watch
from scicat_watch.cli import cli
from scicat_watch.embedded.tables import HAS_THUMBNAIL
from scicat_watch.settings.load import RENAMED

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(scicat_watch.__file__).parent

INSTEAD = {
    r"looks? everywhere|look(s|ed|ing)? at everything": "full rescan",
    r"(a|the|each|every|next|another|last|periodic|between) looks?(?![- ]?up)": "rescan, check",
    r"look(s|ed|ing)? (at|again|into)": "check, examine, read, scan",
    r"what( \w+)? (no|an) events? (told|tells?|said)|(no|an) events? (told|tells?)": "missed events; events report",
    r"told|untold": "reported, missed; parameters of",
    r"tells?(?! \S+( \S+){0,2} (apart|from)\b)": "reports, says",
    r"deaf|silent": "without change notification",
    r"lanes?": "queue",
    r"in vain": "without effect",
    r"pictures?": "thumbnail, attachment, image",
    r"hosting": "catalogue process",
    r"surroundings": "context",
    r"mend(s|ed|ing)?": "fix, correct",
    r"ma(de|ke|kes|king) up(?! of\b)": "generated",
    r"left by (its|their|the) writers?|(its|their|the) writers? left": "abandoned",
    r"(is|are|was|were|be) away": "unreachable",
    r"none lost": "without losses",
    r"how things stand": "status",
    r"(?-i:All at once)": "one-time ingest",
    r"(in )?the house(?!-plan)": "architecture, packages",
    r"the cuts|(is|are|was|were) cut(?! (short|off)\b)": "truncations, truncated",
    r"(?-i:HintBox|Door)": "hint queue, HTTP client",
    r"signs? of life": "heartbeat",
}
"""Patterns of words, and what to write instead. A space stands for any white space, upper and lower case are alike."""

_PATTERNS = {
    re.compile(rf"(?i)(?<![\w-])(?:{pattern.replace(' ', chr(92) + 's+')})(?![\w-])"): instead
    for pattern, instead in INSTEAD.items()
}

KEPT = {*RENAMED, HAS_THUMBNAIL}
"""Names that a program or a file of before may hold."""

Text = tuple[int, str]
"""A piece of text, with the line at which it begins."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def old_words(text: str, first: int = 1) -> Iterator[tuple[int, str, str]]:
    """Line, old word and what to write instead; `first`: the line of the beginning of `text`."""
    for pattern, instead in _PATTERNS.items():
        for found in pattern.finditer(text):
            yield first + text.count("\n", 0, found.start()), found[0], instead


def report(path: Path, texts: Iterator[Text]) -> list[str]:
    return [
        f"{name(path)}:{line}: {word!r}: write {instead}"
        for first, text in texts
        for line, word, instead in old_words(text, first)
    ]


PAGES = sorted(
    path
    for directory, pattern in (
        (ROOT, "*.md"), (ROOT / "docs", "**/*.md"), (ROOT / "config", "**/*"), (ROOT / "packaging", "**/*"),
        (SOURCE / "embedded", "templates/*"), (SOURCE / "embedded", "static/*"), (SOURCE / "schemas", "**/*.yml"),
        (ROOT, "Makefile"), (ROOT, "mkdocs.yml"), (ROOT, "pyproject.toml"),
    )
    for path in directory.glob(pattern)
    if path.is_file()
)  # fmt: skip
MODULES = sorted([*SOURCE.rglob("*.py"), ROOT / "docs" / "generate.py"])


def page(path: Path) -> Iterator[Text]:
    """A page, without what it says about old words on purpose."""
    text = path.read_text(encoding="utf-8")
    if path.name == "glossary.md":
        text = re.sub(r"\*formerly\* [^|\n]*", "", text)
    if path.name == "CHANGELOG.md":  # Names that keys and options had.
        text = re.sub(r"`[^`\n]*`", "", text)
    yield 1, text


def module(source: str) -> Iterator[Text]:
    """The string literals, docstrings and comments of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in KEPT:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    context = click.Context(group)
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, verb))
        else:
            yield (*words, verb)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_has_no_old_words(path: Path) -> None:
    assert report(path, page(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_has_no_old_words(path: Path) -> None:
    assert report(path, module(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_the_help_of_a_command_has_no_old_words(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(cli, [*words, "--help"])
    assert answer.exit_code == 0
    assert list(old_words(answer.output)) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Seconds between looks at everything, for\nwhat events did not say.", "looks at everything"),
        ("then the daemon looks everywhere", "looks everywhere"),
        ("start-up and a periodic look find", "periodic look"),
        ("Files of other names are not worth a look.", "a look"),
        ("Lists are looked\n    at again", "looked\n    at"),
        ("a mistake is told with its line", "told"),
        ("It tells every mistake", "tells"),
        ("where the file system is deaf", "deaf"),
        ("at most so many lanes", "lanes"),
        ("asking again is in vain", "in vain"),
        ("no picture could be drawn", "picture"),
        ("the hosting thread", "hosting"),
        ("the caller's surroundings", "surroundings"),
        ("a second run mends it", "mends"),
        ("a beamtime that is made\nup from its name", "made\nup"),
        ("files left by their writer", "left by their writer"),
        ("while the catalogue is away", "is away"),
        ("once, and none lost", "none lost"),
        ("# How things stand", "How things stand"),
        ("# All at once", "All at once"),
        ("the house as built", "the house"),
        ("the rest is cut, and the dataset says so", "is cut"),
        ("class Door", "Door"),
        ("last sign of life", "sign of life"),
    ],
)
def test_an_old_word_is_found_with_its_line(text: str, word: str) -> None:
    found = {old.casefold(): line for line, old, _ in old_words(text, 7)}
    assert word.casefold() in found
    assert found[word.casefold()] == 7 + text.casefold().partition(word.casefold())[0].count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "a group that is made up of three parts",
        "a look-up in the catalogue; the look up that failed; it looks for a file",
        "the modules of the package, to tell a module from a name in it",
        "what tells requests apart",
        "a stop cuts the wait short; what is beyond is cut off; the wait was cut short",
        "silently, amended, recommended, planes, storytelling, picturesque",
        "read all at once",
        "`DOOR_proposalId`, next door",
        "the house-plan test",
        "it goes away; two directories away",
        "made_up, silent_rescan_interval, picture_extensions",
    ],
)
def test_ordinary_english_is_left_alone(text: str) -> None:
    assert list(old_words(text)) == []


def test_strings_docstrings_and_comments_of_a_module_are_read() -> None:
    source = '"""It was told."""\nx = f"{1} lanes"  # in vain\n\n\ndef told():\n    """Ends\n\n    deaf."""\n'
    found = {(line, word) for first, text in module(source) for line, word, _ in old_words(text, first)}
    assert found == {(1, "told"), (2, "lanes"), (2, "in vain"), (8, "deaf")}
