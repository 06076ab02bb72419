"""What code can do that has taken over a reader: seen from inside a real one, which runs it instead of reading."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from scicat_watch import kernel
from scicat_watch.errors import ReaderLost
from scicat_watch.pipeline.reading import landlock, libraries, seccomp
from scicat_watch.service.executors import processes
from tests.service.executors.conftest import SECRET, Inside, Probe, job_of, tried

pytestmark = pytest.mark.skipif(not seccomp.possible(), reason="no system calls are refused here (seccomp)")
needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock, or has it turned off")

LIBC = ctypes.CDLL(None, use_errno=True)


# What it may do: otherwise nothing below would say anything.


def _text(path: Path | str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")


def _listed(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


def _thread() -> str:
    said: list[str] = []
    thread = threading.Thread(target=said.append, args=("ran",))
    thread.start()
    thread.join()
    return said[0]


def _imported() -> str:
    import colorsys  # What no reader has loaded before.

    return colorsys.__name__


def test_a_reader_reads_its_beamtime_and_the_libraries_and_has_threads(
    inside: Callable[..., str], beamtime: Path
) -> None:
    assert inside(_text, beamtime / "data.txt") == "data"
    assert inside(_listed, beamtime) == "['data.txt']"
    assert inside(_imported) == "colorsys"
    assert inside(_thread) == "ran"


# What it may not.


@needs_landlock
def test_a_reader_reads_no_other_file(inside: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for outside in (tmp_path / "credentials.json", tmp_path / "other/data.txt"):
        outside.write_text("secret")
        assert inside(_text, outside) == "PermissionError"
    (tmp_path / "beamtime/link").symlink_to(tmp_path / "credentials.json")
    assert inside(_text, tmp_path / "beamtime/link") == "PermissionError"
    for path in ("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/1/environ", Path.home() / ".bashrc"):
        if Path(path).exists():
            assert inside(_text, path) == "PermissionError", path
    assert inside(_listed, tmp_path / "other") == "PermissionError"


def _readers_of(first: Path, second: Path) -> str:
    return "".join(tried(Inside(_text, (path / "data.txt",), ())) + " " for path in (first, second))


@needs_landlock
def test_each_beamtime_has_a_reader_of_its_own_which_reads_no_other(
    real: tuple[Connection, Connection], tmp_path: Path
) -> None:
    directories = []
    for name in ("one", "two"):
        directories.append(tmp_path / name)
        directories[-1].mkdir()
        (directories[-1] / "data.txt").write_text(name)
    jobs = [job_of(directory) for directory in directories]
    real[0].send(Inside(_readers_of, tuple(directories), (jobs[0], jobs[1], jobs[0])))
    assert real[1].poll(300)
    assert real[1].recv() == ["one PermissionError ", "PermissionError two ", "one PermissionError "]


def _pid_and_data(path: Path) -> str:
    return f"{os.getpid()} {_text(path / 'data.txt')}"


@needs_landlock
def test_a_reader_is_renewed_when_its_directory_was_made_anew(
    real: tuple[Connection, Connection], beamtime: Path, tmp_path: Path
) -> None:
    job = job_of(beamtime)

    (tmp_path / "new").mkdir()
    (tmp_path / "new/data.txt").write_text("new")
    real[0].send(Inside(_pid_and_data, (beamtime,), (job, job, job), _swap))
    assert real[1].poll(300)
    (one, old), (two, new), (three, same) = (answer.split() for answer in real[1].recv())
    assert (old, new, same) == ("data", "new", "new")
    assert one != two
    assert two == three


def _swap(beamtime: Path) -> None:
    """In the worker, before the second scan."""
    if (beamtime.parent / "new").exists():
        beamtime.rename(beamtime.parent / "old")
        (beamtime.parent / "new").rename(beamtime)


def _written(path: Path) -> str:
    path.write_text("mine")
    return "written"


def _appended(path: Path) -> str:
    with path.open("r+") as file:
        file.write("mine")
    return "written"


def _directly(number: int, *arguments: Any) -> str:
    """A system call; the name of its error."""
    kernel.system_call(number, *arguments)
    return "done"


WRITES: dict[str, tuple[Probe, Callable[[Path], tuple[Any, ...]]]] = {
    "a new file": (_written, lambda place: (place / "new",)),
    "over a file": (_written, lambda place: (place / "data.txt",)),
    "into a file": (_appended, lambda place: (place / "data.txt",)),
    "a directory": (os.mkdir, lambda place: (place / "new",)),
    "remove": (os.unlink, lambda place: (place / "data.txt",)),
    "rename": (os.rename, lambda place: (place / "data.txt", place / "x")),
    "link": (os.link, lambda place: (place / "data.txt", place / "x")),
    "symlink": (os.symlink, lambda place: (place / "data.txt", place / "x")),
    "fifo": (os.mkfifo, lambda place: (place / "x",)),
    "mode": (os.chmod, lambda place: (place / "data.txt", 0o777)),
    "owner": (os.chown, lambda place: (place / "data.txt", os.getuid(), os.getgid())),
    "times": (os.utime, lambda place: (place / "data.txt", (1, 1))),
    "truncate": (os.truncate, lambda place: (place / "data.txt", 0)),
    "attribute": (os.setxattr, lambda place: (place / "data.txt", "user.x", b"y")),
    "temporary": (_written, lambda place: (Path(tempfile.gettempdir()) / f"{SECRET}-{os.getpid()}",)),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_reader_writes_nothing(inside: Callable[..., str], beamtime: Path, what: str) -> None:
    probe, arguments = WRITES[what]
    before = beamtime.joinpath("data.txt").stat()
    assert inside(probe, *arguments(beamtime)) == "PermissionError"
    assert beamtime.joinpath("data.txt").stat() == before
    assert _listed(beamtime) == ["data.txt"]


def _environ() -> str:
    return ascii([name for name, value in os.environ.items() if "secret" in value])


def _initial_environ() -> str:
    """What the kernel shows of the environment that the process was started with: read where that is in memory."""
    pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(LIBC, "environ")
    entries: list[bytes | None] = []
    while pointer[len(entries)] is not None:
        entries.append(pointer[len(entries)])
    return str(any(b"secret" in (entry or b"") for entry in entries))


def test_a_readers_environment_is_clean(inside: Callable[..., str]) -> None:
    assert inside(_environ) == "[]"
    assert inside(_initial_environ) == "False"


def test_nothing_of_our_environment_is_given_to_the_server_and_its_workers(
    real: tuple[Connection, Connection], inside: Callable[..., str]
) -> None:
    reader = int(inside(os.getppid))
    server = int(_text(f"/proc/{reader}/stat").rpartition(")")[2].split()[1])
    for pid in (reader, server):
        names = {entry.partition("=")[0] for entry in _text(f"/proc/{pid}/environ").split("\0") if entry}
        assert "PATH" in names
        assert SECRET not in names
        assert "PYTEST_CURRENT_TEST" not in names


def _forked() -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


def _run() -> str:
    subprocess.run(["true"], check=False)
    return "ran"


def _executed() -> str:
    os.execv("/bin/true", ["true"])


def test_a_reader_starts_no_process_and_no_program(inside: Callable[..., str]) -> None:
    assert inside(_forked) == "PermissionError"
    assert inside(_run) == "PermissionError"
    assert inside(_executed) == "PermissionError"


def _signalled(pid: int) -> str:
    os.kill(pid, 0)
    return "signalled"


def test_a_reader_signals_nobody_but_itself(inside: Callable[..., str]) -> None:
    assert inside(_signalled, os.getpid()) == "PermissionError"
    assert inside(_signal_by_a_file, os.getpid()) == "PermissionError"
    assert inside(_signal_itself) == "signalled"


def _signal_itself() -> str:
    return _signalled(os.getpid())


def _signal_by_a_file(pid: int) -> str:
    import fcntl

    reading, _ = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
    return "done"


def _numbers(*names: str) -> list[int]:
    column = 0 if os.uname().machine == "x86_64" else 1
    return [number for name in names if (number := seccomp.CALLS[name][column]) is not None]


REFUSED = (
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "mount", "umount2", "unshare",
    "setns", "bpf", "keyctl", "add_key", "userfaultfd", "perf_event_open", "io_uring_setup", "open_by_handle_at",
    "chroot", "socket", "socketpair", "connect", "setpriority", "sched_setaffinity",
)  # fmt: skip


def test_a_reader_is_refused_what_reaches_other_processes_and_the_kernel(inside: Callable[..., str]) -> None:
    for name in REFUSED:
        for number in _numbers(name):
            assert inside(_directly, number, 0, 0, 0, 0, 0) == "PermissionError", name


def _limits_of(pid: int) -> str:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, 8))
    return "changed"


def test_a_reader_changes_no_limits_of_others(inside: Callable[..., str]) -> None:
    assert inside(_limits_of, os.getpid()) == "PermissionError"


def _connected(port: int) -> str:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return "connected"


def _local() -> str:
    socket.socket(socket.AF_UNIX).close()
    return "made"


def test_a_reader_has_no_sockets(inside: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert inside(_connected, server.getsockname()[1]) == "PermissionError"
    assert inside(_local) == "PermissionError"


def _descriptors() -> str:
    """What is open: two pipes, and files that are only read; the standard streams lead nowhere."""
    import stat

    found = []
    for number in range(3, 4096):
        with suppress(OSError):
            found.append(stat.filemode(os.fstat(number).st_mode)[0])
    streams = [os.fstat(number).st_rdev == Path(os.devnull).stat().st_rdev for number in range(3)]
    return f"{found.count('p')} {set(found) - {'p', '-'}} {all(streams)}"


def test_a_reader_has_no_descriptors_but_two_pipes(inside: Callable[..., str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as ours, (tmp_path / "log").open("a") as log:
        os.set_inheritable(ours.fileno(), True)
        os.set_inheritable(log.fileno(), True)
        assert inside(_descriptors) == "2 set() True"


def test_our_helper_processes_inherit_no_descriptor() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    kept = os.dup(2)
    pid = processes._spawned(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {kept})
    try:
        os.close(writing)
        assert select.select([reading], [], [], 30)[0], "somebody else has the other end"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(kept)


def _dumpable() -> str:
    return str(LIBC.prctl(3, 0, 0, 0, 0))


def test_readers_and_workers_and_the_daemon_hide_their_memory(inside: Callable[..., str]) -> None:
    assert inside(_dumpable) == "0"
    assert _dumpable() == "0"


# What becomes of it


def test_what_a_reader_may_not_load_its_worker_loads(inside: Callable[..., str]) -> None:
    assert inside(_needing, libraries.COMPRESSION) == "True"


def _needing(name: str) -> str:
    libraries.need(name)
    return str("hdf5plugin" in sys.modules)


@dataclass(frozen=True)
class _Hostile:
    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_a_reader_that_sends_something_else_than_values_is_ended(
    real: tuple[Connection, Connection], beamtime: Path, tmp_path: Path
) -> None:
    real[0].send(Inside(_speaking, (tmp_path / "made",), (job_of(beamtime),)))
    assert real[1].poll(300)
    answer = real[1].recv()
    assert isinstance(answer, ReaderLost)
    assert "no usable answer" in str(answer)
    assert not (tmp_path / "made").exists()


def _speaking(path: Path) -> str:
    """Answers by itself, as code that has taken over the process would."""
    import pickle
    import struct

    answer = pickle.dumps(_Hostile(path))
    message = struct.pack("!i", len(answer)) + answer
    for number in range(3, 64):
        with suppress(OSError):
            os.write(number, message)
    return "said"
