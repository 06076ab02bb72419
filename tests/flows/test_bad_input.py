"""Bad input: each gets a message that names it, a place in the status, and everything else is ingested."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.flows.program import Site, eventually
from tests.makers import ID, INGESTED, LIST, append, beamtime_directory, nexus


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = beamtime_directory(tmp_path / "bt")
    nexus(made / "raw" / "good_1.nxs")
    append(made / "raw" / LIST, "good_1")
    return made


def _status_text(site: Site) -> str:
    return json.dumps(site.status(), ensure_ascii=False)


def test_unusable_data_files_are_told_and_cost_nobody_else_anything(site: Site, beamtime: Path) -> None:
    raw = beamtime / "raw"
    whole = nexus(raw / "whole_1.nxs").read_bytes()
    (raw / "text_1.nxs").write_text("this is not HDF5\n" * 100)
    (raw / "cut_1.nxs").write_bytes(whole[: len(whole) // 2])
    (raw / "empty_1.nxs").touch()
    (raw / "bent_1.nxs").write_bytes(whole[:100] + bytes(1000) + whole[1100:])
    os.mkfifo(raw / "pipe_1.nxs")
    (raw / "outside_1.nxs").symlink_to("/etc/passwd")
    append(raw / LIST, "text_1", "cut_1", "empty_1", "bent_1", "pipe_1", "outside_1", "whole_1", "good_2")
    nexus(raw / "good_2.nxs")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        good = {f"{ID}/good_1", f"{ID}/good_2", f"{ID}/whole_1", f"{ID}/pipe_1"}
        eventually(lambda: good <= set(catalogue.pids()), "all good scans")
        told = eventually(lambda: (text := _status_text(site)).count("failed") and text, "failures in the status")
        for name, reason in [
            ("text_1", "HDF5"),
            ("cut_1", "of the"),
            ("empty_1", "is empty"),
            ("outside_1", "leads out"),
        ]:
            eventually(lambda: f"{ID}/{name}" in _status_text(site), name)  # noqa: B023
            assert reason in _status_text(site)
        assert "Traceback" not in told
        assert f"{ID}/text_1" not in catalogue.pids()
        shutil.copyfile(raw / "whole_1.nxs", raw / "cut_1.nxs")
        eventually(lambda: f"{ID}/cut_1" in catalogue.pids(), "a file that has become whole")
        assert daemon.stop() == 0
    assert "root:" not in (site.var / "catalogue.sqlite").read_bytes().decode("latin-1")


def test_unusable_list_lines_are_told_with_their_number_and_the_others_are_ingested(site: Site, beamtime: Path) -> None:
    lines = [
        b"../../etc/passwd",
        b"/etc/passwd",
        b"nul\0byte",
        b"x" * 10_000,
        b"latin \xe4\xf6",
        b"a/../b",
        b"__command__",
    ]
    with (beamtime / "raw" / LIST).open("ab") as dataset_list:
        dataset_list.write(b"\n" + b"\n".join(lines) + b"\n  \n# a remark\ngood_2\n")
    nexus(beamtime / "raw" / "good_2.nxs")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [f"{ID}/good_1", f"{ID}/good_2"], "both good scans")
        skipped = eventually(
            lambda: [line for shown in site.status()["beamtimes"] for line in shown["skipped_lines"]], "skipped lines"
        )
        assert [line["number"] for line in skipped] == [3, 4, 5, 6, 7, 8, 9]
        assert all(line["reason"] for line in skipped)


def test_a_broken_beamtime_file_is_told_and_other_beamtimes_go_on(site: Site, beamtime: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    file = broken / "beamtime-metadata-1.json"
    file.write_text('{"beamtimeId": ')
    poor = beamtime_directory(tmp_path / "poor", "22222222")
    (poor / "beamtime-metadata-22222222.json").write_text('{"beamtimeId": "22222222", "title": "no people"}')
    nexus(poor / "raw" / "scan_1.nxs")
    with site.daemon(beamtime, broken, poor) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: f"{ID}/good_1" in catalogue.pids(), "the good beamtime")
        eventually(lambda: "is not JSON" in _status_text(site), "the broken one in the status")
        assert str(file) in _status_text(site)
        eventually(
            lambda: "22222222/raw/scan_1" in catalogue.pids() or "22222222/raw/scan_1" in _status_text(site),
            "the poor one is ingested or told",
        )
        nexus(broken / "scan_9.nxs")
        shutil.copyfile(beamtime / f"beamtime-metadata-{ID}.json", file)
        text = file.read_text().replace(ID, "33333333")
        file.write_text(text)
        eventually(lambda: "33333333/scan_9" in catalogue.pids(), "the mended one")
        eventually(lambda: "is not JSON" not in _status_text(site), "and nobody complains any more")


def test_directories_may_vanish_come_back_and_be_renamed(site: Site, beamtime: Path) -> None:
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == [f"{ID}/good_1"], "the first scan")
        deep = beamtime / "other"
        nexus(deep / "a_1.nxs")
        eventually(lambda: f"{ID}/other/a_1" in catalogue.pids(), "a new directory")
        deep.rename(beamtime / "renamed")
        nexus(beamtime / "renamed" / "b_1.nxs")
        eventually(lambda: f"{ID}/renamed/b_1" in catalogue.pids(), "after a rename")
        shutil.rmtree(beamtime / "renamed")
        away = beamtime.with_name("away")
        beamtime.rename(away)
        away.rename(beamtime)
        nexus(beamtime / "raw" / "good_2.nxs")
        append(beamtime / "raw" / LIST, "good_2")
        eventually(lambda: f"{ID}/good_2" in catalogue.pids(), "the beamtime directory came back")
        assert daemon.process.poll() is None


def test_a_list_of_100_000_lines_is_worked_on_from_its_first_line(tmp_path: Path, beamtime: Path) -> None:
    site = Site(tmp_path, watching={"ingestion_delay": 0.3, "without_files_after": 0.5})
    with (beamtime / "raw" / LIST).open("a") as dataset_list:
        dataset_list.writelines(f"\nscan_{number:06d}" for number in range(100_000))
    ingested = beamtime / "raw" / INGESTED
    done = [f"scan_{number:06d} 1795223410.1822 1795223410.3967 0" for number in range(99_990)]
    ingested.write_text("\n".join(done) + "\n")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        expected = [f"{ID}/good_1"] + [f"{ID}/scan_{number:06d}" for number in range(99_990, 100_000)]
        eventually(lambda: catalogue.pids() == expected, "the ten that are missing")
        nexus(beamtime / "raw" / "late_1.nxs")
        append(beamtime / "raw" / LIST, "late_1")
        eventually(lambda: f"{ID}/late_1" in catalogue.pids(), "one more line")


def test_an_empty_list_and_an_empty_beamtime_are_no_trouble(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    (beamtime / "raw" / LIST).touch()
    assert site.ingest(beamtime).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("watching:\n  ingestion_dely: 3\n", [":2:", "ingestion_dely", "'ingestion_delay'"]),
        ("watching: {trigger: sometimes}\n", [":1:", "trigger", "'lists', 'files' or 'both'"]),
        ("ingestion_delay: 3\n", [":1:", "watching.ingestion_delay"]),
        ("watching: [\n", ["YAML"]),
        ("var_dir: /a\nvar_dir: /b\n", [":2:", "is repeated here"]),
        ("lists: {dataset_list: a, ingested_list: a}\n", [":1:", "would count as done"]),
    ],
)
def test_a_mistake_in_the_configuration_is_told_with_its_place(tmp_path: Path, text: str, told: list[str]) -> None:
    site = Site(tmp_path)
    site.config.write_text(text)
    for verb in ("run", "ingest", "status"):
        ended = site.run(verb)
        assert ended.returncode == 2
        assert all(word in ended.stderr for word in [str(site.config), *told]), ended.stderr
        assert "Traceback" not in ended.stderr


def test_names_of_files_cannot_write_to_the_terminal_on_their_own(site: Site, beamtime: Path) -> None:
    (beamtime / "raw" / "x\x1b[2J\ncreated y.nxs").write_text("no HDF5")
    ended = site.ingest(beamtime)
    told = ended.stdout + ended.stderr + site.run("status").stdout
    assert "x\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}created y" in told
    assert "\x1b" not in told
    assert not [line for line in told.splitlines() if line.startswith("created y")]


@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_an_ingested_list_that_is_no_file_is_a_problem_of_its_directory_alone(
    site: Site, tmp_path: Path, kind: str
) -> None:
    beamtime, elsewhere = beamtime_directory(tmp_path / "bt"), tmp_path / "elsewhere"
    place = beamtime / "raw" / INGESTED
    elsewhere.write_text("")
    if kind == "directory":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(elsewhere)
    nexus(beamtime / "raw" / "scan_00001.nxs")
    append(beamtime / "raw" / LIST, "scan_00001")
    nexus(beamtime / "scan_00002.nxs")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["11018765/scan_00002"], "the scan of the other directory")
        problems = eventually(lambda: site.status()["beamtimes"][0]["problems"], "the problem")
        assert any(str(place) in problem for problem in problems)
        place.rmdir() if kind == "directory" else place.unlink()
        eventually(lambda: len(catalogue.pids()) == 2, "its scan, once the list can be written")
        eventually(lambda: site.status()["totals"]["problems"] == 0, "the end of the problem")
    assert elsewhere.read_text() == ""


def test_a_scan_that_failed_and_is_removed_is_shown_no_longer_until_it_comes_back(tmp_path: Path) -> None:
    site = Site(tmp_path, watching={"rescan_interval": 1.0}, retrying={"first": 3600.0, "longest": 3600.0})
    beamtime = beamtime_directory(tmp_path / "bt")
    bad = beamtime / "raw" / "bad.nxs"
    bad.parent.mkdir(exist_ok=True)
    with site.daemon(beamtime) as daemon:
        for text in ("no HDF5", "no HDF5 either"):
            bad.write_text(text)
            eventually(lambda: [one["pid"] for one in site.status()["failed"]] == [f"{ID}/raw/bad"], "it failed")
            bad.unlink()
            eventually(lambda: site.status()["totals"]["failed"] == 0, "it is not there any more")
        bad.write_text("no HDF5")
        eventually(lambda: site.status()["totals"]["failed"] == 1, "it failed")
        assert daemon.stop() == 0
    bad.unlink()
    with site.daemon(beamtime):
        eventually(lambda: site.status()["totals"]["failed"] == 0, "it went while nobody watched")
