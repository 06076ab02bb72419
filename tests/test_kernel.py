"""What Linux is asked for directly: memory that is hidden, files opened below a directory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scicat_watch import kernel
from scicat_watch.files import Roots, read_ordinary


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator may become another account")
def test_a_process_of_the_same_account_cannot_read_our_environment() -> None:
    seen, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_as_nobody, args=(theirs,))
    process.start()
    assert seen.poll(300)
    assert seen.recv() == ["read", "PermissionError"]
    process.join()
    for one in (seen, theirs):
        one.close()


def _as_nobody(given: Connection) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    found = [_what_a_child_reads()]
    kernel.hide_memory()
    given.send([*found, _what_a_child_reads()])


def _what_a_child_reads() -> str:
    reading, writing = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            answer = "read" if Path(f"/proc/{parent}/environ").read_bytes() else "empty"
        except OSError as error:
            answer = type(error).__name__
        os.write(writing, answer.encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 100).decode()


LEFT = "No such file|Too many levels|cross-device|Not a directory|leads out"


@pytest.fixture(params=["in one step", "name by name"])
def beneath(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to open a file; the second one is for kernels without openat2."""
    if request.param == "name by name":
        monkeypatch.setattr(kernel, "_without_openat2", lambda: True)
    elif kernel._without_openat2():
        pytest.skip("this kernel has no openat2")


def _read(directory: Path, path: str, flags: int = os.O_RDONLY) -> bytes:
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        descriptor = kernel.open_beneath(at, path, flags)
        try:
            return os.read(descriptor, 100)
        finally:
            os.close(descriptor)
    finally:
        os.close(at)


@pytest.mark.usefixtures("beneath")
def test_what_is_below_a_directory_is_opened_and_nothing_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "in/link").symlink_to(tmp_path / "secret")
    (tmp_path / "in/folder").symlink_to(tmp_path)
    (tmp_path / "in/short").symlink_to("deep/file")
    assert _read(tmp_path / "in", "deep/file") == b"inside"
    for path in ("link", "folder/secret", "../secret", "deep/../../secret", "short", "none"):
        for flags in (os.O_RDONLY, os.O_PATH):
            with pytest.raises(OSError, match=LEFT):
                _read(tmp_path / "in", path, flags)


@pytest.mark.usefixtures("beneath")
def test_a_link_that_is_swapped_between_check_and_opening_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in/real").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in/real/file").write_text("inside")
    (tmp_path / "out/file").write_text("outside")
    (tmp_path / "in/folder").symlink_to("real")
    roots = Roots([tmp_path / "in"])
    original = Roots.real

    def swapped(self: Roots, path: str | Path) -> str | None:
        """What was checked is replaced before it is opened."""
        found = original(self, path)
        if not (tmp_path / "in/away").exists():
            (tmp_path / "in/real").rename(tmp_path / "in/away")
            (tmp_path / "in/real").symlink_to(tmp_path / "out")
        return found

    assert read_ordinary(tmp_path / "in/folder/file", 100, roots=roots) == b"inside"
    monkeypatch.setattr(Roots, "real", swapped)
    with pytest.raises(OSError, match=LEFT):
        read_ordinary(tmp_path / "in/folder/file", 100, roots=roots)


@pytest.mark.usefixtures("beneath")
def test_nothing_outside_is_ever_read_while_somebody_swaps_links(tmp_path: Path) -> None:
    place, spare = tmp_path / "in/place", tmp_path / "in/spare"
    for name in ("in/place", "out"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            place.rename(spare)
            place.symlink_to("../out")
            place.unlink()
            spare.rename(place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    roots, seen = Roots([tmp_path / "in"]), set()
    try:
        for _ in range(5000):
            try:
                seen.add(read_ordinary(place / "file", 100, roots=roots))
            except OSError:
                continue
    finally:
        over.set()
        swapper.join()
    assert seen <= {b"in/place"}
