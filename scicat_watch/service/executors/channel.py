"""A pipe between the daemon and a reading process: whole messages, and no wait without an end."""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from typing import Self

_LENGTH = struct.Struct("!Q")
_SHORTEST = 0.001  # What has come already is taken even if the time is over, as after the host was asleep.
_PIECE = 1 << 20


class Channel:
    """One end. A time `until` is one of the monotonic clock; past it, TimeoutError is raised.

    OSError or EOFError if the other end is closed.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """Our end, and the one for the other process."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def send(self, message: bytes, until: float = math.inf) -> None:
        """Send a message."""
        self._wait(until)
        self._end.sendall(_LENGTH.pack(len(message)))
        self._wait(until)
        self._end.sendall(message)

    def readable(self, until: float) -> bool:
        """Whether a message begins to come in, or the other end is closed, before that time."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))

    def receive(self, largest: int, until: float = math.inf) -> bytes:
        """The next message; EOFError also if it is longer than `largest` bytes."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size, until))
        if length > largest:
            raise EOFError(f"a message of {length} bytes")
        return self._exactly(length, until)

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _exactly(self, length: int, until: float) -> bytes:
        pieces: list[bytes] = []
        while length:
            self._wait(until)
            piece = self._end.recv(min(length, _PIECE))
            if not piece:
                raise EOFError("the other end is closed")
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _wait(self, until: float) -> None:
        self._end.settimeout(None if math.isinf(until) else max(_SHORTEST, until - time.monotonic()))
