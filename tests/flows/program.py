"""The installed program in the hands of a test: daemons, one-shots and catalogues as real processes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests
import yaml

from scicat_watch.processes import is_over
from scicat_watch.service.status import collect
from scicat_watch.settings.load import load

PROGRAM = shutil.which("scicat-watch", path=str(Path(sys.executable).parent)) or "scicat-watch"


def eventually(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Wait until `condition` holds; its value."""
    until = time.monotonic() + seconds
    while (begun := time.monotonic()) < until:
        if value := condition():
            return value
        # One that starts a program leaves the daemon as much time as it took: they may share a core.
        time.sleep(max(0.05, time.monotonic() - begun))
    raise AssertionError(f"did not come true within {seconds:g} s: {what}")


def free_port() -> int:
    """A port that nobody listens at, and that the kernel gives to nobody who does not name it.

    So it is still free, or free again, when a test comes back to it.
    """
    low, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    while True:
        port = secrets.randbelow(max(low, 20_000) - 10_000) + 10_000
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def halt(pid: int) -> None:
    """Let a process stand still; when this returns, none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    # The signal takes effect when the process gets its turn, and in each thread on its own.
    eventually(lambda: all(state in "TtZX" for state in _thread_states(pid)), f"process {pid} stands still")


def _thread_states(pid: int) -> list[str]:
    states = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile.
            states.append((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return states


def flood(directory: Path, events: int) -> None:
    """Cause at least so many file events in a directory, none equal to the one before; nothing stays behind."""
    for number in range(events // 3 + 1):  # Each time three: it comes, is closed, and goes.
        file = directory / f"frame_{number % 7}.tif"
        file.touch()
        file.unlink()


class Catalogue:
    """A SciCat client that knows nothing of ours but the address and the credential file."""

    def __init__(self, url: str, credentials: Path) -> None:
        self.api = f"{url}/api/v3"
        self.url = url
        answer = requests.post(f"{self.api}/auth/login", json=json.loads(credentials.read_text()), timeout=60)
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, **params: Any) -> Any:
        query = {key: json.dumps(value) for key, value in params.items()}
        answer = requests.get(f"{self.api}/{path}", params=query, headers=self.headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.api}/{path}", json=body, headers=self.headers, timeout=60)

    def pids(self) -> list[str]:
        found = self.get("datasets", filter={"fields": ["pid"], "limits": {"limit": 100000}})
        return sorted(dataset["pid"] for dataset in found)

    def count(self) -> int:
        """How many datasets there are."""
        return int(self.get("datasets/count")["count"])

    def dataset(self, pid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"datasets/{quote(pid, safe='')}")
        return found

    def blocks(self, pid: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"datasets/{quote(pid, safe='')}/origdatablocks")
        return found

    def files(self, pid: str) -> list[str]:
        return sorted(file["path"] for block in self.blocks(pid) for file in block["dataFileList"])

    def thumbnails(self, pid: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"datasets/{quote(pid, safe='')}/attachments")
        return found


class Site:
    """A state directory with a configuration, and the program run on them."""

    wrapper: tuple[str, ...] = ()
    """A command that runs the daemon's, e.g. `unshare`."""

    def __init__(self, place: Path, **sections: dict[str, Any]) -> None:
        self.place = place
        self.var = place / "var"
        self.config = place / "config.yml"
        self.log = place / "log.txt"
        given: dict[str, Any] = {
            "var_dir": str(self.var),
            "watching": {"ingestion_delay": 0.3, "rescan_interval": 2.0},
            "embedded": {"port": 0},
            "retrying": {"first": 0.5, "longest": 2.0},
            "catalogue": {"patience": {"first_wait": 0.1, "longest_wait": 0.5, "give_up_after": 5.0}},
            "reading": {"thumbnails": False},
        }
        for name, section in sections.items():
            given[name] = given.get(name, {}) | section
        self.config.write_text(yaml.safe_dump(given))

    def change(self, **sections: dict[str, Any]) -> None:
        """Change keys of the configuration."""
        given = yaml.safe_load(self.config.read_text())
        for name, section in sections.items():
            given[name] = given.get(name, {}) | section
        self.config.write_text(yaml.safe_dump(given))

    @contextlib.contextmanager
    def daemon(self, *directories: Path, **environment: str) -> Iterator[Daemon]:
        daemon = Daemon(self, directories, environment)
        try:
            yield daemon
        finally:
            daemon.kill()

    def run(self, *arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *map(str, arguments), "-c", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def ingest(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        return self.run("ingest", *paths)

    def status(self) -> dict[str, Any]:
        """What `status --json` prints, without a process of its own: tests ask again and again."""
        return collect(load(self.config))

    @contextlib.contextmanager
    def catalogue(self, port: int = 0) -> Iterator[Catalogue]:
        """The embedded catalogue of this site alone, to look into after a one-shot."""
        process = subprocess.Popen(
            [PROGRAM, "catalogue", "-c", str(self.config), "--port", str(port)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            yield Catalogue(address, self.credentials())
        finally:
            process.terminate()
            process.wait(timeout=60)

    def credentials(self) -> Path:
        """A credential file for the embedded catalogue's account."""
        file = self.var / "test-credentials.json"
        accounts = json.loads((self.var / "catalogue-accounts.json").read_text())["accounts"]
        account = next(one for one in accounts if one["username"] == "ingestor")
        file.write_text(json.dumps({"username": "ingestor", "password": account["password"]}))
        return file


class Daemon:
    """`scicat-watch run` as a process."""

    def __init__(self, site: Site, directories: tuple[Path, ...], environment: dict[str, str] | None = None) -> None:
        self.site = site
        command = [*site.wrapper, PROGRAM, "run", *map(str, directories), "-c", str(site.config), "-l", "debug"]
        with site.log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | (environment or {})
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "datasets at" in line, (line, site.log.read_text()[-3000:])
        self.url = line.split("datasets at ")[1].split()[0]
        (self.pid,) = [child.pid for child in psutil.Process(self.process.pid).children()]
        """Of the daemon itself, for which the process that was started waits."""

    def catalogue(self) -> Catalogue:
        return Catalogue(self.url, self.site.credentials())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within it the daemon stands still, so that all that is written meanwhile is one change to it."""
        halt(self.pid)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        eventually(lambda: is_over(self.pid), "the daemon does not outlive the process that waits for it")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
