"""ESS's recorded cases through the installed command: the same documents, requests and exit status."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.flows.ess_site import OTHER_COMMAND, EssSite, Scicat, merged
from tests.recorded import ESS

HEX32 = re.compile(r"[0-9a-f]{32}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z")


def cases() -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads((ESS / "cases.json").read_text())["cases"]]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Scicat]:
    case = request.getfixturevalue("case")
    scicat = Scicat(json.loads((ESS / "records.json").read_text()), case.get("existing"))
    yield scicat
    scicat.close()


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("config_format", ["yaml", "json"])
def test_a_recorded_case_gives_the_recorded_documents(
    case: dict[str, Any], config_format: str, server: Scicat, tmp_path: Path
) -> None:
    expected = json.loads((ESS / "expected" / f"{case['name']}.json").read_text())
    data_file = tmp_path / case["as"]
    data_file.parent.mkdir(parents=True)
    shutil.copyfile(ESS / case["nexus"], data_file)
    data_file.chmod(0o644)
    (tmp_path / "schemas").mkdir()
    for name in case["schemas"]:
        shutil.copyfile(ESS / "schemas" / name, tmp_path / "schemas" / name)
    for folder in case.get("mkdir", ()):
        (tmp_path / folder).mkdir()
    text = (ESS / "base-config.json").read_text().replace("@ROOT@", str(tmp_path))
    config = json.loads(text.replace("@HOST@", server.base.removesuffix("/api/v3")))
    site = EssSite(tmp_path, server)
    site.config = merged(config, case.get("config", {}))
    before = set(tmp_path.rglob("*"))
    as_json = config_format == "json" or case.get("config_format") == "json"
    command = {"command": OTHER_COMMAND} if as_json else {}

    done = site.run(data_file, *case.get("args", ()), json_config=as_json, umask=0o022, **command)

    assert (done.returncode == 0) == expected["exit_ok"], done.stderr
    assert [name for name, _ in server.posts] == expected["posts"]
    if not config_of(site)["compute_file_stats"]:
        _with_sizes(expected, data_file.stat().st_size)
    for kind in ("datasets", "origdatablocks"):
        _agree(server.posted(kind), expected[kind], tmp_path, f"{kind}")
    made = {body["pid"] for body in server.posted("datasets")}
    assert all(body["datasetId"] in made for body in server.posted("origdatablocks")) == expected["linked"]
    if "watch" in case:
        new = [path for path in set(tmp_path.rglob("*")) - before if path.parent.name in case["watch"]]
        assert sorted(str(path.relative_to(tmp_path)) for path in new) == expected["written"]


def config_of(site: EssSite) -> dict[str, Any]:
    handling: dict[str, Any] = site.config["ingestion"]["file_handling"]
    return {"compute_file_stats": True} | handling


def _with_sizes(expected: dict[str, Any], size: int) -> None:
    """Without statistics ESS's program sends no sizes, which backends refuse: ours sends them."""
    for document in (*expected["datasets"], *expected["origdatablocks"]):
        document["size"] = size
        for file in document.get("dataFileList", ()):
            file["size"] = size


def _agree(found: Any, expected: Any, root: Path, where: str) -> None:
    """`found` is what `expected` says, with its markers for what differs from run to run."""
    match expected:
        case dict():
            assert set(found) == set(expected), where
            for key in expected:
                _agree(found[key], expected[key], root, f"{where}.{key}")
        case list():
            assert len(found) == len(expected), where
            for number, member in enumerate(expected):
                _agree(found[number], member, root, f"{where}.{number}")
        case "@NOW@":
            assert abs(datetime.fromisoformat(found) - datetime.now(UTC)) < timedelta(hours=1), where
            assert re.search(r"\.\d+\+00:00$", found), where
        case "@TIME@":
            assert TIME.fullmatch(found), where
        case "@UID@" | "@GID@":
            assert found == str(os.getuid() if expected == "@UID@" else os.getgid()), where
        case "@UUID@":
            assert UUID.fullmatch(found), where
        case "@HEX32@":
            assert HEX32.fullmatch(found), where
        case str():
            assert found == expected.replace("@ROOT@", str(root)), where
        case _:
            assert found == expected, where
