"""Commands beside and without a daemon while a root hangs: they name it, and end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.mounts import Hanging
from tests.flows.program import PROGRAM, Site, eventually
from tests.makers import append, beamtime_directory, nexus


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    hanging = Hanging(tmp_path)
    yield hanging
    hanging.close()


@pytest.fixture
def good(hanging: Hanging, tmp_path: Path) -> Path:
    """A beamtime directory that answers; that of the other beamtime, 1, is on the file system that hangs."""
    nexus(beamtime_directory(hanging.under / "bt", "1") / "raw" / "run_1.nxs")
    nexus((good := beamtime_directory(tmp_path / "good", "2")) / "raw" / "run_1.nxs")
    return good


@pytest.fixture
def site(good: Path, hanging: Hanging, tmp_path: Path) -> Site:
    return Site(tmp_path, beamtimes={"directories": [str(good), str(hanging.place / "bt")]})


def _shown(site: Site) -> dict[str, list[Path]]:
    """By beamtime, what of it `status` shows as not answering."""
    problems = {one["id"]: one["problems"] for one in site.status()["beamtimes"]}
    return {
        id_: [Path(one.split(": ")[0]) for one in some if "has not answered since" in one]
        for id_, some in problems.items()
    }


def _is_named(command: subprocess.CompletedProcess[str], root: Path) -> None:
    assert command.returncode == 1, (command.stdout, command.stderr)
    assert f"{root}: its file system has not answered since" in command.stderr


@pytest.mark.parametrize("command", [("config", "check", "--offline"), ("ingest",)])
def test_a_command_for_all_beamtimes_names_the_root_that_does_not_answer_and_ends(
    site: Site, hanging: Hanging, command: tuple[str, ...]
) -> None:
    hanging.hang()
    _is_named(site.run(*command, timeout=200), hanging.place / "bt")


@pytest.mark.parametrize("verb", ["ingest", "preview", "rescan"])
def test_a_command_for_a_path_that_does_not_answer_names_it_and_ends(site: Site, hanging: Hanging, verb: str) -> None:
    hanging.hang()
    _is_named(site.run(verb, path := hanging.place / "bt" / "raw", timeout=200), path)


def test_a_command_for_a_path_that_answers_does_not_care_for_the_others(
    site: Site, hanging: Hanging, good: Path
) -> None:
    hanging.hang()
    done = site.ingest(good)
    assert (done.returncode, done.stdout.splitlines()[-1][:9]) == (0, "1 created"), done.stderr


def test_a_root_that_begins_to_hang_during_an_ingest_holds_up_no_other_and_the_command_ends(
    site: Site, hanging: Hanging, good: Path
) -> None:
    site.change(beamtimes={"directories": [str(hanging.place / "bt"), str(good)]})
    hanging.hang_at("run_1.nxs")
    done = site.run("ingest", timeout=200)
    _is_named(done, root := hanging.place / "bt")
    assert "created 2/raw/run_1" in done.stdout
    assert f"failed {root}: its file system has not answered since" in done.stderr
    assert f"scicat-watch ingest {root} when it answers" in done.stderr
    assert _shown(site) == {"2": [], "1": [root / "raw"]}
    hanging.answer()
    done = site.run("ingest", root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "created 1/raw/run_1"), done.stderr
    assert _shown(site) == {"2": [], "1": []}


def test_an_ingest_names_the_scans_that_it_cannot_note(site: Site, hanging: Hanging) -> None:
    hanging.hang_at("scicat-ingested-datasets-1.lst", create=True)
    done = site.run("ingest", timeout=200)
    _is_named(done, hanging.place / "bt")
    assert "created 2/raw/run_1" in done.stdout
    assert "failed 1/raw/run_1: not ingested, or not noted as ingested" in done.stderr
    hanging.answer()
    done = site.run("ingest")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 created, 0 updated, 2 unchanged, 0 failed")


def test_an_ingest_whose_root_is_back_in_time_is_complete(site: Site, hanging: Hanging, good: Path) -> None:
    site.change(beamtimes={"directories": [str(hanging.place / "bt"), str(good)]})
    hanging.hang_at("run_1.nxs")
    (scan := good / "raw" / "slow.nxs").write_bytes((good / "raw" / "run_1.nxs").read_bytes())
    with subprocess.Popen(
        [PROGRAM, "ingest", "-c", str(site.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "has not answered since" in process.stderr.readline()
        with scan.open("ab"):
            for _ in range(5):
                os.utime(scan)  # It is not complete as long as it changes.
                time.sleep(0.1)
            hanging.answer()
        out, error = process.communicate(timeout=120)
    assert (process.returncode, out.splitlines()[-1]) == (0, "3 created, 0 updated, 0 unchanged, 0 failed"), error


@pytest.mark.parametrize("verb", ["ingest", "preview", "config check"])
def test_ctrl_c_ends_a_command_that_waits_for_a_file_system_and_nobody_waits_for_the_rest_of_it(
    site: Site, hanging: Hanging, verb: str
) -> None:
    hanging.hang()
    paths = [str(hanging.place / "bt")] if verb == "preview" else []
    command = [PROGRAM, *verb.split(), *paths, "-c", str(site.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        eventually(hanging.asked, "it waits in the kernel")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=200)  # The end of the pipe, which what is left would keep open.
    assert process.returncode == 1


def test_an_ingest_that_hangs_keeps_no_pipe_open(site: Site, hanging: Hanging) -> None:
    hanging.hang_at("run_1.nxs")
    command = f"{PROGRAM} ingest -c {site.config} 2>&1 | cat"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, timeout=200, check=False)
    assert "when it answers" in done.stdout


def test_a_mount_below_the_path_of_a_preview_is_named(site: Site, hanging: Hanging, tmp_path: Path) -> None:
    nexus(beamtime_directory(tmp_path, "3") / "raw" / "run_1.nxs")  # The mount is in it.
    hanging.hang()
    _is_named(site.run("preview", tmp_path, timeout=200), hanging.place)


def test_a_list_that_hangs_is_named_by_a_preview(site: Site, hanging: Hanging) -> None:
    beamtime = hanging.place / "bt"
    append(beamtime / "raw" / "scicat-datasets-1.lst", "run_1")
    hanging.hang_at("scicat-datasets-1.lst")
    _is_named(site.run("preview", beamtime, timeout=200), beamtime / "raw" / "scicat-datasets-1.lst")


@pytest.mark.parametrize("verb", ["run", "ingest", "status", "rescan", "reload", "config check", "config show"])
def test_a_configuration_that_hangs_is_named(site: Site, hanging: Hanging, verb: str) -> None:
    site.config = hanging.place / "config.yml"
    hanging.hang()
    _is_named(site.run(*verb.split(), timeout=200), site.config)


@pytest.mark.parametrize("verb", ["run", "ingest", "status", "rescan", "config check", "catalogue"])
def test_a_state_directory_that_hangs_is_named(site: Site, hanging: Hanging, good: Path, verb: str) -> None:
    hanging.hang()
    more = ["--var-dir", str(hanging.place / "var")]
    site.change(beamtimes={"directories": [str(good)]})
    _is_named(site.run(*verb.split(), *more, timeout=200), hanging.place / "var")


def test_what_is_asked_of_a_daemon_does_not_wait_for_a_root_that_hangs(
    site: Site, hanging: Hanging, good: Path
) -> None:
    with site.daemon() as daemon:
        catalogue = daemon.catalogue()
        eventually(lambda: catalogue.pids() == ["1/raw/run_1", "2/raw/run_1"], "both roots are watched")
        hanging.hang()
        rescan, ingest = site.run("rescan"), site.run("ingest", "--retry")
        _is_named(rescan, hanging.place / "bt")
        assert rescan.stdout == "beamtimes rescanned: 1\n"
        assert rescan.stderr.count(str(hanging.place / "bt")) == 1, rescan.stderr
        _is_named(ingest, hanging.place / "bt")
        assert site.run("rescan", good).returncode == 0
        hanging.answer()
        eventually(lambda: site.status()["totals"]["problems"] == 0, "it answers again")
        assert site.run("rescan").stdout == "beamtimes rescanned: 2\n"
        assert daemon.stop() == 0


def test_a_root_that_hangs_since_the_daemon_began_to_search_it_is_named_by_a_rescan(
    site: Site, hanging: Hanging, good: Path
) -> None:
    site.change(beamtimes={"directories": [str(good)]})
    with site.daemon() as daemon:
        site.change(beamtimes={"directories": [str(good), str(hanging.place / "bt")]})
        hanging.hang()
        assert site.run("reload").returncode == 0
        eventually(lambda: site.status()["totals"]["problems"] == 1, "the root does not answer")
        rescan = site.run("rescan")
        _is_named(rescan, hanging.place / "bt")
        assert rescan.stdout == "beamtimes rescanned: 1\n"
        assert daemon.stop() == 0
