"""`scicat-watch preview`: what a curator sees, and that nothing is written."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.faulty import SpoilingProxy
from tests.flows.program import PROGRAM, Site, free_port
from tests.makers import ID, INGESTED, SCHEMA_FIELDS, beamtime_directory, nexus

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/developer/example-plugin"

SCHEMA = (
    """\
id: mine
name: Mine
instrument: p99
order: 10
selector: filename:contains:run_
variables:
  pid: {source: SCAN, path: pid, value_type: string}
  folder: {source: SCAN, path: source_folder, value_type: string}
  title: {source: NXS, path: /entry/title, value_type: string}
  temperature: {source: NXS, path: /entry/data/temperature, value_type: integer}
  sample: {source: NXS, path: /entry/sample/name, value_type: string}
  about: {source: VALUE, operator: to_upper, value: '<title> of <sample>', value_type: string, default: <title>}
schema:
  pid: {field_type: high_level, machine_name: pid, value: <pid>, type: string}
  name: {field_type: high_level, machine_name: datasetName, value: <pid>, type: string}
  text: {field_type: high_level, machine_name: description, value: <about>, type: string}
"""
    + SCHEMA_FIELDS
    + """\
  sm: {field_type: scientific_metadata, machine_name: temperature, value: <temperature>, type: integer}
  sm_title: {field_type: scientific_metadata, machine_name: title, value: <title>, type: string}
