"""A command's end of the control channel."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from scicat_watch.errors import ConfigError, ScicatWatchError
from scicat_watch.files import plain
from scicat_watch.service.answering import needed
from scicat_watch.service.control import place
from scicat_watch.service.control.protocol import ALIVE, END, ERROR, LARGEST_MESSAGE, VERSION, Message, line
from scicat_watch.words import why

_ANSWER_WITHIN = 30.0
"""Seconds without a message after which the daemon counts as not answering; one that is busy says that it lives."""


class Gone(ScicatWatchError):
    """The daemon ended, or does not answer."""


class Control:
    """A connection to the daemon; for one request."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def follow(self, command: str, **more: Any) -> Iterator[Message]:
        """Ask, and give the messages one by one, the last one (`END`) included.

        Raises `Gone`; `ConfigError` if the request is wrong, `ScicatWatchError` if it was refused for another reason.
        """
        self._connection.settimeout(_ANSWER_WITHIN)
        try:
            self._connection.sendall(line({"version": VERSION, "command": command, **more}))
            with self._connection.makefile("rb") as answers:
                while text := answers.readline(LARGEST_MESSAGE):
                    message = _message(text)
                    if message["event"] == ERROR:
                        raise (ConfigError if message.get("usage") else ScicatWatchError)(str(message["message"]))
                    if message["event"] != ALIVE:
                        yield message
                    if message["event"] == END:
                        return
        except TimeoutError:
            raise Gone("the daemon does not answer; see its log") from None
        except OSError as error:
            raise Gone(f"the connection to the daemon broke: {why(error)}") from None
        raise Gone("the daemon ended before it was done; what it did not do is done after its next start")

    def ask(self, command: str, **more: Any) -> Message:
        """The last message."""
        return list(self.follow(command, **more))[-1]


def connect(var_dir: Path) -> Control | None:
    """A connection to the daemon of a state directory; None if none runs."""
    with needed(var_dir):
        connection = place.connect(var_dir)
    return None if connection is None else Control(connection)


def reached(var_dir: Path) -> Control:
    """The same; `ScicatWatchError` if none runs."""
    if (control := connect(var_dir)) is None:
        raise ScicatWatchError(
            f"no daemon runs with the state directory {var_dir}; name its configuration (-c) or --var-dir"
        )
    return control


def named(paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Paths as a request has them; `ConfigError` for one that is not there."""
    found = []
    for given in paths:
        with needed(given.absolute()):
            path = plain(given)
            if not path.exists():
                raise ConfigError("there is no such file or directory", path)
            found.append({"path": os.fspath(path), "folder": path.is_dir()})
    return found


def switch(var_dir: Path, command: str, beamtime: str) -> tuple[list[tuple[str, str]], bool]:
    """Have the daemon `pause` or `resume` a beamtime, by its id or its directory.

    Each that it did, with both; and whether that lasts when the daemon ends. The directory need not answer.
    """
    directory = Path(beamtime)
    with needed(directory.absolute()):  # Which is asked only if ".." is in it.
        paths = [{"path": os.fspath(plain(directory)), "folder": True}]
    with reached(var_dir) as control:
        done = control.ask(command, beamtime=beamtime, paths=paths)
    return [(id_, directory) for id_, directory in done["beamtimes"]], bool(done["kept"])


def _message(text: bytes) -> Message:
    try:
        message: Message = json.loads(text)
    except ValueError:
        raise Gone("the daemon's answer cannot be understood: is it of another version?") from None
    return message
