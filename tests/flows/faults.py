"""What can break under a running daemon, each really broken for a while and then well again.

Each fault is a context: within it something is broken. What cannot be provoked on a machine is skipped there, with a
message.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.catalogue.faulty import Answer, Request, SpoilingProxy
from tests.flows import hanging
from tests.flows.program import Catalogue, Daemon, Site, eventually, free_port
from tests.makers import append, nexus
from tests.recorded import POISON

GOOD, BAD = "1", "2"
MANY = 20_000 if "SCICAT_WATCH_SOAK_HOURS" in os.environ else 200
"""How many files come while the daemon stands still."""


@dataclass
class Scene:
    """A site with a beamtime that stays well and one that may break."""

    place: Path
    site: Site
    good: Path
    bad: Path
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Ends the daemon."""
    daemon: Daemon = field(init=False, repr=False)
    server: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Ends the server of the catalogue, if that is none of the daemon's."""
    proxy: Holding = field(init=False, repr=False)
    behind: Path | None = None
    """Where the files of the beamtime that breaks can be written although the daemon cannot."""
    _served: Catalogue | None = None

    def start(self) -> None:
        """Start the daemon, perhaps again."""
        self.running.close()
        self.daemon = self.running.enter_context(self.site.daemon(self.good, self.bad))

    @property
    def catalogue(self) -> Catalogue:
        return self._served or self.daemon.catalogue()

    def serve(self, port: int) -> None:
        """Start a catalogue of its own, perhaps again."""
        (self.place / "server").mkdir(exist_ok=True)
        self._server_site = Site(self.place / "server")
        self._served = self.server.enter_context(self._server_site.catalogue(port))

    def catalogue_is(self, url: str) -> None:
        """Configure the daemon for it."""
        credentials = self._server_site.credentials()
        patience = {"first_wait": 0.1, "longest_wait": 0.5}
        self.site.change(catalogue={"url": url, "credential_file": str(credentials), "patience": patience})

    def scan(self, root: Path, name: str) -> None:
        """One more scan, which is listed."""
        where = self.behind if self.behind is not None and root == self.bad else root
        nexus(where / "raw" / f"{name}.nxs")
        append(where / self.dataset_list(root).relative_to(root), name)

    def dataset_list(self, root: Path) -> Path:
        return root / "raw" / f"scicat-datasets-{GOOD if root == self.good else BAD}.lst"

    @property
    def ingested(self) -> Path:
        """The ingested list of the beamtime that breaks."""
        return self.bad / "raw" / f"scicat-ingested-datasets-{BAD}.lst"

    def says(self, words: str) -> None:
        """Wait until `status` says so."""
        eventually(lambda: words in "".join(self._status()), f"status says {words!r}")

    def is_well(self) -> None:
        """Wait until `status` says that nothing is wrong any more."""
        with contextlib.suppress(AssertionError):
            eventually(self._is_well, "nothing is wrong any more")
        assert self._is_well(), self.site.run("status").stdout

    def _is_well(self) -> bool:
        totals = self.site.status()["totals"]
        return (totals["problems"], totals["failed"], totals["waiting"]) == (0, 0, 0)

    def _status(self) -> tuple[str, str]:
        answer = self.site.run("status", "--json")
        return answer.stdout, answer.stderr


# Permissions and files