"""
)


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = beamtime_directory(tmp_path / "bt")
    nexus(made / "raw" / "run_1.nxs", title="spin waves")
    return made


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "mine.imsc.yml").write_text(SCHEMA)
    other = (
        SCHEMA.replace("id: mine", "id: {}").replace("order: 10", "order: {}").replace("contains:run_", "contains:{}")
    )
    (tmp_path / "schemas" / "early.imsc.yml").write_text(
        other.replace("{}", "early", 1).replace("{}", "5", 1).replace("{}", "cal_")
    )
    (tmp_path / "schemas" / "late.imsc.yml").write_text(
        other.replace("{}", "late", 1).replace("{}", "50", 1).replace("{}", "1")
    )
    return tmp_path / "schemas"


def shown(site: Site, path: Path, status: int = 0) -> dict[str, Any]:
    ended = site.run("preview", path, "--json")
    assert ended.returncode == status, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_how_everything_comes_about_is_shown_for_programs(tmp_path: Path, beamtime: Path, schemas: Path) -> None:
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    preview = shown(site, beamtime / "raw" / "run_1.nxs")
    assert (preview["pid"], preview["problem"]) == (f"{ID}/raw/run_1", "")
    assert preview["schema"] == {"id": "mine", "name": "Mine", "file": str(schemas / "mine.imsc.yml")}
    assert "not contains 'cal_'" in preview["passed_over"]["early"]
    assert "not tried: mine comes before it" in preview["passed_over"]["late"]
    made = {variable["name"]: variable for variable in preview["variables"]}
    assert list(made) == ["pid", "folder", "title", "temperature", "sample", "about"]
    assert made["temperature"] == {
        "name": "temperature", "line": 10, "source": "NXS", "from": "/entry/data/temperature", "type": "integer",
        "found": 293.5, "converted": True, "required": False, "value": 293, "unit": "K",
    }  # fmt: skip
    assert "/entry/sample/name" in made["sample"]["problem"]
    assert made["about"]["value"] == "spin waves"
    assert "<sample> has no value" in made["about"]["by_default"]
    assert preview["dataset"]["description"] == "spin waves"
    assert preview["dataset"]["scientificMetadata"]["temperature"]["unit"] == "K"
    assert preview["origdatablocks"][0]["dataFileList"][0]["path"] == "raw/run_1.nxs"
    assert preview["catalogue"]["state"] == "unknown"


def test_a_required_variable_without_value_is_shown_with_all_others(
    tmp_path: Path, beamtime: Path, schemas: Path
) -> None:
    mine = schemas / "mine.imsc.yml"
    mine.write_text(
        SCHEMA.replace("path: /entry/title, value_type: string", "path: /gone, value_type: string, required: true")
    )
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    preview = shown(site, beamtime / "raw" / "run_1.nxs", status=1)
    assert f"the required variable title has no value ({mine}:9)" in preview["problem"]
    assert "dataset" not in preview
    assert [variable["name"] for variable in preview["variables"] if "value" in variable] == [
        "pid",
        "folder",
        "temperature",
    ]


def test_a_file_that_no_schema_fits_is_told_with_all_reasons(tmp_path: Path, beamtime: Path, schemas: Path) -> None:
    (schemas / "late.imsc.yml").unlink()
    nexus(beamtime / "raw" / "odd_2.nxs")
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    preview = shown(site, beamtime / "raw" / "odd_2.nxs", status=1)
    assert preview["schema"] is None
    assert "early" in preview["problem"]
    assert "mine" in preview["problem"]


def test_the_page_is_plain_text_in_which_a_file_cannot_move_the_cursor(tmp_path: Path, beamtime: Path) -> None:
    nexus(beamtime / "raw" / "run_1.nxs", title="\x1b[2Jspin waves\x9b1m")
    ended = Site(tmp_path).run("preview", beamtime / "raw" / "run_1.nxs")
    assert ended.returncode == 0
    assert "\x1b" not in ended.stdout
    assert "\x9b" not in ended.stdout
    for words in (
        "spin waves",
        "variables",
        "variables without a value",
        "NXS /:NXentry/title",
        "files: 1",
        "not desy",
    ):
        assert words in ended.stdout


def test_on_a_terminal_it_has_colours(tmp_path: Path, beamtime: Path) -> None:
    nexus(beamtime / "raw" / "run_1.nxs", title="\x1b[2Jspin [red]waves")
    site = Site(tmp_path)
    ours, theirs = pty.openpty()
    command = [PROGRAM, "preview", str(beamtime / "raw" / "run_1.nxs"), "-c", str(site.config)]
    with subprocess.Popen(command, stdout=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "150"}) as process:
        os.close(theirs)
        text = bytearray()
        while True:
            try:
                if not (piece := os.read(ours, 65536)):
                    break
            except OSError:  # The other end is closed.
                break
            text += piece
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[1mvariables" in text
    assert b"\x1b[2J" not in text
    assert b"spin [red]waves" in text


def test_the_difference_to_the_catalogue_is_shown_and_nothing_is_written(
    tmp_path: Path, beamtime: Path, schemas: Path
) -> None:
    server = Site(
        tmp_path, embedded={"port": free_port()}, schemas={"directory": str(schemas)}, reading={"thumbnails": True}
    )
    run = beamtime / "raw" / "run_1.nxs"
    with server.catalogue(server_port(server)) as catalogue:
        with_proxy = SpoilingProxy(catalogue.url)
        away = tmp_path / "away"
        away.mkdir()
        site = Site(
            away, catalogue={"url": with_proxy.base, "credential_file": str(server.credentials())},
            schemas={"directory": str(schemas)}, reading={"thumbnails": True},
        )  # fmt: skip
        assert shown(site, run)["catalogue"]["state"] == "new"
        assert shown(server, run)["catalogue"]["state"] == "new"
        assert catalogue.pids() == []
        assert site.ingest(run).returncode == 0
        assert catalogue.pids() == [f"{ID}/raw/run_1"]
        ingested, before = len(with_proxy.requests), catalogue.dataset(f"{ID}/raw/run_1")
        assert shown(site, run)["catalogue"] == {
            "state": "equal", "reason": "", "pid": f"{ID}/raw/run_1", "changes": [], "left": [],
            "origdatablocks": {"replace": 0, "add": 0, "remove": 0}, "thumbnails": {"clear": False, "add": 0},
        }  # fmt: skip
        nexus(run, title="magnons", points=30)
        different = shown(site, run)["catalogue"]
        assert different["state"] == "different"
        assert {change["field"]: (change["stored"], change["wanted"]) for change in different["changes"]}[
            "description"
        ] == ("spin waves", "magnons")
        assert {change["field"] for change in different["changes"]} == {"description", "scientificMetadata.title"}
        assert different["origdatablocks"] == {"replace": 1, "add": 0, "remove": 0}
        assert different["thumbnails"] == {"clear": True, "add": 1}
        page = site.run("preview", run).stdout
        assert '"spin waves"' in page
        assert '"magnons"' in page
        asked = [(request.method, request.path) for request in with_proxy.requests[ingested:]]
        assert {method for method, path in asked if not path.endswith("/auth/login")} == {"GET"}
        assert catalogue.dataset(f"{ID}/raw/run_1") == before
        with_proxy.close()
    assert not list(beamtime.rglob(f"{INGESTED}.tmp"))


def server_port(site: Site) -> int:
    import yaml

    port: int = yaml.safe_load(site.config.read_text())["embedded"]["port"]
    return port


def test_another_dataset_of_the_same_id_is_a_conflict(tmp_path: Path, beamtime: Path, schemas: Path) -> None:
    site = Site(tmp_path, embedded={"port": free_port()}, schemas={"directory": str(schemas)})
    with site.catalogue(server_port(site)):
        assert site.ingest(beamtime / "raw" / "run_1.nxs").returncode == 0
        mine = schemas / "mine.imsc.yml"
        mine.write_text(SCHEMA.replace("value: <folder>", "value: /another/place"))
        found = shown(site, beamtime / "raw" / "run_1.nxs")["catalogue"]
        assert found["state"] == "conflict"
        assert "/another/place" in found["reason"]


def test_an_unreachable_catalogue_is_exit_status_3_and_everything_else_is_shown(
    tmp_path: Path, beamtime: Path, schemas: Path
) -> None:
    (tmp_path / "secret").write_text("password")
    url = f"http://127.0.0.1:{free_port()}/api/v3"
    site = Site(
        tmp_path, catalogue={"url": url, "credential_file": str(tmp_path / "secret")},
        schemas={"directory": str(schemas)},
    )  # fmt: skip
    preview = shown(site, beamtime / "raw" / "run_1.nxs", status=3)
    assert preview["dataset"]["description"] == "spin waves"
    assert preview["catalogue"]["state"] == "unknown"
    assert url in preview["catalogue"]["reason"]
    asking = SCHEMA.replace("{source: NXS, path: /entry/title", "{source: SC, url: proposals/1, field: title")
    (schemas / "mine.imsc.yml").write_text(asking)
    preview = shown(site, beamtime / "raw" / "run_1.nxs", status=3)
    assert "waits until the catalogue answers" in preview["problem"]
    assert "dataset" not in preview
    made = {variable["name"]: variable for variable in preview["variables"]}
    assert "unavailable" in made["title"]["problem"]
    assert made["temperature"]["value"] == 293


def test_a_package_with_an_operator_a_source_and_a_reader_is_installed_and_used(tmp_path: Path, beamtime: Path) -> None:
    pytest.importorskip("hatchling")
    package, place = tmp_path / "package", tmp_path / "site"
    shutil.copytree(EXAMPLE, package)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    install += ["--disable-pip-version-check", "--target", str(place), str(package)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    (beamtime / "raw" / "ramp_1.steps").write_text("title: Ramp\nquantity: temperature\nunit: K\n1.52\n2.57\n")
    os.utime(beamtime / "raw" / "ramp_1.steps", (4081572000.0, 4081572000.0))
    site = Site(
        tmp_path, watching={"extensions": ["steps"], "master_extensions": ["steps"]},
        schemas={"directory": str(package)}, reading={"thumbnails": True},
    )  # fmt: skip
    without = shown(site, beamtime / "raw" / "ramp_1.steps", status=1)
    assert "cannot be opened as HDF5" in without["problem"]
    environment = os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    arguments = ["preview", str(beamtime / "raw" / "ramp_1.steps"), "--json", "-c", str(site.config)]
    ended = subprocess.run(
        [PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    preview = json.loads(ended.stdout)
    made = {variable["name"]: variable.get("value") for variable in preview["variables"]}
    assert (made["title"], made["highest"], made["rounded"], made["shift"]) == ("Ramp", 2.57, 2.6, "early")
    assert preview["dataset"]["scientificMetadata"]["highest"]["unit"] == "K"
    assert preview["thumbnails"][0]["bytes"] > 1000
    checked = subprocess.run(
        [PROGRAM, "config", "check", str(package)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    without_package = subprocess.run(
        [PROGRAM, "config", "check", str(package)], capture_output=True, text=True, timeout=300, check=False
    )
    assert without_package.returncode == 2
    assert "the operator 'round_to' is not known" in without_package.stderr
