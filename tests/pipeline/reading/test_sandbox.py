"""What a worker process gave up, seen from inside a real one."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
from pebble import ProcessPool

from scicat_watch.errors import ReadingError
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.reading.sandbox import prepare
from scicat_watch.service.executors import processes
from tests.pipeline.nexus_made import group, job, line_plot, nexus, scan
from tests.recorded import ROOT

MEMORY = 1 << 30


@pytest.fixture(scope="module", params=["spawn", "forkserver"])
def worker(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Runs a function in a worker process that `prepare` made, with a time limit."""
    context = processes.context() if request.param == "forkserver" else multiprocessing.get_context(request.param)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SCICAT_TOKEN", "https_proxy", "HDF5_PLUGIN_PATH"):
            patch.setenv(name, "secret")
        with ProcessPool(1, initializer=prepare, initargs=(MEMORY,), context=context) as pool:
            pool.schedule(os.getpid, timeout=200).result()  # Its threads and processes are there before the first test.
            yield lambda function, *arguments: pool.schedule(function, args=arguments, timeout=200).result()


def _environment() -> dict[str, str]:
    return dict(os.environ)


def _connect(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def _connect_in_a_thread(port: int) -> str:
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_connect(port)))
    thread.start()
    thread.join()
    return answers[0]


def _families() -> dict[str, bool]:
    allowed = {}
    for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"):
        try:
            socket.socket(getattr(socket, name), socket.SOCK_RAW if name == "AF_NETLINK" else socket.SOCK_DGRAM).close()
            allowed[name] = True
        except PermissionError:
            allowed[name] = False
    return allowed


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _limits() -> tuple[Any, Any]:
    return resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CORE)


def _eat() -> str:
    try:
        np.ones(1 << 28)
    except MemoryError:
        return "no memory"
    return "eaten"


def _signals() -> tuple[bool, bool]:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _plugin_directories() -> int:
    from h5py import h5pl

    return int(h5pl.size())


def _loaded() -> list[str]:
    return [name for name in ("h5py", "matplotlib", "fastapi", "requests") if name in sys.modules]


def test_the_environment_holds_no_secrets(worker: Callable[..., Any]) -> None:
    seen = worker(_environment)
    assert "secret" not in seen.values()
    assert seen["PATH"] == os.environ["PATH"]
    assert seen["HDF5_USE_FILE_LOCKING"] == "FALSE"


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux only")
def test_no_connection_can_be_opened(worker: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _connect(port) == "connected"
        assert worker(_connect, port) == "PermissionError"
        assert worker(_connect_in_a_thread, port) == "PermissionError"
    families = worker(_families)
    assert families.pop("AF_UNIX")
    assert not any(families.values())
    assert worker(_user) == _user()


def test_memory_is_limited_and_no_core_is_dumped(worker: Callable[..., Any]) -> None:
    assert worker(_limits) == ((MEMORY,) * 2, (0, 0))
    assert worker(_eat) == "no memory"


def test_a_ctrl_c_is_the_parents_to_handle(worker: Callable[..., Any]) -> None:
    assert worker(_signals) == (True, True)


def test_hdf5_is_loaded_and_what_is_seldom_needed_is_not(worker: Callable[..., Any]) -> None:
    assert worker(_loaded) == ["h5py"]


def test_hdf5_loads_no_code_from_files(worker: Callable[..., Any]) -> None:
    assert worker(_plugin_directories) == 0


def _compressed(entry: h5py.Group) -> None:
    data = group(entry, "data", "NXdata", signal="frame")
    data.create_dataset("frame", data=np.arange(10_000).reshape(100, 100), **hdf5plugin.Bitshuffle())


@pytest.mark.parametrize("fill", [line_plot, _compressed])
def test_a_scan_is_read_with_its_thumbnail(
    worker: Callable[..., Any], tmp_path: Path, fill: Callable[[h5py.Group], None]
) -> None:
    nexus(tmp_path / "scan_1.nxs", fill)
    wanted = job(scan(tmp_path, "scan_1"))
    reading = worker(read, wanted)
    assert reading == read(wanted)
    assert reading.thumbnail


def _one_huge_chunk(entry: h5py.Group) -> None:
    data = group(entry, "data", "NXdata", signal="i")
    data.create_dataset("i", data=np.zeros((8000, 8000), "f4"), chunks=(8000, 8000), compression="lzf")


def test_what_takes_too_much_memory_is_left_out_and_the_worker_goes_on(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs", _one_huge_chunk)
    (tmp_path / "scan_2.nxs").write_bytes(b"broken")
    memory = 384 << 20
    context = processes.context()
    with ProcessPool(1, initializer=prepare, initargs=(memory,), context=context) as pool:
        process = pool.schedule(os.getpid).result()
        reading = pool.schedule(read, args=(job(scan(tmp_path, "scan_1")),)).result()
        assert reading.trees["tree"]["data"]["i"] == {"shape": [8000, 8000]}
        assert reading.thumbnail is None
        assert "no thumbnail" in reading.notes[0]
        with pytest.raises(ReadingError, match=r"scan_2\.nxs"):
            pool.schedule(read, args=(job(scan(tmp_path, "scan_2")),)).result()
        assert pool.schedule(os.getpid).result() == process


PARENT = """
import multiprocessing, os, signal, sys
from pebble import ProcessPool
from scicat_watch.pipeline.reading.sandbox import prepare

def hang():
    os.write(1, f"{os.getpid()}\\n".encode())
    while True:
        signal.pause()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    pool = ProcessPool(1, initializer=prepare, initargs=(4 << 30,), context=context)
    pool.schedule(hang).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process can be tied to its parent on Linux only")
@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_a_hanging_worker_does_not_outlive_a_parent_that_was_killed(tmp_path: Path, context: str) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "parent.py"), context]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=120)
    assert gone
