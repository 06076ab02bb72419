"""The reference pages say what the program does, all of it, and the repository has them as they are made."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from scicat_watch.cli import VERBS, cli
from scicat_watch.settings import reference
from scicat_watch.settings.load import load
from scicat_watch.settings.model import Settings
from scicat_watch.words import markdown_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_in_the_repository_are_those_that_the_program_makes(generate: ModuleType) -> None:
    stale = [str(path.relative_to(ROOT)) for path in generate.stale(generate.pages())]
    assert stale == [], "run `make docs`"


def test_a_stale_page_is_told_and_then_written(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, said = tmp_path / "page.md", list[str]()
    page.write_text("old")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: {page: "new"})
    assert generate.main(["--check"], said.append) == 1
    assert page.read_text() == "old"
    assert generate.main([], said.append) == 0
    assert page.read_text() == "new"
    assert generate.main(["--check"], said.append) == 0
    assert said == ["stale: page.md", "written: page.md"]


def test_every_setting_and_section_has_a_description() -> None:
    assert reference.undocumented() == []


def test_every_setting_is_on_the_page() -> None:
    page = reference.settings_page()
    for name in Settings.model_fields:
        assert f"`{name}`" in page
    assert "| `timeout` | number, more than 0 | `30.0` |" in page
    assert "## `catalogue.patience`" in page


def test_the_sample_is_a_configuration_with_all_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(Path.home() / ".local/state"))
    file = tmp_path / "config.yml"
    file.write_text(reference.sample(), encoding="utf-8")
    assert load(file) == Settings()
    # "#key" is a key that is turned off, "# text" a remark.
    file.write_text(re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", reference.sample()), encoding="utf-8")
    assert load(file) == Settings()
    assert _keys(yaml.safe_load(file.read_text(encoding="utf-8"))) == _keys(Settings().model_dump())


def _keys(data: object) -> object:
    return {key: _keys(value) for key, value in data.items()} if isinstance(data, dict) else None


def test_a_cell_cannot_break_its_table() -> None:
    made = markdown_table(["a"], [["one | two\nthree <b> `<kept>`"]])
    assert made.splitlines()[2] == r"| one \| two three &lt;b> `<kept>` |"


def test_every_verb_and_option_is_documented(generate: ModuleType) -> None:
    page = generate.commands_page()
    context = click.Context(cli, info_name="scicat-watch")
    assert set(cli.list_commands(context)) == set(VERBS)
    for path, command, inner in generate._commands(cli, context):
        assert command.help, f"{path} has no help text"
        assert f"## `{path}`" in page
        for words, told, _ in generate.options(command, inner):
            assert told, f"{path} {words} has no help text"
            assert words.replace("|", r"\|") in page
    for verb in VERBS:
        assert f"## `scicat-watch {verb}" in page
