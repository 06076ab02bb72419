"""Whether a file is complete, read from its first bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from scicat_watch.discovery.superblock import examine, read_superblock
from scicat_watch.model import FileState

LAYOUTS = {"old": "earliest", "new": "latest"}


def _write(path: Path, libver: str, **more: int) -> Path:
    with h5py.File(path, "w", libver=libver, **more) as file:
        file["x"] = range(1000)
    return path


@pytest.mark.parametrize("libver", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("userblock", [0, 512, 2048])
def test_a_closed_file_has_no_obstacle(tmp_path: Path, libver: str, userblock: int) -> None:
    file = _write(tmp_path / "a.nxs", libver, userblock_size=userblock)
    assert examine(file).obstacle == ""
    descriptor = os.open(file, os.O_RDONLY)
    head = read_superblock(descriptor, file.stat().st_size)
    os.close(descriptor)
    assert head is not None
    assert not head.writing


@pytest.mark.parametrize("libver", LAYOUTS.values(), ids=LAYOUTS)
def test_a_file_that_is_open_for_writing_is_marked(tmp_path: Path, libver: str) -> None:
    with h5py.File(tmp_path / "a.nxs", "w", libver=libver) as file:
        file["x"] = range(1000)
        file.flush()
        examined = examine(tmp_path / "a.nxs")
        # Space that is reserved but not written yet makes some files shorter than they say.
        assert "being written" in examined.obstacle or "should have" in examined.obstacle
    assert examine(tmp_path / "a.nxs").obstacle == ""


@pytest.mark.parametrize("libver", LAYOUTS.values(), ids=LAYOUTS)
def test_a_writer_that_was_killed_leaves_its_mark(tmp_path: Path, libver: str) -> None:
    program = (
        "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver=sys.argv[2]); f['x'] = range(1000); "
        "f.flush(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "a.nxs", libver], check=False)
    assert ended.returncode == -9
    assert examine(tmp_path / "a.nxs").obstacle != ""


@pytest.mark.parametrize("libver", LAYOUTS.values(), ids=LAYOUTS)
def test_a_copy_under_way_is_noticed_at_every_length(tmp_path: Path, libver: str) -> None:
    data = _write(tmp_path / "a.nxs", libver).read_bytes()
    copy = tmp_path / "copy.nxs"
    for length in [*range(8, 128), len(data) // 2, len(data) - 1]:
        copy.write_bytes(data[:length])
        assert examine(copy).obstacle, length
        assert "being written" not in examine(copy).obstacle
    copy.write_bytes(data)
    assert examine(copy).obstacle == ""


def test_what_is_no_hdf5_is_left_to_the_reader_to_say(tmp_path: Path) -> None:
    (tmp_path / "a.nxs").write_text("no HDF5")
    (tmp_path / "a.fio").write_text("!\n%c")
    (tmp_path / "e.nxs").touch()
    (tmp_path / "v9.nxs").write_bytes(b"\x89HDF\r\n\x1a\n\x09" + b"\0" * 100)
    assert examine(tmp_path / "a.nxs").obstacle == ""
    assert examine(tmp_path / "a.fio").obstacle == ""
    assert examine(tmp_path / "v9.nxs").obstacle == ""
    assert examine(tmp_path / "e.nxs").obstacle == "is empty"


@pytest.mark.timeout(120)
def test_a_pipe_a_directory_and_a_device_hold_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nxs")
    (tmp_path / "dir.nxs").mkdir()
    (tmp_path / "zero.nxs").symlink_to("/dev/zero")
    for name in ("pipe.nxs", "dir.nxs", "zero.nxs"):
        assert examine(tmp_path / name).obstacle == "is not a regular file"


def test_what_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "round.nxs").symlink_to("round.nxs")
    for name in ("none.nxs", "round.nxs"):
        with pytest.raises(OSError):  # noqa: PT011  # Which one is the caller's question.
            examine(tmp_path / name)


def test_a_file_that_was_replaced_by_a_rename_shows_another_state(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("same")
    second.write_text("same")
    os.utime(second, ns=(first.stat().st_mtime_ns,) * 2)
    before = FileState.of(first.stat())
    second.replace(first)
    assert FileState.of(first.stat()) != before


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("flags", "writing"), [(0x00, False), (0x01, True), (0x03, False), (0x02, False)])
def test_what_hdf5_1_6_wrote_at_creation_is_no_open_writer(
    tmp_path: Path, version: int, flags: int, writing: bool
) -> None:
    data = bytearray(_write(tmp_path / "a.nxs", "earliest").read_bytes())
    if version == 1:  # Four bytes more come before the addresses.
        data[24:24] = bytes(4)
        data[44:52] = len(data).to_bytes(8, "little")
    data[8], data[20:24] = version, flags.to_bytes(4, "little")
    (tmp_path / "a.nxs").write_bytes(data)
    assert ("being written" in examine(tmp_path / "a.nxs").obstacle) is writing


@pytest.mark.parametrize("name", ["a.nx5", "a.cxi", "a.nexus", "a.nxspe", "a.spec", "a"])
def test_the_signature_decides_and_not_the_name(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / name, "w", libver="earliest") as file:
        file["x"] = range(1000)
        file.flush()
        assert examine(tmp_path / name).obstacle
    assert examine(tmp_path / name).obstacle == ""
