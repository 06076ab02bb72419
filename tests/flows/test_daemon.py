"""The daemon on real directories."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.flows.beamline import recorded_beamtime
from tests.flows.program import PROGRAM, Site, eventually, free_port
from tests.makers import INGESTED, LIST, append, beamtime_directory, nexus


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_lists_and_files_become_datasets_while_the_daemon_runs(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "before_00001.nxs")
    append(beamtime / "raw" / LIST, "before_00001")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["11018765/before_00001"], "the scan that was there")
        with daemon.paused():
            nexus(beamtime / "raw" / "run_00002.nxs", title="with frames")
            (beamtime / "raw" / "run_00002").mkdir()
            (beamtime / "raw" / "run_00002" / "frame_0000.tif").write_bytes(b"x" * 20)
            (beamtime / "raw" / "lambda").mkdir()
            (beamtime / "raw" / "lambda" / "frame.h5").write_bytes(b"x")
            append(beamtime / "raw" / LIST, "run_00002 lambda")
        nexus(beamtime / "other" / "deep" / "found_00003.h5")
        expected = ["11018765/before_00001", "11018765/other/deep/found_00003", "11018765/run_00002"]
        eventually(lambda: catalogue.pids() == expected, "list line and found file")
        eventually(lambda: catalogue.blocks("11018765/run_00002"), "the file list")
        assert catalogue.files("11018765/run_00002") == ["lambda/frame.h5", "run_00002.nxs", "run_00002/frame_0000.tif"]
        dataset = catalogue.dataset("11018765/run_00002")
        assert dataset["sourceFolder"] == "/core/11018765/raw"
        assert dataset["scientificMetadata"]["data"]["temperature"]["value"] == 293.5
        assert dataset["numberOfFiles"] == 3
        assert catalogue.dataset("11018765/other/deep/found_00003")["datasetName"] == "found_00003"
        assert daemon.stop() == 0
    done = (beamtime / "raw" / INGESTED).read_text().splitlines()
    assert [line.rsplit(" ", 3)[0] for line in done] == ["before_00001", "run_00002 lambda"]


def test_the_recorded_beamtime_gives_the_recorded_datasets(site: Site, tmp_path: Path) -> None:
    beamtime = recorded_beamtime(tmp_path / "bt", "plain")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        names = ["frames_00009", "pic_00006", "run_00001", "run_00002", "run_00003"]
        eventually(
            lambda: (
                (beamtime / "raw" / "scicat-ingested-datasets-20990042.lst").exists()
                and {f"20990042/{name}" for name in names} <= set(catalogue.pids())
            ),
            "all scans of the list",
        )
        assert catalogue.files("20990042/run_00001") == [
            "run_00001.nxs", "run_00001/pilatus/run_00001_0000.cbf", "run_00001/pilatus/run_00001_0001.cbf",
        ]  # fmt: skip
        first = catalogue.dataset("20990042/run_00001")
        assert first["techniques"][0]["name"] == "scan"
        assert first["accessGroups"] == ["20990042-dmgt", "20990042-clbt", "20990042-part", "p99dmgt", "p99staff"]
        assert first["endTime"] == "2099-05-04T08:07:30.000Z"
        assert first["scientificMetadata"]["sample"]["temperature"]["value"] == 293.15


def test_a_file_that_is_written_slowly_is_taken_when_it_is_complete(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    script = textwrap.dedent(
        f"""
        import time, h5py
        with h5py.File({str(beamtime / "raw" / "slow_00001.nxs")!r}, "w") as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            for point in range(8):
                entry[f"point_{{point}}"] = point
                file.flush()
                time.sleep(0.4)
            entry["end_time"] = "2099-05-04T10:07:30+0200"
        """
    )
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        writer = subprocess.Popen([sys.executable, "-c", script])
        while writer.poll() is None:
            assert catalogue.pids() == [] or writer.poll() is not None
        assert writer.returncode == 0  # No lock of ours made the writer fail.
        eventually(lambda: catalogue.pids() == ["11018765/raw/slow_00001"], "the complete file")
        assert catalogue.dataset("11018765/raw/slow_00001")["scientificMetadata"]["point_7"]["value"] == 7


def test_a_directory_without_metadata_file_is_a_beamtime_of_its_own(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    nexus(folder / "a scan #1.nxs")
    nexus(folder / "zwei" / "Größe.h5")
    with site.daemon(folder) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["my-data/a scan #1", "my-data/zwei/Größe"], "both files")
    assert "generated beamtime my-data" in site.log.read_text()


def test_killed_in_the_middle_of_100_scans_it_ends_with_100_datasets_and_file_lists(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    names = [f"run_{number:05d}" for number in range(100)]
    for name in names:
        nexus(beamtime / "raw" / f"{name}.nxs")
    append(beamtime / "raw" / LIST, *names)
    ingested = beamtime / "raw" / INGESTED
    for at_least in (5, 30, 60):
        with site.daemon(beamtime) as daemon:
            eventually(lambda: _lines(ingested) >= at_least, f"{at_least} scans")  # noqa: B023
            daemon.kill()
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: _lines(ingested) >= 100 and len(catalogue.pids()) == 100, "all 100")
        assert [len(catalogue.blocks(f"11018765/{name}")) for name in names] == [1] * 100
        assert catalogue.pids() == [f"11018765/{name}" for name in names]
        assert daemon.stop() == 0


def test_while_the_catalogue_is_away_the_work_waits_and_then_is_done_once(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    (tmp_path / "elsewhere").mkdir()
    server = Site(tmp_path / "elsewhere")
    port = free_port()
    with server.catalogue(port):
        pass  # Its account is made.
    site = Site(
        tmp_path,
        catalogue={
            "url": f"http://127.0.0.1:{port}/api/v3", "credential_file": str(server.credentials()),
            "patience": {"first_wait": 0.1, "longest_wait": 0.5},
        },
    )  # fmt: skip
    with site.daemon(beamtime) as daemon:
        for number in range(5):
            nexus(beamtime / "raw" / f"run_{number:05d}.nxs")
            append(beamtime / "raw" / LIST, f"run_{number:05d}")
        eventually(lambda: "catalogue is unavailable" in site.log.read_text(), "the outage is noticed")
        assert site.status()["totals"]["failed"] == 0
        with server.catalogue(port) as catalogue:
            eventually(lambda: len(catalogue.pids()) == 5, "all scans after the outage")
            eventually(lambda: _lines(beamtime / "raw" / INGESTED) == 5, "all noted")
        nexus(beamtime / "raw" / "run_00005.nxs")
        append(beamtime / "raw" / LIST, "run_00005")
        eventually(lambda: site.status()["beamtimes"][0]["outage"], "the second outage")
        with server.catalogue(port) as catalogue:
            eventually(lambda: len(catalogue.pids()) == 6, "the sixth")
            eventually(lambda: _lines(beamtime / "raw" / INGESTED) == 6, "it is noted, with its file list")
            assert [len(catalogue.blocks(pid)) for pid in catalogue.pids()] == [1] * 6
        assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_orderly_when_asked(site: Site, tmp_path: Path, number: int) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    for scan in range(30):
        nexus(beamtime / "raw" / f"run_{scan:05d}.nxs")
    append(beamtime / "raw" / LIST, *[f"run_{scan:05d}" for scan in range(30)])
    with site.daemon(beamtime) as daemon:
        eventually(lambda: _lines(beamtime / "raw" / INGESTED) >= 2, "some scans")
        assert daemon.stop(number) == 0
    text = (beamtime / "raw" / INGESTED).read_text()
    assert text.endswith("\n")
    assert all(len(line.split()) == 4 for line in text.splitlines())
    assert "Traceback" not in site.log.read_text()


def test_nothing_of_it_outlives_a_killed_daemon(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: daemon.catalogue().pids(), "a scan")
        daemon.kill()
    eventually(lambda: not _processes_with(str(site.var)), "no catalogue left")


def test_a_second_daemon_on_the_same_beamtime_stays_passive(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    append(beamtime / "raw" / LIST, "run_1")
    (tmp_path / "second").mkdir()
    second_site = Site(tmp_path / "second")
    with site.daemon(beamtime) as first:
        eventually(lambda: first.catalogue().pids() == ["11018765/run_1"], "the first one works")
        with second_site.daemon(beamtime) as second:
            nexus(beamtime / "raw" / "run_2.nxs")
            append(beamtime / "raw" / LIST, "run_2")
            eventually(lambda: "this one leaves it alone" in second_site.log.read_text(), "it says so")
            eventually(lambda: _lines(beamtime / "raw" / INGESTED) == 2, "the first one goes on")
            assert len(first.catalogue().pids()) == 2
            assert second.catalogue().pids() == []
            assert first.stop() == 0
            nexus(beamtime / "raw" / "run_3.nxs")
            append(beamtime / "raw" / LIST, "run_3")
            eventually(lambda: second.catalogue().pids() == ["11018765/run_3"], "the second one takes over")


def test_a_second_daemon_with_the_same_state_directory_says_who_runs_and_ends(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    with site.daemon(beamtime) as daemon:
        second = site.run("run", beamtime)
        assert second.returncode == 2
        assert f"pid {daemon.pid} on {socket.gethostname()}" in second.stderr
        daemon.kill()
        with site.daemon(beamtime) as third:
            assert third.stop() == 0


def test_a_found_file_that_grows_after_its_ingestion_is_brought_up_to_date(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    file = nexus(beamtime / "raw" / "run_1.nxs", title="first title")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        pid = "11018765/raw/run_1"
        eventually(lambda: catalogue.pids() == [pid], "the file")
        nexus(file, title="second title")
        eventually(
            lambda: catalogue.dataset(pid)["scientificMetadata"]["title"]["value"] == "second title", "the change"
        )
        assert len(catalogue.blocks(pid)) == 1


def test_files_that_come_later_than_their_line_are_waited_for(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    append(beamtime / "raw" / LIST, "late_1", "frames_2", "never_3")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: site.status()["totals"]["waiting"] == 3, "three scans without files")
        with daemon.paused():
            nexus(beamtime / "raw" / "late_1.nxs")
            (beamtime / "raw" / "frames_2").mkdir()
            (beamtime / "raw" / "frames_2" / "a.tif").write_bytes(b"x")
        eventually(lambda: catalogue.pids() == ["11018765/frames_2", "11018765/late_1"], "the two that have files")
        eventually(lambda: catalogue.files("11018765/frames_2") == ["frames_2/a.tif"], "the file list of one of them")
        eventually(
            lambda: "no file or folder" in site.status()["beamtimes"][0]["waiting_scans"][0]["reason"], "why it waits"
        )


def test_a_scan_that_was_found_before_a_list_named_it_stays_one_dataset(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    raw = beamtime / "raw"
    for name in ("run_1", "run_2", "run_3"):
        nexus(raw / f"{name}.nxs")
    expected = [f"11018765/raw/run_{number}" for number in (1, 2, 3)]
    with site.daemon(beamtime) as daemon:
        eventually(lambda: daemon.catalogue().pids() == expected, "three found files")
        (raw / "lambda").mkdir()
        (raw / "lambda" / "a.tif").write_bytes(b"x")
        append(raw / LIST, "run_1", "run_2 lambda", "run_3:17.5")
        eventually(lambda: _noted(raw / INGESTED) == 3, "all three lines are noted")
        assert daemon.catalogue().pids() == expected
        assert daemon.catalogue().files("11018765/raw/run_2") == ["raw/lambda/a.tif", "raw/run_2.nxs"]
        assert daemon.stop() == 0
    assert "0 created" in site.ingest(beamtime).stdout
    with site.catalogue() as catalogue:
        assert catalogue.pids() == expected


def test_a_file_that_kills_its_reader_costs_one_attempt_and_nothing_else(site: Site, tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "good_1.nxs")
    append(beamtime / "raw" / LIST, "good_1")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: len(daemon.catalogue().pids()) == 1, "a good scan")
        for pid in _readers(daemon.pid):
            os.kill(pid, signal.SIGKILL)
        nexus(beamtime / "raw" / "good_2.nxs")
        append(beamtime / "raw" / LIST, "good_2")
        eventually(lambda: len(daemon.catalogue().pids()) == 2, "the next scan in spite of dead readers")


def test_a_changed_beamtime_file_counts_for_new_scans_and_a_removed_one_ends_the_watch(
    site: Site, tmp_path: Path
) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    file = beamtime / "beamtime-metadata-11018765.json"
    nexus(beamtime / "raw" / "run_1.nxs")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["11018765/raw/run_1"], "the first scan")
        text = file.read_text()
        file.write_text(text.replace("Example", "Changed"))
        eventually(lambda: "new scans get it" in site.log.read_text(), "the change is noticed")
        nexus(beamtime / "raw" / "run_2.nxs")
        eventually(lambda: "11018765/raw/run_2" in catalogue.pids(), "the second scan")
        assert "Changed" in catalogue.dataset("11018765/raw/run_2")["owner"]
        assert "Example" in catalogue.dataset("11018765/raw/run_1")["owner"]
        file.unlink()
        eventually(lambda: "no longer watched" in site.log.read_text(), "the end of the beamtime is noticed")
        nexus(beamtime / "raw" / "run_3.nxs")
        file.write_text(text)
        eventually(lambda: "11018765/raw/run_3" in catalogue.pids(), "it is watched again")
        assert len(catalogue.pids()) == 3


def test_a_catalogue_that_never_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    beamtime = beamtime_directory(tmp_path / "bt")
    nexus(beamtime / "raw" / "run_1.nxs")
    (tmp_path / "secret").write_text("password")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/v3"
        site = Site(tmp_path, catalogue={"url": url, "credential_file": str(tmp_path / "secret")})
        with site.daemon(beamtime) as daemon:
            silent.accept()  # The request is there, and gets no answer.
            assert daemon.stop() == 0
    assert not (beamtime / "scicat-ingested-datasets-11018765.lst").exists()


def test_the_demo_fills_its_catalogue(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    process = subprocess.Popen(
        [PROGRAM, "demo", "--every", "0.3", "--scans", "3", "--port", "0", "--directory", str(place)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        ingested = place / "beamtime" / "raw" / "scicat-ingested-datasets-99000042.lst"
        eventually(lambda: _lines(ingested) == 3, "three scans")
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def _noted(path: Path) -> int:
    """How many scans an ingested list has, without what it says of the ids of their datasets."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(not line.startswith("__dataset__ ") for line in lines)


