"""Configuration files: every mistake is reported with its place and what to do, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_watch.catalogue.login import Credentials
from scicat_watch.errors import ConfigError
from scicat_watch.model import Secret
from scicat_watch.settings import load
from scicat_watch.settings.load import ConfigErrors
from scicat_watch.settings.model import Settings
from scicat_watch.settings.scans import ListsSection


def _file(directory: Path, text: str) -> Path:
    path = directory / "scicat-watch.yml"
    path.write_text(text)
    return path


def test_a_file_says_what_differs_from_the_defaults(tmp_path: Path) -> None:
    path = _file(tmp_path, "beamtimes:\n  directories: [/gpfs/current]\nwatching:\nlists:\n  max_line: 100\n")
    settings = load.load(path)
    assert settings.beamtimes.directories == (Path("/gpfs/current"),)
    assert settings.lists.max_line == 100
    assert settings.watching == Settings().watching


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load.load(_file(tmp_path, "# nothing\n")) == load.default()


def test_the_command_line_wins_key_by_key(tmp_path: Path) -> None:
    path = _file(tmp_path, "embedded:\n  port: 1\n  host: 127.0.0.2\n")
    settings = load.load(path, {"embedded": {"port": 2}, "catalogue": {"patience": {"first_wait": 3}}})
    assert (settings.embedded.port, settings.embedded.host) == (2, "127.0.0.2")
    assert settings.catalogue.patience.first_wait == 3
    assert load.default({"var_dir": "~/state"}).var_dir == Path("~/state").expanduser()


def test_a_file_in_json_is_read_tabs_and_all(tmp_path: Path) -> None:
    path = _file(tmp_path, '{\n\t"embedded": {\n\t\t"port": 17\n\t}\n}\n')
    assert load.load(path).embedded.port == 17


@pytest.mark.parametrize(
    ("text", "line", "reported"),
    [
        ("beamtimes:\n  directory: [/a]\n", 2, "did you mean 'directories'"),
        ("watchin:\n", None, None),
        ("watchin: {}\n", 1, "did you mean 'watching'"),
        ("max_depth: 3\n", 1, "did you mean 'watching.max_depth'?"),
        ("lists:\n  zzz: 3\n", 2, "known: dataset_list"),
        ("catalogue:\n  patience:\n    first: 3\n", 3, "did you mean 'first_wait'"),
        ("watching:\n  max_depth: -5\n", 2, "watching.max_depth: "),
        ("watching:\n  trigger: events\n", 2, "'lists', 'files' or 'both'"),
        ("embedded:\n  port: many\n", 2, "embedded.port: "),
        ("beamtimes:\n  directories:\n  - /a\n  - 17\n", 4, "beamtimes.directories.1: "),
        ("lists: {dataset_list: a.lst, ingested_list: a.lst}\n", 1, "every scan would count as done"),
        ("lists:\n  dataset_list: 'a-{beamtimeId}.lst'\n", 2, "only {beamtime} and {host} are known"),
        ("lists:\n  dataset_list: 'a-{beamtime.__class__}.lst'\n", 2, "only {beamtime} and {host} are known"),
        ("lists:\n  dataset_list: 'a-{beamtime.lst'\n", 2, "is not a pattern"),
        ("lists:\n  ingested_list: '../a-{beamtime}.lst'\n", 2, "is not the name of a file"),
        ("- a\n- b\n", 1, "mapping of sections"),
        ("1: 2\n", 1, "Keys should be strings"),
        ("a: [\n", 2, "not readable as YAML"),
        ("lists:\n  max_line: 100\n  max_line: 200\n", 3, "is repeated here, first in line 2"),
        ("a: 1\n---\nb: 2\n", 2, "not readable as YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "not readable as YAML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, text: str, line: int | None, reported: str | None) -> None:
    path = _file(tmp_path, text)
    if reported is None:
        assert load.load(path) == load.default()
        return
    with pytest.raises(ConfigError) as caught:
        load.load(path)
    place = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(caught.value).startswith(place)
    assert reported in str(caught.value)


def test_all_mistakes_of_a_file_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load.load(_file(tmp_path, "embedded:\n  port: -1\n  prot: 1\nlists:\n  max_line: 1\n"))
    assert [error.line for error in caught.value.errors] == [2, 3, 5]


@pytest.mark.parametrize(("old", "new"), load.RENAMED.items())
def test_an_old_name_of_a_key_is_answered_with_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    section, key = old.split(".")
    path = _file(tmp_path, f"{section}:\n  {key}: 1\n")
    with pytest.raises(ConfigErrors) as caught:
        load.load(path)
    assert str(caught.value) == f"{path}:2: {old} is called {new} now"
    new_section, new_key = new.split(".")
    assert new_key in getattr(Settings(), new_section).model_dump()


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            load.load(path)
    (tmp_path / "latin.yml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load.load(tmp_path / "latin.yml")


def test_a_password_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load.load(_file(tmp_path, "catalogue:\n  password: hunter2\n  url: [hunter2]\n"))
    assert "hunter2" not in str(caught.value)
    known = Credentials("ingestor", Secret("hunter2"), Secret("hunter3"))
    assert "hunter" not in repr(known)


def test_a_brace_of_the_name_itself_is_doubled() -> None:
    assert (
        ListsSection(dataset_list="a{{1}}-{beamtime}-{host}.lst").dataset_list.format(beamtime="7", host="h")
        == "a{1}-7-h.lst"
    )