@contextlib.contextmanager
def unprivileged(scene: Scene) -> Iterator[None]:
    """Root reads everything, unless it has lost the right to."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("there is no setpriv here, without which root reads everything")
        lost = "-dac_override,-dac_read_search"
        scene.site.wrapper = ("setpriv", f"--inh-caps={lost}", f"--bounding-set={lost}")
    yield


@contextlib.contextmanager
def unreadable_directory(scene: Scene) -> Iterator[None]:
    (scene.bad / "raw").chmod(0)
    yield
    (scene.bad / "raw").chmod(0o755)


@contextlib.contextmanager
def unreadable_list(scene: Scene) -> Iterator[None]:
    scene.dataset_list(scene.bad).chmod(0o200)
    yield
    scene.dataset_list(scene.bad).chmod(0o644)


@contextlib.contextmanager
def ingested_list_is_a_directory(scene: Scene) -> Iterator[None]:
    kept = scene.place / "kept.lst"
    scene.ingested.rename(kept)
    scene.ingested.mkdir()
    yield
    scene.ingested.rmdir()
    kept.rename(scene.ingested)


@contextlib.contextmanager
def broken_files(scene: Scene) -> Iterator[None]:
    whole = (scene.good / "raw" / "before.nxs").read_bytes()
    files = {
        "text": b"this is not HDF5\n" * 100, "cut": whole[: len(whole) // 2], "empty": b"",
        "bent": whole[:600] + bytes(3000) + whole[3600:],
    }  # fmt: skip
    for name, content in files.items():
        (scene.bad / "raw" / f"{name}.nxs").write_bytes(content)
        append(scene.dataset_list(scene.bad), name)
    yield
    for name in files:
        nexus(scene.bad / "raw" / f"{name}.nxs")


@contextlib.contextmanager
def patient_readers(scene: Scene) -> Iterator[None]:
    """So that a file that hangs its reader does so for some time, and not for long."""
    scene.site.change(reading={"first_time_limit": 6.0, "time_limit": 6.0})
    yield


@contextlib.contextmanager
def removed_file(scene: Scene) -> Iterator[None]:
    """A file is removed while it is read, and comes back later."""
    file = scene.bad / "raw" / "removed.nxs"
    shutil.copyfile(POISON / "hangs.nxs", file)
    append(scene.dataset_list(scene.bad), "removed")
    eventually(lambda: _is_open(file, scene.daemon), "it is being read")
    file.unlink()
    yield
    nexus(file)


def _is_open(file: Path, daemon: Daemon) -> bool:
    """Whether a process of the daemon has a file open."""
    for process in psutil.Process(daemon.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            if any(link.readlink() == file for link in Path(f"/proc/{process.pid}/fd").iterdir()):
                return True
    return False


# Disks


@contextlib.contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """The beamtime that breaks is on a disk of its own."""
    with _mounted(scene.bad, "-t", "tmpfs", "-o", "size=2m", "none", keep=True):
        yield


@contextlib.contextmanager
def full_disk(scene: Scene) -> Iterator[None]:
    """Not one byte more fits: neither does the ingested list of a directory that had none."""
    late = scene.bad / "late"
    late.mkdir()
    dataset_list = late / scene.dataset_list(scene.bad).name
    dataset_list.write_text("# No scan yet.\n")
    part = nexus(late / "squeezed.nxs.part")
    filler = scene.bad / "filler.dat"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    part.rename(late / "squeezed.nxs")
    append(dataset_list, "squeezed")  # There is room left in its block.
    yield
    filler.unlink()


@contextlib.contextmanager
def bound_disk(scene: Scene) -> Iterator[None]:
    """The daemon sees the beamtime that breaks through a mount, and its files can be written behind that."""
    scene.behind = scene.place / "behind"
    scene.bad.rename(scene.behind)
    scene.bad.mkdir()
    with _mounted(scene.bad, "--bind", scene.behind):
        yield


@contextlib.contextmanager
def read_only_disk(scene: Scene) -> Iterator[None]:
    """Another mount covers the one before: that cannot be made read-only while files are open for writing."""
    with _mounted(scene.bad, "--bind", scene.behind or scene.bad):
        subprocess.run(["mount", "-o", "remount,bind,ro", scene.bad], check=True)
        yield


@contextlib.contextmanager
def _mounted(place: Path, *arguments: str | Path, keep: bool = False) -> Iterator[None]:
    """Something is mounted at `place`; `keep`: with the files that were there."""
    kept = place.with_name(f"{place.name}.kept")
    if keep:
        shutil.copytree(place, kept)
    done = subprocess.run(["mount", *arguments, place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        if keep:
            shutil.copytree(kept, place, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def on_fuse(scene: Scene) -> Iterator[None]:
    """The beamtime that breaks is on a file system that a program of ours serves."""
    under, hang = scene.place / "under", scene.place / "hang"
    scene.bad.rename(under)
    scene.bad.mkdir()
    command = [sys.executable, *map(str, (hanging.__file__, under, scene.bad, hang))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        if "mounted" not in (said := serving.stdout.readline()).split():
            pytest.skip(said.strip())
        try:
            yield
        finally:
            hang.unlink(missing_ok=True)
            subprocess.run(["umount", "--lazy", scene.bad], check=True)


@contextlib.contextmanager
def no_answer(scene: Scene) -> Iterator[None]:
    (scene.place / "hang").touch()
    yield
    (scene.place / "hang").unlink()


# Limits, other programs, and the daemon itself


@contextlib.contextmanager
def locked_journal(scene: Scene) -> Iterator[None]:
    other = sqlite3.connect(scene.site.var / "journal.sqlite", isolation_level=None, timeout=60)
    other.execute("begin exclusive")
    yield
    other.execute("rollback")
    other.close()


@contextlib.contextmanager
def few_watches(scene: Scene) -> Iterator[None]:
    """In a namespace of its own, where the limit can be set: enough for the directories that are there."""
    limit = "/proc/sys/user/max_inotify_watches"
    wrapper = ("unshare", "--user", "--map-root-user", "sh", "-c", f'echo 8 > {limit} && exec "$0" "$@"')
    try:
        allowed = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("no limit of watches can be set here")
    scene.site.wrapper = wrapper
    yield


@contextlib.contextmanager
def more_directories(scene: Scene) -> Iterator[None]:
    for number in range(20):
        nexus(scene.bad / f"more_{number}" / f"found_{number}.nxs")
    yield
    for number in range(20):
        shutil.rmtree(scene.bad / f"more_{number}")


@contextlib.contextmanager
def stands_still(scene: Scene) -> Iterator[None]:
    """The daemon is stopped, and many files come meanwhile."""
    with scene.daemon.paused():
        first = nexus(scene.bad / "many" / "many_00000.nxs").read_bytes()
        for number in range(1, MANY):
            (scene.bad / "many" / f"many_{number:05d}.nxs").write_bytes(first)
    yield


@contextlib.contextmanager
def second_daemon(scene: Scene) -> Iterator[None]:
    """Somebody starts another daemon with the same state directory."""
    second = scene.site.run("run", scene.bad)
    assert second.returncode == 2
    assert f"another scicat-watch runs with this state directory (pid {scene.daemon.pid}" in second.stderr
    yield


# The catalogue


@contextlib.contextmanager
def catalogue_elsewhere(scene: Scene) -> Iterator[None]:
    """The catalogue is a server of its own."""
    port = free_port()
    with scene.server:
        scene.serve(port)
        scene.catalogue_is(f"http://127.0.0.1:{port}/api/v3")
        yield


@contextlib.contextmanager
def no_catalogue(scene: Scene) -> Iterator[None]:
    """Its server has ended."""
    port = urlsplit(scene.catalogue.url).port or 0
    scene.server.close()
    yield
    scene.serve(port)


@contextlib.contextmanager
def catalogue_behind_a_proxy(scene: Scene) -> Iterator[None]:
    with scene.server:
        scene.serve(0)
        scene.proxy = Holding(scene.catalogue.url)
        scene.server.callback(scene.proxy.close)
        scene.catalogue_is(scene.proxy.base)
        yield


@contextlib.contextmanager
def killed_while_publishing(scene: Scene) -> Iterator[None]:
    """The catalogue has made the dataset, and the daemon is dead before it hears of it."""
    scene.proxy.hold.set()
    scene.scan(scene.bad, "interrupted")
    assert scene.proxy.held.wait(120)
    scene.daemon.kill()
    scene.proxy.hold.clear()
    scene.proxy.go_on.set()
    scene.start()
    yield


class Holding(SpoilingProxy):
    """A proxy that can hold back the answer to the POST of a dataset."""

    def __init__(self, upstream: str) -> None:
        self.hold, self.held, self.go_on = threading.Event(), threading.Event(), threading.Event()
        super().__init__(upstream)

    def _spoil(self, request: Request) -> Answer:
        answer = super()._spoil(request)
        if self.hold.is_set() and request.method == "POST" and request.path.endswith("/datasets"):
            self.held.set()
            self.go_on.wait(120)
        return answer
