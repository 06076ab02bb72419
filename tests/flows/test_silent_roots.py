"""Commands beside and without a daemon while a root hangs: they name it, and end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.flows.mounts import Hanging
from tests.flows.program import PROGRAM, Site, eventually
from tests.makers import beamtime_directory, nexus


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


def _stands_still(process: psutil.Process) -> bool:
    """Whether the first thread of a process waits, and does for a second."""

    def activity() -> list[str]:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return [line for line in lines if line.startswith(("State", "voluntary", "nonvoluntary"))]

    before = activity()
    time.sleep(1.0)
    return before == activity() and not any("running" in line for line in before)


def _is_named(command: subprocess.CompletedProcess[str], root: Path) -> None:
    assert command.returncode == 1, (command.stdout, command.stderr)
    assert f"{root}: its file system has not answered since" in command.stderr


@pytest.mark.parametrize("command", [("config", "check", "--offline"), ("ingest",)])
def test_a_command_for_all_beamtimes_names_the_root_that_does_not_answer_and_ends(
    site: Site, hanging: Hanging, command: tuple[str, ...]
) -> None:
    hanging.hang()
    _is_named(site.run(*command, timeout=60), hanging.place / "bt")


@pytest.mark.parametrize("verb", ["ingest", "preview", "rescan", "pause"])
def test_a_command_for_a_path_that_does_not_answer_names_it_and_ends(site: Site, hanging: Hanging, verb: str) -> None:
    hanging.hang()
    _is_named(site.run(verb, path := hanging.place / "bt" / "raw", timeout=60), path)


def test_a_command_for_a_path_that_answers_does_not_care_for_the_others(
    site: Site, hanging: Hanging, good: Path
) -> None:
    hanging.hang()
    done = site.ingest(good)
    assert (done.returncode, done.stdout.splitlines()[-1][:9]) == (0, "1 created"), done.stderr


def test_ctrl_c_ends_a_command_that_waits_for_a_file_system(site: Site, hanging: Hanging) -> None:
    hanging.hang()
    said = site.place / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen([PROGRAM, "config", "check", "-c", str(site.config)], stderr=file)
    eventually(lambda: any(map(_stands_still, psutil.Process(process.pid).children())), "it waits in the kernel")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 1, said.read_text()
    assert "what waits for it ends when it does" in said.read_text()


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
