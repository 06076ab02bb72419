"""The command line in the hands of somebody who tries things: what is in the way, and what is said of it."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.flows.program import PROGRAM, Catalogue, Site, eventually, free_port
from tests.makers import ID, LIST, append, beamtime_directory, nexus

WIDTH = 80


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = beamtime_directory(tmp_path / "bt")
    nexus(made / "raw" / "run_1.nxs")
    return made


@pytest.fixture
def _usual_port_in_use() -> Iterator[None]:
    """The port that the embedded catalogue has unless somebody chooses another one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # Another program has it, which is as good.
            stack.enter_context(socket.create_server(("127.0.0.1", 8085)))
        yield


def _on_a_terminal(*arguments: str | Path) -> str:
    """What a command prints on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, env=environment | {"TERM": "dumb"}) as process:
        os.close(theirs)
        text = bytearray()
        with contextlib.suppress(OSError):  # The other end is closed.
            while piece := os.read(ours, 65536):
                text += piece
    os.close(ours)
    assert process.returncode == 0
    return text.decode()


def test_a_line_that_cannot_be_used_costs_only_those_who_ask_for_its_list(tmp_path: Path, beamtime: Path) -> None:
    site = Site(tmp_path)
    append(beamtime / "raw" / LIST, "../elsewhere")
    one = site.ingest(beamtime / "raw" / "run_1.nxs")
    assert (one.returncode, one.stdout.splitlines()[-1]) == (0, "1 created, 0 updated, 0 unchanged, 0 failed")
    for asked in (beamtime / "raw" / LIST, beamtime / "raw", beamtime):
        ended = site.ingest(asked)
        assert ended.returncode == 1
        assert f"failed {beamtime / 'raw' / LIST}:" in ended.stderr


def test_a_line_that_cannot_be_used_costs_no_other_one_beside_the_daemon_either(tmp_path: Path, beamtime: Path) -> None:
    site = Site(tmp_path)
    append(beamtime / "raw" / LIST, "../elsewhere")
    with site.daemon(beamtime) as daemon:
        assert site.ingest(beamtime / "raw" / "run_1.nxs").returncode == 0
        assert site.ingest(beamtime / "raw" / LIST).returncode == 1
        assert daemon.stop() == 0


@pytest.mark.usefixtures("_usual_port_in_use")
def test_where_another_program_has_the_port_a_free_one_is_taken_and_said(tmp_path: Path, beamtime: Path) -> None:
    """And whoever works beside the daemon finds its catalogue there."""
    site, other = Site(tmp_path), beamtime_directory(tmp_path / "other", "2")
    site.config.write_text("watching: {ingestion_delay: 0.3}\n")
    nexus(other / "other_1.nxs")
    var = ("--var-dir", str(site.var))
    command = [PROGRAM, "run", str(beamtime), *var, "-c", str(site.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split("datasets at ")[1].split()[0]
            assert address.startswith("http://127.0.0.1:")
            assert not address.endswith(":8085")
            catalogue = Catalogue(address, site.credentials())
            eventually(lambda: catalogue.pids() == [f"{ID}/raw/run_1"], "the daemon's scan")
            ended = site.run("ingest", other / "other_1.nxs", *var)
            assert ended.returncode == 0, ended.stderr
            assert catalogue.pids() == [f"{ID}/raw/run_1", "2/other_1"]
            assert f"in the catalogue at {address}" in site.run("preview", beamtime / "raw" / "run_1.nxs", *var).stdout
        finally:
            process.terminate()
    assert process.returncode == 0
    # Without the daemon as well.
    ended = site.run("ingest", other, *var)
    assert ended.returncode == 0, ended.stderr
    assert "8085" in ended.stderr


def test_a_port_that_somebody_chose_is_not_exchanged_for_another_one(tmp_path: Path, beamtime: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in ("run", "ingest"):
            ended = subprocess.run(
                [PROGRAM, command, beamtime, "--var-dir", tmp_path / "var", "--port", port],
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            assert ended.returncode == 2
            assert "--port" in ended.stderr


def test_a_catalogue_that_somebody_else_has_started_is_replaced_when_it_ends(tmp_path: Path, beamtime: Path) -> None:
    port = free_port()
    site = Site(tmp_path, embedded={"port": port})
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(site.catalogue(port))
        with site.daemon(beamtime) as daemon:
            assert daemon.url == other.url
            eventually(lambda: other.pids() == [f"{ID}/raw/run_1"], "the first scan")
            stack.close()
            nexus(beamtime / "raw" / "run_2.nxs")

            def all_there() -> bool:
                with contextlib.suppress(OSError):  # It has not started yet.
                    return other.pids() == [f"{ID}/raw/run_1", f"{ID}/raw/run_2"]
                return False

            eventually(all_there, "the second scan, in a catalogue of the daemon's")
            assert daemon.stop() == 0


def test_the_help_of_a_group_cuts_no_sentence(tmp_path: Path) -> None:
    answer = subprocess.run([PROGRAM, "config", "--help"], capture_output=True, text=True, timeout=300, check=True)
    commands = answer.stdout.partition("Commands:")[2]
    assert "check" in commands
    assert "..." not in commands


def test_a_preview_keeps_to_the_width_of_the_terminal(tmp_path: Path, beamtime: Path) -> None:
    nexus(beamtime / "raw" / f"{'long_' * 30}name.nxs", title="a title " * 40)
    for name in ("run_1", f"{'long_' * 30}name"):
        shown = _on_a_terminal(
            "preview", beamtime / "raw" / f"{name}.nxs", "-c", Site(tmp_path, reading={"workers": 1}).config
        )
        lines = shown.splitlines()
        assert len(lines) > 50
        assert max(map(len, lines)) <= WIDTH
