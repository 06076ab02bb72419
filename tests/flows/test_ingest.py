"""The one-shot, the preview and the configuration check through the installed program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.flows.beamline import recorded_beamtime
from tests.flows.program import PROGRAM, Site, eventually, free_port
from tests.makers import ID, INGESTED, LIST, append, beamtime_directory, nexus


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = beamtime_directory(tmp_path / "bt")
    for number in (1, 2, 3):
        nexus(made / "raw" / f"run_{number}.nxs", title=f"title {number}")
    append(made / "raw" / LIST, "run_1", "run_2")
    return made


def test_a_second_run_changes_nothing_and_a_changed_file_is_updated(site: Site, beamtime: Path) -> None:
    first = site.ingest(beamtime)
    assert (first.returncode, first.stdout.splitlines()[-1]) == (0, "3 created, 0 updated, 0 unchanged, 0 failed")
    with site.catalogue() as catalogue:
        before = [catalogue.dataset(pid)["updatedAt"] for pid in catalogue.pids()]
    assert site.ingest(beamtime).stdout.splitlines()[-1] == "0 created, 0 updated, 3 unchanged, 0 failed"
    with site.catalogue() as catalogue:
        assert [catalogue.dataset(pid)["updatedAt"] for pid in catalogue.pids()] == before
    nexus(beamtime / "raw" / "run_2.nxs", title="another title")
    (beamtime / "raw" / "run_1").mkdir()
    (beamtime / "raw" / "run_1" / "late.tif").write_bytes(b"12345")
    assert site.ingest(beamtime).stdout.splitlines()[-1] == "0 created, 2 updated, 1 unchanged, 0 failed"
    with site.catalogue() as catalogue:
        assert catalogue.files(f"{ID}/run_1") == ["run_1.nxs", "run_1/late.tif"]
        assert catalogue.dataset(f"{ID}/run_1")["numberOfFiles"] == 2
        assert catalogue.dataset(f"{ID}/run_2")["scientificMetadata"]["title"]["value"] == "another title"
        assert [len(catalogue.blocks(pid)) for pid in catalogue.pids()] == [1, 1, 1]


def test_a_list_or_a_single_file_is_ingested_alone(site: Site, beamtime: Path) -> None:
    assert site.ingest(beamtime / "raw" / "run_3.nxs").stdout.splitlines() == [
        f"created {ID}/run_3", "1 created, 0 updated, 0 unchanged, 0 failed",
    ]  # fmt: skip
    assert site.ingest(beamtime / "raw" / LIST).stdout.splitlines()[-1] == "2 created, 0 updated, 0 unchanged, 0 failed"
    assert site.ingest(beamtime / "raw" / "run_1.nxs").stdout.splitlines()[0] == f"unchanged {ID}/run_1"


def test_beside_the_daemon_the_daemon_does_it_and_leaves_what_it_shows(site: Site, beamtime: Path) -> None:
    with site.daemon(beamtime) as daemon:
        eventually(lambda: len(daemon.catalogue().pids()) == 3, "three datasets")
        eventually(lambda: site.status()["totals"]["done"] == 3, "the daemon's own view")
        answer = site.ingest(beamtime)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.splitlines()[-1] == "0 created, 0 updated, 3 unchanged, 0 failed"
        assert site.status()["beamtimes"][0]["elsewhere"] == []


def test_thumbnails_are_made_and_passed_through(tmp_path: Path) -> None:
    site = Site(tmp_path, reading={"thumbnails": True})
    beamtime = recorded_beamtime(tmp_path / "bt", "plain")
    assert site.ingest(beamtime).returncode == 0
    with site.catalogue() as catalogue:
        scans = ("run_00001", "run_00002", "frames_00009")
        assert [len(catalogue.thumbnails(f"20990042/{name}")) for name in scans] == [1, 1, 0]
        expected = (beamtime.parents[0] / "bt" / "raw" / "pic_00006.png").read_bytes()
        import base64

        assert catalogue.thumbnails("20990042/pic_00006")[0]["thumbnail"].endswith(base64.b64encode(expected).decode())


def test_failures_are_listed_with_reasons_and_set_the_exit_status(site: Site, beamtime: Path) -> None:
    (beamtime / "raw" / "bad_4.nxs").write_text("no HDF5")
    (beamtime / "raw" / "empty_5.nxs").touch()
    append(beamtime / "raw" / LIST, "../out")
    ended = site.ingest(beamtime)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "3 created, 0 updated, 0 unchanged, 3 failed"
    assert f"failed {ID}/bad_4" in ended.stderr
    assert "is empty" in ended.stderr
    assert "could lead out" in ended.stderr
    assert site.status()["totals"]["failed"] == 1


def test_an_unreachable_catalogue_is_exit_status_3_and_loses_nothing(tmp_path: Path, beamtime: Path) -> None:
    (tmp_path / "secret").write_text("password")
    away = Site(
        tmp_path,
        catalogue={
            "url": f"http://127.0.0.1:{free_port()}/api/v3", "credential_file": str(tmp_path / "secret"),
            "patience": {"first_wait": 0.1, "longest_wait": 0.2, "give_up_after": 1.0},
        },
    )  # fmt: skip
    ended = away.ingest(beamtime)
    assert ended.returncode == 3
    assert "unreachable" in ended.stderr
    assert "password" not in ended.stderr + ended.stdout
    assert not (beamtime / "raw" / INGESTED).exists()
    home = Site(tmp_path)
    assert home.ingest(beamtime).stdout.splitlines()[-1] == "3 created, 0 updated, 0 unchanged, 0 failed"


def test_wrong_usage_is_exit_status_2(site: Site, tmp_path: Path) -> None:
    assert site.ingest(tmp_path / "not there").returncode == 2
    assert "no such file" in site.ingest(tmp_path / "not there").stderr
    assert site.run("ingest").returncode == 2
    assert site.run("ingest", "--bogus").returncode == 2


def test_any_other_file_is_no_list(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "passwd"
    other.write_text("root:x:0:0\nbin:x:1:1\n")
    ended = site.ingest(other)
    assert ended.returncode == 2
    assert "neither a data file nor a dataset list" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yml", "passwd"]
    assert site.run("ingest", "").returncode == 2
    assert site.run("run", "").returncode == 2


def test_a_progress_bar_is_for_terminals_only(site: Site, beamtime: Path) -> None:
    ended = site.ingest(beamtime)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert sorted(ended.stdout.splitlines()[:3]) == [f"created {ID}/run_{number}" for number in (1, 2, 3)]


def test_a_preview_shows_what_would_be_posted_and_posts_nothing(site: Site, beamtime: Path) -> None:
    ended = site.run("preview", beamtime / "raw" / "run_1.nxs", "--json")
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown["dataset"]["pid"] == f"{ID}/run_1"
    assert shown["origdatablocks"][0]["dataFileList"][0]["path"] == "run_1.nxs"
    assert shown["schema"]["id"] == "nexus"
    assert "desy" in shown["passed_over"]
    assert not (site.var / "catalogue.sqlite").exists()
    assert not (beamtime / "raw" / INGESTED).exists()


def test_a_dataset_without_its_file_list_gets_it(site: Site, beamtime: Path) -> None:
    assert site.ingest(beamtime).returncode == 0
    with site.catalogue() as catalogue:
        import requests

        block = catalogue.blocks(f"{ID}/run_1")[0]["_id"]
        answer = requests.delete(f"{catalogue.api}/origdatablocks/{block}", headers=catalogue.headers, timeout=60)
        assert answer.status_code == 200
        assert catalogue.blocks(f"{ID}/run_1") == []
    assert "1 updated" in site.ingest(beamtime).stdout
    with site.catalogue() as catalogue:
        assert catalogue.files(f"{ID}/run_1") == ["run_1.nxs"]


def test_config_check_tells_every_mistake_and_a_script_can_trust_its_status(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "bad.imsc.yml").write_text("id: x\nname: [\n")
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    ended = site.run("config", "check")
    assert ended.returncode == 2
    assert "bad.imsc.yml" in ended.stderr
    (tmp_path / "well").mkdir()
    assert Site(tmp_path / "well").run("config", "check").returncode == 0
    shown = Site(tmp_path / "well").run("config", "show")
    assert "ingestion_delay: 0.3" in shown.stdout


def test_without_rights_to_the_directory_the_scans_are_ingested_and_noted_in_the_state_directory(
    tmp_path: Path,
) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    for path in [tmp_path, beamtime, *beamtime.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    var = tmp_path / "var"
    var.mkdir(mode=0o777)
    var.chmod(0o777)
    site = Site(tmp_path)
    if os.getuid() == 0:
        for parent in tmp_path.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o055)
        from tests.flows.program import PROGRAM

        command = [
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            PROGRAM,
            "ingest",
            str(beamtime),
            "-c",
            str(site.config),
        ]
        environment = os.environ | {"HOME": str(var)}
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
        except FileNotFoundError:
            pytest.skip("no setpriv here to become somebody else with")
        if "Permission denied" in ended.stderr and "scicat" not in ended.stdout:
            pytest.skip("this interpreter cannot be run by another account")
    else:
        for path in (beamtime, beamtime / "raw"):
            path.chmod(0o555)
        ended = site.ingest(beamtime)
    assert ended.returncode == 0, ended.stderr
    assert (var / "ingested" / str(beamtime).lstrip("/") / INGESTED).read_text().startswith("raw/run_1 ")


def test_ctrl_c_is_the_orderly_end_of_watching_the_status(site: Site) -> None:
    command = [PROGRAM, "status", "--watch", "-c", str(site.config)]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert "daemon" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert (watching.wait(timeout=60), watching.communicate()[1]) == (0, "")
