"""A file system that hangs when a test wants it to: FUSE over a directory, spoken with the kernel itself.

`python hanging.py UNDER MOUNTPOINT CONTROL [NUMBER]` mounts it and serves it; NUMBER is added to all inodes.
While the file CONTROL exists, no request is answered: a thread that makes one stays in the kernel, beyond the reach of
signals, as with a dead NFS server; then there is CONTROL.asked, too. CONTROL also comes to exist at the first request
of the kind and name that CONTROL.at has ("1 run_1.nxs": the file is looked up). There is no room for what is written to
the file whose name CONTROL.full has.
Needs root and /dev/fuse, and no library (protocol: <linux/fuse.h>, version 7.31).
"""

# Descriptors and names of the kernel.
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH110, PTH118, PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Callable

ROOT = 1
_ASKED = struct.Struct("<IIQQIIIHH")  # struct fuse_in_header
_ANSWER = struct.Struct("<IiQ")  # struct fuse_out_header
_MOST = (1 << 20) + 4096


class HangingFileSystem:
    """Passes each request on to the directory that it is mounted over."""

    def __init__(self, under: str, device: int, control: str, number: int) -> None:
        self._device, self._control, self._number = device, control, number
        self._paths = {ROOT: under}
        self._numbers = {under: ROOT}
        self._calls: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup, 3: self._getattr, 4: self._setattr, 9: self._mkdir, 10: self._unlink, 11: self._rmdir,
            14: self._open, 15: self._read, 16: self._write, 17: self._statfs, 18: self._release, 20: self._fsync,
            25: self._nothing, 26: self._init, 27: self._open_directory, 28: self._read_directory, 29: self._nothing,
            30: self._nothing, 35: self._create,
        }  # fmt: skip

    def serve(self) -> None:
        """Until it is unmounted."""
        while True:
            try:
                asked = os.read(self._device, _MOST)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                continue  # A request that was taken back.
            _, call, unique, node = _ASKED.unpack_from(asked)[:4]
            if call in (2, 36, 42):  # What is forgotten or interrupted gets no answer.
                continue
            self._wait(call, asked[_ASKED.size :])
            number, answer = self._answer(call, node, asked[_ASKED.size :])
            with contextlib.suppress(OSError):  # Nobody waits for it any more.
                os.write(self._device, _ANSWER.pack(_ANSWER.size + len(answer), -number, unique) + answer)

    def _wait(self, call: int, data: bytes) -> None:
        with contextlib.suppress(FileNotFoundError), open(f"{self._control}.at", "rb") as file:  # noqa: PTH123
            kind, name = file.read().split()
            if call == int(kind) and data.endswith(name + b"\0"):
                open(self._control, "w").close()  # noqa: PTH123
        while os.path.exists(self._control):
            if call not in (18, 29):  # Nobody waits for the end of what was closed.
                open(f"{self._control}.asked", "w").close()  # noqa: PTH123
            time.sleep(0.02)

    def _answer(self, call: int, node: int, data: bytes) -> tuple[int, bytes]:
        if (answering := self._calls.get(call)) is None:
            return errno.ENOSYS, b""
        try:
            return 0, answering(node, data)
        except OSError as error:
            return error.errno or errno.EIO, b""
        except KeyError:
            return errno.ESTALE, b""

    def _child(self, node: int, name: bytes) -> str:
        return os.path.join(self._paths[node], os.fsdecode(name.rstrip(b"\0")))

    def _entry(self, path: str) -> bytes:
        attributes = _attributes(os.lstat(path), self._number)
        number = self._numbers.setdefault(path, len(self._numbers) + 1)
        self._paths[number] = path
        return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + attributes

    def _init(self, node: int, data: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 1 << 17, 1, 32, 0, 0)

    def _lookup(self, node: int, data: bytes) -> bytes:
        return self._entry(self._child(node, data))

    def _getattr(self, node: int, data: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + _attributes(os.lstat(self._paths[node]), self._number)

    def _setattr(self, node: int, data: bytes) -> bytes:
        valid, _, _, size, _, accessed, modified = struct.unpack_from("<IIQQQQQ", data)
        if valid & 1:
            os.chmod(self._paths[node], struct.unpack_from("<I", data, 68)[0] & 0o7777)
        if valid & 8:
            os.truncate(self._paths[node], size)
        if valid & 0x20:
            os.utime(self._paths[node], (accessed, modified))
        return self._getattr(node, b"")

    def _mkdir(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data[8:])
        os.mkdir(path)
        return self._entry(path)

    def _unlink(self, node: int, data: bytes) -> bytes:
        os.unlink(self._child(node, data))
        return b""

    def _rmdir(self, node: int, data: bytes) -> bytes:
        os.rmdir(self._child(node, data))
        return b""

    def _open(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack_from("<I", data)[0] & (os.O_ACCMODE | os.O_APPEND | os.O_TRUNC)
        return struct.pack("<QII", os.open(self._paths[node], flags & ~os.O_APPEND), 0, 0)

    def _create(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data[16:])
        flags = struct.unpack_from("<I", data)[0] & (os.O_ACCMODE | os.O_EXCL | os.O_TRUNC)
        file = os.open(path, flags | os.O_CREAT, 0o644)
        return self._entry(path) + struct.pack("<QII", file, 0, 0)

    def _read(self, node: int, data: bytes) -> bytes:
        file, offset, size = struct.unpack_from("<QQI", data)
        return os.pread(file, size, offset)

    def _write(self, node: int, data: bytes) -> bytes:
        file, offset, size = struct.unpack_from("<QQI", data)
        with contextlib.suppress(FileNotFoundError), open(f"{self._control}.full") as full:  # noqa: PTH123
            if os.path.basename(self._paths[node]) == full.read():  # noqa: PTH119
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return struct.pack("<II", os.pwrite(file, data[40 : 40 + size], offset), 0)

    def _statfs(self, node: int, data: bytes) -> bytes:
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)

    def _release(self, node: int, data: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", data)[0])
        return b""

    def _fsync(self, node: int, data: bytes) -> bytes:
        os.fsync(struct.unpack_from("<Q", data)[0])
        return b""

    def _nothing(self, node: int, data: bytes) -> bytes:
        return b""

    def _open_directory(self, node: int, data: bytes) -> bytes:
        return bytes(16)

    def _read_directory(self, node: int, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        answer = b""
        for number, name in list(enumerate([".", "..", *sorted(os.listdir(self._paths[node]))], 1))[offset:]:
            raw = os.fsencode(name)
            entry = struct.pack("<QQII", number, number, len(raw), 0) + raw
            entry += bytes(-len(entry) % 8)
            if len(answer) + len(entry) > size:
                break
            answer += entry
        return answer


def _attributes(status: os.stat_result, number: int) -> bytes:
    """As struct fuse_attr."""
    times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
    numbers = [status.st_ino + number, status.st_size, status.st_blocks, *(one // 10**9 for one in times)]
    rest = [status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0]
    return struct.pack("<6Q3I7I", *numbers, *(one % 10**9 for one in times), *rest)


def main(under: str, place: str, control: str, number: str = "0") -> None:
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode={stat.S_IFDIR:o},user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"hanging", os.fsencode(place), b"fuse.hanging", 0, options):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        print(f"cannot be mounted: {error}", flush=True)
        return
    print("mounted", flush=True)
    HangingFileSystem(under, device, control, int(number)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
