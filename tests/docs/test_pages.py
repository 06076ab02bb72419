"""Pages are correct: links, commands, settings and make targets exist; nothing is loaded from other hosts."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from scicat_watch.cli import cli
from scicat_watch.settings.load import RENAMED
from scicat_watch.settings.model import Settings

ROOT = Path(__file__).resolve().parents[2]
OTHER_YAML = {"schemas.md", "extending.md", "ess.md"}
"""Pages whose YAML is a schema or a configuration of another program; other tests check those."""
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as mkdocs makes them."""
    heads = re.findall(r"(?m)^#+ (.*)$", _without_code(page.read_text(encoding="utf-8")))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


def _without_code(text: str) -> str:
    return re.sub(r"(?ms)^( *)```.*?^\1```", "", text)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = _without_code(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} does not exist"
        assert file.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(file), f"{name} has no heading for #{anchor}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=ids)
def test_every_command_on_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"scicat-watch ((?:[a-z]+ ?)+)(?=[\[`\-/…A-Z\n])", _commands_in(text))
    for words in lines:
        verbs = words.split()
        command = verbs[:2] if verbs[0] == "config" else verbs[:1]
        answer = CliRunner().invoke(cli, [*command, "--help"])
        assert answer.exit_code == 0, f"scicat-watch {' '.join(command)}: {answer.output}"


def _commands_in(text: str) -> str:
    """The code that begins with the program's name."""
    spans = re.findall(r"`(scicat-watch [^`]+)`", text)
    fenced = "\n".join(block for _, block in re.findall(r"(?ms)^( *)```sh\n(.*?)^\1```", text))
    blocks = re.findall(r"(?m)^ *(?:sudo -u \S+ )?(scicat-watch [a-z].*)$", fenced)
    return "\n".join([*(f"{span}`" for span in spans), *blocks]) + "\n"


def test_every_make_target_on_a_page_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_configuration_on_a_page_is_one(page: Path) -> None:
    if page.name in OTHER_YAML:
        return
    for block in re.findall(r"(?ms)^( *)```yaml\n(.*?)^\1```", page.read_text(encoding="utf-8")):
        Settings.model_validate(yaml.safe_load(block[1]))


def test_every_setting_that_a_page_names_exists() -> None:
    known = set(_names(Settings().model_dump(), ""))
    sections = "|".join(name for name in Settings.model_fields if name != "var_dir")
    for page in PAGES:
        for name in re.findall(rf"`((?:{sections})\.[a-z_.]+)`", page.read_text(encoding="utf-8")):
            module = (ROOT / "scicat_watch" / name.replace(".", "/")).with_suffix(".py").exists()
            old = page.name == "CHANGELOG.md" and name in RENAMED
            assert name in known or module or old or name.endswith(".sqlite"), f"{page.name}: {name}"


def _names(data: object, above: str) -> list[str]:
    if not isinstance(data, dict):
        return []
    here = [f"{above}{name}" for name in data]
    return here + [inner for name, value in data.items() for inner in _names(value, f"{above}{name}.")]


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    shown = set(re.findall(r": (\S+\.md)$", text, re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert shown == {page for page in pages if "example-plugin" not in page}


def test_the_service_starts_the_daemon_on_the_configuration() -> None:
    unit = (ROOT / "packaging" / "systemd" / "scicat-watch.service").read_text(encoding="utf-8")
    for line in ("ExecStart=/usr/bin/scicat-watch run -c /etc/scicat-watch/config.yml", "Restart=always"):
        assert f"\n{line}\n" in unit
    assert "StateDirectory=scicat-watch" in unit


def test_the_documentation_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    places = ["--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(tmp_path / "site")]
    built = subprocess.run([*build, *places], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)\b[^>]*?(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert loaded == [], page