def _processes_with(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in command and "pytest" not in command:
                found.append(command)
    return found


def _readers(parent: int) -> list[int]:
    """Reading processes of a daemon: the children of its fork server."""
    import psutil

    return [
        child.pid
        for server in psutil.Process(parent).children()
        if "forkserver" in " ".join(server.cmdline())
        for child in server.children()
    ]


def test_a_next_attempt_that_a_clock_days_ahead_noted_is_not_waited_for(tmp_path: Path) -> None:
    site = Site(tmp_path, retrying={"first": 20.0, "longest": 3600.0})
    beamtime = beamtime_directory(tmp_path / "bt")
    whole = nexus(beamtime / "scan_1.nxs").read_bytes()
    (beamtime / "scan_1.nxs").write_bytes(b"no HDF5")
    with site.daemon(beamtime) as daemon:
        eventually(lambda: site.status()["totals"]["failed"] == 1, "the failure")
        assert daemon.stop() == 0
    week = time.time() + 7 * 86400
    with contextlib.closing(sqlite3.connect(site.var / "journal.sqlite")) as journal, journal:
        assert journal.execute("update scans set next_try=? where status='failed'", (week,)).rowcount == 1
    before = (beamtime / "scan_1.nxs").stat()
    with site.daemon(beamtime) as daemon:
        eventually(lambda: site.status()["failed"][0]["tries"] == 2, "the second attempt")
        assert (beamtime / "scan_1.nxs").stat() == before
        (beamtime / "scan_1.nxs").write_bytes(whole)
        eventually(lambda: daemon.catalogue().pids() == ["11018765/scan_1"], "the dataset")
