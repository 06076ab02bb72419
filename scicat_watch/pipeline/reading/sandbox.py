"""What the processes that read data files give up before they open the first.

A data file can be crafted so that the HDF5 library does what its author wants. So two kinds of processes are involved.
A *worker* (`prepare`) takes jobs, loads libraries and starts readers, and never opens a data file. A *reader*
(`confine`) is forked from it for one beamtime, opens the files, and gives back plain values. Should a file take over a
reader, that finds an environment without tokens, no network, no other programs or processes, nothing to write to, no
files but the beamtime's and those of the libraries, and a limit to the memory that it can eat. A process that hangs is
ended by its parent, and ends with it.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import multiprocessing
import os
import resource
import signal
import stat
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scicat_watch import kernel
from scicat_watch.pipeline.reading import environment, landlock, seccomp

log = logging.getLogger(__name__)

_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
    "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom",
)  # fmt: skip
"""What Python and the libraries open of the system, beside their own directories."""


def prepare(memory_limit: int) -> None:
    """Make the calling process a worker; the initializer of a pool's process.

    For a process of `service.executors.processes`: one that is only forked holds what its parent had in memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A Ctrl-C in the terminal is the parent's to handle.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    kernel.hide_memory()
    _end_with_parent()
    load()
    _share_no_locks()
    _limit(resource.RLIMIT_AS, memory_limit)
    _limit(resource.RLIMIT_CORE, 0)
    objection = seccomp.Program(seccomp.WORKER).install()
    if objection and not gaps():
        log.warning("processes that read data files keep the network: %s", objection)


def load() -> None:
    """Load what every scan needs, with a clean environment: HDF5 reads it then."""
    kept = environment.clean(os.environ)
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ.update(kept)
    from h5py import h5pl

    from scicat_watch.pipeline.reading import preload

    preload.usual()
    # Should HDF5 have been loaded before: no code from files. Compressions come with hdf5plugin, which needs no path.
    while h5pl.size():
        h5pl.remove(0)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What readers may do, as their worker prepares it: in a process that was just forked, each thought is costly."""

    libraries: tuple[Path, ...]
    """Directories and files of the libraries that are loaded, and of the system, which may be read."""
    system_calls: seccomp.Program
    """Those that are refused."""


def confinement() -> Confinement:
    """What readers may do that are forked from now on."""
    return Confinement(tuple(_libraries()), seccomp.Program((*seccomp.READER, *seccomp.WORKER)))


def confine(parent: int, rules: Confinement, roots: Iterable[Path], kept: Collection[int]) -> list[str]:
    """Make the calling process, just forked from the worker `parent`, a reader of what is in `roots`.

    `kept` are the descriptors that it goes on with. What this system cannot do is said, and left out.
    """
    gc.freeze()  # What was there before the fork is shared memory, as long as nobody looks through it for garbage.
    kernel.end_with(parent)
    kernel.hide_memory()
    _let_go(kept)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _limit(resource.RLIMIT_FSIZE, 0)
    objections = []
    try:
        landlock.restrict([*rules.libraries, *(Path(os.path.realpath(root)) for root in roots)])
    except OSError as error:
        objections.append(f"any file that this account may read can be opened (no Landlock: {error.strerror})")
    if objection := rules.system_calls.install():
        objections.append(f"system calls are not restricted (no seccomp: {objection})")
    return objections


@cache
def gaps() -> tuple[str, ...]:
    """What of the protection this system does not offer, in words for an operator; empty where there is all."""
    found = []
    if not landlock.version():
        found.append(
            "this kernel has no Landlock, or has it turned off (it needs Linux 5.13): processes that read data files "
            "can open whatever this account may read"
        )
    if not seccomp.possible():
        found.append("system calls cannot be restricted here (seccomp): processes that read data files keep them all")
    return tuple(found)


def _let_go(kept: Collection[int]) -> None:
    """Close what the worker had open, but for files that libraries read (fonts); standard streams lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in map(int, os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")):  # noqa: PTH208
        if descriptor in kept or descriptor == nowhere:
            continue
        with suppress(OSError):
            if descriptor <= 2:
                os.dup2(nowhere, descriptor)
            elif not _only_read(descriptor):
                os.close(descriptor)
    if nowhere > 2:
        os.close(nowhere)


def _share_no_locks() -> None:
    """Keep the locks of a pool, which are in memory that its processes share, out of the readers' memory."""
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
            if "/dev/shm/sem." in line:  # noqa: S108
                start, end = (int(place, 16) for place in line.split(maxsplit=1)[0].split("-"))
                kernel.without_children(start, end - start)


def _only_read(descriptor: int) -> bool:
    return (
        stat.S_ISREG(os.fstat(descriptor).st_mode)
        and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    )


def _libraries() -> list[Path]:
    """Directories of Python and of the packages that are loaded, and what these open of the system."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    known = [*_SYSTEM, *(f"{prefix}/{lib}" for prefix in sorted(prefixes) for lib in ("lib", "lib64"))]
    real = tuple(f"{os.path.realpath(place)}/" for place in known)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) if "." not in module.__name__ else None
        if isinstance(file, str) and not file.startswith(real):
            package = os.path.basename(file).startswith("__init__.")  # noqa: PTH119
            known.append(os.path.dirname(file) if package else file)  # noqa: PTH120
    return [Path(place) for place in known]


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _end_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, even if it hangs in HDF5.

    `multiprocessing` gives every process a pipe that its parent holds open; the kernel is asked to
    send SIGKILL when something happens to it. (The usual PR_SET_PDEATHSIG is of no use: it follows the
    thread that started the process, or the fork server, which goes on as long as there are workers.)
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | fcntl.FASYNC)
    if not parent.is_alive():
        os._exit(1)  # It ended before the kernel knew.
