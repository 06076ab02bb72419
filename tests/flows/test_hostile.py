"""Files whose authors mean harm, and the installed program: what their names, and what code in them, can do."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from scicat_watch.pipeline.reading import landlock, seccomp
from tests.flows.program import PROGRAM, Site, eventually
from tests.makers import beamtime_directory, nexus

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NAMES = ("clear\x1b[2J_1", "two\nlines_1", "turned\u202e_1", "turned\u202d_1")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    return beamtime_directory(tmp_path / "bt")


def test_a_file_name_steers_no_terminal_and_no_page(site: Site, beamtime: Path) -> None:
    for name in NAMES:
        nexus(beamtime / "raw" / f"{name}.nxs")
        (beamtime / "raw" / f"broken_{name}.nxs").write_text("no HDF5")
    with site.daemon(beamtime) as daemon:
        catalogue = daemon.catalogue()
        pids = eventually(lambda: len(found := catalogue.pids()) == len(NAMES) and found, "all scans", 180)
        assert len(set(pids)) == len(NAMES)
        for pid in pids:
            assert pid.isprintable()
            documents = json.dumps([catalogue.dataset(pid), catalogue.blocks(pid)], ensure_ascii=False)
            assert not STEERING.search(documents)
        page = requests.get(daemon.url, timeout=60).text
        assert not STEERING.search(page.replace("\n", "").replace("\r", ""))
        eventually(lambda: site.run("status").stdout.count("broken_") >= len(NAMES), "all failures in the status")
        shown = site.run("status")
        assert not STEERING.search((shown.stdout + shown.stderr).replace("\n", ""))
    assert all(name.split("\x1b")[0].split("\n")[0].split("\u202e")[0][:4] in site.log.read_text() for name in NAMES)
    assert not STEERING.search(site.log.read_text().replace("\n", ""))
    again = site.ingest(beamtime)
    assert not STEERING.search((again.stdout + again.stderr).replace("\n", ""))
    with site.catalogue() as catalogue:
        assert sorted(catalogue.pids()) == sorted(pids)


READER = """
import os, signal, socket
from contextlib import contextmanager
from scicat_watch.pipeline.handover import FieldValue

def secret(path):
    with open(path) as file:
        return file.read()

def write(path):
    with open(path, "w") as file:
        return file.write("mine")

def attempts(master):
    place = os.path.dirname(master)
    said = secret(master).split()
    return {
        "credentials": lambda: secret(said[0]),
        "other": lambda: secret(said[1]),
        "environ": lambda: secret(f"/proc/{said[2]}/environ"),
        "memory": lambda: open(f"/proc/{said[2]}/mem", "rb"),
        "signal": lambda: os.kill(int(said[2]), 0),
        "fork": lambda: os.fork() or os._exit(0),
        "program": lambda: os.execv("/bin/true", ["true"]),
        "write": lambda: write(os.path.join(place, "mine")),
        "remove": lambda: os.unlink(master),
        "mode": lambda: os.chmod(master, 0o777),
        "network": lambda: socket.create_connection(("127.0.0.1", int(said[3])), 5),
        "local": lambda: socket.socket(socket.AF_UNIX),
    }

def attempted(attempt):
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return type(error).__name__

class File:
    def __init__(self, master):
        self.master = str(master)
    def value(self, path, value_type, limit):
        return FieldValue(os.environ.get("SOME_TOKEN", "none"))
    def tree(self, options, limit, notes):
        return {name: attempted(attempt) for name, attempt in attempts(self.master).items()}
    def plot(self, notes):
        return None

class Probe:
    source = "PROBE"
    @contextmanager
    def open(self, master, roots, entry):
        yield File(master)
"""


def hostile_package(place: Path) -> Path:
    """A reader that tries what it may not, installed beside scicat-watch."""
    (place / "probe-1.0.dist-info").mkdir(parents=True)
    (place / "probe.py").write_text(READER)
    (place / "probe-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    (place / "probe-1.0.dist-info/entry_points.txt").write_text("[scicat_watch.readers]\nspec = probe:Probe\n")
    return place


def attempted(site: Site, beamtime: Path, **environment: str) -> dict[str, Any]:
    """What became of what the reader tried, as the dataset in the catalogue says."""
    (site.place / "other").mkdir()
    (site.place / "other/data.txt").write_text("secret")
    (site.place / "credentials.json").write_text("secret")
    site.change(watching={"extensions": ["spec"]})
    package = hostile_package(site.place / "packages")
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        site.daemon(beamtime, PYTHONPATH=path, SOME_TOKEN="secret", **environment) as daemon,
    ):
        port = server.getsockname()[1]
        places = (site.place / "credentials.json", site.place / "other/data.txt", daemon.pid, port)
        (beamtime / "scan_1.tmp").write_text(" ".join(map(str, places)))
        (beamtime / "scan_1.tmp").rename(beamtime / "scan_1.spec")
        catalogue = daemon.catalogue()
        pid = eventually(lambda: next(iter(catalogue.pids()), None), "the dataset", 180)
        found: dict[str, Any] = catalogue.dataset(pid)["scientificMetadata"]
        return found


FORBIDDEN = ("signal", "fork", "program", "write", "remove", "mode", "network", "local")
BY_LANDLOCK = ("credentials", "other", "environ", "memory")


@pytest.mark.skipif(not seccomp.possible(), reason="no system calls are refused here (seccomp)")
@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock, or has it turned off")
def test_code_that_reads_a_scan_reaches_nothing_but_its_beamtime(site: Site, beamtime: Path) -> None:
    found = attempted(site, beamtime)
    for name in (*FORBIDDEN, *BY_LANDLOCK):
        assert found[name] == "PermissionError", name
    assert sorted(one.suffix for one in beamtime.iterdir() if one.name.startswith("scan_1")) == [".spec"]
    assert "secret" not in json.dumps(found)


WITHOUT_LANDLOCK = """
import errno, os, sys
from scicat_watch.pipeline.reading import seccomp
seccomp.CALLS = {**seccomp.CALLS, "landlock_create_ruleset": (444, 444), "openat2": (437, 437)}
rules = [seccomp.Rule(call, errno.ENOSYS) for call in ("landlock_create_ruleset", "openat2")]
sys.exit(seccomp.Program(rules).install() or os.execv(sys.argv[1], sys.argv[1:]))
"""


@pytest.mark.skipif(not seccomp.possible(), reason="no system calls are refused here (seccomp)")
def test_an_old_kernel_gives_less_protection_which_is_said_and_all_else_works(site: Site, beamtime: Path) -> None:
    """Such a kernel is played by refusing the system calls that it lacks."""
    site.wrapper = (sys.executable, "-c", WITHOUT_LANDLOCK)
    found = attempted(site, beamtime)
    for name in FORBIDDEN:
        assert found[name] == "PermissionError", name
    assert "has no Landlock" in site.log.read_text()
    assert found["credentials"] == "done: secret"


@pytest.mark.skipif(not seccomp.possible(), reason="no system calls are refused here (seccomp)")
def test_the_check_of_a_configuration_says_what_the_system_lacks(site: Site) -> None:
    import subprocess

    command = [PROGRAM, "config", "check", "-c", str(site.config)]
    wrapped = [sys.executable, "-c", WITHOUT_LANDLOCK, *command]
    here, old = (
        subprocess.run(line, capture_output=True, text=True, timeout=300, check=False) for line in (command, wrapped)
    )
    assert "no Landlock" in old.stdout + old.stderr
    assert ("no Landlock" in here.stdout + here.stderr) is not bool(landlock.version())
